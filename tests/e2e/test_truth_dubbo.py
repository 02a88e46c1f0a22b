# SPDX-License-Identifier: Apache-2.0
"""Apache Dubbo's server, called by its own client and by one in Go: every call has its two spans, in order, without values, with its error; heartbeats have none."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import Driver, go_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.rpc import check_calls
from harness.spans import CLIENT, SERVER, describe, parse
from test_cli import raw

pytestmark = pytest.mark.live

SOLD_OUT, FAIL, BAD = "shop.Shop$SoldOut", "java.lang.IllegalStateException", "BAD_REQUEST"
# 13 oneways, 53 calls at once, whose answers come in another order.
CALLS = [("add", None)] * 11 + [("echo", None)] * 8 + [("list", None)] * 5 + [("buy", SOLD_OUT)] * 3 + [("buy", None)] + [("fail", FAIL)] * 3
STEPS = ["add"] * 11 + ["echo"] * 7 + ["big"] + ["list"] * 5 + ["sold out"] * 3 + ["buy"] + ["fail"] * 3
UNKNOWN, UNKNOWN_STEPS = [("_OTHER", BAD)] * 4, ["no method"] * 2 + ["no service"] * 2
REST = [("pause", None)] + [("note", None)] * 13 + [("ping", None)] * 2 + [("pause", None)] * 53 + [("echo", None), ("add", None)]
REST_STEPS = ["slow"] + [None] * 13 + ["ping"] * 2 + [None] * 53 + ["traced", "last"]
TRACE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def named(truth):
    return [(method if method == "_OTHER" else f"shop.Shop/{method}", error) for method, error in truth]


TRUTH, NAMES = named(CALLS + UNKNOWN + REST), STEPS + UNKNOWN_STEPS + REST_STEPS


def java_driver(folder, port, serialization, way="calls"):
    return Driver(folder, "dubbo-driver", servers.dubbo_program("Driver", port, serialization, way))


def warm(driver):
    """Its classes are loaded and its connection is there."""
    driver.write("ready\n")
    wait_until(lambda: "ready\n" in driver.err.read_text(), "warm driver", alive=driver)


def check(spans, truth, driver, served):
    for s in spans:
        status = BAD if s["rpc.method"] == "_OTHER" else None if s["rpc.method"].endswith("/note") else "OK"
        assert s["rpc.response.status_code"] == status and s["plumb.rpc.service.version"] == "1.7.0", describe([s])
    return check_calls("dubbo", spans, truth, driver.pid, served.port, clients_own={BAD})


def check_within(client, steps, names, slow="shop.Shop/pause"):
    """What a client measures has what the machine does before and behind the exchange in it; what the server waits for is in the exchange."""
    left = {}
    for step in steps:
        left.setdefault(step["what"], []).append(step["ns"])
    for span, what in zip(client, names):
        assert not what or span.duration_ns <= left[what].pop(0), describe([span])
    assert not any(left.values()), left
    pauses = sorted(s.duration_ns for s in client if s.name == slow)
    expected = [*range(1, 54), 100]
    assert len(pauses) == len(expected)
    assert [(ns, ms) for ns, ms in zip(pauses, expected) if ns < (ms - 1) * 1_000_000] == []


def by_java(folder, port, serialization="hessian2"):
    return java_driver(folder, port, serialization)


def by_go(folder, port, serialization="hessian2"):
    return go_driver(folder, "dubbodriver", port)


@pytest.mark.parametrize("client, serialization", [(by_java, "hessian2"), (by_java, "fastjson2"), (by_go, "hessian2")])
def test_calls(start, plumb, client, serialization):
    truth = [(method, error.rpartition(".")[2] if error == FAIL and serialization == "fastjson2" else error) for method, error in TRUTH]  # which has a name of its own for it
    served = start(servers.start_dubbo, serialization)
    driver = client(start.folder(), served.port, serialization)
    p = plumb(pids=[served.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(truth))
    spans, _ = check(p.finish(), truth, driver, served)
    check_within(spans, steps, NAMES)
    assert {(s.trace_id, s.parent_id) for s in spans if s.parent_id} == {TRACE}


@pytest.mark.parametrize("client", [by_java, by_go])
def test_a_connection_older_than_plumb(start, plumb, client):
    served = start(servers.start_dubbo, "hessian2")
    driver = client(start.folder(), served.port)
    warm(driver)
    p = plumb(pids=[served.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(TRUTH))
    spans, _ = check(p.finish(), TRUTH, driver, served)
    check_within(spans, steps, NAMES)


def test_callbacks(start, plumb):
    """The server asks on its client's connection, while the client waits for the answer to its own request."""
    served = start(servers.start_dubbo, "hessian2")
    driver = java_driver(start.folder(), served.port, "hessian2", "watch")
    warm(driver)
    p = plumb(pids=[served.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * 9)
    said = Counter((s.name, s.kind, s.pid == driver.pid, s["error.type"], s["plumb.incomplete"]) for s in p.finish())
    asked = {"shop.Shop/watch": (1, True), "shop.Shop/add": (1, True), "shop.Shop$Listener/changed": (7, False)}
    assert said == {(name, kind, (kind == CLIENT) == ours, None, None): n for name, (n, ours) in asked.items() for kind in (CLIENT, SERVER)}


def test_heartbeats_have_no_spans(start, plumb):
    served = start(servers.start_dubbo, "hessian2")
    driver = java_driver(start.folder(), served.port, "hessian2", "idle")
    p = plumb(pids=[served.pid, driver.pid])
    driver.write("go\n")
    p.wait_spans(2)
    wait_until(lambda: served.err.read_text().count("Received heartbeat") >= 7, "heartbeats", alive=driver)
    driver.popen.stdin.close()
    assert driver.wait(60) == 0, driver.tail()
    p.wait_spans(4)
    check_calls("dubbo", p.finish(), named([("add", None)] * 2), driver.pid, served.port)


@pytest.mark.parametrize("serialization", ["hessian2", "fastjson2"])
def test_a_redacted_recording_keeps_the_spans(start, folder, serialization):
    served = start(servers.start_dubbo, serialization)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[served.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    by_java(start.folder(), served.port, serialization).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()

    def said(path):
        spans = parse(replay(path).stdout.decode())
        return Counter((s.kind == CLIENT, s["rpc.response.status_code"], s["error.type"] is None, s["plumb.incomplete"]) for s in spans)

    assert said(masked) == said(plain)
    assert sum(said(plain).values()) == len(TRUTH)
    for secret in (b"secret", b"shop.Shop", b"steal"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
