# SPDX-License-Identifier: Apache-2.0
"""MongoDB's protocol by PyMongo, the Go driver and raw sockets, spoken with FerretDB: every command has its two spans, in order, without values, with its error."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import Driver, go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.servers import go_program
from harness.spans import CLIENT, SERVER, describe, parse
from harness.truth import check_order, close
from test_cli import raw
from test_truth_db import check_measured, check_series

pytestmark = pytest.mark.live

HELLO, PING = ("ismaster", None, None), ("ping", None, None)
INSERT = '{"insert": "notes", "ordered": "?", "documents": ["?"]}'
FIND_ONE = '{"find": "notes", "filter": {"_id": "?"}, "limit": "?", "singleBatch": "?"}'
GET_MORE = '{"getMore": "?", "collection": "notes", "batchSize": "?"}'
CHANGE = '"multi": "?", "upsert": "?"}]}'
# The monitor greets, then the connection that is used. Sessions end with the client, which FerretDB does not know.
PYMONGO = (
    [HELLO, HELLO, PING] + [("insert", INSERT, None)] * 9 + [("find", FIND_ONE, None)] * 5
    + [("find", '{"find": "notes", "filter": {"_id": {"$lt": "?"}}, "sort": {"_id": "?"}, "projection": {"body": "?"}, "batchSize": "?"}', None)]
    + [("getMore", GET_MORE, None)] * 2
    + [("find", '{"find": "notes", "filter": {"_id": {"$gte": "?"}}}', None), ("getMore", '{"getMore": "?", "collection": "notes"}', None),
       ("update", '{"update": "notes", "ordered": "?", "updates": [{"q": {"_id": {"$lt": "?"}}, "u": {"$set": {"body": "?"}}, ' + CHANGE, None),
       ("update", '{"update": "notes", "ordered": "?", "updates": [{"q": {"_id": "?", "body": "?"}, "u": "?", ' + CHANGE, None),
       ("delete", '{"delete": "notes", "ordered": "?", "deletes": [{"q": {"_id": {"$in": ["?"]}}, "limit": "?"}]}', None),
       ("aggregate", '{"aggregate": "notes", "pipeline": [{"$match": {"_id": {"$lt": "?"}}}, {"$group": {"_id": "?", "n": {"$sum": "?"}}}], "cursor": {}}', None),
       ("count", '{"count": "notes"}', None), ("distinct", '{"distinct": "notes", "key": "?", "query": {"_id": {"$lt": "?"}}}', None),
       ("findAndModify", '{"findAndModify": "notes", "query": {"_id": "?"}, "new": "?", "update": {"$set": {"body": "?"}}, "upsert": "?"}', None),
       ("update", '{"update": "notes", "ordered": "?", "updates": [{"q": {"_id": "?"}, "u": {"$set": {"body": "?"}}, ' + CHANGE, None),
       ("noSuchCommand", None, "59")]
    + [("insert", INSERT, "11000")] * 4
    + [("find", '{"find": "notes", "filter": {"$nope": "?"}, "limit": "?", "singleBatch": "?"}', "2"), PING, ("endSessions", None, "59")])
PYMONGO_STEPS = ([None, None, None] + ["insert"] * 7 + ["insert many", "insert large"] + ["find one"] * 5 + [None] * 3 + [None] * 2
                 + ["update", "replace", "delete", "aggregate", "count", "distinct", "find and modify", "several", "unknown"] + ["duplicate"] * 3
                 + ["duplicates", "bad filter", "last", None])
PYMONGO_ERRORS = ["59"] + ["11000"] * 4 + ["2"]


def of(spans, *operations):
    return [s for s in spans if s["db.operation.name"] in operations]


def test_by_pymongo(start, plumb):
    server = start(servers.start_ferretdb)
    driver = python_driver(start.folder(), "mongo_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == PYMONGO_ERRORS
    p.wait_spans(2 * len(PYMONGO))
    client, server_side = check_series(p.finish(), PYMONGO, driver.pid, server.port)
    check_measured(client, PYMONGO, steps, PYMONGO_STEPS)
    for side in (client, server_side):
        assert {s["db.system.name"] for s in side} == {"mongodb"}
        assert all("secret" not in str(s.raw) for s in side)
        assert [s["db.operation.batch.size"] for s in of(side, "insert")] == [None] * 7 + [94, 211] + [None] * 3 + [2]
        assert [s["plumb.db.rows_affected"] for s in of(side, "insert", "update", "delete")] == [1] * 7 + [94, 211, 13, 1, 5, 3, 0, 0, 0, 1]
        # 101 documents of 600 bytes fit in what is read of a reply, 110 of them do not.
        assert [s["db.response.returned_rows"] for s in of(side, "find", "getMore", "aggregate")] == [1] * 5 + [17, 17, 16, 101, None, 1, None]
        assert all(s["db.response.status_code"] == s["error.type"] for s in side)
        assert Counter(s["db.namespace"] for s in side) == {"admin": 5, "shop": len(PYMONGO) - 5}
        assert all(s["db.collection.name"] == ("notes" if s["db.query.text"] else None) for s in side)


ORDERS = '{"insert": "orders", "ordered": "?", "documents": ["?"]}'
GREETING = ("isMaster", None, None)
GO = (
    [GREETING] * 2 + [("insert", ORDERS, None)] * 8 + [("find", '{"find": "orders", "batchSize": "?", "filter": {"card": "?"}}', None)]
    + [("getMore", '{"getMore": "?", "collection": "orders", "batchSize": "?"}', None)] * 2
    + [("find", '{"find": "orders", "filter": {"_id": "?"}, "limit": "?", "singleBatch": "?"}', None)] * 5
    + [("update", '{"update": "orders", "ordered": "?", "updates": [{"q": {"_id": {"$gte": "?"}}, "u": {"$set": {"card": "?"}}, "multi": "?"}]}', None),
       ("delete", '{"delete": "orders", "ordered": "?", "deletes": [{"q": {"_id": "?"}, "limit": "?"}]}', None)]
    + [("insert", ORDERS, "11000")] * 3 + [("noSuchCommand", None, "59"), PING, ("endSessions", None, "59")])
GO_STEPS = ([None] * 3 + ["insert"] * 6 + ["insert many"] + [None] * 3 + ["find one"] * 5 + ["update", "delete"] + ["duplicate"] * 3
            + ["unknown", "last", None])


def test_by_the_go_driver(start, plumb):
    server = start(servers.start_ferretdb)
    driver = go_driver(start.folder(), "mongodriver", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["11000"] * 3 + ["59"]
    p.wait_spans(2 * len(GO))
    client, server_side = check_series(p.finish(), GO, driver.pid, server.port)
    check_measured(client, GO, steps, GO_STEPS)
    for side in (client, server_side):
        assert all("secret" not in str(s.raw) for s in side)
        assert [s["db.operation.batch.size"] for s in of(side, "insert")] == [None] * 7 + [53] + [None] * 3
        assert [s["db.response.returned_rows"] for s in of(side, "find", "getMore")] == [23, 23, 14] + [1] * 5
        assert [s["plumb.db.rows_affected"] for s in of(side, "update", "delete")] == [13, 1]


WORKERS, ROUNDS = 7, 31


def test_many_connections_at_once(start, plumb):
    server = start(servers.start_ferretdb)
    driver = Driver(start.folder(), "mongodriver", [go_program("mongodriver"), server.port, "crowd"])
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * (len(GO) + 2 * WORKERS * ROUNDS + 2))
    spans = p.finish()
    check_order(spans)
    sides = [[s for s in spans if s.kind == kind] for kind in (CLIENT, SERVER)]
    for side in sides:
        crowd = [s for s in side if (s["db.collection.name"] or "").startswith("crowd")]
        said = Counter((s["db.operation.name"], s["db.collection.name"], s["plumb.db.rows_affected"], s["db.response.returned_rows"]) for s in crowd)
        truth = {(*what, f"crowd{w}", *rows): ROUNDS for w in range(WORKERS) for what, rows in ((("insert",), (1, None)), (("find",), (None, 1)))}
        assert said == truth, describe(side)
        others = Counter(s["db.operation.name"] for s in side if s not in crowd)
        others.pop("hello", 0)  # the monitor asks again while a connection is waited for
        greetings = others.pop("isMaster") - 2
        assert 2 <= greetings <= WORKERS + 1  # the monitor's and each connection's
        assert others == Counter(s[0] for s in GO if s != GREETING) + Counter(["endSessions"])
        assert all(s["plumb.incomplete"] is None for s in side), describe([s for s in side if s["plumb.incomplete"]])
    assert len(sides[0]) == len(sides[1])
    callers = {(s.trace_id, s.span_id): s for s in sides[0]}
    for s in sides[1]:
        c = callers.pop((s.trace_id, s.parent_id))
        assert (c.name, c["db.query.text"], c["error.type"]) == (s.name, s["db.query.text"], s["error.type"])


RAW_INSERT, RAW_FIND = '{"insert": "raw", "documents": ["?"]}', '{"find": "raw", "filter": {"_id": "?"}, "batchSize": "?"}'
RAW = (
    [("insert", RAW_INSERT, None)] * 7 + [("find", RAW_FIND, None) if i % 10 else ("noSuchCommand", None, "59") for i in range(101)]
    + [("insert", RAW_INSERT, None), ("update", '{"update": "raw", "updates": [{"q": {"_id": "?"}, "u": {"$set": {"body": "?"}}}]}', None),
       ("insert", RAW_INSERT, None), PING, ("insert", RAW_INSERT, "11000"), PING])


def test_pipeline_on_a_connection_older_than_plumb(start, plumb):
    server = start(servers.start_ferretdb)
    driver = python_driver(start.folder(), "mongo_raw_driver.py", server.port)
    wait_until(lambda: "connected" in driver.out.read_text(), "connection of the driver", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["59", "11000"]
    p.wait_spans(2 * len(RAW))
    client, server_side = check_series(p.finish(), RAW, driver.pid, server.port)
    for side in (client, server_side):
        assert [s["db.response.returned_rows"] for s in of(side, "find")] == [1 if i % 11 < 7 else 0 for i in range(101) if i % 10]
        assert [s["db.operation.batch.size"] for s in of(side, "insert")] == [None] * 7 + [13, None, None]
        assert all("secret" not in str(s.raw) for s in side)


def masked(operation):
    """Of a name that is none of MongoDB's nothing is kept but its length, and what begins a name that is."""
    return "unknown" if operation == "noSuchCommand" or "x" in operation else operation


