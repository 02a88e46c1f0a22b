# SPDX-License-Identifier: Apache-2.0
"""HTTP over TLS in the runtimes that people use, older than plumb and younger: spans equal the truth, request by request, and both ends of a call are one trace."""
import dataclasses
import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from harness import php, servers
from harness.driver import Driver, http_driver, plan_23
from harness.libraries import watched
from harness.process import APPS, BUILD, Process, free_port
from harness.runtimes import CLIENTS, SERVERS, start_envoy, start_haproxy
from harness.spans import CLIENT, SERVER, describe
from harness.truth import check_http, check_order
from test_restart import metric
from test_truth_http2 import grpc_plan, grpc_statement, grpc_truth
from test_truth_https import SERVERS as COMMON, check_measured, check_pair, requests_of

pytestmark = pytest.mark.live

SERVERS = {**COMMON, **SERVERS}
BOTH = ("1.2", "1.3")
# (server, client, version of HTTP, versions of TLS); all of a group are watched by one plumb.
GROUPS = {
    "Python": [("aiohttp", "aiohttp", "1.1", BOTH), ("uvicorn", "aiohttp", "1.1", BOTH), ("uvloop", "aiohttp", "1.1", BOTH), ("nginx", "httpx", "2", BOTH)],
    "Node": [("nginx", "fetch", "1.1", BOTH), ("node", "fetch", "1.1", BOTH), ("go", "fetch", "1.1", BOTH)],
    "Ruby": [("webrick", "ruby", "1.1", BOTH), ("puma", "ruby", "1.1", BOTH)],
    "PHP": [("nginx", "curl", "1.1", BOTH), ("nginx", "curl2", "2", BOTH), ("nginx", "streams", "1.1", BOTH)],
    "Perl": [("nginx", "perl", "1.1", BOTH)],
    "s2n": [("nginx", "awscrt", "1.1", ("1.3",)), ("go", "awscrt", "1.1", ("1.3",))],
    "Rust": [("native-tls", "native-tls", "1.1", ("1.2",)), ("nginx", "native-tls", "1.1", ("1.3",))],
}


def plan_of(number):
    """23 requests with paths that no other driver asks for."""
    return [dataclasses.replace(r, number=r.number + 1000 * number) for r in plan_23()]


def by_name(*comms):
    """Options for programs that plumb is to watch and that come later."""
    return [word for comm in comms for word in ("--comm", comm)]


def driver_of(start, way, port, certificate, version, connections, plan):
    """Holds its plan and waits for go()."""
    argv, env = CLIENTS[way](certificate, version)
    d = Driver(start.folder(), way, [*argv, port, certificate, version, connections, way], env={**os.environ, **env})
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    return d


def wait_for_libraries(p, *processes):
    """Of each: what it was started as, and itself."""
    for way, process in processes:
        p.wait_watching_in({"go": "crypto/tls", "awscrt": "s2n"}.get(way, "openssl"), process)


@pytest.mark.parametrize("age", ["older", "younger"])
@pytest.mark.parametrize("group", GROUPS)
def test_23_requests_of_which_7_fail(start, plumb, localhost_certificate, group, age):
    pairs = [(server, client, http, version) for server, client, http, versions in GROUPS[group] for version in versions]

    def begin():
        apps = {server: start(SERVERS[server], localhost_certificate) for server in dict.fromkeys(server for server, *_ in pairs)}
        return apps, [driver_of(start, client, apps[server].port, localhost_certificate, version, 3, plan_of(i)) for i, (server, client, _, version) in enumerate(pairs)]

    if age == "older":
        apps, drivers = begin()
        p = plumb(pids=[x.pid for x in (*apps.values(), *drivers)], args=watched())
    else:
        p = plumb(args=[*watched(), *by_name("python", "python3", "node", "nginx", "httpd", "ruby", "puma", "php", "perl", "driver")])
        apps, drivers = begin()
    wait_for_libraries(p, *apps.items(), *((client, driver) for (_, client, *_), driver in zip(pairs, drivers)))
    for driver in drivers:
        driver.begin()
    results = [{r["path"]: r for r in driver.end()} for driver in drivers]
    ports = {app.port for app in apps.values()}
    p.wait_spans(46 * len(pairs), match=lambda s: s.name != "TLS handshake" and s["server.port"] in ports)
    spans = [s for s in requests_of(p.finish()) if s["server.port"] in ports]
    for i, (server, _, http, _) in enumerate(pairs):
        check_pair(spans, plan_of(i), apps[server], http, results[i])
    assert len(spans) == 46 * len(pairs), describe([s for s in spans if not any(s.path in r for r in results)])


