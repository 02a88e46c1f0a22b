# SPDX-License-Identifier: Apache-2.0
"""Couchbase by its Python and Go libraries: every request for a document has its two spans, with its bucket, collection, outcome and error; without keys, values or credentials."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import TOLERANCE_NS
from test_cli import raw

pytestmark = pytest.mark.live

DEFAULT, SMALL = "_default._default", "parcels.small"
# What the libraries ask for themselves, as often as they like.
HOUSEKEEPING = {"hello", "sasl_list_mechs", "sasl_auth", "sasl_step", "select_bucket", "get_error_map", "get_cluster_config", "noop"}
NONE, EXISTS, PATHS = "KEY_ENOENT", "KEY_EEXISTS", "SUBDOC_MULTI_PATH_FAILURE"


def op(operation, status=None, rows=None, error=None, collection=DEFAULT):
    return (operation, collection, status, rows, error)


PYTHON = (
    [op("upsert")] * 11 + [op("get", rows=1)] * 5 + [op("get", NONE, 0)] * 3 + [op("insert", EXISTS), op("replace"), op("replace", NONE), op("replace", EXISTS), op("lookup_in"),
     op("lookup_in", PATHS), op("mutate_in"), op("mutate_in", PATHS, error=PATHS), op("touch"), op("get_and_touch", rows=1), op("get_meta"), op("get_and_lock", rows=1), op("unlock")]
    + [op("increment", "EINTERNAL", error="EINTERNAL")] * 3
    + [op("append"), op("remove"), op("upsert"), op("get", rows=1), op("get_collection_id", collection=None), op("upsert", collection=SMALL), op("get", rows=1, collection=SMALL),
       op("get", "NOT_MY_VBUCKET"), op("get", NONE, 0)])
PYTHON_AT_ONCE = Counter({op("upsert"): 101, op("get", rows=1): 51 + 1, op("get", NONE, 0): 50 + 1})


def documents(spans):
    return sorted((s for s in spans if s["db.operation.name"] not in HOUSEKEEPING), key=lambda s: s.start_ns)


def said(s):
    return (s["db.operation.name"], s["db.collection.name"], s["db.response.status_code"], s["db.response.returned_rows"], s["error.type"])


def check(spans, series, at_once, driver_pid, server_port):
    """Of each kind the spans of requests for documents: the first as in `series`, then those of `at_once` in any order."""
    ends = []
    for kind in (CLIENT, SERVER):
        side = documents(s for s in spans if s.kind == kind)
        for i, (s, truth) in enumerate(zip(side, series)):
            assert said(s) == truth, f"number {i}: {said(s)} for {truth}\n{describe(side)}"
        assert Counter(said(s) for s in side[len(series):]) == at_once, describe(side[len(series):], 9)
        ends.append(side)
    for s in spans:
        assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET), describe([s])
        assert s["db.system.name"] == "couchbase" and s["server.port"] == server_port and s["db.query.text"] is None
        # A library may close a connection on which it is still logging in.
        assert (s["plumb.incomplete"] is None or s["db.operation.name"] in HOUSEKEEPING) and (s.pid == driver_pid) == (s.kind == CLIENT), describe([s])
        assert s.name == " ".join(filter(None, (s["db.operation.name"], s["db.collection.name"] or s["db.namespace"]))), describe([s])
        for secret in ("secret", "sesame", "user:", "many:", "SCRAM"):
            assert secret not in str(s.raw), describe([s])
    for c, s in zip(*ends):
        assert c["db.namespace"] == s["db.namespace"] == "shop"
    server = {s.parent_id: s for s in ends[1]}
    for c in ends[0]:
        assert server[c.span_id].trace_id == c.trace_id and said(server[c.span_id]) == said(c), describe([c])
        own = c["plumb.db.server_duration"]  # which the server tells of nearly all
        assert own == server[c.span_id]["plumb.db.server_duration"] and (own is None or 0 <= own <= c.duration_ns + TOLERANCE_NS), describe([c])
    return ends


def check_slow(side):
    """The get that lasts 97 ms is answered behind others that were sent after it; how many these are, is the machine's."""
    slow = [s for s in side if s.duration_ns >= 97_000_000]
    assert any(s.start_ns > o.start_ns and s.end_ns < o.end_ns for o in slow for s in side), describe(side, 9)


def check_steps(client, steps, alone):
    """No span is longer than its step. alone: what the driver calls it; None for no such step."""
    measured = {}
    for step in steps:
        measured.setdefault(step["what"], []).append(step["ns"])
    for span, what in zip(client, alone):
        if what:
            ns = measured[what].pop(0)
            assert span.duration_ns <= ns + TOLERANCE_NS, f"{what}: span {span.duration_ns / 1e6:.3f} ms, measured {ns / 1e6:.3f} ms"


