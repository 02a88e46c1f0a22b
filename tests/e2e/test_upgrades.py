# SPDX-License-Identifier: Apache-2.0
"""Connections that become another protocol: HTTP/2 asked for in HTTP/1.1, and whatever goes through a tunnel or a SOCKS proxy."""
import subprocess

import pytest

from harness import servers
from harness.driver import Driver
from harness.process import APPS, BUILD, Process, free_port
from harness.spans import CLIENT, SERVER, STATUS_ERROR, describe

pytestmark = pytest.mark.live


@pytest.fixture
def curl(start):
    """Starts curl when it is told to: it is watched from its first call on."""
    program = servers.need("curl", "curl")

    def run(*argv):
        return subprocess.Popen(["/bin/sh", "-c", 'read _; exec "$@"', "sh", program, "-s", "--noproxy", "none.example", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    return run


def go(process):
    out, _ = process.communicate(b"go\n", timeout=30)
    assert process.returncode == 0
    return out


def test_http2_asked_for_in_http1(start, plumb, curl):
    server = start(servers.start_go, "upgrade", app="h2d")
    # The first request asks, and its answer is HTTP/2's stream 1; the others are streams of their own.
    paths = [f"/items/{i}" for i in range(7)] + ["/fail/8", "/items/9"]
    client = curl("--http2", "-o", "/dev/null", "-w", "%{http_version} ", *[f"http://127.0.0.1:{server.port}{p}" for p in paths[:1]],
                  *[x for p in paths[1:] for x in ("-o", "/dev/null", f"http://127.0.0.1:{server.port}{p}")])
    p = plumb(pids=[server.pid, client.pid])
    assert go(client).split() == [b"2"] * len(paths)
    p.wait_spans(2 * len(paths))
    spans = p.finish()
    for kind in (CLIENT, SERVER):
        mine = sorted((s for s in spans if s.kind == kind), key=lambda s: s.start_ns)
        assert [(s.path, s["http.response.status_code"]) for s in mine] == [(q, 500 if "fail" in q else 200) for q in paths], describe(spans, 40)
        assert all(s["plumb.incomplete"] is None for s in mine), describe(mine, 20)
        assert [s["network.protocol.version"] for s in mine] == ["1.1"] + ["2"] * (len(paths) - 1)
    ends = {s.path: s for s in spans if s.kind == CLIENT}
    assert all(s.parent_id == ends[s.path].span_id for s in spans if s.kind == SERVER), describe(spans, 40)


def test_what_goes_through_a_tunnel(start, plumb, curl):
    server = start(servers.start_python)
    tunnel = start(servers.start_python, app="tunnel.py")
    paths = [f"/items/{i}" for i in range(7)]
    client = curl("-p", "-x", f"127.0.0.1:{tunnel.port}", *[f"http://127.0.0.1:{server.port}{p}" for p in paths])
    p = plumb(pids=[server.pid, tunnel.pid, client.pid])
    go(client)
    # At both ends of both connections; and the tunnel itself, at both of its.
    p.wait_spans(4 * len(paths) + 2)
    spans = p.finish()
    assert len(spans) == 4 * len(paths) + 2, describe(spans, 40)
    connects = [s for s in spans if s["http.request.method"] == "CONNECT"]
    assert sorted((s.kind, s.pid) for s in connects) == [(SERVER, tunnel.pid), (CLIENT, client.pid)]
    for pid, kind in ((client.pid, CLIENT), (tunnel.pid, SERVER), (tunnel.pid, CLIENT), (server.pid, SERVER)):
        mine = sorted((s for s in spans if s.pid == pid and s.kind == kind and s["http.request.method"] == "GET"), key=lambda s: s.start_ns)
        assert [(s.path, s["http.response.status_code"]) for s in mine] == [(q, 200) for q in paths], describe(spans, 40)


def start_socks(folder, *args):
    program, port = servers.need("microsocks", "microsocks"), free_port()
    return servers.listening(Process("microsocks", [program, "-i", "127.0.0.1", "-p", port, *args], folder), port)


def check_socks(spans, proxy, client, server, paths, failed):
    shakes = [s for s in spans if s.name == "socks5"]
    for kind, pid in ((CLIENT, client.pid), (SERVER, proxy.pid)):
        mine = sorted((s for s in shakes if (s.kind, s.pid) == (kind, pid)), key=lambda s: s.start_ns)
        assert [s["error.type"] for s in mine] == [None] * (len(mine) - failed) + ["connection_refused"] * failed, describe(mine)
        assert [s.status for s in mine[len(mine) - failed:]] == [STATUS_ERROR] * failed
        assert all(s["server.port"] == proxy.port for s in mine)
    for pid, kind in ((client.pid, CLIENT), (proxy.pid, SERVER), (proxy.pid, CLIENT), (server.pid, SERVER)):
        mine = sorted((s for s in spans if (s.kind, s.pid) == (kind, pid) and s["http.request.method"]), key=lambda s: s.start_ns)
        assert [(s.path, s["http.response.status_code"]) for s in mine] == [(q, 200) for q in paths], describe(spans, 60)


def test_socks_by_curl(start, plumb, curl):
    server, proxy = start(servers.start_python), start(start_socks)
    paths = [f"/items/{i}" for i in range(7)]
    client = curl("--socks5-hostname", f"127.0.0.1:{proxy.port}", *[f"http://127.0.0.1:{server.port}{p}" for p in paths])
    p = plumb(pids=[server.pid, proxy.pid, client.pid])
    go(client)
    p.wait_spans(4 * len(paths) + 2)
    spans = p.finish()
    assert len(spans) == 4 * len(paths) + 2, describe(spans, 60)
    check_socks(spans, proxy, client, server, paths, 0)


def test_socks_by_pysocks(start, plumb):
    server, proxy = start(servers.start_python), start(start_socks, "-u", "alice", "-P", "secret")
    paths = [f"/items/{i}" for i in range(11)]
    client = Driver(start.folder(), "socks-driver", [BUILD / "venv/bin/python", "-u", APPS / "socks_driver.py", proxy.port, server.port, len(paths)])
    p = plumb(pids=[server.pid, proxy.pid, client.pid])
    assert client.go() == [{"refused": True}]
    p.wait_spans(6 * len(paths) + 2)
    spans = p.finish()
    assert len(spans) == 6 * len(paths) + 2, describe(spans, 80)
    assert all("secret" not in str(s.raw) and "alice" not in str(s.raw) for s in spans)
    check_socks(spans, proxy, client, server, paths, 1)
