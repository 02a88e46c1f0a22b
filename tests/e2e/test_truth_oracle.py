# SPDX-License-Identifier: Apache-2.0
"""
Oracle Net by python-oracledb's thin mode and go-ora. No Oracle Database can be installed here: THE SERVER IS A STAND-IN (apps/oracled.py), written after what both clients' sources
expect of one. So the calls of real clients are proven; of the answers only that they are read as real clients read them.
"""
import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import describe, parse
from test_cli import raw
from test_truth_db import check_series
from test_truth_zookeeper import check_not_longer

pytestmark = pytest.mark.live

CONNECT, LOGOFF = ("CONNECT", None, None), ("LOGOFF", None, None)
NEGOTIATE, AUTHENTICATE = ("NEGOTIATE", None, None), ("AUTHENTICATE", None, None)
COMMIT, ROLLBACK, PING = ("COMMIT", None, None), ("ROLLBACK", None, None), ("PING", None, None)
LOG_ON = {"19": [NEGOTIATE] * 2 + [AUTHENTICATE] * 2, "11": [NEGOTIATE] * 2 + [AUTHENTICATE] * 2, "23": [AUTHENTICATE] * 2}
PARCELS, ORDERS = "select id from parcels where name = ?", "select id, name from orders"
NOWHERE, LONG = "select * from nowhere where name = ?", "update parcels set name = ?"


def fetch(sql):
    return ("FETCH", sql, None)


def log_on_fails(way):
    return LOG_ON[way][:-1] + [("AUTHENTICATE", None, "ORA-01017")]


def python_truth(way):
    return ([CONNECT] + LOG_ON[way] + [("select", PARCELS, None), fetch(PARCELS)] * 11 + [("insert", "insert into parcels (id, name) values (:?, :?)", None)] * 7
            + [("update", "update parcels set name = ? where id < ?", None), ("select", "select id from empty where id = ?", None), ("insert", "insert into parcels (id) values (:?)", None),
               ("select", ORDERS, None)] + [fetch(ORDERS)] * 11 + [("select", NOWHERE, "ORA-00942")] * 3
            + [("insert", "insert into duplicate values (?)", "ORA-00001"), ("begin", "begin slow(?); end;", None), ("update", LONG, None),
               ("alter", "alter user plumb identified by ? replace ?", None), ("update", "update parcels set name = ? where id = ?", None), COMMIT, ROLLBACK, PING, PING,
               ("begin", "begin sleep(?); end;", "ORA-01013"), PING, LOGOFF, ("CONNECT", None, "ORA-12514"), CONNECT] + log_on_fails(way) + [CONNECT] * 2 + LOG_ON[way] + [LOGOFF])


PYTHON_ALONE = ["insert"] * 7 + ["update", "none", "many"]
RETURNED = [2, 1] * 11 + [0] + [2] + [100] * 10 + [7]


def of(spans, key):
    return [s[key] for s in spans if s[key] is not None]


def check_said(spans):
    for s in spans:
        assert s["db.system.name"] == "oracle.db", describe([s])
        assert s["db.response.status_code"] == s["error.type"]
        for secret in ("secret", "sesame", "AUTH_"):
            assert secret not in str(s.raw), describe([s])
    assert {s["db.namespace"] for s in spans if s["db.query.text"]} == {"SHOP1"}
    assert {s.name for s in spans if s["db.operation.name"] == "COMMIT"} <= {"COMMIT SHOP1"}
    assert {s["oracle.db.service"] for s in spans if s["db.operation.name"] == "CONNECT"} <= {"orders", "nothing", "moved"}


def run(start, plumb, make_driver, app, way, truth, *args):
    server = start(servers.start_python, way, app="oracled.py")
    driver = make_driver(start.folder(), app, server.port, *args)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(truth))
    ends = check_series(p.finish(), truth, driver.pid, server.port)
    for side in ends:
        check_said(side)
    return ends, steps


