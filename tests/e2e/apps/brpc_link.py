# SPDX-License-Identifier: Apache-2.0
"""
bRPC in C++, at both ends: two parties that push messages to each other, each a server and a client. brpc_link.py LIBRARY serve|drive PORT PEER_PORT PROTOCOL CONNECTION [old].
The driver waits for "go" and pushes what PUSHES says; "old": on connections that were used before "ready" is said. The other one takes it all, and pushes one back.
"""
import sys

library, what, port, peer_port, protocol, connection = sys.argv[1:7]
old = sys.argv[7:] == ["old"]
sys.path.insert(0, library)
from libspu import link  # noqa: E402

SINGLE, AHEAD, BIG = 13, 53, 900_000
driver = what == "drive"
ports = (port, peer_port) if driver else (peer_port, port)


def connect():
    d = link.Desc()
    d.id = "shop"
    d.brpc_channel_protocol = protocol
    d.brpc_channel_connection_type = connection
    d.throttle_window_size = 0
    d.connect_retry_times = 600
    d.connect_retry_interval_ms = 100
    d.recv_timeout_ms = 60_000
    for i, p in enumerate(ports):
        d.add_party(f"party{i}", f"127.0.0.1:{p}")
    return link.create_brpc(d, 0 if driver else 1)


if driver and not old:
    assert sys.stdin.readline() == "go\n"
c = connect()
if driver:
    if old:
        print("ready", file=sys.stderr, flush=True)
        assert sys.stdin.readline() == "go\n"
    for i in range(SINGLE):
        c.send(1, "secret %d" % i)
    for i in range(AHEAD):
        c.send_async(1, "secret %d" % i)
    assert c.recv(1) == b"secret"  # no message is behind the large one in the same write: it might not be captured
    c.send(1, "x" * BIG)
    assert c.recv(1) == b"secret"
    c.stop_link()
else:
    for _ in range(SINGLE + AHEAD):
        c.recv(0)
    c.send(0, "secret")
    assert len(c.recv(0)) == BIG
    c.send(0, "secret")
    c.stop_link()
