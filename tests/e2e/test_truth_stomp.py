# SPDX-License-Identifier: Apache-2.0
"""STOMP by two of its clients with RabbitMQ: what is sent, delivered, acknowledged and refused has its span at every end it passes, without bodies or passwords."""
from collections import Counter

import pytest

from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, CONSUMER, PRODUCER, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import TOLERANCE_NS, check_order, close
from test_cli import raw

pytestmark = pytest.mark.live

# (name, error): how often at each end.
PYTHON = Counter({
    ("connect", None): 5, ("connect", "bad_connect"): 1,
    ("subscribe /queue/orders", None): 1, ("subscribe /queue/one", None): 1, ("subscribe /queue/two", None): 1, ("subscribe /topic/quick", None): 2, ("unsubscribe", None): 1,
    ("send /queue/orders", None): 13 + 7 + 1, ("send /queue/other", None): 3, ("send /queue/one", None): 11, ("send /queue/two", None): 11, ("send /topic/quick", None): 202,
    ("begin", None): 2, ("commit", None): 1, ("abort", None): 1, ("ack", None): 1, ("disconnect", None): 5,
    ("deliver /queue/orders", None): 18, ("deliver /queue/orders", "nack"): 3, ("deliver /queue/one", None): 11, ("deliver /queue/two", None): 11, ("deliver /topic/quick", None): 202,
    ("send /nowhere/else", None): 1, ("send /nowhere/else", "unknown_destination"): 1, ("stomp", "unknown_destination"): 1})
GO = Counter({
    ("connect", None): 2, ("subscribe /queue/go", None): 1, ("subscribe /topic/quick", None): 1, ("unsubscribe", None): 2, ("send /queue/go", None): 60,
    ("send /queue/other-go", None): 5, ("send /topic/quick", None): 1, ("begin", None): 1, ("commit", None): 1, ("disconnect", None): 1,
    ("deliver /queue/go", None): 60, ("deliver /queue/go", "nack"): 3, ("deliver /topic/quick", None): 1, ("send /nowhere/else", "unknown_destination"): 1})
OLD = Counter({("send /queue/old", None): 13, ("deliver /queue/old", None): 13, ("disconnect", None): 1})


def check(spans, truth, driver_pid, port, system="rabbitmq"):
    check_order(spans)
    ends = [s for s in spans if s.pid == driver_pid], [s for s in spans if s.pid != driver_pid]
    for at_client, side in zip((True, False), ends):
        said = Counter((s.name, s["error.type"]) for s in side)
        assert said == truth, f"client {at_client}: missing {truth - said}, too many {said - truth}"
        for s in side:
            delivered, sent = s.name.startswith("deliver"), s.name.startswith("send")
            kind = (CONSUMER if delivered else PRODUCER if sent else CLIENT) if at_client else (PRODUCER if delivered else SERVER)
            assert s.kind == kind or s.name == "stomp", describe([s])
            assert s["plumb.incomplete"] == ("request_not_seen" if s.name == "stomp" else None), describe([s])
            assert (s["messaging.system"], s["server.address"], s["server.port"]) == (system if s.name != "connect" or not s["error.type"] else "stomp", "127.0.0.1", port), describe([s])
            assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET)
            assert "secret" not in str(s.raw) and "sesame" not in str(s.raw) and "guest" not in str(s.raw), describe([s])
    by_id = {s.span_id: s for s in spans}
    joined = [s for s in spans if s.kind in (SERVER, CONSUMER) and s.parent_id in by_id]
    for s in joined:
        other = by_id[s.parent_id]
        assert (other.name, other.trace_id, other["error.type"]) == (s.name, s.trace_id, s["error.type"]) and other.pid != s.pid, describe([s, other])
    alone = [s for s in spans if s.kind in (SERVER, CONSUMER) and s.parent_id not in by_id]
    assert len(joined) == truth.total() - truth["stomp", "unknown_destination"], describe(alone)
    return ends


def run(plumb, server, driver, truth, system="rabbitmq"):
    p = plumb(pids=[*server.pids, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * truth.total())
    return *check(p.finish(), truth, driver.pid, server.port, system), steps


def test_stomp_py(start, plumb, rabbitmq_stomp):
    client, server, steps = run(plumb, rabbitmq_stomp, python_driver(start.folder(), "stomp_driver.py", rabbitmq_stomp.port), PYTHON)
    for side in (client, server):
        assert sum(s.trace_id == "0af7651916cd43dd8448eb211c80319c" for s in side) == 10  # what is sent with it, and what is delivered of that
        assert Counter(s["messaging.message.body.size"] for s in side if s.name == "send /queue/orders")[300_000] == 1
        for s in side:  # all of these were acknowledged
            assert s.name not in ("deliver /queue/orders", "deliver /queue/one", "deliver /queue/two") or s["plumb.time_to_first_byte"] is not None, describe([s])
    sure = sorted((s for s in client if s.name == "send /queue/orders" and s["plumb.time_to_first_byte"] is not None), key=lambda s: s.start_ns)
    measured = [t["ns"] for t in steps if t["what"] == "sure"]
    assert len(sure) == len(measured) == 7
    assert all(s.duration_ns <= ns + TOLERANCE_NS for s, ns in zip(sure, measured))
    assert sum(close(s.duration_ns, ns) for s, ns in zip(sure, measured)) >= 4


def test_go_stomp(start, plumb, rabbitmq_stomp):
    client, server, _ = run(plumb, rabbitmq_stomp, go_driver(start.folder(), "stompdriver", rabbitmq_stomp.port), GO)
    for side in (client, server):
        assert all(s["plumb.time_to_first_byte"] is not None for s in side if s.name in ("send /queue/go", "deliver /queue/go"))


def test_a_connection_older_than_plumb(start, plumb, rabbitmq_stomp):
    """Nobody has said which broker it is."""
    driver = python_driver(start.folder(), "stomp_old_driver.py", rabbitmq_stomp.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    client, server, _ = run(plumb, rabbitmq_stomp, driver, OLD, "stomp")
    for side in (client, server):
        assert all(s["plumb.time_to_first_byte"] is not None for s in side), describe(side)


def test_a_redacted_recording_keeps_the_spans(start, folder, rabbitmq_stomp):
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=rabbitmq_stomp.pids, args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "stomp_driver.py", rabbitmq_stomp.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (Counter((s["messaging.operation.name"], s.kind, s["error.type"]) for s in parse(replay(path).stdout.decode())) for path in (plain, masked))
    assert kept == spans
    for secret in (b"secret", b"sesame", b"guest", b"orders"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
