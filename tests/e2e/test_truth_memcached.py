# SPDX-License-Identifier: Apache-2.0
"""Memcached by clients of its text, binary and meta protocols: every request has its two spans, in order, without values, with its error."""
import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.spans import CLIENT, SERVER, STATUS_UNSET, describe, parse
from test_cli import raw
from test_truth_db import check_measured, check_series

pytestmark = pytest.mark.live


def by_name(spans, operation):
    return [s for s in spans if s["db.operation.name"] == operation]


def trace(start, plumb, make_driver, app, truth):
    """Client spans and the driver's steps."""
    server = start(servers.start_memcached)
    driver = make_driver(start.folder(), app, server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(truth))
    client, _ = check_series(p.finish(), truth, driver.pid, server.port)
    assert {s["db.system.name"] for s in client} == {"memcached"}
    assert all("secret" not in str(s.raw) for s in client)
    return client, steps


INCR = ("INCR", "INCR user:7 ?", "CLIENT_ERROR")
SET = ("SET", "SET user:7 ?", None)
MANY = [f"piped:{i}" for i in range(0, 202, 2)]
PYMEMCACHE = (
    [SET] * 11 + [("GET", "GET user:7", None)] * 5 + [("GET", "GET user:none", None), ("SET", "SET big ?", None), ("GET", "GET big", None)]
    + [INCR] * 3 + [("SET", "SET huge ?", "SERVER_ERROR"), ("ADD", "ADD user:7 ?", None), ("GETS", "GETS user:7", None)]
    + [("CAS", "CAS user:7 ?", None)] * 2 + [("SET", f"SET piped:{i} ?", None) for i in range(101)]
    + [("GET", "GET " + " ".join(MANY[:12]) + " ...", None)]
    + [("SET", "SET n ?", None), ("INCR", "INCR n ?", None), ("TOUCH", "TOUCH n ?", None)] + [("DELETE", "DELETE n", None)] * 2 + [("VERSION", "VERSION", None)]
    # Last, as the server may read several at once, and those that wait for no answer are told first.
    + [("SET", f"SET quiet:{i} ?", None) for i in range(13)])
PYMEMCACHE_STEPS = (["set"] * 11 + ["get"] * 5 + ["get nothing", "big", "big back"] + ["not a number"] * 3 + ["too large", "add", None, "cas", "cas again"] + [None] * 101
                    + ["get many", "set number", "incr", "touch", "delete", "delete again", "last"] + [None] * 13)


def test_text_by_pymemcache(start, plumb):
    client, steps = trace(start, plumb, python_driver, "memcached_driver.py", PYMEMCACHE)
    assert [s["error"] for s in steps if s["error"]] == ["CLIENT_ERROR"] * 3 + ["SERVER_ERROR"]
    check_measured(client, PYMEMCACHE, steps, PYMEMCACHE_STEPS)
    many = next(s for s in client if s["db.operation.batch.size"])
    assert (many["db.operation.batch.size"], many["db.response.returned_rows"]) == (101, 51)
    assert [s["db.response.returned_rows"] for s in by_name(client, "GET")] == [1] * 5 + [0, 1, 51]
    assert [s["db.response.status_code"] for s in by_name(client, "CAS") + by_name(client, "ADD")] == [None, "EXISTS", "NOT_STORED"]
    assert [s["db.response.status_code"] for s in by_name(client, "DELETE")] == [None, "NOT_FOUND"]


GOMEMCACHE = (
    [SET] * 11 + [("GETS", "GETS user:7", None)] * 7 + [("GETS", "GETS user:none", None)] + [("CAS", "CAS user:7 ?", None)] * 2 + [("ADD", "ADD user:7 ?", None)]
    + [INCR] * 3 + [("GETS", "GETS user:7 user:8 user:9", None), ("TOUCH", "TOUCH user:7 ?", None)] + [("DELETE", "DELETE user:7", None)] * 2)
GOMEMCACHE_STEPS = ["set"] * 11 + ["get"] * 7 + ["get nothing", "cas", "cas again", "add"] + ["not a number"] * 3 + ["get many", "touch", "delete", "last"]


def test_text_by_gomemcache(start, plumb):
    client, steps = trace(start, plumb, go_driver, "memdriver", GOMEMCACHE)
    assert [s["error"] for s in steps if s["error"]] == ["CLIENT_ERROR"] * 3
    check_measured(client, GOMEMCACHE, steps, GOMEMCACHE_STEPS)
    assert [s["db.response.returned_rows"] for s in by_name(client, "GETS")] == [1] * 7 + [0, 1]
    assert [s["db.response.status_code"] for s in by_name(client, "CAS")] == [None, "EXISTS"]


