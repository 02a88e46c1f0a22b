# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of calls through the Thrift library: thrift_driver.py PORT WAY [SERVICE] < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

from thrift.Thrift import TApplicationException
from thrift.transport.TSocket import TSocket

from thrift_shop import WAYS, Client, SoldOut

transport_factory, protocol_factory = WAYS[sys.argv[2]]
service = sys.argv[3] + ":" if len(sys.argv) > 3 else ""
old = sys.stdin.readline() == "ready\n"
socket = TSocket("127.0.0.1", int(sys.argv[1]))
socket.open()
protocol = protocol_factory.getProtocol(transport_factory.getTransport(socket))
c = Client(protocol, {b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"} if sys.argv[2] == "header" else None)


def step(what, name, *args, expect=None, error=""):
    start = time.perf_counter_ns()
    got = ""
    try:
        value = c.call(service + name, *args)
        assert expect is None or value == expect, (what, value)
    except SoldOut as e:
        got = f"SoldOut {e}"
    except TApplicationException as e:
        got = str(e.type)
    assert got == error, (what, got)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": got}))


if old:  # an old connection: one call before plumb looks
    c.call(service + "ping")
    print("ready", file=sys.stderr, flush=True)
    assert sys.stdin.readline() == "go\n"
for i in range(11):
    step("add", "add", 4929123, i, expect=4929123 + i)
for i in range(7):
    step("echo", "echo", f"secret {i}", expect=f"secret {i}")
step("big", "echo", "s" * 300_000, expect="s" * 300_000)
for i in range(5):
    step("list", "list", 101, expect=[f"secret {k}" for k in range(101)])
for i in range(3):
    step("sold out", "buy", "nothing left", error="SoldOut secret reason")
step("buy", "buy", "secret")
for i in range(3):
    step("fail", "fail", error="6")
for i in range(2):
    step("unknown", "steal", "secret", error="1")
step("slow", "slow", 97, expect="slept")
for i in range(13):
    c.send(service + "note", "secret", oneway=True)
for i in range(2):
    step("ping", "ping")
for i in range(53):
    c.send(service + "add", 4929123, i)
for i in range(53):
    assert c.receive() == 4929123 + i
step("last", "add", 1, 1, expect=2)
socket.close()
