# SPDX-License-Identifier: Apache-2.0
"""SQLite by Python, by Perl and by its own C API, shared and linked in: nothing leaves the program, and every execution has its span, by either way to watch calls."""
import subprocess

import pytest

from harness import servers
from harness.driver import Driver
from harness.libraries import watched
from harness.plumb import Plumb
from harness.process import APPS, BUILD, wait_until
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe
from harness.truth import check_order, check_steps

pytestmark = pytest.mark.live

WAYS = ["uprobe_multi", "uprobe_perf"]
NEVER = ("secret", "sesame")


def row(operation, text, rows=None, error=None, code=None):
    return (operation, text, rows, error, code)


def said(span):
    return row(span["db.operation.name"], span["db.query.text"], span["db.response.returned_rows"], span["error.type"], span["db.response.status_code"])


def check_each(spans, driver, database):
    for s in spans:
        assert s.kind == CLIENT and s.pid == driver.pid and s["db.system.name"] == "sqlite" and s["db.namespace"] == database, describe([s])
        assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET)
        assert not any(word in s.text for word in NEVER), describe([s])
        assert not any(name.startswith(("server.", "network.")) for name in s.attrs), describe([s])


def check(spans, driver, truth, database):
    check_order(spans)
    spans = sorted(spans, key=lambda s: s.start_ns)
    for i, (a, b) in enumerate(zip(map(said, spans), truth)):
        assert a == b, f"number {i} of {len(truth)}: {a} for {b}\n{describe(spans[max(0, i - 2):i + 5])}"
    assert len(spans) == len(truth), describe(spans[-25:])
    check_each(spans, driver, database)
    return spans


@pytest.fixture(scope="module")
def sqlite_app(tmp_path_factory):
    path = tmp_path_factory.mktemp("sqlite") / "sqlite_app"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", path, APPS / "sqlite_app.c", "-l:libsqlite3.a", "-lm", "-lpthread"], check=True)
    return path


PYTHON = ([row("CREATE", "CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT UNIQUE)"), row("BEGIN", "BEGIN")] + [row("INSERT", "INSERT INTO notes(body) VALUES (?)")] * 1009
          + [row("COMMIT", "COMMIT")] + [row("SELECT", "SELECT id, body FROM notes WHERE id <= ? AND body <> ?", i * 7) for i in range(23)]
          + [row("SELECT", "SELECT body FROM notes WHERE id = :id LIMIT ?", 1), row("UPDATE", "UPDATE notes SET body = ? WHERE id = ?"),
             row("UPDATE", "UPDATE notes SET body = ? WHERE id = ?", None, "SQLITE_CONSTRAINT", "19"), row("SELECT", "SELECT * FROM nowhere WHERE body = ?", None, "SQLITE_ERROR", "1"),
             row(None, "SELEC ?", None, "SQLITE_ERROR", "1"), row("CREATE", "CREATE VIRTUAL TABLE words USING fts5(word)"), row("INSERT", "INSERT INTO words VALUES (?)"),
             row("SELECT", "SELECT word FROM words WHERE words MATCH ?", 1), row("VACUUM", "VACUUM"), row("SELECT", "SELECT nap(?)", 1), row("BEGIN", "BEGIN IMMEDIATE"),
             row("DELETE", "DELETE FROM notes WHERE body = ?", None, "SQLITE_BUSY", "5"), row("ROLLBACK", "ROLLBACK")]
          + [row("SELECT", "SELECT body FROM notes WHERE id = ?", 1)] * 10_007)


@pytest.mark.parametrize("way", WAYS)
def test_sqlite_by_python(start, plumb, way):
    own = start.folder()
    driver = Driver(own, "python-sqlite", ["/usr/bin/python3", "-u", APPS / "sqlite_driver.py", own / "notes.db"])
    p = plumb(args=watched(way), pids=[driver.pid])
    p.wait_watching("sqlite")
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["IntegrityError", "OperationalError", "OperationalError", "OperationalError"]
    p.wait_spans(len(PYTHON), timeout_s=30)
    spans = check(p.finish(), driver, PYTHON, "notes.db")
    named = {s["db.query.text"]: s for s in spans}
    assert named["SELECT nap(?)"].duration_ns >= 300_000_000 and named["DELETE FROM notes WHERE body = ?"].duration_ns >= 300_000_000
    measured = {s["what"]: s["ns"] for s in steps}
    pairs = [("table", spans[0])] + [(what, named[text]) for what, text in (("search", PYTHON[1040][1]), ("word", PYTHON[1041][1]), ("match", PYTHON[1042][1]), ("vacuum", "VACUUM"),
                                                                      ("slow", "SELECT nap(?)"), ("busy", "DELETE FROM notes WHERE body = ?"))]
    check_steps([(what, span, measured[what]) for what, span in pairs])


PERL = ([row("CREATE", "CREATE TABLE goods(id INTEGER PRIMARY KEY, name TEXT NOT NULL)")] + [row("INSERT", "INSERT INTO goods(name) VALUES (?)")] * 101
        + [row("SELECT", "SELECT id, name FROM goods WHERE id <= ? AND name <> ?", i) for i in range(13)]
        + [row("INSERT", "INSERT INTO goods(name) VALUES (?)", None, "SQLITE_CONSTRAINT", "19"), row("UPDATE", "UPDATE goods SET colour = ?", None, "SQLITE_ERROR", "1"),
           row("DELETE", "DELETE FROM goods WHERE name = ?")])


