# SPDX-License-Identifier: Apache-2.0
"""ClickHouse by clickhouse-driver and by clickhouse-go: every request has its two spans, in order, redacted, with its error and its rows, with and without compression."""
from collections import Counter, defaultdict

import pytest

from harness.driver import Driver
from harness.plumb import Plumb, replay
from harness.process import APPS, BUILD, wait_until
from harness.servers import go_program
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import TOLERANCE_NS, TOLERANCE_PART, check_order
from test_cli import raw

pytestmark = pytest.mark.live

ANY = object()  # a number of rows that is the server's affair


def row(operation, text=None, error=None, rows=None, wrote=None, namespace=None):
    return (operation, text, error, rows, wrote, namespace)


def said(span):
    return row(span["db.operation.name"], span["db.query.text"], span["error.type"], span["db.response.returned_rows"], span["plumb.db.rows_affected"], span["db.namespace"])


def check_connections(spans, driver_pid, server_port):
    """What was said on each connection, in order; connections in the order in which they began. Each request has its two spans, which say the same of it and are one trace."""
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
            assert side["db.system.name"] == "clickhouse" and side["server.port"] == server_port
            assert side["plumb.incomplete"] is None, describe([side])
            assert side.status == (STATUS_ERROR if side["error.type"] else STATUS_UNSET)
            assert side["db.response.status_code"] == side["error.type"]
            assert not any(word in str(side.raw) for word in ("secret", "sesame")), describe([side])
        connections[s["network.peer.port"]].append(c)
    return list(connections.values())


def check_series(spans, truth):
    for i, (a, b) in enumerate(zip(map(said, spans), truth)):
        assert all(x == y or y is ANY for x, y in zip(a, b)), f"number {i} of {len(truth)}: {a} for {b}\n{describe(spans[i:])}"
    assert len(spans) == len(truth), describe(spans[-25:])


def check_measured(spans, steps, truth):
    """No query's span is longer than what the driver measured around it, and those that waited have waited. truth: with the names of steps."""
    names = [name for name, _ in truth]
    by_name = defaultdict(list)
    for step in steps:
        by_name[step["what"]].append(step["ns"])
    for span, name in zip(spans, names):
        if not name:
            continue
        measured = by_name[name].pop(0)
        assert span.duration_ns <= measured + max(TOLERANCE_NS, measured * TOLERANCE_PART), f"{name}: span {span.duration_ns} ns, measured {measured} ns"
        assert name != "slow" or span.duration_ns >= 300_000_000


SPACES = {"none": "shop", "lz4": "shop_lz4", "zstd": "shop_zstd"}
INSERT = "INSERT INTO notes (id, body) VALUES"
KINDS = ("CREATE TABLE kinds (id UInt32, text String, maybe Nullable(String), parts Array(String), pair Tuple(UInt8, String), fixed FixedString(?), colour Enum8(? = ?, ? = ?), day Date, "
         "at DateTime, ratio Float64, price Decimal(?, ?), uid UUID, nested Array(Array(Nullable(Int64)))) ENGINE = Memory")


