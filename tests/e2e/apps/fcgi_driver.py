# SPDX-License-Identifier: Apache-2.0
"""
Asks a FastCGI server on one connection, as the specification has it: fcgi_driver.py PORT < "go". First one request after the other, then several at once, whose
answers alternate. Prints {"path","ns","status"} of the former.
"""
import json
import socket
import struct
import sys
import time

BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7


def record(kind, request_id, content=b""):
    padding = -len(content) % 8
    return struct.pack(">BBHHBB", 1, kind, request_id, len(content), padding, 0) + content + bytes(padding)


def length(n):
    return bytes([n]) if n < 128 else struct.pack(">I", n | 1 << 31)


def request(request_id, method, path, body=b""):
    params = {"REQUEST_METHOD": method, "REQUEST_URI": path, "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "shop.example", "HTTP_COOKIE": "secret", "REMOTE_ADDR": "192.0.2.7",
              "CONTENT_LENGTH": str(len(body)), "HTTP_TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    pairs = b"".join(length(len(k)) + length(len(v)) + k.encode() + v.encode() for k, v in params.items())
    cut = len(pairs) // 2  # so that a pair lies in two records
    return ([record(BEGIN, request_id, struct.pack(">HB5x", 1, 1)) + record(PARAMS, request_id, pairs[:cut]) + record(PARAMS, request_id, pairs[cut:]) + record(PARAMS, request_id)]
            + [record(STDIN, request_id, body[i:i + 30000]) for i in range(0, len(body), 30000)] + [record(STDIN, request_id)])


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")
        self.out = {}

    def send(self, records):
        for r in records:
            self.socket.sendall(r)

    def ended(self):
        """The id of the next request that ends, and what came of it."""
        while True:
            _, kind, request_id, size, padding, _ = struct.unpack(">BBHHBB", self.file.read(8))
            content = self.file.read(size + padding)[:size]
            if kind == STDOUT:
                self.out[request_id] = self.out.get(request_id, b"") + content
            elif kind == END:
                return request_id, self.out.pop(request_id, b"")


def status(out):
    head = out.split(b"\r\n\r\n")[0]
    return next((int(line.split()[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"status:")), 200)


old = sys.stdin.readline() == "ready\n"
c = Connection(int(sys.argv[1]))
if old:
    c.send(request(1, "GET", "/items/1"))
    c.ended()
    print("ready", file=sys.stderr, flush=True)
    assert sys.stdin.readline() == "go\n"
number = 100_000
for kind, times in (("items", 11), ("missing", 3), ("fail", 2), ("busy", 1), ("big", 2), ("slow", 1), ("upload", 3)):
    for _ in range(times):
        number += 1
        path, start = f"/{kind}/{number}?secret={number}", time.perf_counter_ns()
        c.send(request(1, "POST" if kind == "upload" else "GET", path, b"secret" * 20_000 if kind == "upload" else b""))
        _, out = c.ended()
        print(json.dumps({"path": path.split("?")[0], "ns": time.perf_counter_ns() - start, "status": status(out)}))
at_once = {}
for i in range(7):
    number += 1
    at_once[i + 2] = "slow" if i % 2 == 0 else "items"
    c.send(request(i + 2, "GET", f"/{at_once[i + 2]}/{number}"))
order = [c.ended()[0] for _ in at_once]
assert sorted(order) == sorted(at_once) and order != sorted(at_once), order
