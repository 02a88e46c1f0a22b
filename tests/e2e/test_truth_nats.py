# SPDX-License-Identifier: Apache-2.0
"""NATS by two of its clients: core messages, requests, JetStream; each has its span at every end it passes, with its error and without payloads or passwords."""
from collections import Counter

import pytest

from harness import servers
from harness.broker import check_broker, check_measured
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, CONSUMER, PRODUCER, parse
from test_cli import raw

pytestmark = pytest.mark.live

API = "request $JS.API."
LONE = "request_not_seen"  # a publish is over when the server refuses it

# What clients ask, as (name, error, what is not known): how often.
PYTHON = {
    ("connect", None, None): 2, ("connect", "authorization_violation", None): 2,
    ("subscribe orders.*", None, None): 1, ("subscribe svc.double", None, None): 1, ("subscribe svc.slow", None, None): 1, ("subscribe svc.crumbs", None, None): 1,
    ("subscribe forbidden.y", None, None): 1, ("subscribe forbidden.y", "permissions_violation", LONE): 1,
    ("publish orders.new", None, None): 11, ("publish orders.paid", None, None): 5, ("publish orders.big", None, None): 1,
    ("request svc.double", None, None): 108, ("request svc.nobody", "no_responders", None): 3, ("request svc.slow", None, None): 1, ("request svc.crumbs", None, None): 1,
    ("publish _INBOX.>", None, None): 2, ("publish forbidden.x", None, None): 2, ("publish forbidden.x", "permissions_violation", LONE): 2,
    (API + "STREAM.CREATE.ORDERS", None, None): 1, (API + "STREAM.INFO.NONE", "10059", None): 2, (API + "STREAM.NAMES", None, None): 1,
    (API + "CONSUMER.INFO.ORDERS.>", "10014", None): 1, (API + "CONSUMER.CREATE.ORDERS.>", None, None): 1, (API + "STREAM.DELETE.ORDERS", None, None): 1,
    ("request js.in", None, None): 13, ("request js.in", "10071", None): 3, ("pull ORDERS", None, None): 2, ("ack ORDERS", None, None): 13,
    (API + "STREAM.CREATE.KV_stock", None, None): 1, ("request $KV.stock.>", None, None): 5, (API + "STREAM.MSG.GET.KV_stock", None, None): 5,
}
PYTHON_DELIVERED = {"deliver orders.new": 11, "deliver orders.paid": 5, "deliver orders.big": 1, "deliver svc.double": 108, "deliver svc.slow": 1, "deliver svc.crumbs": 1,
                    "deliver _INBOX.>": 2, "deliver js.in": 13}
GO = {
    ("connect", None, None): 2, ("subscribe orders.*", None, None): 1, ("subscribe svc.double", None, None): 1, ("subscribe svc.slow", None, None): 1,
    ("publish orders.new", None, None): 13, ("publish forbidden.x", None, None): 1, ("publish forbidden.x", "permissions_violation", LONE): 1,
    ("request svc.double", None, None): 108, ("request svc.nobody", "no_responders", None): 3, ("request svc.slow", None, None): 1,
    (API + "STREAM.CREATE.ORDERS", None, None): 1, (API + "STREAM.NAMES", None, None): 1, (API + "CONSUMER.INFO.ORDERS.>", "10014", None): 1,
    (API + "CONSUMER.CREATE.ORDERS.>", None, None): 1, (API + "STREAM.DELETE.NONE", "10059", None): 1, (API + "STREAM.DELETE.ORDERS", None, None): 1,
    ("request js.in", None, None): 106, ("request js.in", "10071", None): 3, ("pull ORDERS", None, None): 2, ("ack ORDERS", None, None): 106,
}
GO_DELIVERED = {"deliver orders.new": 13, "deliver svc.double": 108, "deliver svc.slow": 1, "deliver js.in": 106}
OLD = {("subscribe svc.late", None, None): 1, ("publish orders.new", None, None): 11, ("request svc.late", None, None): 53, ("request svc.nobody", "no_responders", None): 3}
OLD_DELIVERED = {"deliver svc.late": 53}


def run(start, plumb, make_driver, app, truth, delivered):
    server = start(servers.start_nats)
    driver = make_driver(start.folder(), app, server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * (sum(truth.values()) + sum(delivered.values())))
    ends = check_broker("nats", p.finish(), truth, delivered, driver.pid, server.port)
    return ends, steps


STEPS = [("double", "request svc.double", None), ("nobody", "request svc.nobody", "no_responders"), ("slow", "request svc.slow", None), ("store", "request js.in", None),
         ("wrong sequence", "request js.in", "10071"), ("create", API + "STREAM.CREATE.ORDERS", None), ("delete", API + "STREAM.DELETE.ORDERS", None)]


def test_nats_py(start, plumb):
    ends, steps = run(start, plumb, python_driver, "nats_driver.py", PYTHON, PYTHON_DELIVERED)
    check_measured(ends, steps, STEPS + [("no stream", API + "STREAM.INFO.NONE", "10059")])
    named = {s.name: s for s in ends[True, PRODUCER] + ends[True, CLIENT] + ends[True, CONSUMER]}
    assert named["publish orders.big"]["messaging.message.body.size"] == 300_000
    assert named["deliver js.in"]["messaging.consumer.group.name"] == named["ack ORDERS"]["messaging.consumer.group.name"] == "packer"
    assert named["deliver _INBOX.>"]["messaging.destination.temporary"] is True and named["deliver _INBOX.>"]["messaging.destination.name"] is None
    paid = [s for s in ends[True, PRODUCER] + ends[False, PRODUCER] if s.name.endswith("orders.paid")]
    assert {(s.trace_id, s.parent_id) for s in paid} == {("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")}
    assert sorted(s["messaging.message.id"] for s in paid) == sorted([f"m{i}" for i in range(5)] * 2)
    # What is delivered with a request lasts until its answer.
    assert all(s.duration_ns >= 95_000_000 for side in ends.values() for s in side if s.name.endswith("svc.slow") and s["messaging.operation.type"])


def test_nats_go(start, plumb):
    ends, steps = run(start, plumb, go_driver, "natsdriver", GO, GO_DELIVERED)
    check_measured(ends, steps, STEPS + [("no stream", API + "STREAM.DELETE.NONE", "10059")])


def test_a_connection_older_than_plumb(start, plumb):
    server = start(servers.start_nats)
    driver = python_driver(start.folder(), "nats_old_driver.py", server.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * (sum(OLD.values()) + sum(OLD_DELIVERED.values())))
    check_broker("nats", p.finish(), OLD, OLD_DELIVERED, driver.pid, server.port)


def test_a_redacted_recording_keeps_the_spans(start, folder):
    server = start(servers.start_nats)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "nats_driver.py", server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    kept = Counter((s["messaging.operation.name"], s.kind) for s in parse(replay(masked).stdout.decode()))
    assert kept == Counter((s["messaging.operation.name"], s.kind) for s in parse(replay(plain).stdout.decode()))
    for secret in (b"secret", b"sesame", b"double", b"orders"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