@pytest.mark.parametrize("app, truth", [("mongo_driver.py", PYMONGO), ("mongo_raw_driver.py", [PING, *RAW])])
def test_a_redacted_recording_keeps_the_spans(start, folder, app, truth):
    server = start(servers.start_ferretdb)
    plain, blank = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (blank, ["--redact"]))]
    python_driver(start.folder(), app, server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    for path in (plain, blank):
        side = parse(replay(path).stdout.decode())
        said = Counter((masked(s["db.operation.name"]), s["error.type"]) for s in side)
        assert said == Counter((masked(operation), error) for operation, _, error in truth), describe(side)
        assert all(s["plumb.incomplete"] is None for s in side)
    for secret in (b"secret", b"notes" if app == "mongo_driver.py" else b"raw", b"body"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(blank), secret


ZLIB_GET_MORE = ("getMore", '{"getMore": "?", "collection": "notes"}', None)
ZLIB_FIND = ("find", '{"find": "notes", "filter": {"owner": "?"}}', None)
ZLIB = [PING] * 12 + [ZLIB_FIND] + [ZLIB_GET_MORE] * 3 + [("insert", INSERT, "11000"), ZLIB_FIND, ZLIB_GET_MORE, PING]
HELLO_AGAIN_NS = 500_000_000  # mongo_server.py


def test_compressed_and_streamed_answers(start, plumb):
    """FerretDB has neither, so a small server of our own answers PyMongo. Of the monitor's stream only its first answer is a span, which lasts until then."""
    server = start(servers.start_python, app="mongo_server.py")
    driver = python_driver(start.folder(), "mongo_zlib_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["11000"]
    p.wait_spans(2 * len(ZLIB), lambda s: s["db.operation.name"] not in ("hello", "ismaster"))
    spans = p.finish()
    check_order(spans)
    for kind in (CLIENT, SERVER):
        side = sorted((s for s in spans if s.kind == kind), key=lambda s: s.start_ns)
        commands = [s for s in side if s["db.operation.name"] not in ("hello", "ismaster")]
        assert [(s["db.operation.name"], s["db.query.text"], s["error.type"]) for s in commands] == ZLIB, describe(commands)
        assert [s["db.response.returned_rows"] for s in of(commands, "find", "getMore")] == [30, 30, 30, 11, 30, 71]
        assert all(s["plumb.incomplete"] is None and "secret" not in str(s.raw) for s in side), describe(side)
        hello, = of(side, "hello")
        assert close(hello.duration_ns, HELLO_AGAIN_NS, 50_000_000), describe([hello])
    client = sorted((s for s in spans if s.kind == CLIENT and s["db.operation.name"] not in ("hello", "ismaster")), key=lambda s: s.start_ns)
    check_measured(client, ZLIB, steps, [None] + ["ping"] * 11 + [None] * 4 + ["duplicate", None, None, "last"])
