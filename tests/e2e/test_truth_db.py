# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL, MySQL and Redis by the usual clients: every statement has its two spans, in order, redacted, with its error."""
import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.process import wait_until
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe
from harness.truth import check_order, check_steps

pytestmark = pytest.mark.live


def check_series(spans, truth, driver_pid, server_port):
    """truth: (operation or None, statement or None, error or None) in the order in which the driver did them on its connection."""
    client = sorted((s for s in spans if s.kind == CLIENT), key=lambda s: s.start_ns)
    server = sorted((s for s in spans if s.kind == SERVER), key=lambda s: s.start_ns)
    check_order(spans)
    for side in (client, server):
        said = [(s["db.operation.name"], s["db.query.text"], s["error.type"]) for s in side]
        for i, (a, b) in enumerate(zip(said, truth)):
            assert a == b, f"number {i} of {len(truth)}: {a} for {b}\n{describe(side)}"
        assert len(said) == len(truth), f"{len(said)} spans for {len(truth)}:\n{describe(side)}"
        for s in side:
            assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET)
            assert s["server.port"] == server_port
            assert s["plumb.incomplete"] is None, describe([s])
            assert (s.name == "PREPARE" or s.name.startswith("PREPARE ")) == (s["db.operation.name"] == "PREPARE"), describe([s])
    assert {s.pid for s in client} == {driver_pid}
    assert driver_pid not in {s.pid for s in server}
    for c, s in zip(client, server):
        assert (s.trace_id, s.parent_id) == (c.trace_id, c.span_id), f"not one trace: {c.name}, {s.name}"
    return client, server


def check_measured(client, truth, steps, alone):
    """Steps of one statement each lasted as long as the driver measured. alone: what the driver calls them, in order of truth; None for no such step."""
    by_name = {}
    for step in steps:
        by_name.setdefault(step["what"], []).append(step)
    check_steps([(what, span, by_name[what].pop(0)["ns"]) for span, what in zip(client, alone) if what is not None])


INSERT, SELECT = "INSERT INTO notes (id, body) VALUES (?)", "SELECT id, body FROM notes WHERE id = ?"
PSYCOPG2 = (
    [("CONNECT", None, None), ("CREATE", "CREATE TEMP TABLE notes (id int PRIMARY KEY, body text)", None)]
    + [("INSERT", INSERT, None)] * 7 + [("SELECT", SELECT, None)] * 5
    + [("SELECT", "SELECT pg_sleep(?)", None), ("SELECT", "SELECT n, repeat(?, ?) FROM generate_series(?, ?) AS n", None),
       ("SELECT", "SELECT * FROM no_such_table WHERE id = ?", "42P01"), ("INSERT", INSERT, "23505"), ("SELECT", "SELECT ? / ?", "22012"),
       ("BEGIN", "BEGIN", None), ("UPDATE", "UPDATE notes SET body = ? WHERE id < ?", None), ("COMMIT", "COMMIT", None)])
PSYCOPG2_STEPS = [None, "create"] + ["insert"] * 7 + ["select"] * 5 + ["slow", "many rows", "no table", "duplicate", "division", None, None, "commit"]


