# SPDX-License-Identifier: Apache-2.0
"""HTTP over TLS, read at the libraries: spans equal the truth, request by request, and both ends of a call are one trace."""
import json
import os
import signal
import subprocess
from collections import Counter

import pytest

from harness import recording, servers
from harness.driver import Driver, plan_23, plan_10007
from harness.libraries import watched
from harness.plumb import replay
from harness.process import APPS, BUILD, free_port, wait_until
from harness.spans import CLIENT, SERVER, describe, parse
from harness.truth import TOLERANCE_NS, TOLERANCE_PART, check_http, check_order
from test_restart import children, metric

pytestmark = pytest.mark.live


SERVERS = {
    "nginx": lambda folder, tls: servers.start_nginx(folder, tls=tls),
    "python": lambda folder, tls: servers.start_python(folder, env={"HTTPD_TLS": str(tls)}),
    "node": lambda folder, tls: servers.start_node(folder, env={"HTTPD_TLS": str(tls)}),
    "go": lambda folder, tls: servers.start_go(folder, env={"HTTPD_TLS": str(tls)}),
    "go 1.18.10": lambda folder, tls: servers.start_go(folder, program=servers.old_go_program("1.18.10", "httpd"), env={"HTTPD_TLS": str(tls)}),
    "go 1.22.12": lambda folder, tls: servers.start_go(folder, program=servers.old_go_program("1.22.12", "httpd"), env={"HTTPD_TLS": str(tls)}),
    "node, HTTP/2": lambda folder, tls: servers.start_node(folder, env={"HTTPD_TLS": str(tls), "HTTPD_H2": "1"}),
}


def driver_of(start, way, server, certificate, version, connections, plan):
    """Holds its plan and waits for go()."""
    if way.startswith("go"):
        program = servers.go_program("driver") if way == "go" else servers.old_go_program(way.removeprefix("go "), "driver")
        d = Driver(start.folder(), way, [program, server.port, connections, 0], env={**os.environ, "DRIVER_TLS": str(certificate), "DRIVER_TLS_VERSION": version})
        d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan) + "\n")
        return d
    if way in ("https", "http2"):
        argv = [servers.need("node", "nodejs"), APPS / "https_driver.js"]
    else:
        argv = [BUILD / "venv/bin/python", "-u", APPS / "https_driver.py"]
    d = Driver(start.folder(), way, [*argv, server.port, certificate, version, connections, way])
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    return d


def wait_for_libraries(p, *processes):
    """Of each: what it was started as, and itself."""
    for way, process in processes:
        p.wait_watching_in("crypto/tls" if way.startswith("go") else "openssl", process)


def requests_of(spans):
    return [s for s in spans if s.name != "TLS handshake"]


def check_one_trace(spans):
    client, server = ({s.path: s for s in spans if s.kind == kind} for kind in (CLIENT, SERVER))
    for path, s in server.items():
        assert (s.trace_id, s.parent_id) == (client[path].trace_id, client[path].span_id), f"{path} is not one trace: {describe([s, client[path]])}"
        assert s["plumb.join"] == "socket"


def check_measured(spans, results):
    """No span is longer than what its client measured; what was slow by design was seen to be."""
    for s in spans:
        if s.kind == CLIENT:
            ns = results[s.path]["ns"]
            assert s.duration_ns <= ns + max(TOLERANCE_NS, ns * TOLERANCE_PART), describe([s])
            if s.path.startswith("/slow/"):
                assert s.duration_ns >= 50_000_000, describe([s])


