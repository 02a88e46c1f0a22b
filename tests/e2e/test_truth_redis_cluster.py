# SPDX-License-Identifier: Apache-2.0
"""A cluster of Redis and a sentinel: which node was asked what, where it sent the client, and that this is no failure."""
from collections import Counter

import pytest
import redis

from harness import servers
from harness.driver import Driver
from harness.process import APPS, BUILD, wait_until
from harness.servers import go_program
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe

pytestmark = pytest.mark.live

REDIRECTIONS, SLOTS = ("MOVED", "ASK"), 16384
OF_INTEREST = {"SET", "GET", "INCRBY", "ASKING", "MGET", "MSET", "SENTINEL MASTERS", "SENTINEL MASTER"}


@pytest.fixture
def cluster(start):
    """Three nodes that have a third of the slots each, agreed upon."""
    nodes = [start(servers.start_redis_node) for _ in range(3)]
    clients = [redis.Redis(host="127.0.0.1", port=n.port) for n in nodes]
    for i, c in enumerate(clients):
        c.execute_command("CLUSTER ADDSLOTSRANGE", SLOTS * i // 3, SLOTS * (i + 1) // 3 - 1)
        c.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
    for n in nodes[1:]:
        clients[0].execute_command("CLUSTER MEET", "127.0.0.1", n.port, n.bus_port)
    for c in clients:
        wait_until(lambda: c.cluster("INFO")["cluster_state"] == "ok" and c.cluster("INFO")["cluster_known_nodes"] == "3", "cluster", alive=nodes[0])
        c.close()
    return nodes


def said(s):
    return s["server.port"], s["db.operation.name"], s["db.response.status_code"] or "", s["plumb.db.redirected_to"] or ""


def check(spans, steps, driver_pid):
    truth = Counter((t["port"], t["operation"], t["code"], t["to"]) for t in steps)
    for kind in (CLIENT, SERVER):
        mine = [s for s in spans if s.kind == kind and s["db.operation.name"] in OF_INTEREST and (s.pid == driver_pid) == (kind == CLIENT)]
        assert Counter(map(said, mine)) == truth, describe(mine, 5)
        for s in mine:
            code = s["db.response.status_code"]
            assert s["error.type"] == (None if code in REDIRECTIONS else code) and s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET), describe([s])
            assert s["plumb.incomplete"] is None and "secret" not in str(s.raw), describe([s])


def trace(start, plumb, nodes, driver):
    p = plumb(pids=[*[n.pid for n in nodes], driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(steps), lambda s: s["db.operation.name"] in OF_INTEREST)
    check(p.finish(), steps, driver.pid)
    return steps


def test_redis_py(start, plumb, cluster):
    sentinel = start(servers.start_redis_sentinel, cluster[0].port)
    argv = [BUILD / "venv/bin/python", "-u", APPS / "redis_cluster_driver.py", sentinel.port, *[n.port for n in cluster]]
    steps = trace(start, plumb, [*cluster, sentinel], Driver(start.folder(), "redis-cluster-driver", argv))
    assert Counter(t["code"] for t in steps) == {"": 53 + 101 + 10 + 3, "MOVED": 8, "ASK": 5, "CROSSSLOT": 1, "ERR": 1}


def test_go_redis(start, plumb, cluster):
    steps = trace(start, plumb, cluster, Driver(start.folder(), "rediscluster", [go_program("redisclusterdriver"), cluster[0].port]))
    assert len(steps) == 53 + 101 and len({t["port"] for t in steps}) == 3
