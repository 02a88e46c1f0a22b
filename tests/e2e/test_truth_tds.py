# SPDX-License-Identifier: Apache-2.0
"""TDS by python-tds, go-mssqldb and FreeTDS (pymssql). The server is a stand-in (apps/tdsd.py): SQL Server cannot be installed here. Every request has its two spans, in order, redacted,
with its error and its rows, in TDS 7.1 and 7.4 and in sessions of MARS."""
from collections import Counter, defaultdict

import pytest

from harness import servers
from harness.driver import Driver
from harness.plumb import Plumb, replay
from harness.process import APPS, BUILD, wait_until
from harness.servers import go_program
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import TOLERANCE_NS, TOLERANCE_PART, check_order
from test_cli import raw

pytestmark = pytest.mark.live

SHOP, MARKET = "shop", "market"


def row(operation, text=None, error=None, rows=None, wrote=None, namespace=SHOP, procedure=None):
    return (operation, text, error, rows, wrote, namespace, procedure)


def said(span):
    return row(span["db.operation.name"], span["db.query.text"], span["error.type"], span["db.response.returned_rows"], span["plumb.db.rows_affected"], span["db.namespace"],
               span["db.stored_procedure.name"])


def check_connections(spans, driver_pid, server_port, unknown=0):
    """What was said on each connection, in order; connections in the order in which they began. Each request has its two spans, which say the same of it and are one trace. unknown: of how
    many the statement was prepared before."""
    check_order(spans)
    client = {s.span_id: s for s in spans if s.kind == CLIENT}
    server = sorted((s for s in spans if s.kind == SERVER), key=lambda s: s.start_ns)
    assert len(client) == len(server), describe([s for s in spans if s["plumb.incomplete"]])
    connections = defaultdict(list)
    for s in server:
        c = client.pop(s.parent_id, None)
        assert c and c.trace_id == s.trace_id, f"not one trace: {describe([s])}"
        assert c.pid == driver_pid != s.pid
        assert said(c) == said(s), describe([c, s])
        for side in (c, s):
            assert side["db.system.name"] == "microsoft.sql_server" and side["server.port"] == server_port
            assert side.status == (STATUS_ERROR if side["error.type"] else STATUS_UNSET)
            assert side["db.response.status_code"] == (side["error.type"] if side["error.type"] != "cancelled" else None)
            assert not any(word in str(side.raw) for word in ("secret", "sesame", "wrong")), describe([side])
        connections[s["network.peer.port"]].append(c)
    assert sum(s["plumb.incomplete"] is not None for s in spans) == 2 * unknown, describe([s for s in spans if s["plumb.incomplete"]])
    assert all(s["plumb.incomplete"] in (None, "statement_not_seen") for s in spans)
    return list(connections.values())


def check_series(spans, truth):
    for i, (a, b) in enumerate(zip(map(said, spans), truth)):
        assert a == b, f"number {i} of {len(truth)}: {a} for {b}\n{describe(spans[i:])}"
    assert len(spans) == len(truth), describe(spans[-25:])


def check_measured(spans, steps, truth):
    """No span is longer than what the driver measured around it, and those that waited have waited. truth: with the names of steps."""
    by_name = defaultdict(list)
    for step in steps:
        by_name[step["what"]].append(step["ns"])
    for span, (name, _) in zip(spans, truth):
        if not name:
            continue
        measured = by_name[name].pop(0)
        assert span.duration_ns <= measured + max(TOLERANCE_NS, measured * TOLERANCE_PART), f"{name}: span {span.duration_ns} ns, measured {measured} ns"
        assert name != "slow" or span.duration_ns >= 300_000_000


SELECT = "SELECT id, body FROM [dbo].[notes] WHERE id {} AND body <> ? LIMIT ?"
SEVERAL = "SELECT id FROM notes LIMIT ?; UPDATE notes SET id = ? ; SELECT id FROM orders LIMIT ?"
PREPARED = "SELECT id FROM prepared WHERE id = @id AND body <> ? LIMIT ?"
PREPARED_UPDATE = "UPDATE prepared SET body = ? WHERE id = @id"


