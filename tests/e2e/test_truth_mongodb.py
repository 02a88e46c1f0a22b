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
from harness.truth import check_order
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
       ("update", '{"update": "notes", "ordered": "?", "updates": [{"q": {"_id": "?", "body": "?"}, "u": {"body": "?"}, ' + CHANGE, None),
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
GO = (
    [("hello", None, None)] * 0)


def test_go(start, plumb):
    server = start(servers.start_ferretdb)
    driver = Driver(start.folder(), "mongodriver", [go_program("mongodriver"), server.port])
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    import time; time.sleep(2)
    spans=p.finish()
    print([s["error"] for s in steps])
    for s in sorted(spans, key=lambda s: s.start_ns):
        if s.kind == CLIENT: print(s.name, {k:v for k,v in s.attrs.items() if k.startswith("db.") or k.startswith("plumb") or k=="error.type" or k.endswith("port")}, s.message)
    assert 0