PYTHON_STEPS = (["upsert"] * 11 + ["get"] * 5 + ["none"] * 3 + ["insert again", "replace", "replace none", "other cas", "look up", "look up what is not there", "mutate", "mutate what is not there",
                "touch", "get and touch", "exists", None, "unlock"] + ["not a number"] * 3 + ["append", "remove", "big", "big back"])


def test_python(start, plumb):
    server = start(servers.start_couchbase)
    driver = python_driver(start.folder(), "couchbase_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * (len(PYTHON) + PYTHON_AT_ONCE.total()), lambda s: s["db.operation.name"] not in HOUSEKEEPING)
    spans = p.finish()
    client, server_side = check(spans, PYTHON, PYTHON_AT_ONCE, driver.pid, server.port)
    check_steps(client, steps, PYTHON_STEPS)
    check_slow(client)
    check_slow(server_side)
    begun = Counter(s["db.operation.name"] for s in spans if s.kind == CLIENT)
    assert min(begun[operation] for operation in ("hello", "sasl_auth", "select_bucket", "get_cluster_config")) >= 1, begun


GO = (
    [op("upsert")] * 7 + [op("get", rows=1)] * 5 + [op("get", NONE, 0)] * 3 + [op("insert", EXISTS), op("replace"), op("replace", EXISTS), op("lookup_in", PATHS), op("mutate_in"), op("touch")]
    + [op("mutate_in", PATHS, error=PATHS)] * 3 + [op("increment"), op("decrement"), op("upsert"), op("remove"), op("get_collection_id", collection=None), op("upsert", collection=SMALL),
                                                   op("get", rows=1, collection=SMALL)])
GO_AT_ONCE = Counter({op("get", rows=1): 51 + 1, op("get", NONE, 0): 50 + 1})
GO_STEPS = (["upsert"] * 7 + ["get"] * 5 + ["none"] * 3 + ["insert again", "replace", "other cas", "look up", "mutate", "touch"] + ["mutate what is not there"] * 3
            + ["increment", "decrement", "durable", "remove"])


def test_go(start, plumb):
    server = start(servers.start_couchbase)
    driver = go_driver(start.folder(), "couchdriver", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * (len(GO) + GO_AT_ONCE.total()), lambda s: s["db.operation.name"] not in HOUSEKEEPING)
    client, server_side = check(p.finish(), GO, GO_AT_ONCE, driver.pid, server.port)
    check_steps(client, steps, GO_STEPS)
    check_slow(client)
    for side in (client, server_side):
        assert [s["plumb.db.durability"] for s in side if s["db.operation.name"] == "upsert"] == [None] * 7 + ["majority", None]


def test_a_connection_older_than_plumb(start, plumb):
    """Which bucket and collections it is about was said before."""
    server = start(servers.start_couchbase)
    driver = python_driver(start.folder(), "couchbase_driver.py", server.port, "old")
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    truth = [operation[:1] + operation[2:] for operation in PYTHON] + sorted((operation[:1] + operation[2:] for operation in PYTHON_AT_ONCE.elements()), key=str)
    p.wait_spans(2 * len(truth), lambda s: s["db.operation.name"] not in HOUSEKEEPING)
    spans = p.finish()
    ends = []
    for kind in (CLIENT, SERVER):
        side = documents(s for s in spans if s.kind == kind)
        names = [(s["db.operation.name"], s["db.response.status_code"], s["db.response.returned_rows"], s["error.type"]) for s in side]
        assert names[:len(PYTHON)] + sorted(names[len(PYTHON):], key=str) == truth, describe(side)
        assert {s["db.namespace"] for s in side} == {None} and all(s["plumb.incomplete"] is None for s in side), describe(side)
        assert {s["db.collection.name"] for s in side} == {None}
        ends.append(side)
    assert {s.parent_id for s in ends[1]} == {c.span_id for c in ends[0]}


def test_a_redacted_recording_keeps_the_spans(start, folder):
    server = start(servers.start_couchbase)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "couchbase_driver.py", server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    ends = []
    for path in (plain, masked):
        side = documents(parse(replay(path).stdout.decode()))
        ends.append([said(s) for s in side])
        assert all(s["plumb.db.server_duration"] is not None for s in side if said(s)[0] == "upsert")
    assert ends[0][:len(PYTHON)] == PYTHON
    hidden = {SMALL: "x" * len(SMALL)}
    assert [(o, hidden.get(c, c), *rest) for o, c, *rest in ends[0]] == ends[1]
    for secret in (b"secret", b"user:", b"many:", b"parcels", b"SCRAM"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
