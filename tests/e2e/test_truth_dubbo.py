# SPDX-License-Identifier: Apache-2.0
"""Apache Dubbo's server, called by its own client and by one in Go: every call has its two spans, in order, without values, with its error; heartbeats have none."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import Driver, go_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.rpc import check_calls, check_measured
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


@pytest.mark.parametrize("serialization", ["hessian2", "fastjson2"])
def test_calls_by_java(start, plumb, serialization):
    served = start(servers.start_dubbo, serialization)
    driver = java_driver(start.folder(), served.port, serialization)
    warm(driver)
    p = plumb(pids=[served.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(TRUTH))
    client, _ = check(p.finish(), TRUTH, driver, served)
    check_measured(client, steps, NAMES)
    slow = [s for s in client if s.name == "shop.Shop/pause" and s.duration_ns >= 97_000_000]
    assert slow
    assert [(s.trace_id, s.parent_id) for s in client if s.parent_id] == [TRACE]