def test_sqlite_by_perl(start, plumb):
    if subprocess.run(["perl", "-MDBD::SQLite", "-e1"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("Perl's DBD::SQLite is not installed (package libdbd-sqlite3-perl)")
    own = start.folder()
    driver = Driver(own, "perl-sqlite", ["perl", APPS / "sqlite_driver.pl", own / "goods.db"])
    p = plumb(args=watched(), pids=[driver.pid])
    p.wait_watching("sqlite")
    steps = driver.go()
    assert [s["what"] for s in steps if s["error"]] == ["null", "no column"]
    p.wait_spans(len(PERL))
    spans = [s for s in p.finish() if "fts3_tokenizer" not in s["db.query.text"]]  # which it asks for when it connects
    check(spans, driver, PERL, "goods.db")


def app_series(first):
    numbers = "SELECT n FROM numbers"
    series = [row("SELECT", numbers + " WHERE n < ?", 1009)] * 2 + [row("SELECT", numbers, 5), row("SELECT", numbers, 7), row("SELECT", numbers + " LIMIT ?", 3),
                                                                     row("SELECT", numbers + " LIMIT ?", 5), row("BEGIN", "BEGIN;"), row("DELETE", "DELETE FROM numbers WHERE n > ?;"),
                                                                     row("ROLLBACK", "ROLLBACK"), row("SELECT", "SELECT ? FROM numbers LIMIT ?;", 3), row("SELECT", "SELECT ? FROM numbers LIMIT ?", 5),
                                                                     row("SELECT", "SELECT ? FROM numbers WHERE n = ?", 1), row("SELECT", "SELECT * FROM nowhere WHERE word = ?", None, "SQLITE_ERROR", "1"),
                                                                     row("INSERT", "INSERT INTO numbers VALUES (?)", None, "SQLITE_CONSTRAINT", "19"),
                                                                     row("INSERT", "INSERT INTO numbers VALUES (?)", None, "SQLITE_CONSTRAINT_PRIMARYKEY", "1555"), row("SELECT", "SELECT nap(?)", 1), first]
    return series + [row("SELECT", numbers + " WHERE n = ?", 1 if i < 1009 else 0) for i in range(10_007)]


def app_check(spans, driver):
    """Whose database was opened before plumb came is not known; threads have opened theirs since."""
    check_order(spans)
    rows, threads, series = [s for s in spans if "<>" not in (s["db.query.text"] or "")], [s for s in spans if "<>" in (s["db.query.text"] or "")], app_series(row("EXECUTE", None, 3))
    named = check(rows, driver, series, None)
    check_each(threads, driver, "numbers.db")
    by_thread = {}
    for s in sorted(threads, key=lambda s: s.start_ns):
        by_thread.setdefault(s["thread.id"], []).append(said(s))
    assert list(by_thread.values()) == [[row("SELECT", "SELECT n FROM numbers WHERE n < ?1 AND n <> ?", i % 7) for i in range(101)]] * 4
    assert [s["plumb.incomplete"] for s in named[:17]] == [None] * 16 + ["statement_not_seen"]
    return named


@pytest.mark.parametrize("way", WAYS)
def test_sqlite_linked_into_a_program(start, plumb, sqlite_app, way):
    own = start.folder()
    driver = Driver(own, "sqlite-app", [sqlite_app, own / "numbers.db"])
    p = plumb(args=watched(way), pids=[driver.pid])
    p.wait_watching("sqlite")
    steps = {s["what"]: s["ns"] for s in driver.go()}
    count = len(app_series(None)) + 4 * 101
    p.wait_spans(count, timeout_s=30)
    named = app_check(p.finish(), driver)
    assert named[15].duration_ns >= 300_000_000
    check_steps([("all rows", named[0], steps["all rows"]), ("again", named[1], steps["again without reset"]), ("slow", named[15], steps["slow"])])


def test_a_redacted_recording_keeps_the_spans(start, folder, sqlite_app):
    own = start.folder()
    driver = Driver(own, "sqlite-app", [sqlite_app, own / "numbers.db"])
    p = Plumb(folder, ["-o", folder / "calls.plumb", "--redact", *watched()], pids=[driver.pid], command="record", output=None)
    try:
        p.wait_watching("sqlite")
        driver.go()
        count = len(app_series(None)) + 4 * 101
        wait_until(lambda: driver.popen.poll() is not None, "the end of the driver")
    finally:
        assert p.stop() == 0
    raw = subprocess.run([BUILD / "plumb", "replay", folder / "calls.plumb", "-o", "json"], capture_output=True, check=True, text=True).stdout
    assert len(raw.splitlines()) == count and not any(word in raw for word in (*NEVER, "nowhere", "numbers"))


def test_a_call_belongs_to_the_request_that_its_thread_handles(start, plumb):
    """A web server of Python's with a database: each query under its request, whose trace the client began."""
    own = start.folder()
    server = start(servers.start_python, app="sqlite_httpd.py")
    p = plumb(args=watched(), pids=[server.pid])
    p.wait_watching("sqlite")
    for i in range(23):
        subprocess.run(["curl", "-sf", f"http://127.0.0.1:{server.port}/notes/{i}"], check=True, stdout=subprocess.DEVNULL)
    p.wait_spans(3 * 23, lambda s: s.kind in (SERVER, CLIENT))
    spans = p.finish()
    requests = {s.span_id: s for s in spans if s.kind == SERVER}
    queries = [s for s in spans if s["db.system.name"] == "sqlite"]
    assert len(requests) == 23 and len(queries) == 46, describe(spans, 40)
    for s in queries:
        r = requests[s.parent_id]
        assert s.trace_id == r.trace_id and s["plumb.join"] == "thread" and r.start_ns <= s.start_ns <= s.end_ns <= r.end_ns, describe([s, r])
    assert sorted(requests[s.parent_id].path for s in queries) == sorted([f"/notes/{i}" for i in range(23)] * 2)
