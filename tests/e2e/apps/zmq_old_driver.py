# SPDX-License-Identifier: Apache-2.0
"""Is connected before anybody watches: zmq_old_driver.py PORTS(JSON) < "go"."""
import sys
import time

import zmq

from zmq_driver import connected

asker, sender, heart = connected(zmq.REQ, "rep"), connected(zmq.PUSH, "pull"), connected(zmq.DEALER, "router", heartbeat_ivl=50, heartbeat_timeout=30_000)
asker.send(b"secret")
assert asker.recv() == b"secret"
for s in (sender, heart):
    while not s.getsockopt(zmq.EVENTS) & zmq.POLLOUT:
        pass
print("ready", file=sys.stderr)
assert sys.stdin.readline() == "go\n"
time.sleep(0.3)  # several heartbeats, of which nothing tells
for i in range(11):
    asker.send(b"secret %d" % i)
    assert asker.recv() == b"secret %d" % i
for i in range(13):
    sender.send(b"secret")
for i in range(13):
    heart.send(b"secret %d" % i)
for i in range(13):
    heart.recv()