BMEMCACHED = (
    [SET] * 11 + [("GET", "GET user:7", None)] * 5 + [("GET", "GET user:none", None), ("SET", "SET big ?", None), ("GET", "GET big", None)]
    + [("INCR", "INCR user:7 ?", "non_numeric_value")] * 3 + [("ADD", "ADD user:7 ?", None)]
    + [("SETQ", f"SETQ piped:{i} ?", None) for i in range(101)] + [("NOOP", "NOOP", None)]
    + [("GETKQ", f"GETKQ {k}", None) for k in MANY[:-1]] + [("GETK", f"GETK {MANY[-1]}", None)]
    + [("INCR", "INCR n ?", None), ("DELETE", "DELETE n", None), ("STAT", "STAT settings", None), ("GET", "GET user:7", None)])
BMEMCACHED_STEPS = (["set"] * 11 + ["get"] * 5 + ["get nothing", "big", "big back"] + ["not a number"] * 3 + ["add"] + [None] * (102 + 101)
                    + ["incr", "delete", "stats", "last"])


def test_binary_by_bmemcached(start, plumb):
    """Its requests all have the same opaque: of the quiet ones only their keys tell which were answered."""
    client, steps = trace(start, plumb, python_driver, "memcached_binary_driver.py", BMEMCACHED)
    assert len([s for s in steps if s["error"]]) == 3
    check_measured(client, BMEMCACHED, steps, BMEMCACHED_STEPS)
    hits = {s["db.query.text"] for s in by_name(client, "GETKQ") if s["db.response.returned_rows"]}
    assert hits == {f"GETKQ {k}" for k in MANY[:51]}
    assert [s["db.response.returned_rows"] for s in by_name(client, "GET")] == [1] * 5 + [0, 1, 1]
    assert [s["db.response.status_code"] for s in by_name(client, "ADD") + by_name(client, "GETK")] == ["key_exists", "key_not_found"]


META_SET = [("ms", "ms user:7 ? T? F?", None)] * 7
RAW = (
    META_SET + [("mg", "mg user:7 v k s O?", None), ("mg", "mg none v", None), ("ms", "ms user:7 ? ME", None), ("ms", "ms c3VscGh1cg== ? b", None)]
    + [("ms", f"ms piped:{i} ? q", None) for i in range(0, 101, 3)] + [("mn", "mn", None)]
    + [("mg", f"mg piped:{i} v q O?", None) for i in range(101)] + [("mn", "mn", None)]
    + [("ma", "ma n N? J? v", None), ("ma", "ma user:7", "CLIENT_ERROR"), ("_OTHER", "_OTHER", "ERROR")]
    + [("md", "md user:7 q", None), ("md", "md user:7", None), ("mn", "mn", None)] + [("mn", "mn", None)])


def test_meta(start, plumb):
    client, steps = trace(start, plumb, python_driver, "memcached_raw_driver.py", RAW)
    assert [s["error"] for s in steps if s["error"]] == ["CLIENT_ERROR", "ERROR"]
    found = [s["db.query.text"] for s in client if s["db.query.text"].startswith("mg piped:") and s["db.response.returned_rows"]]
    assert found == [f"mg piped:{i} v q O?" for i in range(0, 101, 3)]
    assert [s["db.response.returned_rows"] for s in by_name(client, "mg")[:2]] == [1, 0]
    assert [s["db.response.status_code"] for s in by_name(client, "ms")[7:9] + by_name(client, "md")] == ["NS", None, None, None]  # NF may answer either md


UDP = ([("SET", "SET user:7 ?", None, None)] + [("GET", "GET user:7", None, 1)] * 5
       + [("GET", "GET user:7 none user:7", 3, None), ("GET", "GET none", None, 0), ("mg", "mg user:7 s", None, None), ("DELETE", "DELETE user:7", None, None)])


def test_datagrams(start, plumb):
    """As for DNS, datagrams of one exchange are seen at both ends, but not joined. Of an answer of several the values are not counted."""
    server = start(servers.start_memcached)
    driver = python_driver(start.folder(), "memcached_udp_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * len(UDP))
    spans = sorted(p.finish(), key=lambda s: s.start_ns)
    for kind in (CLIENT, SERVER):
        side = [s for s in spans if s.kind == kind]
        said = [(s["db.operation.name"], s["db.query.text"], s["db.operation.batch.size"], s["db.response.returned_rows"]) for s in side]
        assert said == UDP, describe(side)
        for s in side:
            assert s.status == STATUS_UNSET and s["plumb.incomplete"] is None and (s.pid == driver.pid) == (kind == CLIENT), describe([s])
            assert s["server.port"] == server.port and "secret" not in str(s.raw)


@pytest.mark.parametrize("app, truth", [("memcached_driver.py", PYMEMCACHE), ("memcached_binary_driver.py", BMEMCACHED), ("memcached_raw_driver.py", RAW)])
def test_a_redacted_recording_keeps_the_spans(start, folder, app, truth):
    server = start(servers.start_memcached)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), app, server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (parse(replay(path).stdout.decode()) for path in (plain, masked))
    for side in (spans, kept):
        said = sorted((s["db.operation.name"], s["error.type"] or "") for s in side)
        assert said == sorted((operation, error or "") for operation, _, error in truth)
    for secret in (b"secret", b"piped", b"user"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