def chain(spans, path):
    """Spans of one request from the first client to the last server, each the parent of the next."""
    mine = [s for s in spans if s.path == path]
    first = [s for s in mine if not s.parent_id]
    assert len(first) == 1, describe(mine)
    steps = first
    while following := [s for s in mine if s.parent_id == steps[-1].span_id]:
        assert len(following) == 1, describe(mine)
        steps.append(following[0])
    assert len(steps) == len(mine) and len({s.trace_id for s in mine}) == 1, describe(mine)
    return steps


# How it is started, what its TLS is, and who speaks HTTP/2 with it: libcurl takes it ill that Envoy answers, as nginx does, before all was sent, and gives up a stream that has its length, but not its end.
PROXIES = {"haproxy": (start_haproxy, "openssl", "curl2"), "envoy": (start_envoy, "boringssl, found by its code,", "httpx")}


@pytest.mark.parametrize("ends,age", [("TLS in front", "younger"), ("TLS behind", "older"), ("TLS at both ends", "older"), ("TLS at both ends", "younger")])
@pytest.mark.parametrize("name", PROXIES)
def test_proxies(start, plumb, localhost_certificate, name, ends, age):
    """HTTP/1.1 and HTTP/2, TLS 1.2 and 1.3 in front: a client, the proxy's two sides and nginx behind it are one trace, as long as one request is open at a time."""
    start_proxy, library, client = PROXIES[name]
    front, back = (localhost_certificate if ends in which else None for which in (("TLS in front", "TLS at both ends"), ("TLS behind", "TLS at both ends")))
    ways = [("curl", "1.2"), (client, "1.3")] if front else [("plain", "")]
    plans = [[r for r in plan_of(i) if r.kind != "slow" and (way, r.kind) != ("httpx", "upload")] for i, (way, _) in enumerate(ways)]
    plan = [r for part in plans for r in part]

    def begin():
        nginx = start(servers.start_nginx, tls=back)
        proxy = start(start_proxy, nginx.port, front, back)
        if front:
            return nginx, proxy, [driver_of(start, way, proxy.port, localhost_certificate, version, 1, part) for (way, version), part in zip(ways, plans)]
        return nginx, proxy, [http_driver(start.folder(), proxy, 1, plan)]

    if age == "older":
        nginx, proxy, drivers = begin()
        p = plumb(pids=[nginx.pid, proxy.pid, *(d.pid for d in drivers)], args=watched())
    else:
        p = plumb(args=[*watched(), *by_name("nginx", name, "php", "python", "driver")])
        nginx, proxy, drivers = begin()
    p.wait_watching_in("openssl", nginx, *(drivers if front else ()))
    p.wait_watching_in(library, proxy)
    results = {r["path"]: r for driver in drivers for r in driver.go()}
    assert {path: r["status"] for path, r in results.items()} == {r.path: r.status for r in plan}, "the client itself saw something else"
    p.wait_spans(4 * len(plan), match=lambda s: s.name != "TLS handshake" and s["server.port"] == proxy.port)  # of all, as proxies do not change the Host
    spans = [s for s in requests_of(p.finish()) if s["server.port"] == proxy.port]
    assert len(spans) == 4 * len(plan), describe(spans)
    check_order(spans)
    behind = [s for s in spans if (s.service, s.kind) in ((name, CLIENT), ("nginx", SERVER))]
    for mine, over in (([s for s in spans if s not in behind], front), (behind, back)):
        for kind in (SERVER, CLIENT):
            for s in check_http(mine, plan, kind).values():
                assert s["url.scheme"] == ("https" if over else "http") and s["plumb.incomplete"] is None, describe([s])
    for r in plan:
        steps = chain(spans, r.path)
        assert [(s.kind, s.service) for s in steps[1:]] == [(SERVER, name), (CLIENT, name), (SERVER, "nginx")] and steps[0].kind == CLIENT, describe(steps)


