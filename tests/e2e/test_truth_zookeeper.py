# SPDX-License-Identifier: Apache-2.0
"""ZooKeeper by kazoo and its Go client: every request has its two spans, in order, with its path and error, without data or credentials."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import describe, parse
from test_cli import raw
from test_truth_db import check_measured, check_series

pytestmark = pytest.mark.live

CONNECT, CLOSE = ("connect", None, None), ("closeSession", None, None)


def get(path, error=None):
    return ("getData", f"getData {path}", error)


PIPED = [get("/none", "NONODE") if i % 7 == 0 else get("/shop") for i in range(101)]
KAZOO = (
    [CONNECT, ("auth", None, None), ("create", "create /shop ?", None)] + [("setData", "setData /shop ?", None)] * 11 + [get("/shop")] * 5 + [get("/none", "NONODE")] * 3
    + [("exists", "exists /shop", None), ("exists", "exists /none", None), ("create", "create /shop ?", "NODEEXISTS"), ("setData", "setData /shop ?", "BADVERSION"),
       ("create2", "create2 /shop/a ?", None), ("create", "create /shop/lock- ?", None), ("create", "create /shop/lock-0000000001/x ?", "NOCHILDRENFOREPHEMERALS"),
       ("delete", "delete /shop", "NOTEMPTY"), ("getChildren", "getChildren /shop", None), ("getChildren2", "getChildren2 /shop", None), ("sync", "sync /shop", None),
       ("setData", "setData /shop/a ?", None), get("/shop/a"), ("getACL", "getACL /shop", None), ("setACL", "setACL /shop", "INVALIDACL"), ("setACL", "setACL /shop/a", None),
       get("/shop/a", "NOAUTH"), get("/shop"), ("setData", "setData /shop ?", None),
       ("multi", "multi check /shop, create /shop/b ?, setData /shop/b ?, delete /shop/b", None), ("multi", "multi create /shop/c ?, check /shop, delete /shop/c", "BADVERSION"),
       ("reconfig", None, "RECONFIGDISABLED")]
    + PIPED + [("create", f"create /shop/n{i} ?", None) for i in range(53)] + [("getChildren", "getChildren /shop", None), CLOSE])
KAZOO_STEPS = ([None, None, "create"] + ["set"] * 11 + ["get"] * 5 + ["no node"] * 3
               + ["exists", "exists not", "duplicate", "bad version", "create with stat", "sequence", "under an ephemeral", "not empty", "children", "children with stat", "sync", "large",
                  "large back", "get acl", "bad acl", "set acl", "not allowed", "watch", "set watched", "multi", "multi fails", "reconfig"]
               + [None] * 154 + ["last", None])


def of(spans, *operations):
    return [s for s in spans if s["db.operation.name"] in operations]


def check_silent(spans):
    for s in spans:
        assert s["db.system.name"] == "zookeeper" and s.name == s["db.operation.name"], describe([s])
        assert "secret" not in str(s.raw) and "sesame" not in str(s.raw)


def test_kazoo(start, plumb):
    server = start(servers.start_zookeeper)
    driver = python_driver(start.folder(), "zookeeper_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(KAZOO))
    client, server_side = check_series(p.finish(), KAZOO, driver.pid, server.port)
    check_measured(client, KAZOO, steps, KAZOO_STEPS)
    for side in (client, server_side):
        check_silent(side)
        assert [s["db.response.returned_rows"] for s in of(side, "getChildren", "getChildren2")] == [2, 2, 55]
        assert [s["db.operation.batch.size"] for s in of(side, "multi")] == [4, 3]
        assert [s["db.response.status_code"] for s in of(side, "exists", "multi", "delete")] == [None, "-101", "-111", None, "-103"]
        assert Counter(s["db.response.status_code"] for s in of(side, "getData")) == {None: 5 + 2 + 86, "-101": 3 + 15, "-102": 1}
