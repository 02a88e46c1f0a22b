# SPDX-License-Identifier: Apache-2.0
"""
Runs a fixed series of requests through Couchbase's own library: couchbase_driver.py PORT [old] < "go". Prints {"what","ns","error"} for each step. old: on a connection that is
there, and was used, before "ready".
"""
import json
import os
import sys
import time
from datetime import timedelta

import couchbase.subdocument as SD
from couchbase.auth import PasswordAuthenticator
from couchbase.cluster import Cluster
from couchbase.exceptions import CouchbaseException
from couchbase.options import ClusterOptions, GetMultiOptions, ReplaceOptions
from couchbase.transcoder import RawBinaryTranscoder

OLD = sys.argv[2:] == ["old"]
BIG = os.urandom(150_000).hex().encode()
SECONDS = timedelta(seconds=60)


def open_bucket():
    cluster = Cluster(f"couchbase://127.0.0.1:{sys.argv[1]}", ClusterOptions(PasswordAuthenticator("plumb", "sesame"), enable_tracing=False))
    return cluster, cluster.bucket("shop")


def timed(what, run, expect=None):
    start = time.perf_counter_ns()
    error = ""
    try:
        got = run()
        assert expect is None or got == expect, (what, got)
    except CouchbaseException as e:
        error = type(e).__name__
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


def series(bucket):
    c = bucket.default_collection()
    raw = bucket.default_collection()
    binary = RawBinaryTranscoder()
    for i in range(11):
        timed("upsert", lambda: c.upsert("user:7", {"secret": i, "n": 1}) and None)
    for _ in range(5):
        timed("get", lambda: c.get("user:7").content_as[dict]["secret"], 10)
    for _ in range(3):
        timed("none", lambda: c.get("user:none"))
    timed("insert again", lambda: c.insert("user:7", {"secret": 0}))
    timed("replace", lambda: c.replace("user:7", {"secret": 1, "n": 1}) and None)
    timed("replace none", lambda: c.replace("user:none", {"secret": 1}))
    timed("other cas", lambda: c.replace("user:7", {"secret": 2}, ReplaceOptions(cas=7)))
    timed("look up", lambda: c.lookup_in("user:7", [SD.get("secret")]).content_as[int](0), 1)
    timed("look up what is not there", lambda: c.lookup_in("user:7", [SD.get("secret"), SD.exists("none")]).exists(1), False)
    timed("mutate", lambda: c.mutate_in("user:7", [SD.upsert("secret2", 4)]) and None)
    timed("mutate what is not there", lambda: c.mutate_in("user:7", [SD.replace("none", 4)]))
    timed("touch", lambda: c.touch("user:7", SECONDS) and None)
    timed("get and touch", lambda: c.get_and_touch("user:7", SECONDS) and None)
    timed("exists", lambda: c.exists("user:7").exists, True)
    locked = c.get_and_lock("user:7", SECONDS)
    timed("unlock", lambda: c.unlock("user:7", locked.cas))
    for _ in range(3):
        timed("not a number", lambda: c.binary().increment("user:7"))
    timed("append", lambda: c.binary().append("user:7", b"secret") and None)
    timed("remove", lambda: c.remove("user:7") and None)
    timed("big", lambda: raw.upsert("big", BIG, transcoder=binary) and None)
    timed("big back", lambda: raw.get("big", transcoder=binary).value, BIG)
    small = bucket.scope("parcels").collection("small")
    timed("in a collection", lambda: small.upsert("box", {"secret": 1}) and None)
    timed("out of it", lambda: small.get("box").content_as[dict], {"secret": 1})
    timed("moved", lambda: c.get("moved:1"))


def at_once(bucket):
    """What is behind the first is answered before it."""
    c = bucket.default_collection()
    timed("many", lambda: c.upsert_multi({f"many:{i}": {"secret": i} for i in range(0, 202, 2)}).all_ok, True)
    timed("at once", lambda: c.get_multi(["slow:1"] + [f"many:{i}" for i in range(101)], GetMultiOptions(return_exceptions=True)).all_ok, False)
    timed("last", lambda: c.get("many:0").content_as[dict], {"secret": 0})


if OLD:
    cluster, shop = open_bucket()
    shop.default_collection().upsert("old", {"secret": 1})
    print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
if not OLD:
    cluster, shop = open_bucket()
series(shop)
at_once(shop)
cluster.close()
