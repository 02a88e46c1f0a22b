# SPDX-License-Identifier: Apache-2.0
"""RocketMQ by its Java and Go clients: every request has its two spans, of clients and of brokers; messages are counted, errors named, values nowhere."""
from collections import Counter

import pytest

from harness.driver import go_driver, rocketmq_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, PRODUCER, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import check_order, close
from test_cli import raw

pytestmark = pytest.mark.live

# Asked by the libraries when they like.
BACKGROUND = {"heart_beat", "unregister_client", "get_consumer_list_by_group", "query_consumer_offset", "update_consumer_offset", "notify_consumer_ids_changed",
              "lock_batch_mq", "unlock_batch_mq", "get_max_offset", "get_min_offset", "check_client_config"}
TRACE = "0af7651916cd43dd8448eb211c80319c"


def said(s):
    return (s["messaging.operation.name"], s["messaging.destination.name"], s["messaging.destination.partition.id"], s["messaging.batch.message_count"], s["error.type"])


def broken_off(s):
    """Asked by a library that then closes the connection: the other end may have answered."""
    return s["messaging.operation.name"] in BACKGROUND | {"pull"} and (s["error.type"] == "connection_closed" or s["plumb.incomplete"] is not None)


def ends(spans, driver_pid, port):
    """What clients asked and, each behind its own, what was served; also of what a broker asked. Of what the driver did not wait for when it ended nothing is said."""
    here = [s for s in spans if s["server.port"] == port]
    served = {s.parent_id: s for s in here if s.kind == SERVER and not broken_off(s)}
    asked = sorted((s for s in here if s.kind in (CLIENT, PRODUCER)), key=lambda s: s.start_ns)
    over = {s.parent_id for s in here if s.kind == SERVER and broken_off(s)}
    left = [s for s in asked if broken_off(s) or s.span_id in over]
    left += [s for s in asked if s.pid != driver_pid and s.span_id not in served]  # a broker asks without waiting for an answer
    asked = [s for s in asked if s not in left]
    for s in left:
        served.pop(s.span_id, None)
    check_order(spans)
    missing = [s for s in here if s.kind == SERVER and s.parent_id not in {a.span_id for a in asked}]
    assert len(served) == len(asked), f"{len(asked)} asked, {len(served)} served\n{describe(missing)}"
    for s in asked:
        other = served[s.span_id]
        assert other.trace_id == s.trace_id and {s.pid == driver_pid, other.pid == driver_pid} == {True, False}
        assert (s.kind == PRODUCER) == (s["messaging.operation.type"] == "send"), describe([s])
        assert said(s) == said(other), describe([s, other])
        for one in (s, other):
            assert one["messaging.system"] == "rocketmq" and one["plumb.incomplete"] is None, describe([one])
            assert one.status == (STATUS_ERROR if one["error.type"] else STATUS_UNSET)
            assert "secret" not in str(one.raw)
    return asked


def of(spans, *operations):
    return [s for s in spans if s["messaging.operation.name"] in operations]


def links(s):
    return [(x["traceId"], x["spanId"]) for x in s.raw.get("links", [])]


def sender(i):
    return TRACE, f"b7ad6b71692033{i:02x}"


def sends(topic, queue="2"):
    return ([("send", topic, queue, None, None)] * 11 + [("send", topic, queue, 13, None)] + [("send", topic, queue, None, "MESSAGE_ILLEGAL")] * 3
            + [("send", topic, queue, None, None)] * 56 + [("send", "later", "1", None, None)])


def check_sends(asked, steps, topic):
    sent = [s for s in of(asked, "send") if s["messaging.destination.name"] in (topic, "later")]
    assert [said(s) for s in sent] == sends(topic)
    ones = [s["ns"] for s in steps if s["what"] == "one"]
    assert [(s.duration_ns, t) for s, t in zip(sent, ones) if s.duration_ns > t + 1_000_000] == []
    assert [(s.trace_id, s.parent_id) for s in sent[:11]] == [sender(i) for i in range(11)]  # their messages say so
    assert links(sent[11]) == [sender(i) for i in range(8)]
    assert [s["plumb.messaging.response_code"] for s in sent if s["error.type"]] == ["13"] * 3
    assert [s["messaging.message.body.size"] for s in sent[:11]] == [20] * 11 and sent[15]["messaging.message.body.size"] == 50_000
    assert {s["messaging.rocketmq.message.tag"] for s in sent if s["messaging.batch.message_count"] is None} == {"spring"}
    assert (sent[-1]["messaging.rocketmq.message.type"], sent[-1]["messaging.rocketmq.message.delay_time_level"]) == ("delay", 2)
    assert len({s["messaging.message.id"] for s in sent}) == 72


