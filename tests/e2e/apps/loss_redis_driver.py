# SPDX-License-Identifier: Apache-2.0
"""argv: port. Batches of pipelined commands whose outcome the command tells: GET has none, LPUSH on a string WRONGTYPE, SET with a bad option ERR."""
import socket
import sys
import threading

BATCH, BATCHES = 16, 53


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def one(i):
    key = b"k%d" % i
    return command(b"LPUSH", b"text", key) if i % 7 == 0 else command(b"SET", key, b"abc", b"ZZ") if i % 5 == 0 else command(b"GET", key)


def work(n):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s, s.makefile("rb") as replies:
        for b in range(BATCHES):
            s.sendall(b"".join(one(n * 1000 + b * BATCH + i) for i in range(BATCH)))
            for _ in range(BATCH):
                replies.readline()


with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
    s.sendall(command(b"SET", b"text", b"x"))
    s.recv(64)
sys.stdin.readline()
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for t in threads:
    t.start()
for t in threads:
    t.join()
