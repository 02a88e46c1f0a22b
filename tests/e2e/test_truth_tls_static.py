# SPDX-License-Identifier: Apache-2.0
"""TLS that is linked into programs without its symbols: it is found by its code, and spans equal the truth as they do where it has them."""
import json
import os
import shutil
import struct
import subprocess
from collections import Counter

import pytest

from harness import recording, servers
from harness.driver import Driver, plan_23, plan_10007, python_driver
from harness.libraries import watched
from harness.process import APPS, BUILD, Process, free_port, wait_until
from harness.spans import CLIENT, SERVER, describe
from harness.truth import TOLERANCE_NS, TOLERANCE_PART, check_http, check_order
from test_restart import metric
from test_truth_http2 import grpc_plan, grpc_statement, grpc_truth
from test_truth_https import SERVERS, check_measured, check_one_trace, driver_of, requests_of

pytestmark = pytest.mark.live

LINKED = {"position-independent": [], "fixed": ["-no-pie"], "static": ["-static", "-no-pie"]}
AWS_LC = BUILD / "e2e/aws-lc"


@pytest.fixture(scope="session")
def linked(tmp_path_factory):
    """A function: our program with an OpenSSL in it, or AWS-LC, linked this way and stripped."""
    made = {}

    def make(way):
        if way not in made:
            path = tmp_path_factory.mktemp("linked") / "tls_static"
            options, libraries = (["-I", AWS_LC / "include"], [AWS_LC / "libssl.a", AWS_LC / "libcrypto.a", "-lstdc++"]) if way == "AWS-LC" else (LINKED[way], ["-l:libssl.a", "-l:libcrypto.a", "-ldl"])
            done = subprocess.run(["cc", "-O2", "-s", "-D_GNU_SOURCE", *options, "-o", path, APPS / "tls_static.c", *libraries, "-lpthread"], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"OpenSSL cannot be linked in (package libssl-dev): {done.stderr[-300:]}")
            assert "no symbols" in subprocess.run(["nm", path], capture_output=True, text=True).stderr
            made[way] = path
        return made[way]

    return make


def found(library):
    return f"{library}, found by its code,"


def start_linked(folder, program, tls):
    port = free_port()
    return servers.listening(Process("linked", [program, "serve", port, tls], folder), port)


def linked_driver(start, program, server, tls, connections, plan):
    d = Driver(start.folder(), "linked-driver", [program, "ask", server.port, tls, connections])
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    return d


@pytest.mark.parametrize("way", LINKED)
@pytest.mark.parametrize("server,client", [("linked", "linked"), ("linked", "blocking"), ("python", "linked")])
def test_openssl_that_is_linked_in(start, plumb, localhost_certificate, linked, server, client, way):
    check_linked_in(start, plumb, localhost_certificate, linked, server, client, way, "openssl")


def check_linked_in(start, plumb, localhost_certificate, linked, server, client, way, library):
    program = linked(way)
    app = start(start_linked, program, localhost_certificate) if server == "linked" else start(SERVERS[server], localhost_certificate)
    plan = plan_23()
    driver = linked_driver(start, program, app, localhost_certificate, 3, plan) if client == "linked" else driver_of(start, client, app, localhost_certificate, "1.3", 3, plan)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    for way, process in ((server, app), (client, driver)):
        p.wait_watching_in(found(library) if way == "linked" else "openssl", process)
    check_http_run(p, plan, {r["path"]: r for r in driver.go()}, app)


@pytest.mark.parametrize("server,client", [("linked", "linked"), ("linked", "blocking"), ("python", "linked")])
def test_aws_lc_that_is_linked_in(start, plumb, localhost_certificate, linked, server, client):
    if not (AWS_LC / "libssl.a").exists():
        pytest.skip("no AWS-LC (cargo, cmake and c++ build it; build/e2e/aws-lc.log)")
    check_linked_in(start, plumb, localhost_certificate, linked, server, client, "AWS-LC", "aws-lc")


def check_http_run(p, plan, results, app):
    assert {path: r["status"] for path, r in results.items()} == {r.path: r.status for r in plan}, "the client itself saw something else"
    p.wait_spans(2 * len(plan), match=lambda s: s.name != "TLS handshake" and s["server.port"] == app.port, timeout_s=60)
    spans = [s for s in requests_of(p.finish()) if s["server.port"] == app.port]
    assert len(spans) == 2 * len(plan), describe(spans, 60)
    check_order(spans)
    for kind in (SERVER, CLIENT):
        for s in check_http(spans, plan, kind).values():
            assert (s["url.scheme"], s["server.port"]) == ("https", app.port), describe([s])
            assert s["network.peer.address"] in ("127.0.0.1", "::1") and s["plumb.incomplete"] is None, describe([s])
    check_one_trace(spans)
    check_measured(spans, results)


def bun():
    programs = list((BUILD / "e2e/bun/node_modules/@oven").glob("bun-linux-*/bin/bun"))
    if not programs:
        pytest.skip("no Bun (build/e2e/bun.log)")
    return programs[0]


