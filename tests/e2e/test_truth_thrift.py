# SPDX-License-Identifier: Apache-2.0
"""Apache Thrift by its Python and Go libraries, each against the other's server, too: every call has its two spans, in order, without values, with its error."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.rpc import check_calls, check_measured
from harness.spans import CLIENT, parse
from test_cli import raw

pytestmark = pytest.mark.live

DECLARED, INTERNAL, UNKNOWN = "declared_exception", "INTERNAL_ERROR", "UNKNOWN_METHOD"
COMMON = ([("add", None)] * 11 + [("echo", None)] * 8 + [("list", None)] * 5 + [("buy", DECLARED)] * 3 + [("buy", None)] + [("fail", INTERNAL)] * 3)
COMMON_STEPS = ["add"] * 11 + ["echo"] * 7 + ["big"] + ["list"] * 5 + ["sold out"] * 3 + ["buy"] + ["fail"] * 3
STEAL = [("_OTHER", UNKNOWN)] * 2
# 13 oneways in a row, 53 calls sent ahead with one id.
PYTHON = COMMON + STEAL + [("slow", None)] + [("note", None)] * 13 + [("ping", None)] * 2 + [("add", None)] * 54
PYTHON_STEPS = COMMON_STEPS + ["unknown"] * 2 + ["slow"] + [None] * 13 + ["ping"] * 2 + [None] * 53 + ["last"]
# 13 oneways, and a ping behind every second one.
NOTES = [("note", None), ("ping", None), ("note", None)] * 6 + [("note", None), ("ping", None)]
NOTES_STEPS = [None, "ping", None] * 6 + [None, "ping"]
GO = COMMON + STEAL + [("slow", None)] + NOTES + [("add", None)]
GO_STEPS = COMMON_STEPS + ["unknown"] * 2 + ["slow"] + NOTES_STEPS + ["last"]
TRACE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def python_server(start, *args):
    return start(servers.start_python, *args, app="thriftd.py")


def go_server(start, *args):
    return start(servers.start_go, *args, app="thriftd")


def with_service(truth, service):
    return [(method if method == "_OTHER" else f"{service}/{method}", error) for method, error in truth]


SERVERS = {"python": python_server, "go": go_server}
CLIENTS = {"python": (python_driver, "thrift_driver.py", PYTHON, PYTHON_STEPS), "go": (go_driver, "thriftdriver", GO, GO_STEPS)}
WAYS = ["framed", "buffered", "compact", "buffered-compact", "header"]


def run(start, plumb, client, server, way):
    make_driver, app, truth, names = CLIENTS[client]
    served = SERVERS[server](start, way)
    driver = make_driver(start.folder(), app, served.port, way)
    p = plumb(pids=[served.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(truth))
    ends = check_calls("thrift", p.finish(), truth, driver.pid, served.port)
    check_measured(ends[0], steps, names)
    return ends


@pytest.mark.parametrize("client, server", [("python", "go"), ("go", "python")])
@pytest.mark.parametrize("way", WAYS)
def test_calls(start, plumb, client, server, way):
    ends = run(start, plumb, client, server, way)
    slow = [s for s in ends[0] if s.name == "slow"]
    assert [s for s in slow if s.duration_ns < 97_000_000] == [] and len(slow) == 1
    if way == "header":
        assert {(s.trace_id, s.parent_id) for s in ends[0]} == {TRACE}


@pytest.mark.parametrize("client, server, way", [("python", "python", "old"), ("python", "python", "buffered"), ("python", "python", "zlib"), ("python", "go", "zlib"), ("go", "go", "compact")])
def test_one_library_at_both_ends(start, plumb, client, server, way):
    run(start, plumb, client, server, way)


def test_several_services_on_one_connection(start, plumb):
    """Go's processor ends the connection when it does not know a method, so nobody asks for one."""
    truth = with_service([c for c in GO if c not in STEAL], "Shop")
    served = go_server(start, "framed", "Shop")
    driver = go_driver(start.folder(), "thriftdriver", served.port, "framed", "Shop")
    p = plumb(pids=[served.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * len(truth))
    check_calls("thrift", p.finish(), truth, driver.pid, served.port)


@pytest.mark.parametrize("way", ["framed", "buffered", "buffered-compact"])
def test_a_connection_older_than_plumb(start, plumb, way):
    served = python_server(start, way)
    driver = python_driver(start.folder(), "thrift_driver.py", served.port, way)
    driver.write("ready\n")
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[served.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * len(PYTHON))
    check_calls("thrift", p.finish(), PYTHON, driver.pid, served.port)


@pytest.mark.parametrize("way", ["framed", "buffered", "buffered-compact", "header"])
def test_a_redacted_recording_keeps_the_spans(start, folder, way):
    served = python_server(start, way)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[served.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "thrift_driver.py", served.port, way).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()

    def said(path):
        return Counter((s.kind == CLIENT, s["error.type"], s["plumb.incomplete"]) for s in parse(replay(path).stdout.decode()))

    assert said(masked) == said(plain)
    assert sum(said(plain).values()) == len(PYTHON)
    for secret in (b"secret", b"echo", b"steal"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
