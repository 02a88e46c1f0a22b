# SPDX-License-Identifier: Apache-2.0
"""FastCGI: PHP-FPM behind nginx, whose spans join those of its own clients, and Go's server with requests that share a connection."""
from collections import Counter

import pytest

from harness import php, servers
from harness.driver import http_driver, plan_23, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, SERVER, describe, parse
from harness.truth import TOLERANCE_NS, check_durations, check_http, check_order
from test_cli import raw

pytestmark = pytest.mark.live


def of_fastcgi(spans):
    return [s for s in spans if s["network.protocol.name"] == "fastcgi"]


@pytest.mark.parametrize("keep, unix", [(False, False), (True, False), (False, True), (True, True)], ids=["close", "keep", "unix", "unix-keep"])
def test_php_fpm_behind_nginx(start, plumb, keep, unix):
    fpm = start(php.start_php_fpm, unix)
    nginx = start(php.start_nginx_of_php, fpm.listen, keep)
    plan = plan_23()
    driver = http_driver(start.folder(), nginx, 1, plan)
    p = plumb(pids=[*fpm.pids, *nginx.pids, driver.pid])
    results = driver.go()
    assert [r["status"] for r in results] == [r.status for r in plan], "the client itself saw something else"
    p.wait_spans(4 * len(plan))
    spans = p.finish()
    assert len(spans) == 4 * len(plan), describe(spans, 100)
    check_order(spans)
    inner, outer = of_fastcgi(spans), [s for s in spans if s["network.protocol.name"] == "http"]
    ends = [check_http(side, plan, kind) for side in (outer, inner) for kind in (CLIENT, SERVER)]
    for path, first in ends[0].items():
        chain = [end[path] for end in ends]
        assert {s.trace_id for s in chain} == {first.trace_id}, describe(chain)
        assert [s.parent_id for s in chain[1:]] == [s.span_id for s in chain[:-1]], describe(chain)
        assert chain[2].pid in nginx.pids and chain[3].pid in fpm.pids
        for s in chain[2:]:
            assert s["server.address"] == "127.0.0.1" and s["plumb.incomplete"] is None and "secret" not in str(s.raw), describe([s])
            size = {"big": 200_003, "items": 17, "slow": 6, "chunks": 40}.get(path.split("/")[1])
            if size and s["http.request.method"] not in ("HEAD", "DELETE"):
                assert s["http.response.body.size"] == size, describe([s])
        assert chain[3]["client.address"] == "127.0.0.1" and chain[2]["network.transport"] == ("unix" if unix else None)
    # nginx lies between them and who measured.
    for r in results:
        for s in (ends[2][r["path"]], ends[3][r["path"]]):
            assert (97_000_000 if "/slow/" in r["path"] else 0) <= s.duration_ns <= r["ns"] + r["waited_ns"] + TOLERANCE_NS, describe([s])


STATUS = {"items": 200, "missing": 404, "fail": 500, "busy": 503, "big": 200, "slow": 200, "upload": 201}
TIMES = {"items": 11 + 3, "missing": 3, "fail": 2, "busy": 1, "big": 2, "slow": 1 + 4, "upload": 3}
TRACE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def truth(kind):
    return Counter({(name, STATUS[name], str(STATUS[name]) if STATUS[name] >= (500 if kind == SERVER else 400) else None): n for name, n in TIMES.items()})


def said(spans, kind):
    return Counter((s["url.path" if kind == SERVER else "url.full"].split("/")[1 if kind == SERVER else 3], s["http.response.status_code"], s["error.type"]) for s in spans if s.kind == kind)


def check_shared(p, server, driver, results):
    total = sum(TIMES.values())
    p.wait_spans(2 * total)
    spans = p.finish()
    check_order(spans)
    for kind in (CLIENT, SERVER):
        assert said(spans, kind) == truth(kind), describe(spans, 70)
    client = {s["url.full"].removeprefix("http://shop.example").split("?")[0]: s for s in spans if s.kind == CLIENT}
    server_spans = {s["url.path"]: s for s in spans if s.kind == SERVER}
    assert len(spans) == 2 * total and len(client) == len(server_spans) == total
    for path, c in client.items():
        s = server_spans[path]
        assert (c.trace_id, c.parent_id) == TRACE and (s.trace_id, s.parent_id) == (TRACE[0], c.span_id), describe([c, s])
        assert c.pid == driver.pid and s.pid == server.pid
        for x in (c, s):
            assert x["network.protocol.name"] == "fastcgi" and x["plumb.incomplete"] is None, describe([x])
            assert "=secret" not in str(x.raw) and "secret" not in str({k: v for k, v in x.attrs.items() if not k.startswith("url.")}), describe([x])
            if "upload" in path:
                assert x["http.request.body.size"] == 120_000
            if "slow" in path:
                assert x.duration_ns >= 97_000_000, describe([x])
        assert s["client.address"] == "192.0.2.7"
    check_durations(client, [{**r, "waited_ns": 0} for r in results], CLIENT)


def test_requests_that_share_a_connection(start, plumb):
    server = start(servers.start_go, app="fcgid")
    driver = python_driver(start.folder(), "fcgi_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    check_shared(p, server, driver, driver.go())


def test_a_connection_older_than_plumb(start, plumb):
    server = start(servers.start_go, app="fcgid")
    driver = python_driver(start.folder(), "fcgi_driver.py", server.port)
    driver.write("ready\n")
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    check_shared(p, server, driver, driver.go())


def test_a_redacted_recording_keeps_the_spans(start, folder):
    fpm = start(php.start_php_fpm)
    nginx = start(php.start_nginx_of_php, fpm.listen, False)
    plan = plan_23()
    driver = http_driver(start.folder(), nginx, 1, plan)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    pids = [*fpm.pids, *nginx.pids]
    recorder = [Plumb(start.folder(), command="record", output=None, pids=pids, args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    driver.go()
    for r in recorder:
        assert r.stop() == 0, r.tail()

    def told(path):
        return Counter((s.kind, s["http.request.method"], s["http.response.status_code"], s["error.type"]) for s in of_fastcgi(parse(replay(path).stdout.decode())))

    assert told(masked) == told(plain)
    assert sum(told(plain).values()) == 2 * len(plan)
    for secret in (b"secret", b"SCRIPT_FILENAME", b"fpm.php"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
