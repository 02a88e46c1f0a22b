# SPDX-License-Identifier: Apache-2.0
"""plumb run with real backends: Jaeger and Prometheus show what happened, no more and no less, and an outage of the collector loses nothing."""
import json
import re
import subprocess
import time
from collections import Counter
from types import SimpleNamespace

import pytest
import yaml

from harness import servers
from harness.backends import Collector, Jaeger, Prometheus, answers, get, jaeger_program, promtool
from harness.driver import Driver, Request, http_driver, plan_23
from harness.process import REPO, free_port, wait_until
from harness.servers import go_program

pytestmark = pytest.mark.live

# Not the defaults: a test need not wait for a full batch, or for seconds of back-off.
FAST = [x for s in ("interval=50ms", "retry_initial=50ms", "retry_max=200ms") for x in ("--set", f"sinks.otlp.{s}")]


class OrderRequest(Request):
    STATUS = {"order": 200}


def agent(plumb, pids, port, endpoint=None, protocol="http/protobuf", spool=None, env=None):
    """`plumb run` on these processes alone: the machine has others."""
    args = ["--metrics", f"127.0.0.1:{port}", "--spool", spool or "", *FAST]
    if endpoint:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, **(env or {})}
    return plumb(command="run", args=args, pids=pids, output=None, env=env)


def stop(p):
    status = p.stop()
    assert status == 0, f"plumb ended with {status}:\n{p.tail()}"


@pytest.fixture(scope="session")
def jaeger_binary():
    return jaeger_program()


@pytest.fixture
def shop(start, postgres, monkeypatch):
    """driver -> gateway (Python) -> stock (Node) -> Redis, gateway -> PostgreSQL; all connections but the driver's are older than plumb."""
    redis = start(servers.start_redis)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "stock")
    stock = start(servers.start_node, redis.port, app="stock.js")
    gateway = start(servers.start_python, stock.port, postgres.port, app="gateway.py", env={"OTEL_SERVICE_NAME": "gateway"})
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    return SimpleNamespace(redis=redis, stock=stock, gateway=gateway, postgres=postgres, pids=[redis.pid, stock.pid, gateway.pid, postgres.pid])


def shop_driver(start, shop, count):
    plan = [OrderRequest("GET", "order", 100_001 + i) for i in range(count)]
    driver = Driver(start.folder(), "driver", ["/usr/bin/env", "OTEL_SERVICE_NAME=driver", go_program("driver"), shop.gateway.port, 1, 0])
    driver.write("".join(json.dumps({"method": r.method, "path": r.path, "body": 0}) + "\n" for r in plan) + "\n")
    return driver, plan


def shop_shape(redis, postgres):
    """What each request of the shop makes: (kind, service, name, parent)."""
    return sorted([
        ("client", "driver", "GET", None),
        ("server", "gateway", "GET /order/{id}", ("client", "driver")),
        ("client", "gateway", "GET", ("server", "gateway")),
        ("server", "stock", "GET /stock/{id}", ("client", "gateway")),
        ("client", "stock", "INCRBY", ("server", "stock")),
        ("server", redis, "INCRBY", ("client", "stock")),
        ("client", "gateway", "SELECT", ("server", "gateway")),
        ("server", postgres, "SELECT", ("client", "gateway")),
    ], key=str)


@pytest.mark.parametrize("protocol, count", [("http/protobuf", 23), ("grpc", 101)])
def test_jaeger_shows_joined_traces(start, plumb, shop, jaeger_binary, protocol, count):
    jaeger = start(Jaeger, jaeger_binary)
    driver, plan = shop_driver(start, shop, count)
    p = agent(plumb, shop.pids + [driver.pid], free_port(), f"http://127.0.0.1:{jaeger.grpc if protocol == 'grpc' else jaeger.http}", protocol)
    results = driver.go()
    assert [r["status"] for r in results] == [200] * count
    stop(p)

    redis, postgres = "redis-server", "postgres"
    assert jaeger.services() == {"driver", "gateway", "stock", redis, postgres}
    traces = jaeger.traces("driver")
    shapes = Counter(json.dumps(sorted(t.shape(), key=str)) for t in traces)
    assert shapes == {json.dumps(shop_shape(redis, postgres)): count}
    for service in (redis, postgres, "stock", "gateway"):
        assert {t.id for t in jaeger.traces(service)} == {t.id for t in traces}, f"{service} has traces of its own"
    paths = Counter(s.tags["url.path"] for t in traces for s in t.spans if (s.kind, s.service) == ("server", "gateway"))
    assert paths == Counter(r.path for r in plan)
    assert jaeger.dependencies() == {("driver", "gateway"): count, ("gateway", "stock"): count, ("stock", redis): count, ("gateway", postgres): count}


