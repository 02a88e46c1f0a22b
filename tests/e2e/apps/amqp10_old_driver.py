# SPDX-License-Identifier: Apache-2.0
"""
Sends and receives through Qpid Proton on a connection with links that are there, and were used, before "ready": amqp10_old_driver.py PORT < "go". The server is
amqp10_peer.py. Prints {"what"} for each step after "go".
"""
import json
import sys

from proton import Message
from proton.utils import BlockingConnection

conn = BlockingConnection(f"amqp://127.0.0.1:{sys.argv[1]}", timeout=20)
sender, taker = conn.create_sender("accept"), conn.create_receiver("give", credit=0)  # asks for one at a time
sender.send(Message("secret"))
for i in range(2):
    taker.receive(10)
taker.accept()
sender.send(Message("secret"))  # the peer has read what was accepted
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"


def step(what, run):
    run()
    print(json.dumps({"what": what}))


step("accept", taker.accept)  # what came before
for i in range(13):
    step("send", lambda: sender.send(Message("secret", address="named" if i % 2 else None)))
for i in range(9):
    step("receive", lambda: taker.receive(10))
    if i != 1:  # the fourth of all was sent settled
        step("accept", taker.accept)
late = conn.create_sender("accept", name="late")
for i in range(11):
    step("send", lambda: late.send(Message("secret")))
conn.close()
