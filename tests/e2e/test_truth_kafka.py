# SPDX-License-Identifier: Apache-2.0
"""Kafka by librdkafka and franz-go: every request has its two spans, messages are counted, errors named, values nowhere."""
from collections import Counter

import pytest

from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import check_order
from test_cli import raw

pytestmark = pytest.mark.live

PRODUCER = 4
BACKGROUND = {"api_versions", "metadata"}  # asked by the libraries when they like
TRACE = "0af7651916cd43dd8448eb211c80319c"


def said(s):
    return (s["messaging.operation.name"], s["messaging.destination.name"], s["messaging.destination.partition.id"], s["messaging.batch.message_count"], s["error.type"])


def ends(spans, driver_pid, port):
    """
    The driver's spans and, each behind its own, the broker's. Nothing else is at the broker's port. What the driver did not wait for when it closed a connection may
    be answered or not.
    """
    mine = sorted((s for s in spans if s.pid == driver_pid and s["server.port"] == port), key=lambda s: s.start_ns)
    theirs = {s.parent_id: s for s in spans if s.pid != driver_pid and s.kind == SERVER and s["server.port"] == port}
    left = [s for s in mine if (s["error.type"] == "connection_closed" or s["plumb.incomplete"] == "unanswered")
            and s["messaging.operation.name"] in BACKGROUND | {"poll", "find_coordinator"}]
    mine = [s for s in mine if s not in left]
    for s in left:
        theirs.pop(s.span_id, None)
    check_order(spans)
    assert len(theirs) == len(mine), f"{len(mine)} of the driver, {len(theirs)} of the broker\n{describe(mine)}"
    for s in mine:
        other = theirs[s.span_id]
        assert s.kind != SERVER and other.trace_id == s.trace_id
        assert (s.kind == PRODUCER) == (s["messaging.operation.type"] == "send"), describe([s])
        assert said(s)[0] == said(other)[0] and said(s)[4] == said(other)[4]
        for one in (s, other):
            assert one["messaging.system"] == "kafka" and one["plumb.incomplete"] is None, describe([one])
            assert one.status == (STATUS_ERROR if one["error.type"] else STATUS_UNSET)
            assert "secret" not in str(one.raw)
    return mine, [theirs[s.span_id] for s in mine]


def check_measured(spans, steps):
    """Steps of one request each lasted as long as the driver measured, as far as nothing of the library lies between."""
    wrong = [(s.duration_ns, t) for s, t in zip(spans, steps) if s.duration_ns > t["ns"] + 1_000_000]
    assert not wrong, wrong


def links(s):
    return [(x["traceId"], x["spanId"]) for x in s.raw.get("links", [])]


ONES = [("send", "orders", "0", 1, None)] * 11
PYTHON = ([("create_topics", "orders", None, None, None), ("create_topics", "orders", None, None, "TOPIC_ALREADY_EXISTS"), ("create_topics", "bulk", None, None, None)]
          + ONES + [("send", "orders", "1", 53, None), ("send", "bulk", "0", 1, None)] + [("send", "bulk", "1", 1, "MESSAGE_TOO_LARGE")] * 3
          + [("send", "orders", "0", 13, None)] + [("send", "bulk", "1", 1, None)] * 5 + [("commit", "orders", "0", None, None)] * 3)


def test_librdkafka(start, plumb, kafka):
    driver = python_driver(start.folder(), "kafka_driver.py", kafka.port)
    p = plumb(pids=[kafka.pid, driver.pid])
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == ["TOPIC_ALREADY_EXISTS"] + ["MSG_SIZE_TOO_LARGE"] * 3
    p.wait_spans(2, lambda s: s["messaging.operation.name"] == "leave_group")
    client, server = ends(p.finish(), driver.pid, kafka.port)
    assert [said(s) for s in client if s["messaging.operation.name"] in ("create_topics", "send", "commit")] == PYTHON
    assert [said(s) for s in server if s["messaging.operation.name"] in ("create_topics", "send", "commit")] == PYTHON
    sends = [s for s in client if s["messaging.operation.name"] == "send"]
    check_measured(sends[:11], [s for s in steps if s["what"] == "one"])
    assert [s["messaging.kafka.offset"] for s in sends[:11]] == list(range(11))
    assert [s.trace_id for s in sends[:11]] == [TRACE] * 11  # their messages say so
    assert links(sends[11]) == [(TRACE, f"b7ad6b71692033{i:02x}") for i in range(7)]
    assert [s["plumb.messaging.response_code"] for s in sends if s["error.type"]] == ["10"] * 3
    assert Counter(s["messaging.client.id"] for s in sends) == {"shop": 16, "zip": 1, "quiet": 5}
    polls = [s for s in client if s["messaging.operation.name"] == "poll"]
    assert sum(s["messaging.batch.message_count"] for s in polls) == 77
    assert {s["messaging.destination.name"] for s in polls} == {"orders"} and {s["messaging.operation.type"] for s in polls} == {"receive"}
    found = {x for s in polls for x in links(s)}
    assert found >= {(TRACE, f"b7ad6b71692033{i:02x}") for i in range(7)}
    group = [s for s in client if s["messaging.operation.name"] in ("join_group", "sync_group", "commit", "leave_group", "offset_fetch")]
    assert {s["messaging.consumer.group.name"] for s in group} == {"billing"} and len({s["messaging.operation.name"] for s in group}) == 5