def test_spans_reach_a_jaeger_that_starts_late(start, plumb, folder, jaeger_binary):
    """The real thing, once: until it starts, everything waits in the spool."""
    server, count = start(servers.start_python), 23
    driver = http_driver(start.folder(), server, 1, plan_23())
    port = free_port()
    p = agent(plumb, [server.pid, driver.pid], free_port(), f"http://127.0.0.1:{port}", spool=folder / "spool")
    driver.go()
    wait_until(lambda: spooled(folder / "spool") > 0, "spans in the spool", alive=p)
    jaeger = start(Jaeger, jaeger_binary, http=port)
    wait_until(lambda: spooled(folder / "spool") == 0, "drained spool", alive=p)
    stop(p)
    spans = [s for service in jaeger.services() for t in jaeger.traces(service) for s in t.spans]
    assert Counter(s.kind for s in {s.id: s for s in spans}.values()) == {"client": count, "server": count}


def spooled(folder):
    """Spans that wait, by the names of the batches: <sequence>-<spans>.batch"""
    return sum(int(f.stem.split("-")[1]) for f in folder.rglob("*.batch")) if folder.exists() else 0


def exactly_once(collector, count):
    assert len(collector.seen) == count, f"{len(collector.seen)} of {count} spans arrived"
    assert max(collector.seen.values()) == 1, f"{sum(n > 1 for n in collector.seen.values())} spans came more than once"


def items(count):
    return [Request("GET", "items", 100_001 + i) for i in range(count)]


@pytest.fixture
def collector():
    c = Collector()
    yield c
    c.away()


def test_no_collector_at_the_start(start, plumb, folder, collector):
    server, plan = start(servers.start_python), items(1009)
    driver = http_driver(start.folder(), server, 4, plan)
    p = agent(plumb, [server.pid, driver.pid], free_port(), collector.url, spool=folder / "spool")
    driver.go()
    wait_until(lambda: spooled(folder / "spool") > 0, "spans in the spool", alive=p)
    collector.here()
    wait_until(lambda: collector.spans >= 2 * len(plan), f"{2 * len(plan)} spans", alive=p)
    stop(p)
    exactly_once(collector, 2 * len(plan))
    assert spooled(folder / "spool") == 0


def test_collector_goes_away_and_comes_back(start, plumb, folder, collector):
    """Twice, in the middle of the traffic. What was taken before is not sent again."""
    server, rounds = start(servers.start_python), [items(307) for _ in range(5)]
    drivers = [http_driver(start.folder(), server, 2, plan) for plan in rounds]
    count = 2 * sum(map(len, rounds))
    p = agent(plumb, [server.pid, *(d.pid for d in drivers)], free_port(), collector.here().url, spool=folder / "spool")
    for i, driver in enumerate(drivers):
        before = collector.spans
        if i % 2:
            collector.away()
            driver.go()
            wait_until(lambda: spooled(folder / "spool") > 0, "spans in the spool", alive=p)
            assert collector.spans == before
            collector.here()
        else:
            driver.go()
            wait_until(lambda: collector.spans > before, "spans at the collector", alive=p)
    wait_until(lambda: collector.spans >= count, f"{count} spans", alive=p)
    stop(p)
    exactly_once(collector, count)
    assert spooled(folder / "spool") == 0


def test_spool_survives_a_restart(start, plumb, folder, collector):
    server, plan = start(servers.start_python), items(211)
    for _ in range(2):  # the second one adds to what it finds
        driver = http_driver(start.folder(), server, 1, plan)
        p = agent(plumb, [server.pid, driver.pid], free_port(), collector.url, spool=folder / "spool")
        driver.go()
        stop(p)
    assert spooled(folder / "spool") == 4 * len(plan)
    collector.here()
    p = agent(plumb, [server.pid], free_port(), collector.url, spool=folder / "spool")
    wait_until(lambda: collector.spans >= 4 * len(plan), f"{4 * len(plan)} spans", alive=p)
    stop(p)
    exactly_once(collector, 4 * len(plan))
    assert spooled(folder / "spool") == 0


