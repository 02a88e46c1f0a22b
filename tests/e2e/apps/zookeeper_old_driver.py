# SPDX-License-Identifier: Apache-2.0
"""
Requests through kazoo on a connection that is there, and was used, before "ready": zookeeper_old_driver.py PORT < "go". Prints {"what","error"} for each
step after "go".
"""
import json
import logging
import sys

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

logging.disable(logging.CRITICAL)
c = KazooClient(hosts=f"127.0.0.1:{sys.argv[1]}", timeout=120)
c.start()
c.create("/old", b"secret")
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"


def step(what, run):
    error = ""
    try:
        run()
    except KazooException as e:
        error = type(e).__name__
    print(json.dumps({"what": what, "error": error}))


pending = [c.set_async("/old", b"secret", version=99) if i % 10 == 9 else c.get_async("/old") for i in range(101)]
for p in pending:
    step("at once", lambda: p.get(timeout=60))
t = c.transaction()
t.create("/old/a", b"secret")
t.delete("/old/none")
step("multi", t.commit)
step("children", lambda: c.get_children("/old"))
c.stop()
c.close()
