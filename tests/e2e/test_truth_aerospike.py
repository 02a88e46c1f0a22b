# SPDX-License-Identifier: Apache-2.0
"""Aerospike by its Python library (which is the one for C) and its Go library. The server is a stand-in (apps/aerospiked.py): Aerospike's cannot be installed here. Every request has its two
spans, in order, with its namespace, set, outcome and error; without keys, bins, values or credentials."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import TOLERANCE_NS, TOLERANCE_PART
from test_cli import raw

pytestmark = pytest.mark.live

ADD_ONE, FAIL = "notes.add", "notes.fail"
SECRETS = "secret", "sesame", "stranger"


def op(operation, status=None, rows=None, group="users", size=None, procedure=None, text=None, fails=True):
    return (operation, group, status, rows, status if fails else None, size, procedure, text)


def answer(operation, status, rows=None):
    """No failure: the record is not there, or is, or is another one."""
    return op(operation, status, rows, fails=False)


def said(s):
    return (s["db.operation.name"], s["db.collection.name"], s["db.response.status_code"], s["db.response.returned_rows"], s["error.type"], s["db.operation.batch.size"], s["db.stored_procedure.name"],
            s["db.query.text"])


def info(text, status=None):
    return op("INFO", status, group=None, text=text)


def times(n, step, truth):
    return [(step, truth)] * n


PYTHON_RECORDS = [
    *times(11, "put", op("PUT")), *times(7, "get", op("GET", rows=1)), *times(5, "none", answer("GET", "2", 0)), ("exists", op("EXISTS")), ("put again", answer("PUT", "5")),
    ("update none", answer("PUT", "2")), ("other generation", answer("PUT", "3")), *times(3, "increment", op("ADD")), ("append", op("APPEND")), ("prepend", op("PREPEND")),
    ("select", op("GET", rows=1)), *times(3, "not a number", op("ADD", "12")), ("touch", op("TOUCH")), ("operate", op("OPERATE")), *times(3, "forbidden", op("PUT", "22", group="forbidden")),
    ("function", op("UDF", procedure=ADD_ONE)), ("function that fails", op("UDF", "100", procedure=FAIL)), ("slow put", op("PUT", group="slow")), ("slow get", op("GET", rows=1, group="slow")),
    ("big put", op("PUT")), ("big get", op("GET", rows=1)), ("no set", op("PUT", group=None)), ("remove big", op("DELETE")), ("remove none", answer("DELETE", "2")),
]
PYTHON_MANY = [
    *times(12, "fill", op("PUT")), ("batch", op("BATCH", rows=13, size=17)), ("batch of two sets", op("BATCH", rows=2, size=2, group=None)),
    ("batch that writes", op("BATCH", "22", 2, size=3, group=None)), ("batch of reads", op("BATCH", rows=2, size=2)), ("scan", op("SCAN", rows=13)), ("query", op("QUERY", rows=13)),
    ("query of nothing", op("SCAN", rows=0, group="nothing")), ("busy", op("SCAN", "15", group="busy")), *times(3, "info", info("sets")), ("unknown info", info("no-such-thing", "4")),
]
PYTHON = PYTHON_RECORDS + PYTHON_MANY
GO = [
    *times(7, "put", op("PUT")), *times(5, "get", op("GET", rows=1)), *times(3, "none", answer("GET", "2", 0)), ("exists", op("EXISTS")), ("does not exist", answer("EXISTS", "2")),
    ("header", op("EXISTS")), ("put again", answer("PUT", "5")), ("other generation", answer("PUT", "3")), ("add", op("ADD")), ("append", op("APPEND")), ("prepend", op("PREPEND")),
    *times(3, "not a number", op("ADD", "12")), ("touch", op("TOUCH")), ("operate", op("OPERATE")), ("function", op("UDF", procedure=ADD_ONE)),
    ("function that fails", op("UDF", "100", procedure=FAIL)), ("slow put", op("PUT", group="slow")), ("big put", op("PUT")), ("big get", op("GET", rows=1)), ("delete", op("DELETE")),
    ("delete none", answer("DELETE", "2")), *times(11, "fill", op("PUT")), ("batch", op("BATCH", rows=12, size=17)), ("batch of two sets", op("BATCH", rows=2, size=2, group=None)),
    ("batch that only asks", op("BATCH", rows=12, size=17)), ("scan", op("SCAN", rows=12)), ("busy", op("SCAN", "15", group="busy")), ("query", op("QUERY", rows=12)),
]
LOGINS = Counter({op("LOGIN", group=None): 1, op("LOGIN", "60", group=None): 1})


def is_asked(s):
    """Not what a library asks for itself, as often as it likes, to know the cluster."""
    return s["db.operation.name"] not in ("LOGIN", "AUTHENTICATE") and (s["db.operation.name"] != "INFO" or s["db.query.text"] in ("sets", "no-such-thing"))


def asked(spans, kind):
    return sorted((s for s in spans if s.kind == kind and is_asked(s)), key=lambda s: s.start_ns)


def check(spans, truth, driver_pid, server_port):
    """Both ends, in order, and what is true of all spans. Returns the client's of requests that the driver makes."""
    ends = [asked(spans, kind) for kind in (CLIENT, SERVER)]
    for side in ends:
        for i, (s, (step, expected)) in enumerate(zip(side, truth)):
            assert said(s) == expected, f"number {i}, {step}: {said(s)} for {expected}\n{describe(side)}"
        assert len(side) == len(truth), describe(side[len(truth):])
    client = {s.span_id: s for s in spans if s.kind == CLIENT}
    for s in spans:
        assert s["db.system.name"] == "aerospike" and s["server.port"] == server_port and s["network.protocol.name"] in (None, "aerospike")
        assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET), describe([s])
        # What tends the cluster is left in its middle when a library closes.
        assert s["plumb.incomplete"] is None or not is_asked(s), describe([s])
        assert (s.pid == driver_pid) == (s.kind == CLIENT)
        for secret in SECRETS:
            assert secret not in str(s.raw), describe([s])
    for s in ends[1]:
        assert s.parent_id in client and client[s.parent_id].trace_id == s.trace_id and said(client[s.parent_id]) == said(s), describe([s])
        if s["db.operation.name"] not in ("INFO", "BATCH"):
            assert s["db.namespace"] == "test" and s.name == " ".join(filter(None, (s["db.operation.name"], s["db.collection.name"] or s["db.stored_procedure.name"] or "test"))), describe([s])
    return ends[0]


