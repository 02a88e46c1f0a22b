# SPDX-License-Identifier: Apache-2.0
"""Cassandra by the DataStax driver for Python and by gocql: every request has its two spans, in order, redacted, with its error, in all versions of the protocol."""
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


def row(operation, text=None, error=None, rows=None, level=None, size=None, namespace=None):
    return (operation, text, error, rows, level, size, namespace)


def said(span):
    return row(span["db.operation.name"], span["db.query.text"], span["error.type"], span["db.response.returned_rows"], span["cassandra.consistency.level"],
               span["db.operation.batch.size"], span["db.namespace"])


def check_connections(spans, driver_pid, server_port, incomplete={}):
    """What was said on each connection, in order. Each request has its two spans, which say the same of it and are one trace. incomplete: by operation."""
    check_order(spans)
    client = {s.span_id: s for s in spans if s.kind == CLIENT}
    server = sorted((s for s in spans if s.kind == SERVER), key=lambda s: s.start_ns)
    assert len(client) == len(server)
    connections = defaultdict(list)
    for s in server:
        c = client.pop(s.parent_id, None)
        assert c and c.trace_id == s.trace_id, f"not one trace: {describe([s])}"
        assert c.pid == driver_pid != s.pid
        assert said(c) == said(s), describe([c, s])
        for side in (c, s):
            assert side["db.system.name"] == "cassandra" and side["server.port"] == server_port
            assert side["plumb.incomplete"] == incomplete.get(side["db.operation.name"]), describe([side])
            assert side.status == (STATUS_ERROR if side["error.type"] else STATUS_UNSET)
            assert side["db.response.status_code"] == side["error.type"]
            assert not any(word in str(side.raw) for word in ("secret", "sesame")), describe([side])
        connections[s["network.peer.port"]].append(c)
    return list(connections.values())


def check_series(spans, truth):
    for i, (a, b) in enumerate(zip(map(said, spans), truth)):
        assert a == b, f"number {i} of {len(truth)}: {a} for {b}\n{describe(spans)}"
    assert len(spans) == len(truth), describe(spans)


def check_measured(spans, steps, names):
    """No span is longer than what the driver measured around it. names: of the steps, in order of the spans; None for what is none."""
    by_name = defaultdict(list)
    for step in steps:
        by_name[step["what"]].append(step["ns"])
    for span, name in zip(spans, names):
        if name:
            measured = by_name[name].pop(0)
            assert span.duration_ns <= measured + max(TOLERANCE_NS, measured * TOLERANCE_PART), f"{name}: span {span.duration_ns} ns, measured {measured} ns"


LOGIN = [row("OPTIONS"), row("STARTUP"), row("AUTH_RESPONSE")]
CREATE_KEYSPACE = "CREATE KEYSPACE {} WITH replication = {{?: ?, ?: ?}}"
INSERT, SELECT, ONE = "INSERT INTO notes (id, body) VALUES (?, ?)", "SELECT body FROM notes WHERE id = ?", "local_one"


def python_series(space):
    def at(*args, **named):
        return row(*args, **{"level": ONE, "namespace": space, **named})

    create, insert, select = CREATE_KEYSPACE.format(space), at("INSERT", INSERT), at("SELECT", SELECT, rows=1, level="quorum")
    return (LOGIN + [row("CREATE", create, level=ONE), row("CREATE", create, "0x2400", level=ONE), at("USE", f"USE {space}"), at("USE", f'USE "{space}"', level="one"),
                     at("CREATE", "CREATE TABLE notes (id int PRIMARY KEY, body text)")]
            + [at("INSERT", "INSERT INTO notes (id, body) VALUES (?)")] * 7 + [at("PREPARE", INSERT, level=None)] + [insert] * 11
            + [at("PREPARE", SELECT, level=None)] + [select] * 5
            + [at("SELECT", SELECT, rows=0, level="quorum"), at("SELECT", "SELECT * FROM no_such_table WHERE id = ?", "0x2200"), at(None, "SELEKT body FROM notes", "0x2000"),
               at("PREPARE", "SELECT nothing FROM notes WHERE id = ?", "0x2200", level=None), at("BATCH INSERT", INSERT, size=3),
               at("BATCH", INSERT + "; DELETE FROM notes WHERE id = ?", size=2), insert, select,
               at("SELECT", "SELECT id FROM notes WHERE id = ? AND body = ? ALLOW FILTERING", rows=0)]
            + [insert] * 307 + [at("SELECT", "SELECT id FROM notes WHERE id > ? ALLOW FILTERING", rows=n) for n in (100, 100, 100, 7)]
            + [select] * 101 + [at("SELECT", "SELECT id FROM notes WHERE id = ?", rows=1)])


