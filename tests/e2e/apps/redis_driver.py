# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of Redis commands through redis-py: redis_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

import redis

assert sys.stdin.readline() == "go\n"
r = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]), single_connection_client=True, lib_name=None, lib_version=None)


def timed(what, run):
    start = time.perf_counter_ns()
    error = ""
    try:
        run()
    except redis.ResponseError as e:
        error = str(e).split()[0]
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


def pipeline(count, transaction):
    p = r.pipeline(transaction=transaction)
    for i in range(count):
        p.incr("counter:1") if i % 2 else p.set(f"piped:{i}", f"secret {i}")
    p.execute()


for i in range(11):
    timed("set", lambda: r.set("user:7", f"secret {i}"))
for i in range(5):
    timed("get", lambda: r.get("user:7"))
timed("get nothing", lambda: r.get("user:none"))
timed("big", lambda: r.set("big", b"x" * 300_000))
timed("big back", lambda: r.get("big"))
for i in range(3):
    timed("wrong type", lambda: r.lpush("user:7", "x"))  # WRONGTYPE: the client raises without a word of its own
timed("blocking", lambda: r.blpop(["nothing"], timeout=0.1))
timed("pipeline", lambda: pipeline(101, False))
timed("transaction", lambda: pipeline(13, True))
timed("last", lambda: r.execute_command("ECHO", "last"))
r.close()
