# SPDX-License-Identifier: Apache-2.0
"""Pulsar by two of its clients with a broker: what is sent, delivered, acknowledged and refused has its span at every end it passes, without payloads, properties or passwords."""
from collections import Counter

import pytest

from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, CONSUMER, PRODUCER, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import TOLERANCE_NS, check_order, close
from test_cli import raw

pytestmark = pytest.mark.live

TOPIC = "persistent://public/default/"


ALL = {None: 1}


def of(topic, **operations):
    """Operations of a topic, each with its number by error.type."""
    return Counter({(f"{name} {topic}", error): n for name, counts in operations.items() for error, n in counts.items()})


# (name, error): how often at each end. Whoever wants a producer or consumer asks how many partitions the topic has, and where it is.
PYTHON = (Counter({("connect", None): 1, ("connect", "AuthenticationError"): 1})
          + of(TOPIC + "orders", partitioned_metadata={None: 2}, lookup={None: 2}, subscribe=ALL, producer=ALL, send={None: 13 + 1 + 69}, deliver={None: 14 + 69, "nack": 3}, close_producer=ALL,
               close_consumer=ALL)
          + of(TOPIC + "events", partitioned_metadata={None: 3}, lookup={None: 3}, subscribe={None: 1, "ConsumerBusy": 1}, producer=ALL, send={None: 7}, deliver={None: 7}, unsubscribe=ALL,
               close_producer=ALL))
GO = Counter({("connect", None): 1}) + of(TOPIC + "go", partitioned_metadata={None: 3}, lookup={None: 3}, subscribe=ALL, producer={None: 2}, send={None: 58 + 3}, deliver={None: 58 + 3},
                                          close_producer={None: 2}, unsubscribe=ALL)
OLD = Counter({(f"partitioned_metadata {TOPIC}old", None): 1, ("send", None): 13, ("deliver", None): 13, ("close_producer", None): 1, ("close_consumer", None): 1})


def check(spans, truth, driver_pid, port):
    check_order(spans)
    ends = [s for s in spans if s.pid == driver_pid], [s for s in spans if s.pid != driver_pid]
    for at_client, side in zip((True, False), ends):
        said = Counter((s.name, s["error.type"]) for s in side)
        assert said == truth, f"client {at_client}: missing {truth - said}, too many {said - truth}"
        for s in side:
            delivered, sent = s.name.startswith("deliver"), s.name.startswith("send")
            kind = (CONSUMER if delivered else PRODUCER if sent else CLIENT) if at_client else (PRODUCER if delivered else SERVER)
            assert s.kind == kind and s["plumb.incomplete"] is None, describe([s])
            assert (s["messaging.system"], s["server.address"], s["server.port"]) == ("pulsar", "127.0.0.1", port), describe([s])
            assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET)
            assert not any(secret in str(s.raw) for secret in ("secret'", "sesame", "treasure")), describe([s])
    by_id = {s.span_id: s for s in spans}
    joined = [s for s in spans if s.kind in (SERVER, CONSUMER) and s.parent_id in by_id]
    for s in joined:
        other = by_id[s.parent_id]
        assert (other.name, other.trace_id, other["error.type"], other["messaging.message.id"]) == (s.name, s.trace_id, s["error.type"], s["messaging.message.id"]), describe([s, other])
        assert other.pid != s.pid, describe([s, other])
    assert len(joined) == truth.total(), describe([s for s in spans if s.kind in (SERVER, CONSUMER) and s.parent_id not in by_id])
    return ends


def run(plumb, server, driver, truth):
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * truth.total())
    return *check(p.finish(), truth, driver.pid, server.port), steps


def test_pulsar_py(start, plumb, pulsar):
    client, server, steps = run(plumb, pulsar, python_driver(start.folder(), "pulsar_driver.py", pulsar.port), PYTHON)
    for side in (client, server):
        of_trace = Counter(s.name.split()[0] for s in side if s.trace_id == "0af7651916cd43dd8448eb211c80319c")  # what the client's thread sends while it is given one may be of it, too
        assert of_trace["send"] >= 5 and of_trace["deliver"] >= 5, of_trace
        assert Counter(s["messaging.message.body.size"] for s in side if s.name == f"send {TOPIC}orders")[300_000] == 1
        assert [s["messaging.batch.message_count"] for s in side if s.name.endswith(f" {TOPIC}events") and s.name.split()[0] in ("send", "deliver")] == [5] * 14
        assert all(s["messaging.destination.subscription.name"] for s in side if s.name.startswith("deliver"))
        sent, delivered = ({s["messaging.message.id"] for s in side if s.name.startswith(what)} for what in ("send", "deliver"))
        assert sent == delivered and len(sent) == 83 + 7
    acknowledged = [s for s in client if s.name == f"deliver {TOPIC}orders"]  # of the others the client sends the acknowledgement later, or not at all
    assert all(s["plumb.time_to_first_byte"] is not None for s in acknowledged), describe([s for s in acknowledged if s["plumb.time_to_first_byte"] is None])
    sends = sorted((s for s in client if s.name == f"send {TOPIC}orders"), key=lambda s: s.start_ns)[:13]
    measured = [t["ns"] for t in steps]
    assert len(sends) == len(measured) == 13
    assert all(s.duration_ns <= ns + TOLERANCE_NS for s, ns in zip(sends, measured))
    assert sum(close(s.duration_ns, ns) for s, ns in zip(sends, measured)) >= 7


def test_go_pulsar(start, plumb, pulsar):
    client, server, _ = run(plumb, pulsar, go_driver(start.folder(), "pulsardriver", pulsar.port), GO)
    for side in (client, server):
        assert sorted(s["messaging.batch.message_count"] for s in side if s["messaging.batch.message_count"]) == [5] * 6


def test_a_connection_older_than_plumb(start, plumb, pulsar):
    """Nobody has said which topic its producer and consumer are of."""
    driver = python_driver(start.folder(), "pulsar_old_driver.py", pulsar.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    client, server, _ = run(plumb, pulsar, driver, OLD)
    for side in (client, server):
        assert all(s["plumb.time_to_first_byte"] is not None for s in side if s.name == "send"), describe(side)


def test_a_redacted_recording_keeps_the_spans(start, folder, pulsar):
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    driver = python_driver(start.folder(), "pulsar_driver.py", pulsar.port)
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[driver.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    driver.go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (Counter((s["messaging.operation.name"], s.kind, s["error.type"]) for s in parse(replay(path).stdout.decode())) for path in (plain, masked))
    assert kept == spans
    for secret in (b"secret", b"sesame", b"treasure", b"orders"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
