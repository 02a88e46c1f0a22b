# SPDX-License-Identifier: Apache-2.0
"""ZooKeeper by kazoo and its Go client: every request has its two spans, in order, with its path and error, without data or credentials."""
import subprocess
from collections import Counter

import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import describe, parse
from harness.truth import TOLERANCE_NS
from test_cli import raw
from test_truth_db import check_series

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


def check_not_longer(client, steps, alone):
    """
    No span is longer than what its client measured. On a busy machine it may well be shorter, as the library's own work and threads lie between the two. alone: what the driver calls the
    steps of one request, in order; None for no such step.
    """
    measured = {}
    for step in steps:
        measured.setdefault(step["what"], []).append(step["ns"])
    for span, what in zip(client, alone):
        if what:
            ns = measured[what].pop(0)
            assert span.duration_ns <= ns + TOLERANCE_NS, f"{what}: span {span.duration_ns / 1e6:.3f} ms, measured {ns / 1e6:.3f} ms"


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
    check_not_longer(client, steps, KAZOO_STEPS)
    for side in (client, server_side):
        check_silent(side)
        assert [s["db.response.returned_rows"] for s in of(side, "getChildren", "getChildren2")] == [2, 2, 55]
        assert [s["db.operation.batch.size"] for s in of(side, "multi")] == [4, 3]
        assert [s["db.response.status_code"] for s in of(side, "exists", "multi", "delete")] == [None, "-101", "-111", None, "-103"]
        assert Counter(s["db.response.status_code"] for s in of(side, "getData")) == {None: 5 + 2 + 86, "-101": 3 + 15, "-102": 1}


MULTI = "multi create /parcels/a ?, setData /parcels/a ?, check /parcels/a, delete /parcels/a"
MULTI_FAILS = "multi create /parcels/b ?, create /parcels ?, delete /parcels/b"
GO = (
    [CONNECT, ("auth", None, None), ("create", "create /parcels ?", None)] + [("setData", "setData /parcels ?", None)] * 7 + [get("/parcels")] * 5 + [get("/none", "NONODE")]
    + [("exists", "exists /parcels", None), ("exists", "exists /none", None), ("create", "create /parcels ?", "NODEEXISTS"), ("setData", "setData /parcels ?", "BADVERSION"),
       ("createContainer", "createContainer /parcels/box ?", None), ("createTTL", "createTTL /parcels/short ?", None), ("delete", "delete /parcels", "NOTEMPTY"),
       ("getChildren2", "getChildren2 /parcels", None), ("sync", "sync /parcels", None), ("getACL", "getACL /parcels", None), ("setACL", "setACL /parcels/box", None),
       get("/parcels/box", "NOAUTH"), ("multi", MULTI, None), ("multi", MULTI_FAILS, "NODEEXISTS")])
GO_STEPS = ([None, None, "create"] + ["set"] * 7 + ["get"] * 5 + ["no node", "exists", "exists not", "duplicate", "bad version", "container", "ttl", "not empty", "children", "sync", "get acl", "set acl",
                                                                  "not allowed", "multi", "multi fails"])
GO_AT_ONCE = Counter({get("/none", "NONODE"): 31, get("/parcels"): 180})
GO_END = [("delete", "delete /parcels/short", None), CLOSE]


def said(s):
    return (s["db.operation.name"], s["db.query.text"], s["error.type"])


