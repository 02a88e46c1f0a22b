# SPDX-License-Identifier: Apache-2.0
"""DuckDB by its client for Node and by its C API alone: nothing leaves the program, and every execution has its span."""
import pytest

from harness.driver import Driver
from harness.libraries import watched
from harness.process import APPS, BUILD
from harness.spans import CLIENT, STATUS_ERROR, STATUS_UNSET, describe
from harness.truth import check_order, check_steps

pytestmark = pytest.mark.live

MODULES = BUILD / "e2e/node"
LIBRARY = MODULES / "node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so"
ERROR = "DuckDBError"


@pytest.fixture(autouse=True)
def installed():
    if not LIBRARY.exists():
        pytest.skip("DuckDB was not installed by npm: run tests/e2e/setup.sh")


def row(operation, text, error=None):
    return (operation, text, error)


def check(spans, driver, truth, database):
    check_order(spans)
    spans = sorted(spans, key=lambda s: s.start_ns)
    said = [row(s["db.operation.name"], s["db.query.text"], s["error.type"]) for s in spans]
    for i, (a, b) in enumerate(zip(said, truth)):
        assert a == b, f"number {i} of {len(truth)}: {a} for {b}\n{describe(spans[max(0, i - 2):i + 5])}"
    assert len(spans) == len(truth), describe(spans[-25:])
    for s in spans:
        assert s.kind == CLIENT and s.pid == driver.pid and s["db.system.name"] == "duckdb" and s["db.namespace"] == database, describe([s])
        assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET) and "secret" not in s.text, describe([s])
    return spans


NODE = ([row("CREATE", "CREATE TABLE notes(id INTEGER PRIMARY KEY, body VARCHAR)"), row("INSERT", "INSERT INTO notes SELECT range, ? FROM range(?)")]
        + [row("SELECT", "SELECT id FROM notes WHERE id < ? AND body = ?")] * 13
        + [row("SELECT", "SELECT * FROM nowhere WHERE body = ?", ERROR), row(None, "SELEC ?", ERROR), row("INSERT", "INSERT INTO notes VALUES (?)", ERROR),
           row("SELECT", "SELECT body FROM notes WHERE id = $1 AND body = $2")]
        + [row("UPDATE", "UPDATE notes SET body = $1 WHERE id = $2")] * 101
        + [row("SELECT", "SELECT ? FROM notes LIMIT ?"), row("SELECT", "SELECT * FROM notes"), row("SELECT", "SELECT ?; SELECT ?")]
        + [row("SELECT", "SELECT body FROM notes WHERE id = ?")] * 1009)


def test_duckdb_by_node(start, plumb):
    own = start.folder()
    p = plumb(args=[*watched(), "--comm", "node"])
    driver = Driver(own, "node-duckdb", ["node", APPS / "node/duckdb_driver.js", MODULES, own / "notes.duckdb"])
    p.wait_watching("duckdb")
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["Catalog Error", "Parser Error", "Constraint Error"]
    p.wait_spans(len(NODE), timeout_s=30)
    spans = check(p.finish(), driver, NODE, "notes.duckdb")
    measured = {s["what"]: s["ns"] for s in steps}
    check_steps([("table", spans[0], measured["table"]), ("insert", spans[1], measured["insert"]), ("no table", spans[15], measured["no table"])])


CALLS = ([row("CREATE", "CREATE TABLE goods(id INTEGER PRIMARY KEY, name VARCHAR)"), row("INSERT", "INSERT INTO goods SELECT range, ? FROM range(?)"),
          row("SELECT", "SELECT * FROM nowhere WHERE name = ?", ERROR)] + [row("SELECT", "SELECT name FROM goods WHERE id = ? AND name <> ?")] * 23
         + [row("SELECT", "SELECT colour FROM goods WHERE name = ?", ERROR), row("DELETE", "DELETE FROM goods WHERE name = ?"), row("EXECUTE", None), row("EXECUTE", None),
            row(None, "SELEC ?", ERROR)])


@pytest.mark.parametrize("way", ["uprobe_multi", "uprobe_perf"])
def test_duckdb_by_its_own_calls(start, plumb, way):
    own = start.folder()
    driver = Driver(own, "duckdb-app", ["/usr/bin/python3", APPS / "duckdb_app.py", LIBRARY, own / "goods.duckdb"])
    p = plumb(args=watched(way), pids=[driver.pid])
    p.wait_watching("duckdb")
    driver.go()
    p.wait_spans(len(CALLS))
    spans = check(p.finish(), driver, CALLS, "goods.duckdb")
    assert [s["plumb.incomplete"] for s in spans if s["plumb.incomplete"]] == ["statement_not_seen"] * 2