def check_measured(side, steps, truth):
    """No span is longer than its step, and those that wait have waited."""
    measured = {}
    for step in steps:
        measured.setdefault(step["what"], []).append(step["ns"])
    for span, (step, _) in zip(side, truth):
        ns = measured[step].pop(0)
        assert span.duration_ns <= ns + max(TOLERANCE_NS, ns * TOLERANCE_PART), f"{step}: span {span.duration_ns / 1e6:.3f} ms, measured {ns / 1e6:.3f} ms"
        assert not step.startswith("slow") or span.duration_ns >= 97_000_000


# Of a batch its library tells apart which records failed; that a record is not there may be what was asked.
NO_ERROR = {"batch that writes", "does not exist", "delete none"}


def check_errors(steps, truth):
    assert [s["error"] for s in steps[:len(truth)]] == ["" if step in NO_ERROR else expected[2] or "" for step, expected in truth]


@pytest.mark.parametrize("mode", ["", "packed"])
def test_python(start, plumb, mode):
    server = start(servers.start_python, app="aerospiked.py")
    driver = python_driver(start.folder(), "aerospike_driver.py", server.port, mode)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    check_errors(steps, PYTHON)
    p.wait_spans(2 * len(PYTHON), is_asked)
    spans = p.finish()
    check_measured(check(spans, PYTHON, driver.pid, server.port), steps, PYTHON)
    logins = Counter(said(s) for s in spans if s["db.operation.name"] == "LOGIN" and s.kind == CLIENT)
    assert logins == (Counter() if mode else LOGINS), logins


def test_go(start, plumb):
    server = start(servers.start_python, app="aerospiked.py")
    driver = go_driver(start.folder(), "aerodriver", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    check_errors(steps, GO)
    p.wait_spans(2 * len(GO), is_asked)
    check_measured(check(p.finish(), GO, driver.pid, server.port), steps, GO)


def test_connections_older_than_plumb(start, plumb):
    """Nothing that is said at their start is needed later."""
    server = start(servers.start_python, app="aerospiked.py")
    driver = python_driver(start.folder(), "aerospike_driver.py", server.port, "old")
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * len(PYTHON), is_asked)
    check(p.finish(), PYTHON, driver.pid, server.port)


def test_a_redacted_recording_keeps_the_spans(start, folder):
    server = start(servers.start_python, app="aerospiked.py")
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "aerospike_driver.py", server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans = [sorted((s for s in parse(replay(path).stdout.decode()) if s["db.operation.name"] not in ("INFO", "AUTHENTICATE")), key=lambda s: s.start_ns) for path in (plain, masked)]
    truth = [expected for _, expected in PYTHON if expected[0] != "INFO"]
    assert [said(s) for s in spans[0]][:len(truth)] == truth

    assert len(spans[0]) == len(spans[1])
    others = {}
    for a, b in zip(*(map(said, side) for side in spans)):
        assert a[:1] + a[2:6] == b[:1] + b[2:6] and a[7] is b[7] is None, (a, b)
        for shown, masked_name in ((a[1], b[1]), (a[6], b[6])):
            assert others.setdefault(shown, masked_name) == masked_name, (a, b)
    assert len(set(others.values())) == len(others) and all(a is b is None or len(a) == len(b) for a, b in others.items()), others
    for secret in (b"secret", b"users", b"notes", b"stranger", b"secret-key", b"forbidden"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