PYTHON_STEPS = ([None] * 3 + ["keyspace", "keyspace again", None, "use", "table"] + ["insert"] * 7 + ["prepare"] + ["prepared insert"] * 11 + ["prepare"] + ["prepared select"] * 5
                + ["none", "no table", "syntax", "no such column", "batch", "mixed batch", "big", "big back", "two literals"] + [None] * 307 + ["pages"] + [None] * 104 + ["last"])
# The driver's own connection asks for events and for what it wants to know of the cluster.
PEERS = "SELECT host_id, peer, peer_port, data_center, rack, native_address, native_port, release_version, schema_version FROM system.peers_v2"
LOCAL = "SELECT host_id, cluster_name, data_center, rack, partitioner, release_version, schema_version FROM system.local WHERE key=?"
PYTHON_CONTROL = LOGIN + [row("REGISTER"), row("SELECT", PEERS, rows=0, level="one"), row("SELECT", LOCAL, rows=1, level="one"),
                          row("SELECT", "SELECT rpc_address FROM system.local WHERE key=?", rows=1, level="one")]


def python_driver(start, cassandra, *args):
    return Driver(start.folder(), "cassandra-driver", [BUILD / "venv/bin/python", "-u", APPS / "cassandra_driver.py", cassandra.port, *args])


