# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 and gRPC between programs of two languages, many streams on one connection: spans equal the truth, call by call."""
import json
import subprocess
from collections import Counter

import pytest

from harness import servers
from harness.driver import Driver, plan_23, plan_10007, Request
from harness.process import APPS, BUILD, wait_until
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe
from harness.truth import check_http, check_order

pytestmark = pytest.mark.live

# Bytes of the answers' bodies; of the others they vary with the path.
SIZES = {"big": 200_003, "chunks": 3505, "upload": 7, "fail": 3, "missing": 5, "busy": 6, "slow": 8}


def driver(folder, language, name, server, streams, plan):
    """`name` in Go and in Python. Holds its plan and waits for go()."""
    argv = {"go": [servers.go_program(f"{name}driver")], "python": [BUILD / "venv/bin/python", "-u", APPS / f"{name}_driver.py"]}[language]
    d = Driver(folder, f"{name}-{language}", [*argv, server.port, streams])
    d.write("".join(json.dumps(q) + "\n" for q in plan) + "\n")
    return d


def h2_driver(folder, language, server, streams, plan):
    return driver(folder, language, "h2", server, streams, [{"method": r.method, "path": r.path, "body": r.body} for r in plan])


def check_sizes(spans, plan):
    bodies = {r.path: r.body for r in plan}
    for s in spans:
        kind = s.path.split("/")[1]
        assert s["network.protocol.name"] == "http" and s["network.protocol.version"] == "2" and s["url.scheme"] == "http", describe([s])
        assert s["plumb.incomplete"] is None, describe([s])
        assert s["http.request.body.size"] == (bodies[s.path] or None), describe([s])
        if s["http.request.method"] == "HEAD" or s["http.response.status_code"] == 204:
            assert s["http.response.body.size"] is None, describe([s])
        elif kind in SIZES:
            assert s["http.response.body.size"] == SIZES[kind], describe([s])


def check_joined(spans, key):
    client, server = ({key(s): s for s in spans if s.kind == k} for k in (CLIENT, SERVER))
    for k, s in server.items():
        assert (s.trace_id, s.parent_id) == (client[k].trace_id, client[k].span_id), f"{k} is not one trace"
        assert s.pid != client[k].pid


@pytest.mark.parametrize("streams", [1, 11])
@pytest.mark.parametrize("language", ["go", "python"])
def test_23_requests_of_which_7_fail(start, plumb, language, streams):
    server = start(servers.start_go, app="h2d")
    plan = plan_23()
    d = h2_driver(start.folder(), language, server, streams, plan)
    p = plumb(pids=[server.pid, d.pid])
    results = d.go()
    assert [r["status"] for r in results] == [r.status for r in plan], "the client itself saw something else"
    p.wait_spans(46)
    spans = p.finish()
    assert len(spans) == 46, describe(spans, 60)
    check_order(spans)
    check_sizes(spans, plan)
    for kind in (SERVER, CLIENT):
        for path, s in check_http(spans, plan, kind).items():
            assert s["server.address"] == "127.0.0.1" and s["server.port"] == server.port
            measured = next(r["ns"] for r in results if r["path"] == path)
            assert s.duration_ns <= measured + 1_000_000, f"{path}: {s.duration_ns} ns, {measured} measured"
    check_joined(spans, lambda s: s.path)


def test_curl(start, plumb):
    """13 clients that live as long as one request takes: curl 7.88 cannot use such a connection twice."""
    curl = servers.need("curl", "curl")
    server = start(servers.start_go, app="h2d")
    plan = [Request("GET", ("items", "missing", "big", "chunks", "fail")[i % 5], 100_001 + i) for i in range(13)]
    p = plumb(pids=[server.pid])
    for r in plan:
        argv = [curl, "-s", "--http2-prior-knowledge", "-w", "%{stderr}%{http_code} %{http_version}", f"http://127.0.0.1:{server.port}{r.path}"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=60).stderr
        assert said == f"{r.status} 2", "the client itself saw something else"
    p.wait_spans(13)
    spans = p.finish()
    check_sizes(spans, plan)
    check_http(spans, plan, SERVER)
    assert len({s["network.peer.port"] for s in spans}) == 13


