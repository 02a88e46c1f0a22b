# SPDX-License-Identifier: Apache-2.0
"""bRPC by brpc-java and by bRPC itself (C++, out of a Python library), in all three formats: every call has its two spans, in order, without values, with its error."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import Driver
from harness.plumb import Plumb, replay
from harness.process import free_port, wait_until
from harness.rpc import check_calls
from harness.spans import CLIENT, describe, parse
from test_cli import raw

pytestmark = pytest.mark.live

STD, SOFA = 1, 4
ADD, ECHO, SLOW = ("shop.Basket/Add", None), ("shop.Basket/Echo", None), ("shop.Basket/Slow", None)
FAILURE = {STD: "EINTERNAL", SOFA: "ERESPONSE"}  # brpc-java's number for whatever is thrown
STEPS = ["add"] * 11 + ["echo"] * 7 + ["big"] + ["fail"] * 3 + ["slow", "attached"]
SEVERAL = [SLOW] + [ADD] * 52  # under way at once, and the first is answered last
NAMES = {"SINGLE": STEPS + [None] * 53 + ["last"], "POOLED": STEPS + ["last"], "SHORT": STEPS + ["last"]}


def truth(protocol, channel):
    calls = [ADD] * 11 + [ECHO] * 8 + [("shop.Basket/Fail", FAILURE[protocol])] * 3 + [SLOW, ADD]
    return calls + (SEVERAL if channel == "SINGLE" else []) + [ADD]


def java_driver(folder, port, *args):
    return Driver(folder, "brpc-driver", [*servers.brpc_java("BrpcDriver"), port, *args])


def run(start, plumb, protocol, channel, *args, names=None):
    expected = truth(protocol, channel)
    served = start(servers.start_brpc)
    driver = java_driver(start.folder(), served.port, protocol, channel, *args)
    p = plumb(pids=[served.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(expected))
    ends = check_calls("brpc", p.finish(), expected, driver.pid, served.port)
    if names:
        check_not_longer(ends[0], steps, names)
    return ends


def check_not_longer(client, steps, names):
    """The library hands a call from thread to thread, so it measures more than what the wire shows, and never less."""
    steps = iter(steps)
    for span, what in zip(client, names):
        step = next(steps) if what else None
        assert not step or (step["what"] == what and span.duration_ns <= step["ns"]), describe([span])


@pytest.mark.parametrize("channel", ["SINGLE", "POOLED", "SHORT"])
@pytest.mark.parametrize("protocol", [STD, SOFA])
def test_calls(start, plumb, protocol, channel):
    ends = run(start, plumb, protocol, channel, names=NAMES[channel])
    slow = [s for s in ends[0] if s.name == "shop.Basket/Slow"]
    assert [s for s in slow if s.duration_ns < 97_000_000] == []
    for side in ends:
        assert [s["rpc.response.status_code"] for s in side] == [error for _, error in truth(protocol, channel)]
        assert {s["plumb.brpc.log_id"] for s in side} == ({0, 4711} if protocol == STD else {None}), describe(side)


def test_compressed(start, plumb):
    run(start, plumb, STD, "SINGLE", "zlib")


def test_a_connection_older_than_plumb(start, plumb):
    served = start(servers.start_brpc)
    driver = java_driver(start.folder(), served.port, STD, "SINGLE", "old")
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[served.pid, driver.pid])
    driver.go()
    expected = truth(STD, "SINGLE")
    p.wait_spans(2 * len(expected))
    check_calls("brpc", p.finish(), expected, driver.pid, served.port)


def test_calls_that_nobody_has(start, plumb):
    """bRPC's own server tells them from other failures, and brpc-java asks it."""
    expected = [("_OTHER", "ENOMETHOD")] * 5 + [("_OTHER", "ENOSERVICE")] * 2
    served = start(servers.start_brpc_link, free_port(), "baidu_std", "single")
    driver = java_driver(start.folder(), served.port, STD, "SINGLE", "cpp")
    p = plumb(pids=[served.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * len(expected))
    ends = check_calls("brpc", p.finish(), expected, driver.pid, served.port)
    for side in ends:
        assert [s["rpc.method_original"] for s in side] == ["org.interconnection.link.ReceiverService/Steal"] * 5 + ["Nothing/Steal"] * 2, describe(side)


PUSH = {"baidu_std": "org.interconnection.link.ReceiverService/Push", "hulu_pbrpc": "ReceiverService/0", "sofa_pbrpc": "org.interconnection.link.ReceiverService/Push"}
# Of the driver: to connect, 13 messages, 53 sent ahead, a large one, that both answers are there, and the end; of the other one: to connect, that each message is there, the answers, and the end.
PUSHES, BACK = 1 + 13 + 53 + 1 + 2 + 1, 1 + 67 + 2 + 1


def link(start, protocol, connection, *more):
    port = free_port()
    served = start(servers.start_brpc_link, port, protocol, connection, *more)
    return served, Driver(start.folder(), "brpc-link-driver", [*servers.brpc_link(), "drive", port, served.port, protocol, connection, *more]), port


def check_pushes(spans, protocol, driver, served, port, pushes, back):
    for asked, pid, n in ((served.port, driver.pid, pushes), (port, served.pid, back)):
        check_calls("brpc", [s for s in spans if s["server.port"] == asked], [(PUSH[protocol], None)] * n, pid, asked)


@pytest.mark.parametrize("connection", ["single", "pooled", "short"])
@pytest.mark.parametrize("protocol", PUSH)
def test_brpc_in_cpp(start, plumb, protocol, connection):
    served, driver, port = link(start, protocol, connection)
    p = plumb(pids=[served.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * (PUSHES + BACK))
    check_pushes(p.finish(), protocol, driver, served, port, PUSHES, BACK)


@pytest.mark.parametrize("protocol", PUSH)
def test_brpc_in_cpp_on_a_connection_older_than_plumb(start, plumb, protocol):
    served, driver, port = link(start, protocol, "single", "old")
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[served.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * (PUSHES - 1 + BACK - 1))
    check_pushes(p.finish(), protocol, driver, served, port, PUSHES - 1, BACK - 1)


@pytest.mark.parametrize("protocol", [STD, SOFA])
def test_a_redacted_recording_keeps_the_spans(start, folder, protocol):
    served = start(servers.start_brpc)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[served.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    java_driver(start.folder(), served.port, protocol, "SINGLE").go()
    for r in recorder:
        assert r.stop() == 0, r.tail()

    def said(path):
        return Counter((s.kind == CLIENT, s["error.type"], s["rpc.response.status_code"], s["plumb.incomplete"]) for s in parse(replay(path).stdout.decode()))

    assert said(masked) == said(plain)
    assert sum(said(plain).values()) == len(truth(protocol, "SINGLE"))
    for secret in (b"secret", b"Basket", b"Echo"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