def python_series(new):
    """(step, row) of each request, in order. Up to "several" the database is shop."""
    truth = [(None, row("CONNECT")), ("table", row("CREATE", "CREATE TABLE notes (id INT, body NVARCHAR(?))"))]
    truth += [("insert", row("INSERT", "INSERT INTO notes (id, body) VALUES (@P1, @P2)", wrote=i)) for i in range(7)]
    truth += [("select", row("SELECT", SELECT.format("= ?"), rows=i * 7)) for i in range(11)]
    truth += [("parameters", row("SELECT", "SELECT id, body FROM notes WHERE id = @P1 AND body <> @P2 LIMIT ?", rows=1009)), ("wide", row("SELECT", "SELECT * FROM wide LIMIT ?", rows=7)),
              ("update", row("UPDATE", "UPDATE notes SET body = ? WHERE id = ?", wrote=31)), ("long", row("DELETE", "DELETE FROM notes WHERE body IN (?", wrote=701)),
              ("no table", row(None, "FAIL ?", "208")), ("late error", row(None, "LATE ?", "8134")), ("use", row("USE", "USE [market]"))]

    def add(step, *args, **named):
        truth.append((step, row(*args, **named, namespace=MARKET)))

    add("several", "SELECT", SEVERAL, rows=312, wrote=3)
    add("procedure", "EXECUTE", rows=3, procedure="stock.add")
    add("no procedure", "EXECUTE", error="2812", procedure="no_such_procedure")
    add("prepare and execute", "SELECT", PREPARED, rows=13)
    for _ in range(5):
        add("execute", "SELECT", PREPARED, rows=13)
    add("prepare", "PREPARE", PREPARED_UPDATE)
    add("execute the second", "UPDATE", PREPARED_UPDATE, wrote=17)
    add("unprepare", "EXECUTE", procedure="sp_unprepare")
    add("not prepared", "EXECUTE", error="8179")
    add("slow", None, "WAIT ?")
    for wrote, end in ((41, "COMMIT"), (43, "ROLLBACK")) if new else ():
        add(None, "BEGIN")
        add(None, "INSERT", "INSERT INTO notes SELECT ?", wrote=wrote)
        add(None, end)
    return truth


MANY = [row("SELECT", "SELECT ? FROM many WHERE body = ? LIMIT ?", rows=(7 - k) * 101 + turn, namespace=MARKET) for turn in range(23) for k in range(7)]
LAST = ("last", row("SELECT", "SELECT id FROM last LIMIT ?", rows=1, namespace=MARKET))
REFUSED = row("CONNECT", error="18456")


@pytest.fixture
def tds_512(start):
    return start(servers.Tds, 512)


@pytest.mark.parametrize("version, mars, small", [("TDS74", False, False), ("TDS74", False, True), ("TDS71", False, False), ("TDS71", False, True), ("TDS74", True, False)])
def test_tds_by_python(start, plumb, tds, version, mars, small, request):
    server = request.getfixturevalue("tds_512") if small else tds
    driver = Driver(start.folder(), "python-tds", [BUILD / "venv/bin/python", "-u", APPS / "tds_driver.py", server.port, version, "mars" if mars else "one"])
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["208", "8134", "2812", "8179", "18456"]
    truth = python_series(version != "TDS71")
    many = MANY if mars else []
    p.wait_spans(2 * (len(truth) + len(many) + 2))
    session, refused = check_connections(p.finish(), driver.pid, server.port, unknown=1)
    check_series(refused, [REFUSED])
    first, others, last = session[:len(truth)], session[len(truth):-1], session[-1:]
    check_series(first, [r for _, r in truth])
    check_series(others, many)
    check_series(last, [LAST[1]])
    check_measured(first + last, steps, truth + [LAST])


def go_series():
    truth = [(None, row("CONNECT")), ("table", row("CREATE", "CREATE TABLE notes (id INT, body NVARCHAR(?))"))]
    truth += [("insert", row("INSERT", "INSERT INTO notes (id, body) VALUES (@p1, @p2)", wrote=i)) for i in range(13)]
    truth += [("select", row("SELECT", SELECT.format("< @p1"), rows=i * 11)) for i in range(17)]
    truth += [("wide", row("SELECT", "SELECT * FROM wide LIMIT ?", rows=7)), ("several", row("SELECT", SEVERAL, rows=312, wrote=3)), ("procedure", row("EXECUTE", rows=3, procedure="stock.add")),
              ("no procedure", row("EXECUTE", error="2812", procedure="no_such_procedure")), ("no table", row(None, "FAIL ?", "208")), ("no table again", row(None, "FAIL ?", "208")),
              ("slow", row(None, "WAIT ?")), ("cancelled", row(None, "WAIT ?", "cancelled"))]
    # Its pool leaves a connection on which something was cancelled.
    after = [row("CONNECT"), row("BEGIN"), row("DELETE", "DELETE FROM notes WHERE body = ?", wrote=23), row("COMMIT"), row("BEGIN"), row("ROLLBACK")]
    after += [row("SELECT", "SELECT body FROM notes WHERE id = @p1 LIMIT ?", rows=3)] * 5
    return truth, after, [row("CONNECT")] + [row("SELECT", "SELECT id, ? FROM many LIMIT ?", rows=k) for k in range(101)]


