# SPDX-License-Identifier: Apache-2.0
"""
A cluster and its sentinel through redis-py: redis_cluster_driver.py SENTINEL_PORT PORT… < "go". Prints, for each command of interest, {"port", "operation", "code"}: which
node was asked, and how it answered (code: "" or the first word of an error).
"""
import json
import sys

import redis
import redis.cluster
import redis.sentinel

SENTINEL, *PORTS = map(int, sys.argv[1:])


def tell(port, operation, code="", to=""):
    print(json.dumps({"port": port, "operation": operation, "code": code, "to": to}))


assert sys.stdin.readline() == "go\n"
cluster = redis.cluster.RedisCluster(host="127.0.0.1", port=PORTS[0])


def node(key):
    return cluster.get_node_from_key(key).port


for i in range(53):
    cluster.set(f"key:{i}", "secret")
    tell(node(f"key:{i}"), "SET")
with cluster.pipeline() as p:
    for i in range(101):
        p.get(f"key:{i}")
        tell(node(f"key:{i}"), "GET")
    assert sum(v is not None for v in p.execute()) == 53
# A node that has not the key.
for i in range(7):
    wrong = next(port for port in PORTS if port != node(f"key:{i}"))
    with redis.Redis(host="127.0.0.1", port=wrong) as r:
        try:
            r.get(f"key:{i}")
        except redis.exceptions.MovedError as e:
            tell(wrong, "GET", "MOVED", f"{e.host}:{e.port}")
# A slot on its way: the old node sends who asks for what it has no more to the new one.
slot, old = cluster.keyslot("late"), node("late")
new = next(port for port in PORTS if port != old)
ids = {port: redis.Redis(host="127.0.0.1", port=port).cluster("MYID") for port in (old, new)}
ids = {port: i.decode() if isinstance(i, bytes) else i for port, i in ids.items()}
redis.Redis(host="127.0.0.1", port=new).execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[old])
redis.Redis(host="127.0.0.1", port=old).execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[new])
for i in range(5):
    assert cluster.incr("late") == i + 1  # redis-py follows, with ASKING
    tell(old, "INCRBY", "ASK", f"127.0.0.1:{new}")
    tell(new, "ASKING")
    tell(new, "INCRBY")
with redis.Redis(host="127.0.0.1", port=new) as r:
    try:
        r.mget("{late}:1", "{late}:2")
    except redis.exceptions.MovedError as e:
        tell(new, "MGET", "MOVED", f"{e.host}:{e.port}")
with redis.Redis(host="127.0.0.1", port=old) as r:
    try:
        r.mset({"a": "secret", "b": "secret"})
    except redis.ResponseError:
        tell(old, "MSET", "CROSSSLOT")
sentinel = redis.sentinel.Sentinel([("127.0.0.1", SENTINEL)])
for i in range(3):
    assert sentinel.discover_master("shop") == ("127.0.0.1", PORTS[0])
    tell(SENTINEL, "SENTINEL MASTERS")
try:
    sentinel.sentinels[0].sentinel_master("none")
except redis.ResponseError:
    tell(SENTINEL, "SENTINEL MASTER", "ERR")