def test_go_zookeeper(start, plumb):
    """Its requests of many goroutines are sent in no known order."""
    server = start(servers.start_zookeeper)
    driver = go_driver(start.folder(), "zkdriver", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    total = len(GO) + GO_AT_ONCE.total() + len(GO_END)
    p.wait_spans(2 * total)
    spans = p.finish()
    sent = [said(s) for s in sorted((s for s in spans if s.pid == driver.pid), key=lambda s: s.start_ns)]
    at_once = sent[len(GO):-len(GO_END)]
    assert Counter(at_once) == GO_AT_ONCE, describe(sorted((s for s in spans if s.pid == driver.pid), key=lambda s: s.start_ns), 9)
    client, server_side = check_series(spans, GO + at_once + GO_END, driver.pid, server.port)
    check_not_longer(client, steps, GO_STEPS)
    for side in (client, server_side):
        check_silent(side)
        assert [s["db.response.returned_rows"] for s in of(side, "getChildren2")] == [2]
        assert [s["db.operation.batch.size"] for s in of(side, "multi")] == [4, 3]


# As typed, and what is asked for it.
JAVA = [
    ("create /till secret", ("create", "create /till ?", None)), ("create -c /till/box secret", ("createContainer", "createContainer /till/box ?", None)),
    ("addWatch -m PERSISTENT_RECURSIVE /till", ("addWatch", "addWatch /till", None)), ("set /till secret", ("setData", "setData /till ?", None)),
    ("create -e /till/hand secret", ("create", "create /till/hand ?", None)), ("getEphemerals /till", ("getEphemerals", "getEphemerals /till", None)),
    ("getAllChildrenNumber /", ("getAllChildrenNumber", "getAllChildrenNumber /", None)), ("whoami", ("whoAmI", None, None)),
    ("removewatches /till", ("removeWatches", "removeWatches /till", None)), ("removewatches /none", ("removeWatches", "removeWatches /none", "NOWATCHER")),
    ("addauth digest plumb:sesame", ("auth", None, None)), ("get /none", ("getData", "getData /none", "NONODE")), ("quit", CLOSE)]


def test_the_java_client(start, plumb):
    """It has requests that the others have not, and its command line asks for what it is told."""
    server = start(servers.start_zookeeper)
    jars = servers.BUILD / "e2e/zookeeper"
    p = plumb(args=["--port", str(server.port)])  # first: it connects as soon as it can
    driver = start.process("zkCli", ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", "org.apache.zookeeper.ZooKeeperMain", "-server", f"127.0.0.1:{server.port}"],
                           stdin=subprocess.PIPE)
    driver.popen.stdin.write("".join(f"{line}\n" for line, _ in JAVA).encode())
    driver.popen.stdin.close()
    driver.wait(60)
    truth = [asked for _, asked in JAVA]
    p.wait_spans(2 * len(truth), lambda s: s["db.operation.name"] != "connect")
    spans = p.finish()
    client, server_side = check_series([s for s in spans if s["db.operation.name"] != "connect"], truth, driver.pid, server.port)
    for side in (client, server_side):
        check_silent(side)
        assert [s["db.response.returned_rows"] for s in of(side, "getEphemerals")] == [1]


OLD = ([("setData", "setData /old ?", "BADVERSION") if i % 10 == 9 else get("/old") for i in range(101)]
       + [("multi", "multi create /old/a ?, delete /old/none", "NONODE"), ("getChildren", "getChildren /old", None), CLOSE])


def test_a_connection_older_than_plumb(start, plumb):
    server = start(servers.start_zookeeper)
    driver = python_driver(start.folder(), "zookeeper_old_driver.py", server.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    assert Counter(s["error"] for s in steps) == {"": 91 + 2, "BadVersionError": 10}
    p.wait_spans(2 * len(OLD))
    for side in check_series(p.finish(), OLD, driver.pid, server.port):
        check_silent(side)


def test_a_redacted_recording_keeps_the_spans(start, folder):
    server = start(servers.start_zookeeper)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "zookeeper_driver.py", server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    for path in (plain, masked):
        side = parse(replay(path).stdout.decode())
        assert [(s["db.operation.name"], s["error.type"]) for s in sorted(side, key=lambda s: s.start_ns)] == [(operation, error) for operation, _, error in KAZOO], describe(side)
        assert [s["db.response.returned_rows"] for s in of(side, "getChildren", "getChildren2")] == [2, 2, 55]
        assert [s["db.operation.batch.size"] for s in of(side, "multi")] == [4, 3]
    for secret in (b"secret", b"sesame", b"digest", b"shop"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
