# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ by its clients: what was published, delivered, fetched and refused has its spans at both ends, joined, without bodies or passwords."""
from collections import Counter

import pytest

from harness.driver import go_driver, python_driver
from harness.process import wait_until
from harness.plumb import Plumb, replay
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from test_cli import raw

pytestmark = pytest.mark.live
PRODUCER, CONSUMER = 4, 5


def named(spans):
    return Counter((s["messaging.operation.name"], s["messaging.destination.name"], s["error.type"]) for s in spans)


def check_end(spans, truth, driver_pid, port):
    for s in spans:
        assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET), describe([s])
        assert (s["server.port"], s["messaging.system"], s["plumb.incomplete"]) == (port, "rabbitmq", None), describe([s])
        assert s["server.address"] == "127.0.0.1", describe([s])
        assert "secret" not in str(s.raw) and "guest" not in str(s.raw)
        assert s["error.type"] in (None, "nack", "reject", "channel_closed", s["plumb.messaging.response_code"]), describe([s])
    got = named(spans)
    assert got == truth, f"missing {truth - got}, too many {got - truth}"


def kinds(spans, operation):
    return {s.kind for s in spans if s["messaging.operation.name"] == operation}


def check_truth(spans, truth, driver_pid, port):
    """truth: how often which (operation, destination, error). Both ends have all of it, in pairs of parent and child."""
    client, server = [s for s in spans if s.pid == driver_pid], [s for s in spans if s.pid != driver_pid]
    for end in (client, server):
        check_end(end, truth, driver_pid, port)
    assert kinds(client, "publish") | kinds(server, "deliver") == {PRODUCER}
    assert kinds(server, "publish") == {SERVER} and kinds(client, "deliver") <= {CONSUMER}
    assert kinds(client, "queue.declare") == {CLIENT} and kinds(server, "queue.declare") == {SERVER}
    ids = {s.span_id: s for s in spans}
    for s in spans:
        parent = ids.get(s.parent_id)
        if parent is None or parent.pid == s.pid:  # what is published while a delivery is not confirmed is its doing
            continue
        assert (parent["messaging.operation.name"], parent.trace_id) == (s["messaging.operation.name"], s.trace_id), describe([parent, s])
    joined = [s for s in spans if s.parent_id in ids and ids[s.parent_id].pid != s.pid]
    assert len(joined) == len(client), f"{len(joined)} of {len(client)} are joined"
    return client, server


ORDERS = "plumb.topic:orders.new", "plumb.topic:orders.paid"
TAKEN = [f"{d}:plumb.orders" for d in ORDERS]
HANDSHAKE = {("connection.start", None, None): 1, ("connection.tune", None, None): 1, ("connection.open", None, None): 1, ("connection.close", None, None): 1}
PIKA = Counter({
    **HANDSHAKE, ("channel.open", None, None): 11, ("channel.close", None, None): 9, ("confirm.select", None, None): 2,
    ("exchange.declare", "plumb.topic", None): 1, ("queue.bind", "plumb.orders", None): 1, ("qos", None, None): 1,
    ("queue.declare", "plumb.orders", None): 1, ("queue.declare", "plumb.fast", None): 1,
    ("publish", ORDERS[0], None): 13, ("publish", ORDERS[1], None): 11, ("publish", "plumb.topic:nobody", "312"): 3,
    ("consume", "plumb.orders", None): 1, ("consume", "plumb.fast", None): 1, ("cancel", None, None): 2,
    ("deliver", TAKEN[0], None): 11, ("deliver", TAKEN[0], "nack"): 1, ("deliver", TAKEN[0], "reject"): 1, ("deliver", TAKEN[1], None): 11,
    ("publish", "plumb.fast", None): 17 + 2, ("deliver", "plumb.fast", None): 17, ("get", "plumb.fast", None): 3,
    ("queue.declare", "plumb.none", "404"): 1, ("consume", "plumb.none", "404"): 1, ("queue.declare", "plumb.orders", "406"): 1, ("queue.declare", "amq.mine", "403"): 1,
    ("publish", "plumb.nothing:k", "404"): 1,
    ("publish", "plumb.nothing:k", None): 1, ("queue.declare", "plumb.fast", "channel_closed"): 2, ("channel.close", None, "404"): 1, ("channel.close", None, "406"): 1,
    ("tx.select", None, None): 1, ("publish", "plumb.orders", None): 1, ("tx.commit", None, None): 1,
    ("queue.purge", "plumb.orders", None): 1, ("queue.delete", "plumb.orders", None): 1, ("queue.delete", "plumb.fast", None): 1, ("exchange.delete", "plumb.topic", None): 1})


