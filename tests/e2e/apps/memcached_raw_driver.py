# SPDX-License-Identifier: Apache-2.0
"""Says meta commands as they stand here: memcached_raw_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import socket
import sys
import time

assert sys.stdin.readline() == "go\n"
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))


def timed(what, request, expect):
    """expect: what the answers to it all together are."""
    start = time.perf_counter_ns()
    s.sendall(request)
    got = b""
    while len(got) < len(expect):
        more = s.recv(65536)
        assert more, (what, got)
        got += more
    assert got == expect, (what, got)
    first = got.split()[0].decode()
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": first if first.endswith("ERROR") else ""}))


for i in range(7):
    timed("set", b"ms user:7 8 T60 F5\r\nsecret %d\r\n" % i, b"HD\r\n")
timed("get", b"mg user:7 v k s O9\r\n", b"VA 8 kuser:7 s8 O9\r\nsecret 6\r\n")
timed("miss", b"mg none v\r\n", b"EN\r\n")
timed("add", b"ms user:7 6 ME\r\nsecret\r\n", b"NS\r\n")
timed("binary key", b"ms c3VscGh1cg== 6 b\r\nsecret\r\n", b"HD\r\n")
# Of 101 quiet ones every third is there.
timed("quiet sets", b"".join(b"ms piped:%d 6 q\r\nsecret\r\n" % i for i in range(0, 101, 3)) + b"mn\r\n", b"MN\r\n")
timed("quiet gets", b"".join(b"mg piped:%d v q O%d\r\n" % (i, i) for i in range(101)) + b"mn\r\n",
      b"".join(b"VA 6 O%d\r\nsecret\r\n" % i for i in range(0, 101, 3)) + b"MN\r\n")
timed("arithmetic", b"ma n N60 J5 v\r\n", b"VA 1\r\n5\r\n")
timed("wrong", b"ma user:7\r\n", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n")
timed("unknown", b"secret 7\r\n", b"ERROR\r\n")
timed("delete", b"md user:7 q\r\nmd user:7\r\nmn\r\n", b"NF\r\nMN\r\n")
timed("last", b"mn\r\n", b"MN\r\n")
