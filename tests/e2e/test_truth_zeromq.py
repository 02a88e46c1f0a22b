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


def start_zmqd(start, *args):
    """Its pid, and the ports of its sockets."""
    served = start(servers.start_python, *args, app="zmqd.py")
    served.ports = json.loads(served.out.read_text())
    return served


def check(spans, by_driver, by_server, driver_pid, ports):
    """by_driver, by_server: what either asks and sends."""
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
        assert (s["server.address"], s["server.port"] in ports) == ("127.0.0.1", True), describe([s])
        assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET)
        assert "secret" not in str(s.raw) and "sesame" not in str(s.raw), describe([s])
        if s.kind in (SERVER, CONSUMER):
            other = by_id.get(s.parent_id)
            assert other and (other.name, other.trace_id, other["error.type"], other["messaging.message.body.size"]) == (s.name, s.trace_id, s["error.type"], s["messaging.message.body.size"]) and other.pid != s.pid, describe([s])
    return ends


def test_pyzmq(start, plumb):
    served = start_zmqd(start)
    driver = python_driver(start.folder(), "zmq_driver.py", json.dumps(served.ports))
    p = plumb(pids=[served.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * (PYTHON_CLIENT + PYTHON_SERVER).total())
    ends = check(p.finish(), PYTHON_CLIENT, PYTHON_SERVER, driver.pid, served.ports.values())
    asked = [s for s in ends[True, True] if s.name == "request" and s["server.port"] == served.ports["rep"] and s["plumb.zeromq.source.socket_type"] == "REQ"]
    measured = [t for t in steps if t["what"] not in ("plain", "curve")]
    assert len(asked) == len(measured) == 21
    for s, t in zip(asked, measured):
        assert s.duration_ns <= t["ns"] + TOLERANCE_NS, (t, describe([s]))
        assert t["what"] != "slow" or s.duration_ns >= 97_000_000
    assert sum(close(s.duration_ns, t["ns"]) for s, t in zip(asked, measured)) >= 14
    assert Counter((s["messaging.message.body.size"], s["plumb.zeromq.frames"]) for s in asked)[11, 3] == 1
    assert max(s["messaging.message.body.size"] for s in asked) == 300_000