def test_10007_requests_on_one_connection(start, plumb):
    server = start(servers.start_go, app="h2d")
    plan = [r for r in plan_10007() if r.kind != "big"] # megabytes of what is not looked at
    d = h2_driver(start.folder(), "go", server, 97, plan)
    p = plumb(pids=[server.pid, d.pid], args=["--max-overhead", "100%"])
    results = d.go(300)
    assert [r["status"] for r in results] == [r.status for r in plan], "the client itself saw something else"
    p.wait_spans(2 * len(plan), timeout_s=30)
    spans = p.finish()
    check_order(spans)
    check_sizes(spans, plan)
    for kind in (SERVER, CLIENT):
        check_http(spans, plan, kind)


def test_streams_that_are_given_up(start, plumb):
    """13 that the client cancels, 5 that the server breaks: both ends say so, and their neighbours are whole."""
    server = start(servers.start_go, app="h2d")
    kinds = ["hang"] * 13 + ["break"] * 5 + ["items"] * 19
    plan = [Request("GET", kinds[i * 10 % 37], 100_001 + i) for i in range(37)]
    last = [Request("GET", "items", 300_001)] # behind which nothing of the others is still to be written
    d = h2_driver(start.folder(), "go", server, 37, plan + last)
    p = plumb(pids=[server.pid, d.pid])
    d.write("37\n")
    wait_until(lambda: "sent" in d.out.read_text(), "the streams", alive=d)
    assert [r.get("status", 200) for r in d.go()] == [200, 200]
    p.wait_spans(76)
    plan += last
    spans = p.finish()
    truth = {"hang": "cancel", "break": "internal_error", "items": None}
    for kind in (CLIENT, SERVER):
        mine = [s for s in spans if s.kind == kind]
        assert Counter(s.path for s in mine) == Counter(r.path for r in plan), describe(mine, 80)
        for s in mine:
            error = truth[s.path.split("/")[1]]
            assert (s["error.type"], s.status) == (error, STATUS_ERROR if error else STATUS_UNSET), describe([s])


@pytest.mark.parametrize("language", ["go", "python"])
def test_joined_in_the_middle(start, plumb, language):
    """What was put into the header tables before is not known: a span says so, and says nothing that is not true."""
    server = start(servers.start_go, app="h2d")
    before, after = [Request("GET", "items", 200_001 + i) for i in range(29)], plan_23()
    d = h2_driver(start.folder(), language, server, 3, before + after)
    d.write("29\n")
    wait_until(lambda: "sent" in d.out.read_text(), "the first requests", alive=d)
    p = plumb(pids=[server.pid, d.pid])
    results = d.go()[1:]
    assert [r["status"] for r in results] == [r.status for r in after], "the client itself saw something else"
    p.wait_spans(46)
    spans = p.finish()
    assert len(spans) == 46, describe(spans, 60)
    by_path = {r.path: r for r in after}
    for s in spans:
        # Paths are new each time, and so known; a method or a status may have come from the tables.
        r = by_path[s.path] if s.path else None # a client shows it only with the authority, which is old
        unknown = s["plumb.incomplete"] == "headers_unknown"
        assert s["plumb.incomplete"] in (None, "headers_unknown"), describe([s])
        if r:
            assert s["http.request.method"] == r.method or (unknown and s["http.request.method"] == "_OTHER"), describe([s])
            assert s["http.response.status_code"] in ((r.status, None) if unknown else (r.status,)), describe([s])
    assert {s.path for s in spans if s.kind == SERVER} == set(by_path)


# gRPC.

STATUS = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
          "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]
SERVER_ERRORS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


def call(method, number, count=1):
    return {"method": method, "number": number, "count": count, "timeout_ms": 0}


def grpc_plan():
    """All codes, all four kinds, 53 calls in a mixed order; and what came of each: code, messages sent and received."""
    calls = [(call("Price", 1000 + code), code, 1, 0) for code in range(1, 17)]
    calls += [(call("Price", n), 0, 1, 1) for n in range(1, 14)]
    calls += [(call("List", n), 0, 1, n) for n in (0, 1, 2, 7, 31, 97, 251)]
    calls += [(call("Sum", 3, n), 0, n, 1) for n in (1, 2, 11, 101, 503)]
    calls += [(call("Echo", 5, n), 0, n, n) for n in (1, 3, 13, 41, 211)]
    calls += [(call("Nope", n), 12, 1, 0) for n in range(7)]
    assert len(calls) == 53
    return [calls[i * 23 % 53] for i in range(53)]