def start_bun(folder, tls):
    port = free_port()
    return servers.listening(Process("bun", [bun(), APPS / "httpd.js", port], folder, env={**os.environ, "HTTPD_TLS": str(tls)}), port)


@pytest.mark.parametrize("server,client", [("bun", "blocking"), ("nginx", "bun"), ("bun", "bun")])
def test_bun(start, plumb, localhost_certificate, server, client):
    """Bun has a BoringSSL of its own and nothing that tells where functions end: by what calls them."""
    app = start(start_bun if server == "bun" else SERVERS[server], localhost_certificate)
    plan = plan_23()
    if client == "bun":
        driver = Driver(start.folder(), "bun-driver", [bun(), APPS / "https_driver.js", app.port, localhost_certificate, "1.3", 3, "https"])
        driver.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    else:
        driver = driver_of(start, client, app, localhost_certificate, "1.3", 3, plan)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    for way, process in ((server, app), (client, driver)):
        p.wait_watching_in(found("boringssl") if way == "bun" else "openssl", process)
    check_http_run(p, plan, {r["path"]: r for r in driver.go()}, app)


def test_10007_requests(start, plumb, localhost_certificate, linked):
    program = linked("position-independent")
    app = start(start_linked, program, localhost_certificate)
    plan = [r for r in plan_10007() if r.kind != "slow"]
    driver = linked_driver(start, program, app, localhost_certificate, 5, plan)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    p.wait_watching(found("openssl"))
    check_http_run(p, plan, {r["path"]: r for r in driver.go(300)}, app)


