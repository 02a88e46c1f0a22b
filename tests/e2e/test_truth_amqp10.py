# SPDX-License-Identifier: Apache-2.0
"""AMQP 1.0 by its clients: what was sent, delivered, settled and refused has its spans at both ends, joined, without bodies or passwords."""
import contextlib
import importlib.util
import socket
from collections import Counter

import pytest

from harness.driver import go_driver, python_driver
from harness.process import APPS, BUILD, accepts, free_port, wait_until
from harness.plumb import Plumb, replay
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from test_cli import raw

pytestmark = [pytest.mark.live, pytest.mark.skipif(importlib.util.find_spec("proton") is None, reason="Qpid Proton is not installed: it could not be compiled")]
PRODUCER, CONSUMER = 4, 5
OUTCOMES = "rejected", "released", "modified"


def named(spans):
    return Counter((s["messaging.operation.name"], s["messaging.destination.name"], s["error.type"]) for s in spans)


def check_end(spans, truth, port, system):
    for s in spans:
        assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET), describe([s])
        assert (s["server.address"], s["server.port"], s["plumb.incomplete"]) == ("127.0.0.1", port, None), describe([s])
        assert s["messaging.system"] == ("amqp" if s["error.type"] == "auth" else system), describe([s])
        assert "secret" not in str(s.raw) and "guest" not in str(s.raw), describe([s])
    got = named(spans)
    got.pop(RACE, None)
    assert got == truth, f"missing {truth - got}, too many {got - truth}"


# RabbitMQ takes the end of a session that it has ended itself for one of another session, which fails, unless the connection closes before that.
RACE = "close", None, "amqp:internal-error"


def kinds(spans, operation):
    return {s.kind for s in spans if s["messaging.operation.name"] == operation}


def check_truth(spans, truth, driver_pid, port, system="rabbitmq"):
    """truth: how often which (operation, destination, error). Both ends have all of it, in pairs of parent and child."""
    client, server = [s for s in spans if s.pid == driver_pid], [s for s in spans if s.pid != driver_pid]
    for end in (client, server):
        check_end(end, truth, port, system)
    assert kinds(client, "send") <= {PRODUCER} and kinds(server, "deliver") <= {PRODUCER}
    assert kinds(server, "send") <= {SERVER} and kinds(client, "deliver") <= {CONSUMER}
    assert kinds(client, "attach") <= {CLIENT} and kinds(server, "attach") <= {SERVER}
    ids = {s.span_id: s for s in spans}
    for s in spans:
        parent = ids.get(s.parent_id)
        if parent is None or parent.pid == s.pid:  # what is sent while a delivery is not settled is its doing
            continue
        assert (parent["messaging.operation.name"], parent.trace_id) == (s["messaging.operation.name"], s.trace_id), describe([parent, s])
    joined = [s for s in spans if s.parent_id in ids and ids[s.parent_id].pid != s.pid]
    assert len(joined) == len(client), f"{len(joined)} of {len(client)} are joined"
    return client, server


