# SPDX-License-Identifier: Apache-2.0
"""
HTTP over a Unix socket: unix_busy.py PATH < "go". Sends a request, says "asked" on standard error and leaves the answer unread until "go"; then 7 requests on the
same connection and 11 on a new one.
"""
import socket
import sys


def ask(s, path):
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def answer(s):
    got = b""
    while b"\r\n\r\n" not in got:
        got += s.recv(65536)
    head, body = got.split(b"\r\n\r\n", 1)
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += s.recv(65536)


def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(sys.argv[1])
    return s


old = connect()
ask(old, "/slow/1")
print("asked", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
answer(old)
for i in range(7):
    ask(old, f"/items/{1000 + i}")
    answer(old)
new = connect()
for i in range(11):
    ask(new, f"/items/{2000 + i}")
    answer(new)