def test_postgres_by_psycopg2(start, plumb, postgres):
    driver = python_driver(start.folder(), "pg_driver.py", postgres.port)
    p = plumb(pids=[postgres.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["42P01", "23505", "22012"]
    p.wait_spans(2 * len(PSYCOPG2))
    client, _ = check_series(p.finish(), PSYCOPG2, driver.pid, postgres.port)
    check_measured(client, PSYCOPG2, steps, PSYCOPG2_STEPS)
    rows = {s["db.query.text"]: s["db.response.returned_rows"] for s in client}
    assert rows["SELECT n, repeat(?, ?) FROM generate_series(?, ?) AS n"] == 3001
    assert all("secret" not in str(s.raw) for s in client)


TWICE, ADD, DIVIDE = "select $1::int * ? as twice", "select $1::int + ?", "select ? / $1::int"
PGX = (
    [("CONNECT", None, None), ("select", "select ?, pg_sleep(?)", None), ("PREPARE", TWICE, None)] + [("select", TWICE, None)] * 5
    + [("select", "select $1::text", None), ("select", "select * from no_such_table where id = ?", "42P01")]
    # A batch prepares what is new in one round trip and sends the rest in a second one.
    + [("PREPARE", ADD, None)] + [("select", ADD, None)] * 7
    + [("PREPARE", DIVIDE, None)] + [("select", ADD, None)] * 3 + [("select", DIVIDE, "22012"), ("select", ADD, "pipeline_aborted")]
    + [("select", "select ?", None)])


def test_postgres_by_pgx(start, plumb, postgres):
    driver = go_driver(start.folder(), "pgdriver", postgres.port)
    p = plumb(pids=[postgres.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["42P01", "22012"]
    p.wait_spans(2 * len(PGX))
    client, _ = check_series(p.finish(), PGX, driver.pid, postgres.port)
    check_measured(client, PGX, steps, [None, "simple", "prepare"] + ["prepared"] * 5 + ["unnamed", "error"] + [None] * 14 + ["last"])


PIPED = [("INCRBY", "INCRBY counter:1 ?", None) if i % 2 else ("SET", f"SET piped:{i} ?", None) for i in range(101)]
REDIS = (
    [("SET", "SET user:7 ?", None)] * 11 + [("GET", "GET user:7", None)] * 5 + [("GET", "GET user:none", None), ("SET", "SET big ?", None), ("GET", "GET big", None)]
    + [("LPUSH", "LPUSH user:7 ?", "WRONGTYPE")] * 3 + [("BLPOP", "BLPOP nothing ?", None)] + PIPED
    + [("MULTI", "MULTI", None)] + PIPED[:13] + [("EXEC", "EXEC", None), ("ECHO", "ECHO ?", None)])
REDIS_STEPS = (["set"] * 11 + ["get"] * 5 + ["get nothing", "big", "big back"] + ["wrong type"] * 3 + ["blocking"] + [None] * 116 + ["last"])


def test_redis_by_redis_py(start, plumb):
    server = start(servers.start_redis)
    driver = python_driver(start.folder(), "redis_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["WRONGTYPE"] * 3
    p.wait_spans(2 * len(REDIS))
    client, _ = check_series(p.finish(), REDIS, driver.pid, server.port)
    check_measured(client, REDIS, steps, REDIS_STEPS)
    assert all("secret" not in str(s.raw) for s in client)


NOTES, NOTE = "INSERT INTO notes (id, body) VALUES (?)", "SELECT id, body FROM notes WHERE id = ?"
SEVERAL = "SELECT id FROM notes; UPDATE notes SET body = ? WHERE id < ?; SELECT ? UNION SELECT ?"
PYMYSQL = (
    [("CONNECT", None, None), ("SET", "SET NAMES utf8mb4", None), ("SET", "SET AUTOCOMMIT = ?", None),
     ("CREATE", "CREATE TEMPORARY TABLE notes (id int PRIMARY KEY, body text)", None)]
    + [("INSERT", NOTES, None)] * 7 + [("SELECT", NOTE, None)] * 5
    + [("SELECT", "SELECT SLEEP(?)", None), ("SELECT", "SELECT seq, REPEAT(?, ?) FROM seq_1_to_3001", None),
       ("SELECT", "SELECT * FROM no_such_table WHERE id = ?", "42S02"), ("INSERT", NOTES, "23000"), ("SELECT", SEVERAL, None),
       ("LOAD", "LOAD DATA LOCAL INFILE ? INTO TABLE notes", None), ("PING", None, None), ("INIT_DB", None, None), ("USE", "USE shop", None),
       ("BEGIN", "BEGIN", None), ("DELETE", "DELETE FROM notes WHERE id > ?", None), ("COMMIT", "COMMIT", None)])
PYMYSQL_STEPS = ([None, None, None, "create"] + ["insert"] * 7 + ["select"] * 5
                 + ["slow", "many rows", "no table", "duplicate", "several", "file", "ping", "database", "use", "begin", "delete", "commit"])


def rows_of(spans):
    return [(s["db.response.returned_rows"], s["plumb.db.rows_affected"]) for s in spans]


def test_mysql_by_pymysql(start, plumb, mariadb):
    driver = python_driver(start.folder(), "mysql_driver.py", mariadb.port)
    p = plumb(pids=[mariadb.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["1146", "1062"]
    p.wait_spans(2 * len(PYMYSQL))
    client, server = check_series(p.finish(), PYMYSQL, driver.pid, mariadb.port)
    check_measured(client, PYMYSQL, steps, PYMYSQL_STEPS)
    truth = ([(None, None)] + [(None, 0)] * 3 + [(None, 1)] * 7 + [(1, None)] * 5
             + [(1, None), (3001, None), (None, None), (None, None), (9, 3), (None, 13), (None, None), (None, None), (None, 0), (None, 0), (None, 13), (None, 0)])
    assert rows_of(client) == truth
    assert rows_of(server) == truth
    assert [s["db.response.status_code"] for s in client if s["error.type"]] == ["1146", "1062"]
    assert [s["db.namespace"] for s in client] == ["shop"] * (len(PYMYSQL) - 5) + ["mysql"] * 2 + ["shop"] * 3
    assert all("secret" not in str(s.raw) and "sesame" not in str(s.raw) for s in client + server)


GO_NOTES, GO_NOTE = "INSERT INTO notes (id, body) VALUES (?, ?)", "SELECT id, body FROM notes WHERE id = ?"
GO_MYSQL = (
    [("CONNECT", None, None), ("CREATE", "CREATE TEMPORARY TABLE notes (id int PRIMARY KEY, body text)", None), ("PREPARE", GO_NOTES, None)]
    + [("INSERT", GO_NOTES, None)] * 7 + [("INSERT", GO_NOTES, "23000")] + [("PREPARE", GO_NOTE, None), ("SELECT", GO_NOTE, None)] * 5
    + [("SELECT", "SELECT SLEEP(?)", None), ("SELECT", "SELECT seq, REPEAT(?, ?) FROM seq_1_to_3001", None)]
    + [(what, "SELECT seq, REPEAT(?, ?) FROM seq_1_to_3001 WHERE seq > ?", None) for what in ("PREPARE", "SELECT")]
    + [("SELECT", "SELECT * FROM no_such_table WHERE id = ?", "42S02"), ("PREPARE", "SELECT * FROM no_such_table WHERE id = ?", "42S02"),
       ("SELECT", SEVERAL, None), ("PING", None, None), ("SELECT", "SELECT ?", None)])
GO_MYSQL_STEPS = ([None, "create", None] + ["insert"] * 7 + ["duplicate"] + [None] * 10 + ["slow", "many rows", None, None, "no table", "no table prepared", "several", "ping", "last"])


def test_mysql_by_go(start, plumb, mariadb):
    driver = go_driver(start.folder(), "mysqldriver", mariadb.port)
    p = plumb(pids=[mariadb.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["1062", "1146", "1146"]
    p.wait_spans(2 * len(GO_MYSQL))
    client, server = check_series(p.finish(), GO_MYSQL, driver.pid, mariadb.port)
    check_measured(client, GO_MYSQL, steps, GO_MYSQL_STEPS)
    truth = ([(None, None), (None, 0), (None, None)] + [(None, 1)] * 7 + [(None, None)] + [(None, None), (1, None)] * 5
             + [(1, None), (3001, None), (None, None), (2991, None), (None, None), (None, None), (9, 3), (None, None), (1, None)])
    assert rows_of(client) == truth
    assert rows_of(server) == truth
    assert all("secret" not in str(s.raw) and "sesame" not in str(s.raw) for s in client + server)


OLD_MYSQL = ([("PING", None, None)] + [("SELECT", "SELECT ? AS n UNION SELECT ?", None)] * 11
             + [("SELECT", "SELECT seq FROM seq_1_to_307", None), ("SELECT", "SELECT * FROM no_such_table", "42S02"), ("INIT_DB", None, None), ("SELECT", "SELECT ?", None)])


def test_mysql_on_a_connection_older_than_plumb(start, plumb, mariadb):
    driver = python_driver(start.folder(), "mysql_old_driver.py", mariadb.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[mariadb.pid, driver.pid])
    assert [s["error"] for s in driver.go() if s["error"]] == ["1146"]
    p.wait_spans(2 * len(OLD_MYSQL))
    client, server = check_series(p.finish(), OLD_MYSQL, driver.pid, mariadb.port)
    truth = [(None, None)] + [(2, None)] * 11 + [(307, None), (None, None), (None, None), (1, None)]
    assert rows_of(client) == truth
    assert rows_of(server) == truth
    assert [s["db.namespace"] for s in client] == [None] * 14 + ["mysql"] * 2
