# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of binary requests through bmemcached: memcached_binary_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

import bmemcached
from bmemcached.exceptions import MemcachedException

assert sys.stdin.readline() == "go\n"
c = bmemcached.Client((f"127.0.0.1:{sys.argv[1]}",), compression=None)


def timed(what, run, expect=None):
    start = time.perf_counter_ns()
    error = ""
    try:
        got = run()
        assert expect is None or got == expect, (what, got)
    except MemcachedException as e:
        error = str(e)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


for i in range(11):
    timed("set", lambda: c.set("user:7", f"secret {i}"), True)
for i in range(5):
    timed("get", lambda: c.get("user:7"), "secret 10")
timed("get nothing", lambda: c.get("user:none", "no"), "no")
timed("big", lambda: c.set("big", "x" * 300_000), True)
timed("big back", lambda: len(c.get("big")), 300_000)
for i in range(3):
    timed("not a number", lambda: c.incr("user:7", 7))
timed("add", lambda: c.add("user:7", "secret"), False)
timed("many", lambda: c.set_multi({f"piped:{i}": f"secret {i}" for i in range(101)}))
timed("get many", lambda: len(c.get_multi([f"piped:{i}" for i in range(0, 202, 2)])), 51)
timed("incr", lambda: c.incr("n", 37, default=42), 42)
timed("delete", lambda: c.delete("n"), True)
timed("stats", lambda: len(c.stats("settings")), 1)
timed("last", lambda: c.get("user:7"), "secret 10")
c.disconnect_all()