@pytest.mark.parametrize("version,compression", [(3, "none"), (4, "none"), (4, "lz4"), (5, "none"), (5, "lz4")])
def test_cassandra_by_python(start, plumb, cassandra, version, compression):
    space = f"shop{version}{compression}"
    driver = python_driver(start, cassandra, version, compression, space)
    p = plumb(pids=[cassandra.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["0x2400", "0x2200", "0x2000", "0x2200"]
    series = python_series(space)
    p.wait_spans(2 * (len(series) + len(PYTHON_CONTROL)))
    control, session = sorted(check_connections(p.finish(), driver.pid, cassandra.port), key=len)
    check_series(control, PYTHON_CONTROL)
    check_series(session, series)
    check_measured(session, steps, PYTHON_STEPS)


def go_series(space):
    def at(*args, **named):
        return row(*args, **{"level": "local_quorum", **named})

    insert, one = f"INSERT INTO {space}.notes (id, body) VALUES (?, ?)", f"SELECT body FROM {space}.notes WHERE id = ?"
    table, rows = f"CREATE TABLE {space}.notes (id int PRIMARY KEY, body text)", f"SELECT id FROM {space}.notes"
    # Behind what changes the schema the driver asks whether all servers know.
    agreed = [row("SELECT", "SELECT * FROM system.peers", rows=0, level="one"), row("SELECT", "SELECT schema_version FROM system.local WHERE key=?", rows=1, level="one")]
    return (LOGIN + [at("CREATE", f"CREATE KEYSPACE IF NOT EXISTS {space} WITH replication = {{?: ?, ?: ?}}")] + agreed + [at("CREATE", table)] + agreed
            + [row("PREPARE", insert)] + [at("INSERT", insert)] * 13
            + [row("PREPARE", f"SELECT * FROM {space}.no_such_table WHERE id = ?", "0x2200"), at("CREATE", table, "0x2400"), at("BATCH INSERT", insert, size=5),
               row("PREPARE", one), at("SELECT", one, rows=1, level="one")]
            + [at("INSERT", insert)] * 451 + [row("PREPARE", rows)] + [at("SELECT", rows, rows=n) for n in (100, 100, 100, 100, 69)])


GO_STEPS = ([None] * 3 + ["keyspace", None, None, "table", None, None, None] + ["insert"] * 13 + ["no table", "table again", "batch", None, "select"] + [None] * 451 + [None] * 6)


def without_heartbeats(spans):
    return [s for i, s in enumerate(spans) if i == 0 or s["db.operation.name"] != "OPTIONS"]


@pytest.mark.parametrize("version", [3, 4])
def test_cassandra_by_gocql(start, plumb, cassandra, version):
    """The bodies are compressed by Snappy."""
    driver = Driver(start.folder(), "cqldriver", [go_program("cqldriver"), cassandra.port, version])
    p = plumb(pids=[cassandra.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["0x2200", "0x2400"]
    series = go_series(f"go{version}")
    p.wait_spans(2 * (len(series) + 6))
    control, session = map(without_heartbeats, sorted(check_connections(p.finish(), driver.pid, cassandra.port), key=len))
    assert [said(s)[:3] for s in control] == [r[:3] for r in LOGIN] + [
        ("SELECT", "SELECT * FROM system.local WHERE key=?", None), ("PREPARE", "SELECT * FROM system_schema.keyspaces", None), ("SELECT", "SELECT * FROM system_schema.keyspaces", None)]
    check_series(session, series)
    check_measured(session, steps, GO_STEPS)


OLD, NEW = row("EXECUTE", rows=1, level="one"), "SELECT key, rack FROM system.local WHERE key = ?"
OLD_SERIES = ([OLD] * 101 + [row("PREPARE", NEW)] + [row("SELECT", NEW, rows=1, level="one")] * 11
              + [row("SELECT", "SELECT * FROM system.no_such_table WHERE id = ?", "0x2200", level="one"), row("USE", "USE system", level="one", namespace="system"),
                 row("USE", 'USE "system"', level="one", namespace="system"),
                 row("SELECT", "SELECT rack FROM local", "0x1000", level="two", namespace="system"),
                 row("SELECT", "SELECT key FROM local", rows=1, level="one", namespace="system")])


@pytest.mark.parametrize("version,compression", [(3, "lz4"), (4, "none"), (5, "none"), (5, "lz4")])
def test_cassandra_on_a_connection_older_than_plumb(start, plumb, cassandra, version, compression):
    """What was prepared before has no text, and says so."""
    driver = Driver(start.folder(), "old-driver", [BUILD / "venv/bin/python", "-u", APPS / "cassandra_old_driver.py", cassandra.port, version, compression])
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver, timeout_s=30)
    p = plumb(pids=[cassandra.pid, driver.pid])
    assert [s["error"] for s in driver.go()] == ["0x2200", "0x1000"]
    p.wait_spans(2 * len(OLD_SERIES))
    [session] = check_connections(p.finish(), driver.pid, cassandra.port, incomplete={"EXECUTE": "statement_not_seen"})
    check_series(session, OLD_SERIES)


@pytest.mark.parametrize("version", [4, 5])
def test_a_redacted_recording_keeps_the_spans(start, folder, cassandra, version):
    """What was prepared has no text: the ids do not stay."""
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[cassandra.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start, cassandra, version, "none", f"market{version}").go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (parse(replay(path).stdout.decode()) for path in (plain, masked))
    truth = PYTHON_CONTROL + python_series(f"market{version}")
    assert Counter(map(said, spans)) == Counter(truth)
    executed = Counter({"EXECUTE": 11 + 5 + 1 + 2 + 307 + 101, "PREPARE": 3, "BATCH": 2, "INSERT": 7, "SELECT": 3 + 2 + 4 + 1, "CREATE": 3, "USE": 2, None: 1, "REGISTER": 1})
    assert Counter(s["db.operation.name"] for s in kept) == executed + Counter({r[0]: 2 for r in LOGIN})
    assert Counter(s["error.type"] for s in kept) == Counter(r[2] for r in truth)
    for secret in (b"secret", b"notes", b"market", b"\0cassandra\0cassandra"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
