# SPDX-License-Identifier: Apache-2.0
"""Is connected and subscribed before anybody watches: stomp_old_driver.py PORT < "go"."""
import sys

from stomp_driver import connect

c, got = connect()
c.subscribe("/queue/old", id="1", ack="client-individual", headers={"receipt": "s", "prefetch-count": "100"})
assert got.receipts.get(timeout=30) == "s"
print("ready", file=sys.stderr)
assert sys.stdin.readline() == "go\n"
for i in range(13):
    c.send("/queue/old", f"secret {i}", receipt=f"r{i}")
    assert got.receipts.get(timeout=30) == f"r{i}"
for i in range(13):
    c.ack(got.messages.get(timeout=30).headers["ack"])
c.disconnect(receipt="bye")
got.gone.get(timeout=30)