@pytest.mark.parametrize("way,version,age", [("blocking", "1.2", "older"), ("blocking", "1.3", "younger"), ("httpx", "1.3", "older")])
def test_php_fpm(start, plumb, localhost_certificate, way, version, age):
    """nginx ends TLS and asks PHP-FPM, whose script asks another server over TLS: one trace from the first client to the last server."""
    plan = plan_of(31)

    def begin():
        back = start(servers.start_nginx, tls=localhost_certificate)
        fpm = start(php.start_php_fpm, extensions=("curl",))
        front = start(php.start_nginx_of_php, fpm.listen, True, "fpm_https.php", localhost_certificate, {"BACKEND": back.port, "CERTIFICATE": localhost_certificate})
        return back, fpm, front, driver_of(start, way, front.port, localhost_certificate, version, 1, plan)

    if age == "older":
        back, fpm, front, driver = begin()
        p = plumb(pids=[back.pid, *fpm.pids, *front.pids, driver.pid], args=watched())
    else:
        p = plumb(args=[*watched(), *by_name("nginx", "php-fpm8.2", "python", "php")])
        back, fpm, front, driver = begin()
    p.wait_watching("openssl")
    results = {r["path"]: r for r in driver.go()}
    assert {path: r["status"] for path, r in results.items()} == {r.path: r.status for r in plan}, "the client itself saw something else"
    p.wait_spans(6 * len(plan), match=lambda s: s.path in results)
    spans = [s for s in requests_of(p.finish()) if s.path in results]
    assert len(spans) == 6 * len(plan), describe(spans, 60)
    check_order(spans)
    for r in plan:
        steps = chain(spans, r.path)
        assert [s.kind for s in steps] == [CLIENT, SERVER] * 3, describe(steps)
        assert [s["network.protocol.name"] for s in steps] == ["http", "http", "fastcgi", "fastcgi", "http", "http"], describe(steps)
        assert {s["url.scheme"] for s in steps} == {"https"}, describe(steps)
        assert [s["server.port"] for s in (*steps[:2], *steps[4:])] == [front.port] * 2 + [back.port] * 2, describe(steps)
        assert steps[1].pid in front.pids and steps[2].pid == steps[1].pid and steps[3].pid in fpm.pids and steps[4].pid == steps[3].pid, describe(steps)
        assert all(s["http.response.status_code"] == r.status and s["http.request.method"] == r.method and s["plumb.incomplete"] is None for s in steps), describe(steps)
        assert all(s.duration_ns >= 50_000_000 for s in steps) or r.kind != "slow", describe(steps)
        sizes = {s["http.response.body.size"] for s in steps}
        assert r.kind not in ("big", "slow") or sizes == {200_003 if r.kind == "big" else 30_011}, describe(steps)
    check_measured(spans, results)


def grpc_server(folder, language, tls):
    port = free_port()
    argv = [servers.go_program("grpcd"), port] if language == "go" else [*grpc_js("grpcd.js"), port, tls]
    return servers.listening(Process(f"grpcd-{language}", argv, folder, env={**os.environ, "GRPC_TLS": str(tls)}), port)


def grpc_client(folder, language, port, tls, plan):
    argv = [servers.go_program("grpcdriver"), port, 7] if language == "go" else [*grpc_js("grpc_driver.js"), port, tls, 7]
    d = Driver(folder, f"grpc-{language}", argv, env={**os.environ, "GRPC_TLS": str(tls)})
    d.write("".join(json.dumps(q) + "\n" for q in plan) + "\n")
    return d


def grpc_js(app):
    modules = BUILD / "e2e/node"
    if not (modules / "node_modules/@grpc/grpc-js").exists():
        pytest.skip("no @grpc/grpc-js (build/e2e/node.log)")
    return [servers.need("node", "nodejs"), APPS / "node" / app, modules]


@pytest.mark.parametrize("server,client,age", [("go", "go", "older"), ("go", "go", "younger"), ("node", "node", "older"), ("node", "go", "younger"), ("go", "node", "younger")])
def test_grpc(start, plumb, localhost_certificate, server, client, age):
    """53 calls of all four kinds, seven at a time on one connection, with every status that there is."""
    plan = grpc_plan()

    def begin():
        app = start(grpc_server, server, localhost_certificate)
        return app, grpc_client(start.folder(), client, app.port, localhost_certificate, [q for q, *_ in plan])

    if age == "older":
        app, driver = begin()
        p = plumb(pids=[app.pid, driver.pid], args=watched())
    else:
        p = plumb(args=[*watched(), *by_name("grpcd", "grpcdriver", "node")])
        app, driver = begin()
    wait_for_libraries(p, (server, app), (client, driver))
    results = driver.go()
    assert [(r["code"], r["received"]) for r in results] == [(code, received) for _, code, _, received in plan], "the client itself saw something else"
    p.wait_spans(106, match=lambda s: s["rpc.system.name"] == "grpc" and s["server.port"] == app.port)
    spans = [s for s in requests_of(p.finish()) if s["server.port"] == app.port]
    check_order(spans)
    for kind in (SERVER, CLIENT):
        mine = [s for s in spans if s.kind == kind]
        truth, said = grpc_truth(plan, kind), Counter(map(grpc_statement, mine))
        assert said == truth, f"missing: {truth - said}\ntoo much: {said - truth}"
        for s in mine:
            assert s["rpc.system.name"] == "grpc" and s["server.address"] in ("localhost", "127.0.0.1") and s["plumb.incomplete"] is None, describe([s])
    server_parents = Counter((s.trace_id, s.parent_id) for s in spans if s.kind == SERVER)
    assert server_parents == Counter((s.trace_id, s.span_id) for s in spans if s.kind == CLIENT), "not one trace for each call"


