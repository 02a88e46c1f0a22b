# SPDX-License-Identifier: Apache-2.0
"""DNS by dnspython and Go's resolver, over datagrams and streams: every question has its span at both ends, with its code and how many records answered it."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import Driver, go_driver, python_driver
from harness.process import APPS, BUILD, wait_until
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe

pytestmark = pytest.mark.live


def said(s):
    return s.name, s["dns.question.name"], s["network.transport"], s["error.type"], s["plumb.dns.answers"]


def udp(name, kind, error, answers):
    return f"DNS {kind}", name, "udp", error, answers


STREAM = [("DNS A", "shop.test", "tcp", None, 1)] * 7 + [("DNS A", f"none{i}.test", "tcp", "NXDOMAIN", 0) if i % 7 == 0 else ("DNS A", "shop.test", "tcp", None, 1) for i in range(53)]
PYTHON = ([udp("shop.test", "A", None, 1)] * 11 + [udp("shop.test", "AAAA", None, 1)] * 5 + [udp("none.test", "A", "NXDOMAIN", 0)] * 3 + [udp("elsewhere.example", "A", "REFUSED", 0)] * 2
          + [udp("shop.test", "TXT", None, 1), udp("shop.test", "MX", None, 0), udp("many.test", "A", None, 30), ("DNS A", "many.test", "tcp", None, 101)] + STREAM)  # 30 fit into 512 bytes
GO = ([udp("shop.test", "A", None, 1), udp("shop.test", "AAAA", None, 1)] * 7 + [udp("none.test", "A", "NXDOMAIN", 0), udp("none.test", "AAAA", "NXDOMAIN", 0)] * 3
      + [udp("shop.test", "TXT", None, 1), udp("many.test", "A", None, 75), udp("many.test", "AAAA", None, 0), ("DNS A", "many.test", "tcp", None, 101)])  # 75 into 1,232


def check(start, plumb, make_driver, truth):
    server = start(servers.start_dnsmasq)
    driver = make_driver(server)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(truth))
    spans = sorted(p.finish(), key=lambda s: s.start_ns)
    ends = {kind: [s for s in spans if s.kind == kind] for kind in (CLIENT, SERVER)}
    for kind, mine in ends.items():
        assert Counter(map(said, mine)) == Counter(truth), describe(mine, 100)
        for s in mine:
            assert s["plumb.incomplete"] is None and s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET), describe([s])
            assert (s.pid == driver.pid) == (kind == CLIENT) and s["server.port"] == server.port, describe([s])
    streams = {kind: [s for s in mine if s["network.transport"] == "tcp"] for kind, mine in ends.items()}
    parents = {s.span_id: s for s in streams[CLIENT]}
    for s in streams[SERVER]:
        assert said(parents[s.parent_id]) == said(s) and parents[s.parent_id].trace_id == s.trace_id, describe([s])
    return ends[CLIENT], steps


def test_dnspython(start, plumb):
    client, steps = check(start, plumb, lambda server: python_driver(start.folder(), "dns_driver.py", server.port), PYTHON)
    assert list(map(said, client)) == PYTHON
    assert [s["code"] for s in steps[:24]] == ["NOERROR"] * 16 + ["NXDOMAIN"] * 3 + ["REFUSED"] * 2 + ["NOERROR"] * 2 + ["NOERROR 101"]
    assert [(s.duration_ns, t["ns"]) for s, t in zip(client[:23], steps[:23]) if s.duration_ns > t["ns"]] == []


def test_go_resolver(start, plumb):
    _, steps = check(start, plumb, lambda server: go_driver(start.folder(), "dnsdriver", server.port), GO)
    assert [s["error"] for s in steps] == [""] * 7 + ["not found"] * 3 + ["", ""]


def test_a_connection_older_than_plumb(start, plumb):
    def old(server):
        driver = Driver(start.folder(), "dns-driver", [BUILD / "venv/bin/python", "-u", APPS / "dns_driver.py", server.port, "old"])
        wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
        return driver

    client, _ = check(start, plumb, old, STREAM)
    assert list(map(said, client)) == STREAM