def grpc_truth(plan, kind):
    out = Counter()
    for q, code, sent, received in plan:
        unknown = STATUS[code] == "UNIMPLEMENTED"
        failed = STATUS[code] in SERVER_ERRORS if kind == SERVER else code != 0
        out[("_OTHER" if unknown else f"plumb.test.Shop/{q['method']}", STATUS[code], sent, received, STATUS[code] if failed else None)] += 1
    return out


def grpc_statement(s):
    # The server answers a method that it does not know at the head of the call, and its message may come behind that.
    sent = max(s["plumb.rpc.request.messages"], s["rpc.method"] == "_OTHER")
    return (s["rpc.method"], s["rpc.response.status_code"], sent, s["plumb.rpc.response.messages"], s["error.type"])


@pytest.mark.parametrize("language,streams", [("go", 1), ("go", 17), ("python", 1)])
def test_grpc_calls_of_all_kinds(start, plumb, language, streams):
    server = start(servers.start_go, app="grpcd")
    plan = grpc_plan()
    d = driver(start.folder(), language, "grpc", server, streams, [q for q, *_ in plan])
    p = plumb(pids=[server.pid, d.pid])
    results = d.go()
    assert [(r["code"], r["received"]) for r in results] == [(code, received) for _, code, _, received in plan], "the client itself saw something else"
    p.wait_spans(106)
    spans = p.finish()
    check_order(spans)
    for kind in (SERVER, CLIENT):
        mine = [s for s in spans if s.kind == kind]
        truth, said = grpc_truth(plan, kind), Counter(map(grpc_statement, mine))
        assert said == truth, f"missing: {truth - said}\ntoo much: {said - truth}"
        for s in mine:
            assert s["rpc.system.name"] == "grpc" and s["server.address"] == "127.0.0.1" and s["server.port"] == server.port, describe([s])
            assert s.name == (s["rpc.method"] if s["rpc.method"] != "_OTHER" else "grpc")
            assert s["plumb.incomplete"] is None and s["http.request.method"] is None and s["url.path"] is None, describe([s])
            if s["rpc.response.status_code"] == "NOT_FOUND" and kind == CLIENT:
                assert s.message == "", s.message
    server_parents = Counter((s.trace_id, s.parent_id) for s in spans if s.kind == SERVER)
    assert server_parents == Counter((s.trace_id, s.span_id) for s in spans if s.kind == CLIENT), "not one trace for each call"


@pytest.mark.parametrize("language", ["go", "python"])
def test_grpc_deadlines(start, plumb, language):
    """7 calls that the client gives up after 61 ms, before 12 that have time enough."""
    server = start(servers.start_go, app="grpcd")
    plan = [call("Price", 2000) | {"timeout_ms": 61} if i < 7 else call("Price", i) | {"timeout_ms": 30_000} for i in range(19)]
    d = driver(start.folder(), language, "grpc", server, 5, plan)
    p = plumb(pids=[server.pid, d.pid])
    results = d.go()
    assert Counter(r["code"] for r in results) == {0: 12, 4: 7}, "the client itself saw something else"
    p.wait_spans(38)
    spans = p.finish()
    for kind in (SERVER, CLIENT):
        mine = [s for s in spans if s.kind == kind]
        assert len(mine) == 19, describe(spans, 40)
        late = [s for s in mine if s.status == STATUS_ERROR]
        assert len(late) == 7 and all(s["error.type"] in ("cancel", "DEADLINE_EXCEEDED") for s in late), describe(late)
        for s in mine:
            want = 61_000_000 if s in late else 30_000_000_000
            # What is left of it when the headers are written; grpcio rounds up.
            assert want * 0.5 <= s["plumb.rpc.timeout"] <= want * 1.02, describe([s])
            assert s not in late or s.duration_ns >= s["plumb.rpc.timeout"] * 0.9, describe([s])