def check_pair(spans, plan, app, http, results):
    """Both ends of 23 requests over TLS."""
    assert {path: r["status"] for path, r in results.items()} == {r.path: r.status for r in plan}, "the client itself saw something else"
    mine = [s for s in spans if s.path in results]
    assert len(mine) == 46, describe(mine, 60)
    check_order(mine)
    for kind in (SERVER, CLIENT):
        for s in check_http(mine, plan, kind).values():
            assert (s["url.scheme"], s["server.port"]) == ("https", app.port) and s["server.address"] in ("localhost", "127.0.0.1"), describe([s])
            assert s["network.protocol.version"] == http and s["network.peer.address"] in ("127.0.0.1", "::1") and s["plumb.incomplete"] is None, describe([s])
    check_one_trace(mine)
    check_measured(mine, results)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("server,client,http", [
    ("nginx", "blocking", "1.1"), ("python", "blocking", "1.1"), ("node", "blocking", "1.1"),
    ("nginx", "asyncio", "1.1"), ("python", "https", "1.1"), ("node", "asyncio", "1.1"),
    ("nginx", "requests", "1.1"), ("nginx", "https", "1.1"), ("nginx", "http2", "2"), ("node, HTTP/2", "http2", "2"),
    ("go", "go", "1.1"), ("nginx", "go", "1.1"), ("go", "http2", "2"), ("go", "asyncio", "1.1"), ("go 1.18.10", "go 1.22.12", "1.1"), ("go 1.22.12", "go 1.18.10", "1.1"),
])
def test_23_requests_of_which_7_fail(start, plumb, localhost_certificate, server, client, http, version):
    app = start(SERVERS[server], localhost_certificate)
    plan = plan_23()
    driver = driver_of(start, client, app, localhost_certificate, version, 3, plan)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    wait_for_libraries(p, (server, app), (client, driver))
    results = {r["path"]: r for r in driver.go()}
    p.wait_spans(46, match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    assert len(spans) == 46, describe(spans, 60)
    check_pair(spans, plan, app, http, results)


@pytest.mark.parametrize("server,client,version", [("nginx", "blocking", "1.3"), ("nginx", "https", "1.2"), ("python", "asyncio", "1.3"), ("go", "go", "1.3"), ("nginx", "go 1.18.10", "1.2")])
def test_10007_requests(start, plumb, localhost_certificate, server, client, version):
    app = start(SERVERS[server], localhost_certificate)
    plan = [r for r in plan_10007() if r.kind != "slow"]
    driver = driver_of(start, client, app, localhost_certificate, version, 17, plan)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    wait_for_libraries(p, (server, app), (client, driver))
    results = {r["path"]: r for r in driver.go(300)}
    assert {path: r["status"] for path, r in results.items()} == {r.path: r.status for r in plan}, "the client itself saw something else"
    p.wait_spans(2 * len(plan), match=lambda s: s.name != "TLS handshake", timeout_s=60)
    spans = requests_of(p.finish())
    check_order(spans)
    for kind in (SERVER, CLIENT):
        check_http(spans, plan, kind)
    check_one_trace(spans)
    check_measured(spans, results)


@pytest.mark.parametrize("program", ["curl", "wget"])
def test_commands(start, plumb, localhost_certificate, program):
    """curl has OpenSSL, Debian's wget GnuTLS. They come after plumb, which expects both libraries where they are installed."""
    libraries = libraries_of(servers.need(program, program))
    app = start(SERVERS["nginx"], localhost_certificate)
    paths = [f"/items/{i}" for i in range(100_001, 100_012)]
    urls = [f"https://localhost:{app.port}{path}" for path in paths]
    p = plumb(args=[*watched(), "--port", str(app.port)])
    for name in {"openssl", *libraries}:  # the server's, and its own
        p.wait_watching(name)
    ways = {"curl": [["--tls-max", "1.2", "--http1.1"], ["--tlsv1.3", "--http1.1"], ["--http2"]], "wget": [["--secure-protocol=TLSv1_2"], ["--secure-protocol=TLSv1_3"]]}[program]
    for way in ways:
        common = ["curl", "-sS", "--cacert", localhost_certificate / "cert.pem", "--remote-name-all"] if program == "curl" else ["wget", "-nv", f"--ca-certificate={localhost_certificate}/cert.pem"]
        subprocess.run([*common, *way, *urls], check=True, cwd=start.folder(), capture_output=True, timeout=60)
    p.wait_spans(2 * len(ways) * len(paths), match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    each = Counter({path: len(ways) for path in paths})
    for kind in (CLIENT, SERVER):
        assert Counter(s.path for s in spans if s.kind == kind) == each, describe(spans, 40)
    assert Counter(s.path for s in spans if s["plumb.join"] == "socket") == each, describe(spans, 40)
    for s in spans:
        assert s["url.scheme"] == "https" and s["http.response.status_code"] == 200, describe([s])


def libraries_of(program):
    linked = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    names = [name for file, name in (("libgnutls.so", "gnutls"), ("libssl.so", "openssl")) if file in linked]
    if not names:
        pytest.skip(f"{program} has neither GnuTLS nor OpenSSL as a shared library")
    return names



def test_other_ports_are_not_looked_at(start, plumb, localhost_certificate):
    """A session says nothing of ports, its socket does: also of one that is found too late, or never."""
    wanted, other = start(SERVERS["nginx"], localhost_certificate), start(SERVERS["python"], localhost_certificate)
    plan = plan_23()
    drivers = [driver_of(start, way, app, localhost_certificate, "1.3", 2, plan) for way, app in (("asyncio", wanted), ("asyncio", other), ("blocking", other))]
    p = plumb(args=[*watched(), "--port", str(wanted.port)])
    p.wait_watching("openssl")
    for driver in drivers:
        driver.write("go\n")
        driver.popen.stdin.close()
    for driver in drivers:
        assert driver.wait(60) == 0, driver.tail()
    p.wait_spans(46, match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    assert len(spans) == 46 and {s["server.port"] for s in spans} == {wanted.port}, describe(spans, 60)


OLDER = """
import http.client, ssl, sys
c = http.client.HTTPSConnection("localhost", int(sys.argv[1]), context=ssl.create_default_context(cafile=sys.argv[2] + "/cert.pem"))
for i in range(12):
    c.request("GET", f"/items/{i}")
    assert c.getresponse().read()
    if i == 0:
        print("ready", flush=True)
        sys.stdin.readline()
"""


def test_an_engine_that_was_killed(start, plumb, localhost_certificate):
    """The next one finds the socket of a session that was there before; nothing is taken for lost that passed before it came."""
    app = start(SERVERS["nginx"], localhost_certificate)
    port = free_port()
    p = plumb(command="run", output=None, args=[*watched(), "--port", str(app.port), "--metrics", f"127.0.0.1:{port}", "--spool", "", "--console"])
    p.wait_watching("openssl")
    held = start.process("older", [BUILD / "venv/bin/python", "-u", "-c", OLDER, app.port, localhost_certificate], stdin=subprocess.PIPE)
    wait_until(lambda: "ready" in held.out.read_text(), "its connection", alive=held)
    wait_until(lambda: metric(port, "http_client_request_duration_seconds_count") == 1, "its first request", alive=p)
    wait_until(lambda: len(children(p.pid)) == 1, "the end of those that took the probes of the trial away", alive=p)
    os.kill(children(p.pid)[0], signal.SIGKILL)  # ours: this test's plumb started it
    wait_until(lambda: metric(port, "plumb_engine_restarts_total") == 1, "the engine to come back", alive=p)
    held.popen.stdin.write(b"go\n")
    held.popen.stdin.close()
    assert held.wait(60) == 0, held.tail()
    for side in ("server", "client"):
        wait_until(lambda: metric(port, f"http_{side}_request_duration_seconds_count") == 11, f"11 requests at the {side}", alive=p)
    assert metric(port, 'plumb_stream_unseen_bytes_total{reason="hole"}') == 0
    wait_until(lambda: metric(port, 'plumb_tls_sessions_total{evidence="within"}') == 2, "both ends' sessions, once the probe has told of its probes", alive=p)
    assert metric(port, 'plumb_tls_sessions_total{evidence="around"}') + metric(port, 'plumb_tls_sessions_total{evidence="none"}') == 0
    assert p.stop() == 0, p.tail()
    lines = [line for line in p.out.read_text().splitlines() if "GET" in line]
    assert len(lines) == 24 and all("127.0.0.1:" in line and line.rstrip().endswith("200") for line in lines), lines


@pytest.mark.parametrize("server,client,by_record,by_descriptor", [("nginx", "blocking", 0, 0), ("node", "asyncio", 3, 0), ("go", "go", 0, 6), ("go 1.18.10", "go 1.22.12", 0, 6)])
def test_each_session_counts_once(start, plumb, localhost_certificate, server, client, by_record, by_descriptor):
    """Three connections have one at either end; by what its socket is found is the program's business, but OpenSSL has asyncio's records in memory, and Go's structures have the descriptor."""
    app = start(SERVERS[server], localhost_certificate)
    driver = driver_of(start, client, app, localhost_certificate, "1.3", 3, plan_23())
    port = free_port()
    p = plumb(command="run", output=None, pids=[app.pid, driver.pid], args=[*watched(), "--max-overhead", "100%", "--metrics", f"127.0.0.1:{port}", "--spool", ""])
    wait_for_libraries(p, (server, app), (client, driver))
    driver.go()
    for side in ("server", "client"):
        wait_until(lambda: metric(port, f"http_{side}_request_duration_seconds_count") == 23, f"23 requests at the {side}", alive=p)
    wait_until(lambda: metric(port, "plumb_library_traps_total") > 0, "metrics of libraries", alive=p)
    assert metric(port, "plumb_tls_sessions_total") == 6 and metric(port, 'plumb_tls_sessions_total{evidence="none"}') == 0
    assert metric(port, 'plumb_tls_sessions_total{evidence="record"}') == by_record
    assert metric(port, 'plumb_tls_sessions_total{evidence="descriptor"}') == by_descriptor


def test_200_connections_of_goroutines_at_once(start, plumb, localhost_certificate):
    """They go on in other threads between Write and the call that writes; no session has another's socket for that."""
    app = start(SERVERS["go"], localhost_certificate)
    plan = [r for r in plan_10007() if r.kind != "slow"][:1009]
    driver = driver_of(start, "go", app, localhost_certificate, "1.3", 200, plan)
    port = free_port()
    p = plumb(pids=[app.pid, driver.pid], args=[*watched(), "--metrics", f"127.0.0.1:{port}"])
    wait_for_libraries(p, ("go", app), ("go", driver))
    results = {r["path"]: r for r in driver.go()}
    p.wait_spans(2 * len(plan), match=lambda s: s.name != "TLS handshake", timeout_s=60)
    assert metric(port, "plumb_tls_sessions_total") == metric(port, 'plumb_tls_sessions_total{evidence="descriptor"}') == 400
    spans = requests_of(p.finish())
    for kind in (SERVER, CLIENT):
        check_http(spans, plan, kind)
    check_one_trace(spans)
    check_measured(spans, results)


def check_recorded_joins(spans):
    """Where no path is left, who called is known by what was asked, what came of it, and how much that was."""
    said = {(s.trace_id, s.span_id): [s[a] for a in ("http.request.method", "http.response.status_code", "http.request.body.size", "http.response.body.size")] for s in spans}
    served = [s for s in spans if s.kind == SERVER]
    assert all(s["plumb.join"] == "socket" and s["network.peer.port"] for s in served), describe(served, 30)
    assert len({(s.trace_id, s.parent_id) for s in served}) == len(served)
    for s in served:
        assert said[s.trace_id, s.parent_id] == said[s.trace_id, s.span_id], describe([s])


@pytest.mark.parametrize("redacted", [False, True])
def test_recordings(start, plumb, localhost_certificate, redacted):
    """They replay to the spans of the live run; those that are safe to share hold no word of what was encrypted."""
    app = start(SERVERS["nginx"], localhost_certificate)
    plan = [r for r in plan_10007() if r.kind != "slow"][:509]
    driver = driver_of(start, "asyncio", app, localhost_certificate, "1.3", 40, plan)
    path = start.folder() / "https.plumb"
    p = plumb(command="record", pids=[app.pid, driver.pid], args=[*watched(), "-o", path, *(["--redact"] if redacted else [])], output=None)
    p.wait_watching("openssl")
    driver.go()
    assert p.stop() == 0
    done = replay(path)
    assert done.returncode == 0, done.stderr
    spans = requests_of(parse(done.stdout.decode()))
    assert Counter((s.kind, s["http.request.method"], s["http.response.status_code"]) for s in spans) == Counter((kind, r.method, r.status) for r in plan for kind in (SERVER, CLIENT)), describe(spans, 60)
    check_recorded_joins(spans)
    held = b"".join(r.bytes for r in recording.read(path)[1])
    assert (b"100001" in held) != redacted and (b"one item" in held) != redacted
