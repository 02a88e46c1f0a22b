# SPDX-License-Identifier: Apache-2.0
"""ZeroMQ by libzmq (pyzmq) and zmq4 (Go), without a broker: what is asked, sent, published and subscribed has its span at both ends, without contents and passwords."""
import json
from collections import Counter

import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, CONSUMER, PRODUCER, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import TOLERANCE_NS, check_order, close
from test_cli import raw

pytestmark = pytest.mark.live

SENT = ("send", "publish")

# By who asks: (name, error, type of who asks or sends, of who is asked) and how often.
PYTHON_CLIENT = Counter({
    ("connect", None, "REQ", "REP"): 2 + 1, ("connect", "400", None, None): 1, ("connect", None, None, None): 1, ("connect", None, "DEALER", "REP"): 1,
    ("connect", None, "DEALER", "ROUTER"): 1, ("connect", None, "PUSH", "PULL"): 1, ("connect", None, "PULL", "PUSH"): 1, ("connect", None, "SUB", "XPUB"): 1,
    ("connect", None, "XPUB", "SUB"): 1, ("connect", None, "REP", "REQ"): 1, ("connect", None, "REP", "DEALER"): 1, ("connect", None, "REQ", "ROUTER"): 2,
    ("request", None, "REQ", "REP"): 14 + 7 + 3, ("request", None, "DEALER", "REP"): 53, ("send", None, "DEALER", "REP"): 3, ("send", None, "DEALER", "ROUTER"): 13,
    ("send", None, "PUSH", "PULL"): 101, ("subscribe weather.", None, "SUB", "XPUB"): 1, ("subscribe weather.rain.", None, "SUB", "XPUB"): 1, ("subscribe end", None, "SUB", "XPUB"): 2,
    ("unsubscribe weather.rain.", None, "SUB", "XPUB"): 1, ("unsubscribe end", None, "SUB", "XPUB"): 1, ("publish to.", None, "XPUB", "SUB"): 11, ("request", None, "REQ", "ROUTER"): 10})
PYTHON_SERVER = Counter({
    ("send", None, "ROUTER", "DEALER"): 13, ("send", None, "PUSH", "PULL"): 17, ("publish weather.", None, "XPUB", "SUB"): 4 + 6, ("publish weather.rain.", None, "XPUB", "SUB"): 2,
    ("publish end", None, "XPUB", "SUB"): 2, ("subscribe to.", None, "SUB", "XPUB"): 1, ("request", None, "REQ", "REP"): 13, ("request", None, "DEALER", "REP"): 10})
GO_CLIENT = Counter({
    ("connect", None, "REQ", "REP"): 1 + 1, ("connect", None, "DEALER", "ROUTER"): 1, ("connect", None, "PUSH", "PULL"): 1, ("connect", None, "PULL", "PUSH"): 1, ("connect", None, "SUB", "XPUB"): 1,
    ("connect", None, "REP", "REQ"): 1, ("request", None, "REQ", "REP"): 14 + 3, ("send", None, "DEALER", "ROUTER"): 13, ("send", None, "PUSH", "PULL"): 53,
    ("subscribe weather.", None, "SUB", "XPUB"): 1, ("subscribe weather.rain.", None, "SUB", "XPUB"): 1, ("subscribe end", None, "SUB", "XPUB"): 1})
GO_SERVER = Counter({
    ("send", None, "ROUTER", "DEALER"): 13, ("send", None, "PUSH", "PULL"): 17, ("publish weather.", None, "XPUB", "SUB"): 4, ("publish weather.rain.", None, "XPUB", "SUB"): 2,
    ("publish end", None, "XPUB", "SUB"): 1, ("request", None, "REQ", "REP"): 13})
# Types are not known, so nothing answers anything.
OLD = Counter({("send", None, None, None): 11 + 13})


def start_zmqd(start, *args):
    """Its pid, and the ports of its sockets."""
    served = start(servers.start_python, *args, app="zmqd.py")
    served.ports = json.loads(served.out.read_text())
    return served