GO = ([("create_topics", "parcels", None, None, None), ("create_topics", "parcels", None, None, "TOPIC_ALREADY_EXISTS")]
      + [("send", "parcels", "0", 1, None)] * 7 + [("send", "parcels", "2", 13, None)] + [("poll", "parcels", "0", 7 - i, None) for i in range(7)]
      + [("poll", "parcels", "2", 13, None), ("poll", "parcels", "1", 0, None), ("poll", "parcels", "1", 0, "OFFSET_OUT_OF_RANGE"), ("heartbeat", None, None, None, "COORDINATOR_NOT_AVAILABLE")])


def test_franz_go(start, plumb, kafka):
    """Its fetches name topics by their ids."""
    driver = go_driver(start.folder(), "kafkadriver", kafka.port)
    p = plumb(pids=[kafka.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(202, lambda s: s["messaging.operation.name"] == "list_offsets")
    client, _ = ends(p.finish(), driver.pid, kafka.port)
    asked = [s for s in client if s["messaging.operation.name"] not in BACKGROUND | {"list_offsets"}]
    truth = Counter(("list_offsets", "parcels", "99" if i % 7 == 0 else str(i % 3), None, "UNKNOWN_TOPIC_OR_PARTITION" if i % 7 == 0 else None) for i in range(101))
    assert Counter(said(s) for s in client if s["messaging.operation.name"] == "list_offsets") == truth
    errors = [s["error"] for s in steps if s["error"]]
    assert errors[:2] == ["TOPIC_ALREADY_EXISTS", "OFFSET_OUT_OF_RANGE"] and len(errors) == 3
    assert [said(s) for s in asked] == GO[:-1] + [("heartbeat", None, None, None, errors[2])], describe(asked)
    assert {s["messaging.client.id"] for s in asked} == {"parcel-service"}
    assert [s["messaging.kafka.offset"] for s in asked[2:9]] == list(range(7)) and [s["messaging.kafka.offset"] for s in asked[10:17]][-1] == 6
    assert links(asked[9]) == [(TRACE, f"b7ad6b71692033{i:02x}") for i in range(8)]
    nothing, step = next(s for s in asked if s["messaging.batch.message_count"] == 0), next(s for s in steps if s["what"] == "fetch nothing")
    assert 295_000_000 <= nothing.duration_ns <= step["ns"]


def test_a_connection_older_than_plumb(start, plumb, kafka):
    driver = python_driver(start.folder(), "kafka_old_driver.py", kafka.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[kafka.pid, driver.pid])
    driver.go()
    p.wait_spans(10, lambda s: s["messaging.operation.name"] == "send")
    client, server = ends(p.finish(), driver.pid, kafka.port)
    for side in (client, server):
        assert [said(s) for s in side] == [("send", "old", "0", count, None) for count in (1, 7, 1, 13, 1)]


def test_a_redacted_recording_keeps_the_spans(start, folder, kafka):
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[kafka.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    go_driver(start.folder(), "kafkadriver", kafka.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (Counter((s["messaging.operation.name"], s["error.type"]) for s in parse(replay(path).stdout.decode()) if s["server.port"] == kafka.port)
                   for path in (plain, masked))
    assert spans == kept
    assert spans["poll", "OFFSET_OUT_OF_RANGE"] == 1 and spans["send", None] == 8
    for secret in (b"secret", b"parcel"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