def run(start, plumb, rabbitmq, driver, truth):
    p = plumb(pids=[*rabbitmq.pids, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * truth.total())
    client, server = check_truth(p.finish(), truth, driver.pid, rabbitmq.port)
    return client, server, steps


def test_by_pika(start, plumb, rabbitmq):
    driver = python_driver(start.folder(), "amqp_driver.py", rabbitmq.port)
    client, server, steps = run(start, plumb, rabbitmq, driver, PIKA)
    assert [s["error"] for s in steps if s["error"]] == ["312"] * 3 + ["404", "404", "406", "403", "404", "404", "406"]
    for end in (client, server):
        sizes = Counter(s["messaging.message.body.size"] for s in end if s["messaging.operation.name"] == "get")
        assert sizes == {300_000: 1, 0: 1, None: 1}
        named = {s["messaging.message.id"] for s in end if s["messaging.operation.name"] == "deliver"}
        assert named == {f"m{i}" for i in range(13)} | {None}
        assert sorted(s["messaging.rabbitmq.message.delivery_tag"] for s in end if s["messaging.destination.name"] in TAKEN) == list(range(1, 25))
        carried = [s for s in end if s.trace_id == "0af7651916cd43dd8448eb211c80319c"]
        assert len(carried) == 13 + 13


GO_QUEUES = "plumb.go1", "plumb.go2", "plumb.go3"
GO = Counter({
    **HANDSHAKE, ("channel.open", None, None): 1 + 6 + 3 + 1 + 2, ("channel.close", None, None): 6 + 3 + 1 + 2, ("confirm.select", None, None): 6, ("qos", None, None): 4,
    **{("queue.declare", q, None): 1 for q in GO_QUEUES}, **{("queue.delete", q, None): 1 for q in GO_QUEUES}, **{("publish", q, None): 101 + 5 for q in GO_QUEUES},
    **{("consume", q, None): 1 for q in GO_QUEUES}, **{("deliver", q, None): 101 for q in GO_QUEUES}, ("get", "plumb.go1", None): 5,
    ("queue.declare", "plumb.none", "404"): 1, ("queue.declare", "amq.mine", "403"): 1})
GO["consume", "plumb.go2", None] += 1
GO["deliver", "plumb.go2", None] += 5


def test_by_amqp091_go(start, plumb, rabbitmq):
    """Several channels publish, and take what is delivered, at once: answered are all of them, each by its own number."""
    driver = go_driver(start.folder(), "amqpdriver", rabbitmq.port)
    client, server, steps = run(start, plumb, rabbitmq, driver, GO)
    assert [s["error"] for s in steps if s["error"]] == ["404", "403"]
    for end in (client, server):
        assert Counter(s["messaging.message.body.size"] for s in end if s["messaging.operation.name"] == "publish") == {97: 303, 20_011: 15}
        for s in end:
            confirmed = s["messaging.operation.name"] == "publish" or (s["messaging.operation.name"] == "deliver" and s["messaging.destination.name"] != "plumb.go3")
            assert not confirmed or s["plumb.time_to_first_byte"] is not None, describe([s])


JOINED = Counter({
    ("publish", "plumb.old", None): 13 + 11, ("publish", "plumb.quick", None): 7, ("deliver", "plumb.old", None): 13 + 11, ("deliver", "plumb.quick", None): 7,
    ("queue.declare", "plumb.old", None): 1, ("channel.open", None, None): 1, ("confirm.select", None, None): 1, ("cancel", None, None): 2, ("get", "plumb.old", None): 3,
    ("queue.declare", "plumb.none", "404"): 1, ("channel.close", None, None): 4, ("queue.delete", "plumb.old", None): 1, ("queue.delete", "plumb.quick", None): 1,
    ("connection.close", None, None): 1})


def test_on_a_connection_older_than_plumb(start, plumb, rabbitmq):
    driver = python_driver(start.folder(), "amqp_old_driver.py", rabbitmq.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    client, server, _ = run(start, plumb, rabbitmq, driver, JOINED)
    for end in (client, server):
        answered = Counter((s["messaging.operation.name"], s["messaging.destination.name"]) for s in end if s["plumb.time_to_first_byte"] is not None)
        assert answered["deliver", "plumb.old"] == 24 and not answered["deliver", "plumb.quick"]
        assert answered["publish", "plumb.old"] == 11 and answered["publish", "plumb.quick"] == 7, "of the old channel it is not known that it confirms"


def test_a_redacted_recording_keeps_the_spans(start, folder, rabbitmq):
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=rabbitmq.pids, args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "amqp_driver.py", rabbitmq.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    truth = Counter()
    for (operation, _, error), times in PIKA.items():
        truth[operation, error] += times
    for path in (plain, masked):
        spans = parse(replay(path).stdout.decode())
        assert Counter((s["messaging.operation.name"], s["error.type"]) for s in spans) == truth
        assert all(s["plumb.incomplete"] is None for s in spans)
    for secret in (b"secret", b"guest", b"plumb.topic"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
