# SPDX-License-Identifier: Apache-2.0
"""
Runs a fixed series of requests through Aerospike's own Python library, which is the one for C: aerospike_driver.py PORT [old|packed] < "go". Prints {"what","ns","error"} for each step. old: on
connections that are there, and were used, before "ready". packed: what is longer than a few bytes is compressed, both ways.
"""
import json
import os
import sys
import time

import aerospike
from aerospike import exception, predicates
from aerospike_helpers.batch.records import BatchRecords, Read, Write
from aerospike_helpers.operations import operations

MODE = sys.argv[2] if len(sys.argv) > 2 else ""
BIG = os.urandom(75_000).hex()
POLICY = {"total_timeout": 60000, "socket_timeout": 60000, "max_retries": 0, "key": aerospike.POLICY_KEY_SEND, **({"compress": True} if MODE == "packed" else {})}
POLICIES = {kind: POLICY for kind in ("read", "write", "operate", "remove", "apply", "batch", "scan", "query")}


def connect(**named):
    return aerospike.client({"hosts": [("127.0.0.1", int(sys.argv[1]))], "policies": {**POLICIES, **named.pop("policies", {})}, **named})


def key(number, group="users"):
    return "test", group, f"secret-key-{number}"


def timed(what, run, expect=None):
    start = time.perf_counter_ns()
    error = ""
    try:
        got = run()
        assert expect is None or got == expect, (what, got)
    except exception.AerospikeError as e:
        error = str(e.code)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


def records(c):
    one = key(1)
    for i in range(11):
        timed("put", lambda: c.put(one, {"n": i, "name": "secret"}))
    for _ in range(7):
        timed("get", lambda: c.get(one)[2]["n"], 10)
    for _ in range(5):
        timed("none", lambda: c.get(key("none")))
    timed("exists", lambda: c.exists(one)[1]["gen"], 11)
    timed("put again", lambda: c.put(one, {"n": 1}, policy={**POLICY, "exists": aerospike.POLICY_EXISTS_CREATE}))
    timed("update none", lambda: c.put(key("none"), {"n": 1}, policy={**POLICY, "exists": aerospike.POLICY_EXISTS_UPDATE}))
    timed("other generation", lambda: c.put(one, {"n": 1}, meta={"gen": 77}, policy={**POLICY, "gen": aerospike.POLICY_GEN_EQ}))
    for _ in range(3):
        timed("increment", lambda: c.increment(one, "n", 7))
    timed("append", lambda: c.append(one, "name", "secret"))
    timed("prepend", lambda: c.prepend(one, "name", "secret"))
    timed("select", lambda: c.select(one, ["n"])[2], {"n": 31})
    for _ in range(3):
        timed("not a number", lambda: c.increment(one, "name", 7))
    timed("touch", lambda: c.touch(one, 60))
    timed("operate", lambda: c.operate(one, [operations.increment("n", 1), operations.read("n")])[2]["n"], 32)
    for _ in range(3):
        timed("forbidden", lambda: c.put(key(1, "forbidden"), {"n": 1}))
    timed("function", lambda: c.apply(one, "notes", "add", ["secret"]), 7)
    timed("function that fails", lambda: c.apply(one, "notes", "fail", ["secret"]))
    timed("slow put", lambda: c.put(key(1, "slow"), {"n": 1}))
    timed("slow get", lambda: c.get(key(1, "slow"))[2], {"n": 1})
    timed("big put", lambda: c.put(key("big"), {"big": BIG}))
    timed("big get", lambda: c.get(key("big"))[2]["big"], BIG)
    timed("no set", lambda: c.put(("test", None, "secret-key"), {"n": 1}))
    timed("remove big", lambda: c.remove(key("big")))
    timed("remove none", lambda: c.remove(key("none")))


def many(c):
    for i in range(2, 14):
        timed("fill", lambda: c.put(key(i), {"n": i}))
    timed("batch", lambda: sum(r.result == 0 for r in c.batch_read([key(i) for i in range(1, 18)]).batch_records), 13)
    timed("batch of two sets", lambda: sum(r.result == 0 for r in c.batch_read([key(1), key(1, "slow")]).batch_records), 2)
    timed("batch that writes", lambda: c.batch_write(BatchRecords([Write(key(i), [operations.write("n", 7)]) for i in (2, 3)] + [Write(key(1, "forbidden"), [operations.write("n", 7)])])).result)
    timed("batch of reads", lambda: c.batch_write(BatchRecords([Read(key(2), [operations.read("n")]), Read(key(3), [operations.read("n")])])).result, 0)
    timed("scan", lambda: len(c.scan("test", "users").results(POLICY)), 13)
    query = c.query("test", "users")
    query.where(predicates.between("n", 1, 1000))
    timed("query", lambda: len(query.results(POLICY)), 13)
    timed("query of nothing", lambda: len(c.query("test", "nothing").results(POLICY)), 0)
    timed("busy", lambda: c.scan("test", "busy").results(POLICY))
    for _ in range(3):
        timed("info", lambda: c.info_random_node("sets/test") and None)
    timed("unknown info", lambda: c.info_random_node("no-such-thing:secret=sesame") and None)


def logins():
    """Each of these has connections of its own."""
    for user in ("plumb", "stranger"):
        timed(user, lambda: connect(user=user, password="sesame", policies={"auth_mode": aerospike.AUTH_INTERNAL}).close())


client = connect() if MODE == "old" else None
if client:
    client.put(key(0), {"n": 1})
    client.remove(key(0))
    print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
client = client or connect()
records(client)
many(client)
client.close()
if MODE == "":
    logins()