def python_series(compression):
    """(step, row) of each request, in order: the library asks whether the connection is alive before it uses it again, and leaves it after an error."""
    space, counted = SPACES[compression], compression != "zstd"
    truth, state = [], {"namespace": "system", "alive": False}

    def add(step, operation, text, error=None, rows=None, wrote=None):
        truth.append((None, row("PING" if state["alive"] else "CONNECT", namespace=state["namespace"])))
        truth.append((step, row(operation, text, error, rows, wrote, state["namespace"])))
        state["alive"] = not error

    add("database", "CREATE", f"CREATE DATABASE {space}")
    add("database again", "CREATE", f"CREATE DATABASE {space}", "82")
    add("use", "USE", f"USE {space}")
    state["namespace"] = space
    add("table", "CREATE", "CREATE TABLE notes (id UInt32, body String) ENGINE = Memory")
    for _ in range(7):
        add("insert", "INSERT", INSERT, wrote=2 if counted else None)
    for _ in range(11):
        add("select", "SELECT", "SELECT body FROM notes WHERE id = ? AND body != ?", rows=1)
    add("none", "SELECT", "SELECT body FROM notes WHERE id = ?", rows=0)
    add("no table", "SELECT", "SELECT * FROM no_such_table WHERE id = ?", "60")
    add("syntax", None, "SELEKT body FROM notes", "62")
    add("no column", "SELECT", "SELECT nothing FROM notes", "47")
    add("insert into nothing", "INSERT", "INSERT INTO no_such_table (id) VALUES", "60")
    add("late error", "SELECT", "SELECT throwIf(number = ?) FROM system.numbers SETTINGS max_block_size = ?", "395")
    add("kinds", "CREATE", KINDS)
    add("insert kinds", "INSERT", "INSERT INTO kinds VALUES", wrote=47 if counted else None)
    add("select kinds", "SELECT", "SELECT * FROM kinds ORDER BY id", rows=47)
    add("insert many", "INSERT", INSERT, wrote=10_007 if counted else None)
    add("many", "SELECT", "SELECT id, body FROM notes WHERE id >= ?", rows=10_007)
    add("numbers", "SELECT", "SELECT number FROM system.numbers LIMIT ?", rows=20_011)
    if compression != "none":
        add("long", "SELECT", "SELECT concat(?, toString(number % ?)) FROM system.numbers LIMIT ?", rows=40_009)
        add("long ones", "CREATE", "CREATE TABLE long (body String) ENGINE = Memory")
        add("insert long", "INSERT", "INSERT INTO long VALUES", wrote=30_011 if counted else None)
    add("totals", "SELECT", "SELECT id, count() FROM notes WHERE id < ? GROUP BY id WITH TOTALS", rows=7)
    add("external", "SELECT", "SELECT sum(x) FROM extra WHERE note = ?", rows=1)
    add("copy", "INSERT", "INSERT INTO notes SELECT * FROM notes WHERE id < ?")
    add("slow", "SELECT", "SELECT sleep(?), ?", rows=1)
    add("stream", "SELECT", "SELECT number FROM system.numbers LIMIT ?", rows=5003)
    add("cancelled", "SELECT", "SELECT sleep(?) FROM system.numbers SETTINGS max_block_size = ?", rows=ANY)
    for _ in range(307):
        add(None, "SELECT", "SELECT ?, ?", rows=1)
    add("last", "SELECT", "SELECT id FROM notes WHERE id = ? LIMIT ?", rows=1)
    truth.append((None, row("CONNECT", error="193", namespace="system")))
    return truth