@pytest.mark.parametrize("way", ["19", "23"])
def test_python(start, plumb, way):
    ends, steps = run(start, plumb, python_driver, "oracle_driver.py", way, python_truth(way))
    for side in ends:
        assert [address.split(":")[0] for address in of(side, "plumb.db.redirected_to")] == ["127.0.0.1"]
        assert of(side, "oracle.db.service") == ["orders", "nothing", "orders", "moved", "moved"]
        assert of(side, "db.response.returned_rows") == RETURNED
        assert of(side, "plumb.db.rows_affected") == [1] * 7 + [11, 1] + [11] * 2
        assert of(side, "db.operation.batch.size") == [5]
        assert [s.duration_ns > 97_000_000 for s in side if "slow" in (s["db.query.text"] or "")] == [True]
    check_not_longer([s for s in ends[0] if s["db.operation.name"] in ("insert", "update")][:8], steps, PYTHON_ALONE[:8])


def go_truth():
    """Behind a statement whose cursor it has closed the library pings the server. It asks for the session's settings first, and for the server's time zone."""
    return ([("select", PARCELS, None), PING] * 11 + [("insert", "insert into parcels (id) values (:?)", None), PING] * 7
            + [("update", "update parcels set name = ? where id < ?", None), PING, ("select", "select id from empty where id = ?", None), PING, ("select", ORDERS, None)] + [fetch(ORDERS)] * 10
            + [PING] + [("select", NOWHERE, "ORA-00942")] * 3 + [("insert", "insert into duplicate values (?)", "ORA-00001"), PING, ("begin", "begin slow(?); end;", None), PING,
               ("update", LONG, None), PING, PING, PING, COMMIT, ROLLBACK, LOGOFF, ("CONNECT", None, "ORA-12514")])


@pytest.mark.parametrize("way", ["19", "11"])
def test_go(start, plumb, way):
    server = start(servers.start_python, way, app="oracled.py")
    driver = go_driver(start.folder(), "oradriver", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    truth = go_truth()
    begin = [CONNECT] + LOG_ON[way] + [("VERSION", None, None)]
    settings = 3
    p.wait_spans(2 * (len(begin) + settings + len(truth)))
    spans = p.finish()
    sent = [(s["db.operation.name"], s["db.query.text"], s["error.type"]) for s in sorted((s for s in spans if s.pid == driver.pid), key=lambda s: s.start_ns)]
    asked = sent[len(begin):len(begin) + settings]
    assert [(operation, error) for operation, _, error in asked] == [("BEGIN", None), ("PING", None), ("SELECT", "ORA-00904")]
    for side in check_series(spans, begin + asked + truth, driver.pid, server.port):
        check_said(side)
        assert of(side, "db.response.returned_rows") == [3] * 11 + [0] + [100] * 10 + [9]
        assert of(side, "plumb.db.rows_affected") == [1] * 7 + [11] * 2


def test_a_connection_older_than_plumb(start, plumb):
    """What cursors from before are of is not known; what is asked anew is."""
    server = start(servers.start_python, "19", app="oracled.py")
    driver = python_driver(start.folder(), "oracle_old_driver.py", server.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    truth = ([("EXECUTE", None, None), fetch(None)] + [("select", "select id from empty where id = ?", None)] * 53 + [("select", NOWHERE, "ORA-00942")] * 3
             + [PING] * 11 + [COMMIT, LOGOFF])
    p.wait_spans(2 * len(truth))
    for side in check_series(p.finish(), truth, driver.pid, server.port):
        assert of(side, "db.response.returned_rows") == [0] * 53
        assert "secret" not in str([s.raw for s in side])


def test_a_redacted_recording_keeps_the_spans(start, folder):
    server = start(servers.start_python, "19", app="oracled.py")
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "oracle_driver.py", server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()

    def said(path):
        return [(s["db.operation.name"], s["error.type"], s["db.response.returned_rows"], s["plumb.incomplete"]) for s in sorted(parse(replay(path).stdout.decode()), key=lambda s: s.start_ns)]

    assert said(masked) == said(plain)
    assert [(operation, error) for operation, error, *_ in said(plain)] == [(operation, error) for operation, _, error in python_truth("19")]
    for secret in (b"secret", b"sesame", b"parcels", b"AUTH_", b"orders"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
