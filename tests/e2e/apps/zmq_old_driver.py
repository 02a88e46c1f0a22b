# SPDX-License-Identifier: Apache-2.0
"""Is connected before anybody watches: zmq_old_driver.py PORTS(JSON) < "go"."""
import re
import subprocess
import sys
import time

import zmq

from zmq_driver import connected, ports

PING = 9  # bytes of one


def sent():
    """Bytes that the connection to the ROUTER has sent."""
    return int(re.search(r"bytes_acked:(\d+)", subprocess.run(["ss", "-tinH", f"dport = :{ports['router']}"], capture_output=True, text=True, check=True).stdout)[1])



asker, sender, heart = connected(zmq.REQ, "rep"), connected(zmq.PUSH, "pull"), connected(zmq.DEALER, "router", heartbeat_ivl=50, heartbeat_timeout=30_000)
asker.send(b"secret")
assert asker.recv() == b"secret"
for s in (sender, heart):
    while not s.getsockopt(zmq.EVENTS) & zmq.POLLOUT:
        pass
print("ready", file=sys.stderr)
assert sys.stdin.readline() == "go\n"
before, deadline = sent(), time.monotonic() + 30
while sent() < before + 4 * PING:  # heartbeats, by which it is known
    assert time.monotonic() < deadline, "no heartbeats"
for i in range(11):
    asker.send(b"secret %d" % i)
    assert asker.recv() == b"secret %d" % i
for i in range(13):
    sender.send(b"secret")
for i in range(13):
    heart.send(b"secret %d" % i)
for i in range(13):
    heart.recv()
