# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of text commands through pymemcache: memcached_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

assert sys.stdin.readline() == "go\n"
c = Client(("127.0.0.1", int(sys.argv[1])), default_noreply=False)


def timed(what, run, expect=None):
    start = time.perf_counter_ns()
    error = ""
    try:
        got = run()
        assert expect is None or got == expect, (what, got)
    except MemcacheClientError:
        error = "CLIENT_ERROR"
    except MemcacheServerError:
        error = "SERVER_ERROR"
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


for i in range(11):
    timed("set", lambda: c.set("user:7", f"secret {i}"), True)
for i in range(5):
    timed("get", lambda: c.get("user:7"), b"secret 10")
timed("get nothing", lambda: c.get("user:none", "no"), "no")
timed("big", lambda: c.set("big", b"x" * 300_000), True)
timed("big back", lambda: len(c.get("big")), 300_000)
for i in range(3):
    timed("not a number", lambda: c.incr("user:7", 7))
timed("too large", lambda: c.set("huge", b"y" * 2_000_000))
timed("add", lambda: c.add("user:7", "secret"), False)
value, token = c.gets("user:7")
timed("cas", lambda: c.cas("user:7", "secret 7", token), True)
timed("cas again", lambda: c.cas("user:7", "secret 8", token), False)
timed("many", lambda: c.set_many({f"piped:{i}": f"secret {i}" for i in range(101)}), [])
timed("get many", lambda: len(c.get_many([f"piped:{i}" for i in range(0, 202, 2)])), 51)
timed("set number", lambda: c.set("n", "5"), True)
timed("incr", lambda: c.incr("n", 37), 42)
timed("touch", lambda: c.touch("n", 60), True)
timed("delete", lambda: c.delete("n"), True)
timed("delete again", lambda: c.delete("n"), False)
timed("last", c.version)
for i in range(13):
    timed("no reply", lambda: c.set(f"quiet:{i}", "secret", noreply=True))
c.close()
