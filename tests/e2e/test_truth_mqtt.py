# SPDX-License-Identifier: Apache-2.0
"""MQTT 5 and 3.1.1 by two of its clients: every packet that asks has its span at both ends, with its error, without payloads or passwords."""
from collections import Counter

import pytest

from harness import servers
from harness.broker import check_broker, check_measured
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CONSUMER, PRODUCER, parse
from test_cli import raw

pytestmark = pytest.mark.live


def ok(**names):
    return {(name.replace("_", " ", 1).replace("__", "/"), None, None): n for name, n in names.items()}


DENIED, FAILED = "not_authorized", "failure"
PYTHON = {
    **ok(connect=7, subscribe=1, publish_orders__new=11, publish_orders__paid=13, publish_orders__sent=7, publish_orders__traced=5, publish_orders__alias=3, publish_orders__big=1,
         publish_stock__apples=17, publish_stock__pears=5, publish_orders__many=101, publish_orders__more=53),
    ("subscribe orders/#", None, None): 1, ("unsubscribe stock/+", None, None): 1,
    ("connect", DENIED, None): 2, ("publish forbidden/x", DENIED, None): 5, ("subscribe forbidden/y", DENIED, None): 1, ("subscribe forbidden/y", FAILED, None): 1,
}
GO = {
    **ok(connect=2, publish_orders__new=13, publish_orders__paid=11, publish_orders__sent=7, publish_stock__apples=17, publish_orders__many=101, publish_orders__more=53),
    ("subscribe orders/#", None, None): 1, ("subscribe stock/+", None, None): 1, ("unsubscribe stock/+", None, None): 1,
    ("connect", DENIED, None): 3, ("subscribe forbidden/y", FAILED, None): 1,
}
OLD = {("subscribe late/#", None, None): 2, ("publish late/a", None, None): 11, ("publish late/b", None, None): 53, ("publish late/c", None, None): 7}
OLD_DELIVERED = {"deliver late/a": 22, "deliver late/b": 106, "deliver late/c": 14}


def delivered(truth):
    """What is allowed is delivered, once."""
    return {name.replace("publish", "deliver"): n for (name, error, _), n in truth.items() if name.startswith("publish") and not error}


def run(start, plumb, make_driver, app, truth):
    server = start(servers.start_mosquitto)
    driver = make_driver(start.folder(), app, server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * (sum(truth.values()) + sum(delivered(truth).values())))
    ends = check_broker("mqtt", p.finish(), truth, delivered(truth), driver.pid, server.port)
    return ends, steps


STEPS = [("once", "publish orders/paid", None), ("exactly once", "publish orders/sent", None), ("stock", "publish stock/apples", None)]


def test_paho_python(start, plumb):
    ends, steps = run(start, plumb, python_driver, "mqtt_driver.py", PYTHON)
    assert [s["error"] for s in steps if s["error"]] == ["Not authorized"] * 3
    check_measured(ends, steps, STEPS + [("stock twice", "publish stock/pears", None)])
    traced = [s for s in ends[True, PRODUCER] if s.name.endswith("orders/traced")]
    assert {(s.trace_id, s.parent_id) for s in traced} == {("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")}
    sizes = {s.name: s["messaging.message.body.size"] for s in ends[True, PRODUCER] + ends[True, CONSUMER]}
    assert sizes["publish orders/big"] == sizes["deliver orders/big"] == 300_000 and sizes["publish orders/alias"] == sizes["publish orders/traced"] == 6
    assert {s["messaging.client.id"] for s in ends[True, PRODUCER]} == {"shop", "worker", "denied"}


def test_paho_go(start, plumb):
    ends, steps = run(start, plumb, go_driver, "mqttdriver", GO)
    check_measured(ends, steps, STEPS)


def test_a_connection_older_than_plumb(start, plumb):
    """One of version 5, one of 3.1.1."""
    server = start(servers.start_mosquitto)
    driver = python_driver(start.folder(), "mqtt_old_driver.py", server.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * (sum(OLD.values()) + sum(OLD_DELIVERED.values())))
    check_broker("mqtt", p.finish(), OLD, OLD_DELIVERED, driver.pid, server.port)


def test_a_redacted_recording_keeps_the_spans(start, folder):
    server = start(servers.start_mosquitto)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "mqtt_driver.py", server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()

    def said(path):
        return Counter((s["messaging.operation.name"], s.kind, s["error.type"], s["messaging.message.body.size"]) for s in parse(replay(path).stdout.decode()))

    assert said(masked) == said(plain)
    assert sum(said(plain).values()) == sum(PYTHON.values()) + sum(delivered(PYTHON).values())
    for secret in (b"secret", b"sesame", b"apples", b"orders", b"worker"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
