# SPDX-License-Identifier: Apache-2.0
"""Says requests in datagrams: memcached_udp_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import socket
import sys
import time

assert sys.stdin.readline() == "go\n"
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.connect(("127.0.0.1", int(sys.argv[1])))
u.settimeout(10)


def datagram(what, number, request, *expect):
    """expect: how each datagram of the answer begins. Of their numbers only that of the request is looked at: memcached 1.6.18 calls each of several the only one."""
    start = time.perf_counter_ns()
    u.send(number.to_bytes(2, "big") + b"\0\0\0\1\0\0" + request)
    for e in expect:
        got = u.recv(65536)
        assert got[:2] == number.to_bytes(2, "big") and got[8:].startswith(e), (what, got[:100])
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": ""}))


datagram("set", 7, b"set user:7 0 0 900\r\n" + b"secret" * 150 + b"\r\n", b"STORED\r\n")
for i in range(5):
    datagram("get", 1000 + i, b"get user:7\r\n", b"VALUE user:7 0 900\r\nsecret")
datagram("get many", 0, b"get user:7 none user:7\r\n", b"VALUE user:7 0 900\r\nsecret", b"")
datagram("get nothing", 65535, b"get none\r\n", b"END\r\n")
datagram("meta", 8, b"mg user:7 s\r\n", b"HD s900\r\n")
datagram("last", 9, b"delete user:7\r\n", b"DELETED\r\n")