def test_java(start, plumb, rocketmq):
    driver = rocketmq_driver(start.folder(), rocketmq.namesrv.port)
    p = plumb(pids=[rocketmq.pid, rocketmq.namesrv.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * 5, lambda s: s["messaging.operation.name"] == "end_transaction")
    spans = p.finish()
    asked = ends(spans, driver.pid, rocketmq.port)
    check_sends(asked, steps, "orders")
    # 80 messages, three answers without any.
    pulls = of(asked, "pull")
    counts = [s["messaging.batch.message_count"] for s in pulls]
    assert [s["plumb.messaging.response_code"] for s in pulls[-3:]] == ["19", "21", "19"] and counts[-3:] == [0, 0, 0]
    assert sum(counts) == 80 and len(pulls) == sum(s["what"] in ("pull", "pull nothing", "pull beyond", "wait") for s in steps)
    assert {(s["messaging.operation.type"], s["messaging.consumer.group.name"], s["error.type"]) for s in pulls} == {("receive", "billing", None)}
    assert pulls[-1].duration_ns > 990_000_000 and close(pulls[-1].duration_ns, next(s["ns"] for s in steps if s["what"] == "wait"))
    assert links(pulls[0]) == [sender(i) for i in range(counts[0])]
    # A transaction that the client did not decide: the broker asks.
    trades = [s for s in of(asked, "send") if s["messaging.destination.name"] == "trades"]
    assert [s["messaging.rocketmq.message.type"] for s in trades] == ["transaction"] * 4
    # ... every second, until it has taken the answer.
    checks = of(asked, "check_transaction_state")
    assert checks and {s.pid for s in checks} == {rocketmq.pid}
    assert 5 <= len(of(asked, "end_transaction")) <= 4 + len(checks)
    assert {s.pid for s in of(asked, "notify_consumer_ids_changed")} <= {rocketmq.pid}
    other = {s["messaging.operation.name"] for s in asked} - BACKGROUND
    assert other == {"send", "pull", "end_transaction", "check_transaction_state"}
    # The name server's connections.
    routes = [s for s in spans if s["server.port"] == rocketmq.namesrv.port and s["messaging.operation.name"] == "get_routeinfo_by_topic"]
    assert {s["messaging.destination.name"] for s in routes} >= {"orders", "trades"}
    assert Counter(s.span_id for s in routes if s.kind == CLIENT) == Counter(s.parent_id for s in routes if s.kind == SERVER)


def test_go(start, plumb, rocketmq):
    driver = go_driver(start.folder(), "rocketmqdriver", rocketmq.namesrv.port)
    p = plumb(pids=[rocketmq.pid, driver.pid])
    steps = driver.go()
    assert sum("CODE: 13" in s["error"] for s in steps) == 3 == sum(s["error"] != "" for s in steps)
    p.wait_spans(2 * (7 + 1 + 3 + 5 + 53), lambda s: s["messaging.operation.name"] == "send")
    asked = ends(p.finish(), driver.pid, rocketmq.port)
    sent = of(asked, "send")
    truth = [(None, None)] * 7 + [(13, None)] + [(None, "MESSAGE_ILLEGAL")] * 3 + [(None, None)] * 58
    assert [(s["messaging.batch.message_count"], s["error.type"]) for s in sent] == truth
    assert {s["messaging.destination.name"] for s in sent} == {"parcels"} and {s["messaging.destination.partition.id"] for s in sent} <= set("0123")
    assert [(s.trace_id, s.parent_id) for s in sent[:7]] == [sender(i) for i in range(7)]
    assert links(sent[7]) == [sender(i) for i in range(8)]
    pulls = of(asked, "pull")
    assert sum(s["messaging.batch.message_count"] for s in pulls if s["messaging.destination.name"] == "parcels") == 78
    assert {s["messaging.consumer.group.name"] for s in pulls} == {"depot-parcels"}
    assert {s["messaging.operation.name"] for s in asked} - BACKGROUND == {"send", "pull"}


def test_a_connection_older_than_plumb(start, plumb, rocketmq):
    driver = rocketmq_driver(start.folder(), rocketmq.namesrv.port, "old")
    driver.write("ready\n")
    wait_until(lambda: "ready\n" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[rocketmq.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(sends("old")), lambda s: s["messaging.operation.name"] == "send")
    check_sends(ends(p.finish(), driver.pid, rocketmq.port), steps, "old")


def test_a_redacted_recording_keeps_the_spans(start, folder, rocketmq):
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[rocketmq.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    go_driver(start.folder(), "rocketmqdriver", rocketmq.namesrv.port, "masked").go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (Counter((s["messaging.operation.name"], s["error.type"]) for s in parse(replay(path).stdout.decode()) if s["server.port"] == rocketmq.port)
                   for path in (plain, masked))
    assert spans == kept
    assert spans["send", "MESSAGE_ILLEGAL"] == 3 and spans["send", None] == 66
    for secret in (b"secret", b"spring"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