def check(spans, by_driver, by_server, driver_pid, ports):
    """by_driver, by_server: what either asks and sends. ports: which one listens; None: nobody can know."""
    check_order(spans)
    ends = {}
    for mine, asked, got in ((True, by_driver, by_server), (False, by_server, by_driver)):
        side = [s for s in spans if (s.pid == driver_pid) == mine]
        for truth, kinds in ((asked, (CLIENT, PRODUCER)), (got, (SERVER, CONSUMER))):
            group = [s for s in side if s.kind in kinds]
            said = Counter((s.name, s["error.type"], s["plumb.zeromq.source.socket_type"], s["plumb.zeromq.destination.socket_type"]) for s in group)
            assert said == truth, f"driver {mine} kinds {kinds}: missing {truth - said}, too many {said - truth}"
            for s in group:
                one_way = s.name.split()[0] in SENT
                assert s.kind == kinds[one_way] and s["messaging.operation.type"] == (("send", "process")[kinds[0] == SERVER] if one_way else None), describe([s])
            ends[mine, kinds[0] == CLIENT] = sorted(group, key=lambda s: s.start_ns)
    by_id = {s.span_id: s for s in spans}
    for s in spans:
        assert s["messaging.system"] == "zeromq" and s["plumb.incomplete"] is None, describe([s])
        assert s["server.address"] == "127.0.0.1" and (ports is None or s["server.port"] in ports), describe([s])
        assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET)
        assert "secret" not in str(s.raw) and "sesame" not in str(s.raw), describe([s])
        if s.kind in (SERVER, CONSUMER):
            other = by_id.get(s.parent_id)
            assert other and (other.name, other.trace_id, other["error.type"], other["messaging.message.body.size"]) == (s.name, s.trace_id, s["error.type"], s["messaging.message.body.size"]) and other.pid != s.pid, describe([s])
    return ends


def run(plumb, served, driver, by_driver, by_server, ports):
    p = plumb(pids=[served.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * (by_driver + by_server).total())
    return check(p.finish(), by_driver, by_server, driver.pid, ports), steps


def check_requests(served, ends, steps, count):
    """Those of a REQ are as long as the client measured, and count what is in them."""
    asked = [s for s in ends[True, True] if s.name == "request" and s["server.port"] == served.ports["rep"] and s["plumb.zeromq.source.socket_type"] == "REQ"]
    measured = [t for t in steps if t["what"] not in ("plain", "curve")]
    assert len(asked) == len(measured) == count
    for s, t in zip(asked, measured):
        assert s.duration_ns <= t["ns"] + TOLERANCE_NS, (t, describe([s]))
        assert t["what"] != "slow" or s.duration_ns >= 97_000_000
    assert sum(close(s.duration_ns, t["ns"]) for s, t in zip(asked, measured)) >= count * 2 // 3
    assert Counter((s["messaging.message.body.size"], s["plumb.zeromq.frames"]) for s in asked)[11, 3] == 1
    assert max(s["messaging.message.body.size"] for s in asked) == 300_000


def test_pyzmq(start, plumb):
    served = start_zmqd(start)
    ends, steps = run(plumb, served, python_driver(start.folder(), "zmq_driver.py", json.dumps(served.ports)), PYTHON_CLIENT, PYTHON_SERVER, served.ports.values())
    check_requests(served, ends, steps, 21)
    assert Counter(s["plumb.zeromq.mechanism"] for s in ends[True, True] if s.name == "connect") == {"NULL": 12, "PLAIN": 2, "CURVE": 1}


def test_go(start, plumb):
    served = start_zmqd(start)
    ends, steps = run(plumb, served, go_driver(start.folder(), "zmqdriver", json.dumps(served.ports)), GO_CLIENT, GO_SERVER, served.ports.values())
    check_requests(served, ends, steps, 14)


def test_connections_older_than_plumb(start, plumb):
    """One is known by its envelopes, one by its heartbeats. Of a PUSH without them nothing tells what it is, and of none who connected."""
    served = start_zmqd(start)
    driver = python_driver(start.folder(), "zmq_old_driver.py", json.dumps(served.ports))
    wait_until(lambda: "ready" in driver.err.read_text(), "old connections", alive=driver)
    run(plumb, served, driver, OLD, OLD, None)


def test_a_unix_socket(start, plumb, folder):
    """Both ends greet at once, so that nothing tells who connected; who asks is told by the sockets' types."""
    path = str(folder / "s")
    served = start_zmqd(start, path)
    driver = python_driver(start.folder(), "zmq_unix_driver.py", path)
    p = plumb(pids=[served.pid, driver.pid])
    driver.go()
    p.wait_spans(24)
    spans = p.finish()
    for mine, kind in ((True, CLIENT), (False, SERVER)):
        side = [s for s in spans if (s.pid == driver.pid) == mine]
        assert Counter((s.name, s.name == "connect" or s.kind, s["network.peer.address"], s["network.transport"]) for s in side) == {("connect", True, path, "unix"): 1, ("request", kind, path, "unix"): 11}, describe(side)


def test_a_redacted_recording_keeps_the_spans(start, folder):
    served = start_zmqd(start)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[served.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "zmq_driver.py", json.dumps(served.ports)).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()

    def said(path):
        return Counter((s["messaging.operation.name"], s.kind, s["error.type"], s["plumb.zeromq.source.socket_type"], s["plumb.zeromq.destination.socket_type"],
                        s["messaging.message.body.size"], s["plumb.incomplete"]) for s in parse(replay(path).stdout.decode()))

    assert said(masked) == said(plain)
    assert sum(said(plain).values()) == (PYTHON_CLIENT + PYTHON_SERVER).total()
    for secret in (b"secret", b"sesame", b"weather"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