def run(plumb, broker, driver, truth, **named):
    p = plumb(pids=[*broker.pids, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * truth.total())
    client, server = check_truth(p.finish(), truth, driver.pid, broker.port, **named)
    return client, server, steps


def sizes(spans, operation):
    return Counter(s["messaging.message.body.size"] for s in spans if s["messaging.operation.name"] == operation)


TEN, QUICK, NOBODY = "/queue/plumb.ten", "/queue/plumb.quick", "/exchange/amq.topic/plumb.nobody"
PROTON = Counter({
    ("open", None, None): 3, ("open", None, "auth"): 1, ("attach", TEN, None): 3, ("attach", QUICK, None): 2, ("attach", NOBODY, None): 1,
    ("send", TEN, None): 13 + 11 + 2, ("send", NOBODY, None): 3, ("send", QUICK, None): 17, ("deliver", QUICK, None): 17,
    ("deliver", TEN, None): 22 + 2, ("deliver", TEN, "rejected"): 2,
    ("attach", "/amq/queue/plumb.none", "amqp:not-found"): 1, ("end", None, "amqp:not-found"): 1,
    ("attach", "/nonsense/plumb", "amqp:invalid-field"): 1, ("end", None, "amqp:invalid-field"): 1})


def test_by_proton(start, plumb, rabbitmq):
    driver = python_driver(start.folder(), "amqp10_driver.py", rabbitmq.port)
    client, server, steps = run(plumb, rabbitmq, driver, PROTON)
    assert [s["error"] for s in steps if s["error"]] == ["amqp:not-found", "amqp:invalid-field", "connection"]
    for end in (client, server):
        assert {s["messaging.message.id"] for s in end if s["messaging.operation.name"] == "send"} == {f"m{i}" for i in range(13)} | {None}
        assert len([s for s in end if s.trace_id == "0af7651916cd43dd8448eb211c80319c"]) == 13 + 13
        assert sizes(end, "send")[300_000] == sizes(end, "deliver")[300_000] == 1 and sizes(end, "send")[0] == 1
        for s in end:
            settled = s["messaging.operation.name"] in ("send", "deliver") and s["messaging.destination.name"] != QUICK
            assert not settled or s["plumb.time_to_first_byte"] is not None, describe([s])


GO_QUEUES = "/queue/plumb.ten1", "/queue/plumb.ten2", "/queue/plumb.ten3"
GO = Counter({
    ("open", None, None): 1, **{("attach", q, None): 3 for q in GO_QUEUES[:2]}, ("attach", GO_QUEUES[2], None): 2,
    **{("send", q, None): 101 + 5 for q in GO_QUEUES[:2]}, ("send", GO_QUEUES[2], None): 101,
    **{("deliver", q, None): 100 + 5 for q in GO_QUEUES[:2]}, **{("deliver", q, "plumb:no-room"): 1 for q in GO_QUEUES[:2]}, ("deliver", GO_QUEUES[2], None): 101,
    ("attach", "/amq/queue/plumb.none", "amqp:not-found"): 1, ("end", None, "amqp:not-found"): 1})


def test_by_go_amqp(start, plumb, rabbitmq):
    """Several sessions and links send, and take what is delivered, at once: settled are all of them, each by its own number."""
    driver = go_driver(start.folder(), "amqp10driver", rabbitmq.port)
    client, server, steps = run(plumb, rabbitmq, driver, GO)
    assert [s["error"] for s in steps] == ["amqp:not-found"]
    for end in (client, server):
        assert sizes(end, "send") == sizes(end, "deliver") == {97: 303, 20_011: 10}
        for s in end:
            settled = s["messaging.operation.name"] == "send" or (s["messaging.operation.name"] == "deliver" and s["messaging.destination.name"] != GO_QUEUES[2])
            assert not settled or s["plumb.time_to_first_byte"] is not None, describe([s])
        assert len({s["messaging.message.id"] for s in end if s["messaging.operation.name"] == "send"}) == 2 + 34 + 33 and None not in {s["messaging.message.id"] for s in end if s["messaging.operation.name"] == "send"}


PEER = Counter({
    ("open", None, None): 1, **{("attach", a, None): 1 for a in ("reject", "release", "modify", "give", "leave")}, ("attach", "accept", None): 2, ("attach", "refuse", "amqp:not-allowed"): 2,
    ("send", "accept", None): 7, ("send", "reject", "plumb:bad-taste"): 5, ("send", "release", "released"): 3, ("send", "modify", "modified"): 2,
    ("deliver", "give", None): 7, ("deliver", "give", "plumb:no-room"): 1, ("deliver", "give", "released"): 2, ("deliver", "give", "modified"): 1,
    ("send", "leave", None): 3, ("send", "leave", "amqp:resource-limit-exceeded"): 1, ("detach", "leave", "amqp:resource-limit-exceeded"): 1})


def start_peer(start, port):
    peer = start.process("peer", [BUILD / "venv/bin/python", "-u", APPS / "amqp10_peer.py", port])
    wait_until(lambda: accepts(port), "listening peer", alive=peer)
    peer.port, peer.pids = port, [peer.pid]
    return peer


def test_each_outcome_of_a_peer(start, plumb):
    """Qpid Proton as a server: outcomes that RabbitMQ does not give, links that are refused or left, messages of several frames in both directions."""
    peer = start_peer(start, free_port())
    driver = go_driver(start.folder(), "amqp10peerdriver", peer.port)
    client, server, steps = run(plumb, peer, driver, PEER, system="amqp")
    assert Counter(s["error"] for s in steps if s["error"]) == {"plumb:bad-taste": 5, "amqp:not-allowed": 2, "amqp:resource-limit-exceeded": 1}
    for end in (client, server):
        assert sizes(end, "send") == {101: 5 + 5 + 3 + 2 + 4, 200_003: 2} and sizes(end, "deliver") == {30_011: 11}
        codes = Counter(s["plumb.messaging.response_code"] for s in end if s["messaging.operation.name"] in ("send", "deliver"))
        assert codes == {None: 7 + 7 + 4, "rejected": 6, "released": 5, "modified": 3}


JOINED = Counter({("send", None, None): 7, ("send", "named", None): 6, ("deliver", None, None): 9, ("attach", "accept", None): 1, ("send", "accept", None): 11})


def low_port():
    """Free, and below those that clients are given: of a connection that was there before plumb the lower port is the server's."""
    for port in range(23_001, 24_000):
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def test_on_a_connection_older_than_plumb(start, plumb):
    """Where its links lead is not known, unless a message says so; what was delivered before, and is accepted now, has no span."""
    peer = start_peer(start, low_port())
    driver = python_driver(start.folder(), "amqp10_old_driver.py", peer.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    client, server, _ = run(plumb, peer, driver, JOINED, system="amqp")
    for end in (client, server):
        for s in end:
            assert (s["plumb.time_to_first_byte"] is None) == (s["messaging.message.id"] == "3"), describe([s])


def test_a_redacted_recording_keeps_the_spans(start, folder, rabbitmq):
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=rabbitmq.pids, args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "amqp10_driver.py", rabbitmq.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    truth = Counter()
    for (operation, _, error), times in PROTON.items():
        truth[operation, error] += times
    for path in (plain, masked):
        spans = parse(replay(path).stdout.decode())
        assert Counter((s["messaging.operation.name"], s["error.type"]) for s in spans if s["messaging.operation.name"] != "close") == truth
        assert all(s["plumb.incomplete"] is None and s["messaging.system"] == ("amqp" if s["error.type"] == "auth" else "rabbitmq") for s in spans)
        assert sizes(spans, "send")[300_000] == 1
    for secret in (b"secret", b"guest", b"plumb.ten"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
