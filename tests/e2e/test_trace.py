# SPDX-License-Identifier: Apache-2.0
"""One request through three services in three languages and two databases is one trace, every span below the one that caused it."""
import subprocess

import pytest

from harness import servers
from harness.driver import Request, http_driver
from harness.plumb import PLUMB
from harness.process import APPS, BUILD, Process, free_port
from harness.spans import CLIENT, SERVER, describe, parse

pytestmark = pytest.mark.live
REQUESTS = 13


def start_shop(folder, redis_port, postgres_port, next_port):
    port = free_port()
    return servers.listening(Process("shop", [BUILD / "venv/bin/python", APPS / "shop.py", port, redis_port, postgres_port, next_port], folder), port)


def label(span):
    side = "server" if span.kind == SERVER else "client"
    return f"{span['db.system.name'] or 'http'} {side} {span['db.operation.name'] or span.path.rsplit('/', 1)[0]}"


def tree(spans):
    """The trace as nested (label, children), children in order of time."""
    by_parent, ids = {}, {s.span_id for s in spans}
    for s in spans:
        by_parent.setdefault(s.parent_id if s.parent_id in ids else "", []).append(s)

    def below(parent):
        return tuple((label(s), below(s.span_id)) for s in sorted(by_parent.get(parent, []), key=lambda s: s.start_ns))

    return below("")


def call(name, inside=()):
    """A client span, the server span below it, and what the server did."""
    system, what = name
    return (f"{system} client {what}", ((f"{system} server {what}", tuple(inside)),))


CONNECT = call(("postgresql", "CONNECT"))
WANTED = call(("http", "/shop"), [call(("redis", "INCRBY")), call(("postgresql", "SELECT")), call(("http", "/basket"), [call(("http", "/stock"))])])


def check_traces(spans, wanted):
    traces = {}
    for s in spans:
        traces.setdefault(s.trace_id, []).append(s)
    requests = [s for s in spans if s.kind == CLIENT and (s.path or "").startswith("/shop/")]
    assert len(requests) == REQUESTS, describe(spans)
    for r in sorted(requests, key=lambda s: s.start_ns):
        made = [t for t in tree(traces[r.trace_id])]
        # The connections of a thread are made by the first request that it handles.
        assert len(made) == 1 and without_connect(made[0]) == wanted, f"{r.path}:\n{draw(made)}\nwanted:\n{draw([wanted])}"
    return traces


def without_connect(node):
    name, children = node
    return (name, tuple(without_connect(c) for c in children if c[0] != CONNECT[0]))


def draw(nodes, depth=1):
    return "\n".join("  " * depth + n + ("\n" + draw(c, depth + 1) if c else "") for n, c in nodes)


def test_three_services_and_two_databases_in_one_trace(start, plumb, postgres):
    cache = start(servers.start_redis)
    stock = start(servers.start_go)
    basket = start(servers.start_node, stock.port, app="basket.js")
    shop = start(start_shop, cache.port, postgres.port, basket.port)
    plan = [Request("GET", "shop", 1000 + i) for i in range(REQUESTS)]
    driver = http_driver(start.folder(), shop, 1, plan)
    watched = [cache, stock, basket, shop, postgres, driver]
    p = plumb(pids=[w.pid for w in watched])
    results = driver.go()
    assert all(r["status"] == 200 for r in results)
    p.wait_spans(REQUESTS * 10)
    spans = p.finish()
    traces = check_traces(spans, WANTED)
    for t in traces.values():
        for s in t:
            if s.kind == SERVER and s.parent_id:
                assert s["plumb.join"] == "socket", describe([s])
    services = {s.service for s in spans}
    assert len(services) >= 5, services


def test_requests_at_the_same_time_are_not_mixed_up(start, plumb, postgres):
    """Seven connections at once: each thread's calls belong to its own request. Node's event loop cannot be told apart by its thread: not asked for here."""
    cache = start(servers.start_redis)
    stock = start(servers.start_go)
    shop = start(start_shop, cache.port, postgres.port, stock.port)
    plan = [Request("GET", "shop", 1000 + i) for i in range(REQUESTS)]
    driver = http_driver(start.folder(), shop, 7, plan)
    p = plumb(pids=[w.pid for w in [cache, stock, shop, postgres, driver]])
    results = driver.go()
    p.wait_spans(REQUESTS * 8)
    spans = p.finish()
    assert len(results) == REQUESTS
    by_id = {s.span_id: s for s in spans}
    calls = [s for s in spans if s.kind == CLIENT and s["url.full"] and "/basket/" in s.path]
    assert len(calls) == REQUESTS, describe(calls)
    for s in calls:
        assert by_id[s.parent_id].path == s.path.replace("basket", "shop"), describe([s, by_id[s.parent_id]])


def test_a_command_has_its_own_name(start, folder):
    """What is known of a program is known from its first instruction on, whatever the engine reads first."""
    server = start(servers.start_python)
    for name in ("shop", "till"):
        program = folder / f"{name}.py"
        program.write_text(f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{server.port}/items/1').read()")
        program.chmod(0o644)
        for _ in range(5):
            done = subprocess.run([PLUMB, "trace", "--metrics", "off", "--output", "otlp-json", "--", BUILD / "venv/bin/python", program], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            spans = [s for s in parse(done.stdout) if s.kind == CLIENT]
            assert [(s.service, s.path) for s in spans] == [(name, "/items/1")], done.stdout + done.stderr
