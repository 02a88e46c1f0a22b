# SPDX-License-Identifier: Apache-2.0
"""HTTP servers of four kinds and their clients: spans equal the truth, request by request."""
import pytest

from harness import servers
from harness.driver import http_driver, plan_23, plan_10007
from harness.spans import CLIENT, SERVER, describe
from harness.truth import TOLERANCE_NS, TOLERANCE_PART, check_durations, check_http, check_order

SERVERS = {"nginx": servers.start_nginx, "python": servers.start_python, "node": servers.start_node, "go": servers.start_go}
# Bytes of the answers' bodies; what varies with the path is left out.
SIZES = {"big": 200_003, "upload": 7, "fail": 3, "missing": 5, "busy": 6}

pytestmark = pytest.mark.live


@pytest.mark.parametrize("name", SERVERS)
def test_23_requests_of_which_7_fail(start, plumb, name):
    server = start(SERVERS[name])
    plan = plan_23()
    assert (len(plan), sum(r.status >= 400 for r in plan)) == (23, 7)
    driver = http_driver(start.folder(), server, 1, plan)
    p = plumb(pids=[server.pid, driver.pid])
    results = driver.go()
    assert [r["status"] for r in results] == [r.status for r in plan], "the client itself saw something else"
    p.wait_spans(46)
    spans = p.finish()
    assert len(spans) == 46, describe(spans, 60)
    check_order(spans)
    for kind in (SERVER, CLIENT):
        by_path = check_http(spans, plan, kind)
        check_durations(by_path, results, kind)
        for s in by_path.values():
            assert s["server.address"] == "127.0.0.1" and s["server.port"] == server.port
            assert s["network.protocol.version"] == "1.1"
            size = SIZES.get(s.path.split("/")[1])
            if size:
                assert s["http.response.body.size"] in (size, None), describe([s])
    client, server_spans = ({s.path: s for s in spans if s.kind == k} for k in (CLIENT, SERVER))
    for path, s in server_spans.items():
        assert (s.trace_id, s.parent_id) == (client[path].trace_id, client[path].span_id), f"{path} is not one trace"
        assert s.pid != client[path].pid


@pytest.mark.parametrize("name", SERVERS)
def test_10007_requests_on_64_connections(start, plumb, name):
    server = start(SERVERS[name])
    plan = plan_10007()
    # Busy, but not more than plumb can take: what happens beyond that is the overload test's to say.
    driver = http_driver(start.folder(), server, 64, plan, rate=2500)
    p = plumb(pids=[server.pid, driver.pid])
    results = driver.go(300)
    assert [r["status"] for r in results] == [r.status for r in plan], "the client itself saw something else"
    p.wait_spans(2 * len(plan), timeout_s=30)
    spans = p.finish()
    check_order(spans)
    for kind in (SERVER, CLIENT):
        check_http(spans, plan, kind)
    measured = sum(r["ns"] for r in results)
    total = sum(s.duration_ns for s in spans if s.kind == CLIENT)
    assert abs(total - measured) <= max(measured * TOLERANCE_PART, TOLERANCE_NS * len(plan)), f"{total / 1e9:.3f} s of spans for {measured / 1e9:.3f} s measured"