def test_a_refusal_is_said_with_advice(start, plumb, folder):
    """A server that knows no /v1/traces: its 404 is no reason to try again, and nobody reads /metrics while setting up."""
    server, other, plan = start(servers.start_python), start(servers.start_python), items(101)
    driver = http_driver(start.folder(), server, 1, plan)
    p = agent(plumb, [server.pid, driver.pid], 0, f"http://127.0.0.1:{other.port}")
    driver.go()
    wait_until(lambda: "refused" in p.tail(), "a warning", alive=p)
    page = re.search(r"metrics: (http://127\.0\.0\.1:[1-9]\d+/metrics)\n", p.tail())  # the port that the kernel chose
    text, _ = get(page[1])
    stop(p)
    said = re.findall(r"warning: sink otlp: the collector refused (\d+) spans, which are lost \(HTTP status 404; is this the OTLP/HTTP endpoint\?", p.tail())
    assert said and sum(map(int, said)) == 2 * len(plan), p.tail()
    assert 'plumb_otlp_spans_dropped_total{sink="otlp",reason="permanent_error"}' in text


def prometheus_config(port):
    """The shipped one, pointed to this test's plumb and in more of a hurry."""
    config = yaml.safe_load((REPO / "deploy/prometheus/prometheus.yml").read_text())
    config["global"]["scrape_interval"] = "1s"
    jobs = [j for j in config["scrape_configs"] if j["job_name"] == "plumb"]
    assert len(jobs) == 1 and jobs[0]["static_configs"][0]["targets"] == ["127.0.0.1:9464"]
    jobs[0]["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
    return yaml.safe_dump(config)


def test_prometheus_counts_each_request(start, plumb, folder, collector):
    server, plan = start(servers.start_python), plan_23()
    driver = http_driver(start.folder(), server, 1, plan)
    port = free_port()
    p = agent(plumb, [server.pid, driver.pid], port, collector.here().url, spool=folder / "spool")
    driver.go()
    wait_until(lambda: collector.spans >= 46, "46 spans", alive=p)
    prometheus = start(Prometheus, prometheus_config(port))
    pid_less = "sum by (http_request_method, http_route, http_response_status_code) (http_server_request_duration_seconds_count)"
    wait_until(lambda: prometheus.query(pid_less), "scraped request counts", alive=prometheus)

    said = {(m["http_request_method"], m["http_route"], int(m["http_response_status_code"])): n for m, n in prometheus.query(pid_less)}
    assert said == Counter((r.method, r.route, r.status) for r in plan)
    failed = prometheus.query('sum(http_server_request_duration_seconds_count{error_type!=""})')
    assert [n for _, n in failed] == [sum(r.status >= 500 for r in plan)]
    client = prometheus.query("sum by (http_response_status_code) (http_client_request_duration_seconds_count)")
    assert {int(m["http_response_status_code"]): n for m, n in client} == Counter(r.status for r in plan)
    assert [n for _, n in prometheus.query('up{job="plumb"}')] == [1]

    # Exemplars travel in OpenMetrics only: that they are here says that Prometheus asked for it and understood it.
    found = prometheus.api("query_exemplars", query="http_server_request_duration_seconds_bucket", start=time.time() - 600, end=time.time() + 600)
    exemplars = [e["labels"] for series in found for e in series["exemplars"]]
    assert exemplars, "no exemplars"
    strangers = [e for e in exemplars if (e["trace_id"], e["span_id"]) not in collector.seen]
    assert not strangers, f"exemplars of spans that nobody sent: {strangers}"
    stop(p)


def test_metrics_page_is_well_formed(start, plumb, collector):
    """Both forms, live: promtool reads the text form; Prometheus' own test above reads OpenMetrics."""
    server, plan = start(servers.start_python), plan_23()
    driver = http_driver(start.folder(), server, 1, plan)
    port = free_port()
    p = agent(plumb, [server.pid, driver.pid], port, collector.here().url)
    driver.go()
    wait_until(lambda: collector.spans >= 46, "46 spans", alive=p)
    url = f"http://127.0.0.1:{port}/metrics"
    text, kind = get(url)
    assert kind.startswith("text/plain; version=0.0.4") and "http_server_request_duration_seconds_bucket" in text
    done = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, ""), done.stdout + done.stderr
    openmetrics, kind = get(url, {"Accept": "application/openmetrics-text; version=1.0.0"})
    assert kind.startswith("application/openmetrics-text; version=1.0.0") and openmetrics.endswith("# EOF\n")
    stop(p)
    assert not answers(url), "the page outlives plumb"