@pytest.mark.parametrize("small", [False, True])
def test_tds_by_go(start, plumb, tds, small, request):
    server = request.getfixturevalue("tds_512") if small else tds
    driver = Driver(start.folder(), "tdsdriver", [go_program("tdsdriver"), server.port])
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["2812", "208", "208", "cancelled", "18456"]
    truth, after, many = go_series()
    p.wait_spans(2 * (len(truth) + len(after) + 5 * len(many) + 1))
    first, second, *rest = check_connections(p.finish(), driver.pid, server.port)
    check_series(first, [r for _, r in truth])
    check_measured(first, steps, truth)
    check_series(second, after)
    check_series(rest.pop(), [REFUSED])
    assert len(rest) == 5
    for one in rest:
        check_series(one, many)


@pytest.mark.parametrize("version", ["TDS74", "TDS71"])
def test_tds_on_a_connection_older_than_plumb(start, plumb, tds, version):
    """Requests tell the version that was agreed on. The database is not known until it is changed, and what was prepared is never known."""
    driver = Driver(start.folder(), "old-driver", [BUILD / "venv/bin/python", "-u", APPS / "tds_old_driver.py", tds.port, version])
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver, timeout_s=30)
    p = plumb(pids=[tds.pid, driver.pid])
    assert driver.go() == [{"error": "208"}]
    truth = [row("SELECT", "SELECT body FROM notes WHERE id = ? AND body <> ? LIMIT ?", rows=i % 7, namespace=None) for i in range(101)]
    truth += [row("EXECUTE", rows=3, namespace=None), row("USE", "USE market", namespace=None), row("DELETE", "DELETE FROM notes WHERE body = @P1", wrote=13, namespace=MARKET),
              row(None, "FAIL ?", "208", namespace=MARKET)]
    p.wait_spans(2 * len(truth))
    [session] = check_connections(p.finish(), driver.pid, tds.port, unknown=1)
    check_series(session, truth)


def test_freetds_by_pymssql(start, plumb, tds):
    """What it sends of its own accord (settings) is a request like others."""
    driver = Driver(start.folder(), "pymssql", [BUILD / "venv/bin/python", "-u", APPS / "tds_freetds.py", tds.port])
    p = plumb(pids=[tds.pid, driver.pid])
    assert driver.go() == [{"error": "208"}]
    truth = [row("use", "use [shop]")] + [row("SELECT", "SELECT id FROM notes WHERE body = ? LIMIT ?", rows=i * 3) for i in range(53)]
    truth += [row("UPDATE", "UPDATE notes SET body = ? WHERE id = ?", wrote=19), row("EXECUTE", rows=3, procedure="stock.add"), row(None, "FAIL ?", "208")]
    p.wait_spans(2 * (len(truth) + 1))
    [session] = check_connections(p.finish(), driver.pid, tds.port)
    assert said(session[0]) == row("CONNECT", namespace="shop")
    check_series([s for s in session[1:] if s["db.operation.name"] not in ("SET", "BEGIN", "IF")], truth)


@pytest.mark.parametrize("version, small", [(None, False), ("TDS74", True), ("TDS71", False)])
def test_a_redacted_recording_keeps_the_spans(start, folder, tds, tds_512, version, small):
    """But for the database, texts and names of procedures."""
    server = tds_512 if small else tds
    program = [BUILD / "venv/bin/python", "-u", APPS / "tds_driver.py", server.port, version, "one"] if version else [go_program("tdsdriver"), server.port]
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    Driver(start.folder(), "driver", program).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()

    def kept(path):
        return Counter((s["db.operation.name"], s["error.type"], s["db.response.returned_rows"], s["plumb.db.rows_affected"], s["plumb.incomplete"]) for s in parse(replay(path).stdout.decode()))

    assert kept(masked) == kept(plain)
    assert sum(kept(plain).values()) > 40
    for secret in ("secret", "notes", "shop", "stock"):
        wide = secret.encode("utf-16-le")
        assert wide in raw(plain), f"{secret}: the test would not see it"
        assert wide not in raw(masked), secret
