# SPDX-License-Identifier: Apache-2.0
"""
many_sessions.py PORT FOLDER: sessions of TLS that begin while probes come back. Asks on one connection as fast as it can; at "open" it opens one after the other instead, and keeps them; at "ask" it makes three requests on each,
/items/NNNNNK of the connection NNNNN, a few milliseconds apart, and prints how many connections there are.
"""
import http.client
import select
import ssl
import sys
import time

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=FOLDER + "/cert.pem")


def connect():
    c = http.client.HTTPSConnection("localhost", PORT, context=context)
    c.connect()
    return c


def ask(c, path):
    c.request("GET", path)
    assert c.getresponse().read()


def told():
    """The next word, if there is one."""
    return sys.stdin.readline().strip() if select.select([sys.stdin], [], [], 0)[0] else None


busy = connect()
print("ready", flush=True)
while told() != "open":
    ask(busy, "/items/1")
busy.close()
kept = []
while told() != "ask":
    kept.append(connect())
    time.sleep(0.008)  # a pace, so that some begin in the tenth of a second in which probes come back and not all of them before
for k in (1, 2, 3):
    for n, c in enumerate(kept):
        ask(c, f"/items/{n:05}{k}")
        time.sleep(0.004)  # a pace that keeps their calls below the budget
print(len(kept), flush=True)