def test_grpc_of_python(start, plumb, localhost_certificate):
    """grpcio has a BoringSSL of its own, without symbols."""
    server = start(servers.start_python, localhost_certificate, app="grpcd.py")
    plan = grpc_plan()
    d = Driver(start.folder(), "grpc-python", [BUILD / "venv/bin/python", "-u", APPS / "grpc_driver.py", server.port], env={**os.environ, "DRIVER_TLS": str(localhost_certificate)})
    d.write("".join(json.dumps(q) + "\n" for q, *_ in plan) + "\n")
    p = plumb(pids=[server.pid, d.pid], args=watched())
    p.wait_watching(found("boringssl"))
    results = d.go()
    assert [(r["code"], r["received"]) for r in results] == [(code, received) for _, code, _, received in plan], "the client itself saw something else"
    p.wait_spans(106, match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    check_order(spans)
    for kind in (SERVER, CLIENT):
        mine = [s for s in spans if s.kind == kind]
        truth, said = grpc_truth(plan, kind), Counter(map(grpc_statement, mine))
        assert said == truth, f"missing: {truth - said}\ntoo much: {said - truth}"
        for s in mine:
            assert s["rpc.system.name"] == "grpc" and s["server.address"] in ("127.0.0.1", "localhost") and s["server.port"] == server.port, describe([s])
            assert s["plumb.incomplete"] is None, describe([s])
    parents = Counter((s.trace_id, s.parent_id) for s in spans if s.kind == SERVER)
    assert parents == Counter((s.trace_id, s.span_id) for s in spans if s.kind == CLIENT), "not one trace for each call"


def test_etcd(start, plumb, localhost_certificate):
    """101 calls of grpcio, 7 of which fail: its BoringSSL speaks with Go's crypto/tls."""
    server = start(servers.start_etcd, localhost_certificate)
    driver = python_driver(start.folder(), "etcd_driver.py", server.port, localhost_certificate)
    p = plumb(pids=[server.pid, driver.pid], args=watched())
    p.wait_watching(found("boringssl"))
    p.wait_watching("crypto/tls", file="etcd")
    results = driver.go()
    truth = {("etcdserverpb.KV/Put", "OK"): 53, ("etcdserverpb.KV/Range", "OK"): 41, ("etcdserverpb.KV/Put", "INVALID_ARGUMENT"): 7}
    assert Counter((f"etcdserverpb.KV/{r['method']}", "INVALID_ARGUMENT" if r["code"] == 3 else "OK") for r in results if r["code"] in (0, 3)) == truth, "the client itself saw something else"
    p.wait_spans(202, match=lambda s: s["rpc.system.name"] == "grpc" and s["server.port"] == server.port)
    spans = sorted((s for s in requests_of(p.finish()) if s["server.port"] == server.port), key=lambda s: s.start_ns)
    check_order(spans)
    for kind in (SERVER, CLIENT):
        mine = [s for s in spans if s.kind == kind]
        assert Counter((s["rpc.method"], s["rpc.response.status_code"]) for s in mine) == truth, describe(mine, 120)
        assert all(s["plumb.incomplete"] is None and s["network.peer.address"] == "127.0.0.1" and "secret" not in str(s.raw) for s in mine), describe(mine, 120)
    client = [s for s in spans if s.kind == CLIENT]
    for s, r in zip(client, results):
        assert s.duration_ns <= r["ns"] + max(TOLERANCE_NS, r["ns"] * TOLERANCE_PART), describe([s])
    assert Counter((s.trace_id, s.parent_id) for s in spans if s.kind == SERVER) == Counter((s.trace_id, s.span_id) for s in client), "not one trace for each call"


# What of it Python is asked, and answers; where its TLS is; what that is where it has no symbols.
PACKAGES = {
    "pyopenssl-21": ("from OpenSSL import SSL; print(SSL.SSLeay_version(0).decode())", "OpenSSL 1.1.1", "cryptography/hazmat/bindings/*.so", "openssl"),
    "pyopenssl-26": ("from OpenSSL import SSL; print(SSL.SSLeay_version(0).decode())", "OpenSSL 4.0", "cryptography/hazmat/bindings/*.so", "openssl"),
    "curl_cffi": ("import curl_cffi; print(curl_cffi.__curl_version__)", "libcurl/8", "curl_cffi/*.so", "boringssl"),
}


@pytest.mark.parametrize("symbols", ["with symbols", "stripped"])
@pytest.mark.parametrize("name", PACKAGES)
def test_packages_of_python(start, plumb, localhost_certificate, name, symbols):
    """requests over pyOpenSSL, and curl: each has its TLS linked into a package that keeps its symbols; or does not."""
    packages, own = BUILD / "e2e" / name, start.folder()
    asks, says, files, library = PACKAGES[name]
    if not packages.exists():
        pytest.skip(f"no {name} (build/e2e/{name}.log)")
    if symbols == "stripped":
        packages = shutil.copytree(packages, own / "packages")
        subprocess.run(["strip", *packages.glob(files)], check=True)
    env = {**os.environ, "PYTHONPATH": str(packages), "PYTHONWARNINGS": "ignore"}
    said = subprocess.run([BUILD / "venv/bin/python", "-c", asks], env=env, capture_output=True, text=True, check=True).stdout
    assert said.startswith(says), said
    app = start(SERVERS["nginx"], localhost_certificate)
    plan = plan_23()
    driver = Driver(own, name, [BUILD / "venv/bin/python", "-u", APPS / "https_driver.py", app.port, localhost_certificate, "1.3", 3, name.partition("-")[0]], env=env)
    driver.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    p.wait_watching(found(library) if symbols == "stripped" else "openssl", file=files.partition("/")[0])
    p.wait_watching("openssl", file="libssl")
    check_http_run(p, plan, {r["path"]: r for r in driver.go()}, app)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("name", ["pyopenssl-21", "pyopenssl-26"])
def test_sessions_in_memory(start, plumb, localhost_certificate, name, version):
    """Which socket is under a session is seen from the records that its OpenSSL has in memory: 1.1.1 and 4.0 keep them in different places. Three threads do the same at once."""
    packages = BUILD / "e2e" / name
    if not packages.exists():
        pytest.skip(f"no {name} (build/e2e/{name}.log)")
    app = start(SERVERS["nginx"], localhost_certificate)
    plan = plan_23()
    driver = Driver(start.folder(), name, [BUILD / "venv/bin/python", "-u", APPS / "https_driver.py", app.port, localhost_certificate, version, 3, "memory"],
                    env={**os.environ, "PYTHONPATH": str(packages), "PYTHONWARNINGS": "ignore"})
    driver.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    port = free_port()
    p = plumb(pids=[app.pid, driver.pid], args=[*watched(), "--metrics", f"127.0.0.1:{port}"])
    p.wait_watching("openssl", file=name)
    results = {r["path"]: r for r in driver.go()}
    wait_until(lambda: metric(port, "plumb_tls_sessions_total") == 6, "sessions of both ends", alive=p)
    assert metric(port, 'plumb_tls_sessions_total{evidence="record"}') == 3
    check_http_run(p, plan, results, app)


def test_what_only_looks_like_it_is_let_go(start, plumb):
    """Its code says what OpenSSL's would, and its calls return what they cannot: by the first such call plumb believes none of them."""
    program = start.folder() / "like_openssl"
    done = subprocess.run(["cc", "-O2", "-s", "-o", program, APPS / "like_openssl.c"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    app = start.process("like_openssl", [program], stdin=subprocess.PIPE)
    path = start.folder() / "like.plumb"
    p = plumb(command="record", pids=[app.pid], args=[*watched(), "-o", path], output=None)
    p.wait_watching(found("openssl"))
    for times in (1, 2):
        app.popen.stdin.write(b"go\n")
        app.popen.stdin.flush()
        wait_until(lambda: app.out.read_text().count("did it") == times, "its calls", alive=app)
        wait_until(lambda: "what was found there is something else" in p.err.read_text(), "plumb to notice", alive=p)
    app.popen.stdin.close()
    assert app.wait(10) == 0
    assert p.stop() == 0
    data = [struct.unpack_from("<Q", r.bytes, 16)[0] for r in recording.read(path)[1] if r.type == 13]
    assert len(data) == 1 and data[0] >> 62 == 1, "what was written before it was noticed, once, and nothing behind it"