LIBRARIES = {"openssl": ("-lssl", "-lcrypto"), "wolfssl": ("-lwolfssl",), "mbedtls": ("-lmbedtls", "-lmbedx509", "-lmbedcrypto"), "gnutls": ("-lgnutls",),
             "nss": ("-I/usr/include/nss", "-I/usr/include/nspr", "-lssl3", "-lnss3", "-lnssutil3", "-lnspr4")}
# s2n as the AWS common runtime's package for Python has it.
AWSCRT = [str(path) for path in (BUILD / "e2e/awscrt").glob("_awscrt*.so")]
LIBRARIES["s2n"] = (*AWSCRT, f"-Wl,-rpath,{BUILD}/e2e/awscrt", f"-lpython{sys.version_info[0]}.{sys.version_info[1]}")
# With its symbols in the program itself.
LINKED_IN = {"wolfssl": ("-l:libwolfssl.a", "-lm"), "mbedtls": ("-l:libmbedtls.a", "-l:libmbedx509.a", "-l:libmbedcrypto.a"),
             "aws-lc": (f"-I{BUILD}/e2e/aws-lc/include", BUILD / "e2e/aws-lc/libssl.a", BUILD / "e2e/aws-lc/libcrypto.a", "-lstdc++")}


@pytest.mark.parametrize("library,linked,versions,age", [
    ("openssl", "shared", BOTH, "older"), ("openssl", "shared", BOTH, "younger"), ("wolfssl", "shared", BOTH, "older"), ("wolfssl", "static", BOTH, "younger"),
    ("mbedtls", "shared", ("1.2",), "older"), ("mbedtls", "static", ("1.2",), "younger"), ("gnutls", "shared", BOTH, "older"), ("gnutls", "shared", BOTH, "younger"),
    ("nss", "shared", BOTH, "older"), ("nss", "shared", BOTH, "younger"), ("s2n", "shared", BOTH, "older"), ("s2n", "shared", BOTH, "younger"),
    ("aws-lc", "static", BOTH, "older"), ("aws-lc", "static", BOTH, "younger"),
])
def test_programs_in_c(start, plumb, localhost_certificate, library, linked, versions, age):
    """Server and client of each library; their sessions are used again for other connections, without being freed where the library can (SSL_clear)."""
    program = start.folder() / f"{library}-http"
    sources = [APPS / "tls/http.c", APPS / f"tls/{'openssl' if library == 'aws-lc' else library}.c"]
    if library == "aws-lc" and not (BUILD / "e2e/aws-lc/libssl.a").exists():
        pytest.skip("no AWS-LC (cargo, cmake and c++ build it; build/e2e/aws-lc.log)")
    if library == "s2n" and not AWSCRT:
        pytest.skip("no AWS common runtime (the Python package awscrt; build/e2e/awscrt.log)")
    done = subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", program, *sources, *(LINKED_IN if linked == "static" else LIBRARIES)[library], "-lpthread"], capture_output=True, text=True)
    if done.returncode and f"{library}.c" in done.stderr and "No such file" in done.stderr:
        pytest.skip(f"the headers of {library} are not installed")
    assert done.returncode == 0, done.stderr
    port, metrics = free_port(), ["--metrics", f"127.0.0.1:{free_port()}"]

    def begin():
        app = start(lambda folder: servers.listening(Process("serves", [program, "serve", port, localhost_certificate], folder), port))
        drivers = []
        for i, version in enumerate(versions):
            drivers.append(Driver(start.folder(), "asks", [program, "ask", port, localhost_certificate, version, 2]))
            drivers[-1].write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan_of(i)))
        return app, drivers

    if age == "older":
        app, drivers = begin()
        p = plumb(pids=[app.pid, *(d.pid for d in drivers)], args=[*watched(), *metrics])
    else:
        p = plumb(args=[*watched(), *metrics, *by_name(program.name)])
        app, drivers = begin()
    for name in ("nss", "nspr") if library == "nss" else ("openssl" if library == "aws-lc" else library,):
        p.wait_watching_in(name, app, *drivers)
    results = [{r["path"]: r for r in driver.go()} for driver in drivers]
    p.wait_spans(46 * len(versions), match=lambda s: s.name != "TLS handshake" and s["server.port"] == port)
    assert metric(metrics[1].rpartition(":")[2], 'plumb_tls_sessions_total{evidence="none"}') == 0, "what is no session was taken for one"
    spans = [s for s in requests_of(p.finish()) if s["server.port"] == port]
    for i, mine in enumerate(results):
        check_pair(spans, plan_of(i), app, "1.1", mine)
    assert len(spans) == 46 * len(versions), describe(spans)
