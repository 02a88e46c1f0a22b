# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of requests through kazoo: zookeeper_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import logging
import sys
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, RolledBackError
from kazoo.security import make_acl, make_digest_acl

assert sys.stdin.readline() == "go\n"
logging.disable(logging.CRITICAL)
c = KazooClient(hosts=f"127.0.0.1:{sys.argv[1]}", timeout=120, auth_data=[("digest", "plumb:sesame")])


def timed(what, run, expect=None):
    start = time.perf_counter_ns()
    error = ""
    try:
        got = run()
        assert expect is None or got == expect, (what, got)
    except KazooException as e:
        error = type(e).__name__
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


def transaction(*parts):
    """What each part gave, or the name of its error."""
    t = c.transaction()
    for name, *args in parts:
        getattr(t, name)(*args)
    return [type(r).__name__ if isinstance(r, Exception) else r for r in t.commit()]


c.start()
timed("create", lambda: c.create("/shop", b"secret"), "/shop")
for i in range(11):
    timed("set", lambda: c.set("/shop", b"secret %d" % i).version, i + 1)
for i in range(5):
    timed("get", lambda: c.get("/shop")[0], b"secret 10")
for i in range(3):
    timed("no node", lambda: c.get("/none"))
timed("exists", lambda: c.exists("/shop").version, 11)
timed("exists not", lambda: c.exists("/none") is None, True)
timed("duplicate", lambda: c.create("/shop", b"secret"))
timed("bad version", lambda: c.set("/shop", b"secret", version=7))
timed("create with stat", lambda: c.create("/shop/a", b"secret", include_data=True)[0], "/shop/a")
timed("sequence", lambda: c.create("/shop/lock-", b"secret", ephemeral=True, sequence=True), "/shop/lock-0000000001")
timed("under an ephemeral", lambda: c.create("/shop/lock-0000000001/x"))
timed("not empty", lambda: c.delete("/shop"))
timed("children", lambda: sorted(c.get_children("/shop")), ["a", "lock-0000000001"])
timed("children with stat", lambda: len(c.get_children("/shop", include_data=True)[0]), 2)
timed("sync", lambda: c.sync("/shop"), "/shop")
timed("large", lambda: c.set("/shop/a", b"x" * 300_000).dataLength, 300_000)
timed("large back", lambda: len(c.get("/shop/a")[0]), 300_000)
timed("get acl", lambda: len(c.get_acls("/shop")[0]), 1)
timed("bad acl", lambda: c.set_acls("/shop", [make_acl("nobody", "secret", read=True)]))
timed("set acl", lambda: c.set_acls("/shop/a", [make_digest_acl("other", "secret", all=True)]).aversion, 1)
timed("not allowed", lambda: c.get("/shop/a"))
# Watched: what happens to it is told in front of the answer.
seen = []
timed("watch", lambda: c.get("/shop", watch=seen.append)[0], b"secret 10")
timed("set watched", lambda: c.set("/shop", b"secret").version, 12)
timed("multi", lambda: transaction(("check", "/shop", 12), ("create", "/shop/b", b"secret"), ("set_data", "/shop/b", b"secret"), ("delete", "/shop/b"))[1:2], ["/shop/b"])
timed("multi fails", lambda: transaction(("create", "/shop/c", b"secret"), ("check", "/shop", 99), ("delete", "/shop/c")), [RolledBackError.__name__, "BadVersionError", "RuntimeInconsistency"])
timed("reconfig", lambda: c.reconfig(joining="server.2=127.0.0.1:2:3;4", leaving=None, new_members=None))
# All under way at once, and every seventh for nothing.
pending = [c.get_async("/none" if i % 7 == 0 else "/shop") for i in range(101)] + [c.create_async(f"/shop/n{i}", b"secret") for i in range(53)]
for p in pending:
    p.wait(60)
assert len([p for p in pending if p.exception]) == 15
timed("last", lambda: len(c.get_children("/shop")), 55)
c.stop()
c.close()