def python_driver(start, clickhouse, compression, space):
    return Driver(start.folder(), "clickhouse-driver", [BUILD / "venv/bin/python", "-u", APPS / "ch_driver.py", clickhouse.port, compression, space])


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_clickhouse_by_python(start, plumb, clickhouse, compression):
    driver = python_driver(start, clickhouse, compression, SPACES[compression])
    p = plumb(pids=[clickhouse.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["82", "60", "62", "47", "60", "395", "193"]
    truth = python_series(compression)
    p.wait_spans(2 * len(truth))
    session = sum(check_connections(p.finish(), driver.pid, clickhouse.port), [])
    check_series(session, [r for _, r in truth])
    check_measured(session, steps, truth)


def go_series(space, compression):
    def at(*args, **named):
        return row(*args, **{"namespace": "system", **named})

    counted, table = compression != "zstd", f"{space}.notes"
    insert = f"INSERT INTO {table} (id, body) VALUES"
    truth = [("ping", at("PING")), ("database", at("CREATE", f"CREATE DATABASE {space}")),
             ("table", at("CREATE", f"CREATE TABLE {table} (id UInt32, body String) ENGINE = Memory"))]
    truth += [("insert", at("INSERT", insert, wrote=3 if counted else None))] * 13
    truth += [("select", at("SELECT", f"SELECT id, body FROM {table} WHERE id < ? AND body != ?", rows=n)) for n in range(17)]
    truth += [("batch", at("INSERT", insert, wrote=5003 if counted else None)), ("batch back", at("SELECT", f"SELECT id, body FROM {table} WHERE id >= ?", rows=5003)),
              ("no table", at("SELECT", f"SELECT * FROM {space}.no_such_table WHERE id = ?", "60")), ("slow", at("SELECT", "SELECT sleep(?), ?", rows=1))]
    return truth, [at("CONNECT")] + [at("SELECT", "SELECT number, ? FROM system.numbers LIMIT ?", rows=n) for n in range(101)]


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_clickhouse_by_go(start, plumb, clickhouse, compression):
    space = f"go_{compression}"
    driver = Driver(start.folder(), "clickhousedriver", [go_program("clickhousedriver"), clickhouse.port, compression, space])
    p = plumb(pids=[clickhouse.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["60", "193"]
    truth, many = go_series(space, compression)
    p.wait_spans(2 * (2 + len(truth) + 5 * len(many) + 1))
    connections = check_connections(p.finish(), driver.pid, clickhouse.port)
    # Its pool may find that a connection is not idle yet, and open another one.
    refused = connections.pop()
    check_series(refused, [row("CONNECT", error="193", namespace="system")])
    for one in connections:
        check_series(one[:1], many[:1])
    spans = sorted((s for one in connections for s in one[1:]), key=lambda s: s.start_ns)
    session, others = spans[:len(truth)], spans[len(truth):]
    check_series(session, [r for _, r in truth])
    check_measured(session, steps, truth)
    assert Counter(map(said, others)) == Counter(many[1:] * 5)


def old_series(table, compression):
    def asked(operation, text, namespace=None, **more):
        return [row("PING", namespace=namespace), row(operation, text, namespace=namespace, **more)]

    wrote = None if compression == "zstd" else 1009
    truth = asked("INSERT", f"INSERT INTO {table} VALUES", wrote=wrote) + asked("SELECT", f"SELECT body FROM {table} WHERE id = ?", rows=1) * 101
    truth += asked("INSERT", f"INSERT INTO {table} SELECT id, ? FROM {table} WHERE id < ?") + asked("USE", "USE system")
    for text, rows, error in (("SELECT number FROM numbers LIMIT ?", 701, None), ("SELECT sleep(?) FROM system.numbers SETTINGS max_block_size = ?", ANY, None), ("SELECT ?", 1, None),
                              ("SELECT ? FROM no_such_table", None, "60")):
        truth += asked("SELECT", text, "system", rows=rows, error=error)
    return truth


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_clickhouse_on_a_connection_older_than_plumb(start, plumb, clickhouse, compression):
    """The revision in use was said before; the queries show which it is. The database is not known until it is changed. A ping is one byte: the first query shows what it was, too late."""
    table = f"old_{compression}"
    driver = Driver(start.folder(), "old-driver", [BUILD / "venv/bin/python", "-u", APPS / "ch_old_driver.py", clickhouse.port, compression, table])
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver, timeout_s=30)
    p = plumb(pids=[clickhouse.pid, driver.pid])
    assert driver.go() == [{"error": "60"}]
    truth = old_series(table, compression)[1:]
    p.wait_spans(2 * len(truth))
    [session] = check_connections(p.finish(), driver.pid, clickhouse.port)
    check_series(session, truth)


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_a_redacted_recording_keeps_the_spans(start, folder, clickhouse, compression):
    """Of what it is masked to, numbers of rows and names are not kept; nor is anything behind columns that are not walked, or settings of an old server's."""
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[clickhouse.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    space = f"market_{compression}"
    Driver(start.folder(), "clickhousedriver", [go_program("clickhousedriver"), clickhouse.port, compression, space]).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (parse(replay(path).stdout.decode()) for path in (plain, masked))
    truth, many = go_series(space, compression)
    assert len(spans) == len(kept) > len(truth) + 5 * len(many)
    assert Counter(s["db.operation.name"] for s in kept) == Counter(s["db.operation.name"] for s in spans)
    assert Counter(s["error.type"] for s in kept) == Counter(s["error.type"] for s in spans)
    assert not any(s["plumb.incomplete"] for s in kept), describe([s for s in kept if s["plumb.incomplete"]])
    for secret in (b"secret", b"notes", b"market", b"sesame"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
