# SPDX-License-Identifier: Apache-2.0
"""HTTP over TLS by rustls, in programs that have their symbols: spans equal the truth."""
import json
import shutil

import pytest

from harness import servers
from harness.driver import Driver, plan_23, plan_10007
from harness.libraries import watched
from harness.process import BUILD, Process, free_port
from harness.spans import describe
from harness.tls import Authority
from test_truth_https import SERVERS, check_pair, driver_of, requests_of
from test_truth_runtimes import plan_of
from test_truth_tls_static import check_http_run

pytestmark = pytest.mark.live


def program(name):
    path = BUILD / "e2e/rust" / name
    if not path.exists():
        pytest.skip("no programs of Rust (build/e2e/rust.log)")
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A folder with cert.pem, of localhost and who has signed it, key.pem and ca.pem: rustls takes no certificate that signs itself."""
    folder = tmp_path_factory.mktemp("rustls")
    authority = Authority(folder, "authority")
    leaf, key = authority.issue("DNS:localhost")
    (folder / "cert.pem").write_text(leaf.read_text() + authority.certificate.read_text())
    shutil.copy(key, folder / "key.pem")
    shutil.copy(authority.certificate, folder / "ca.pem")
    for path in (folder, *folder.glob("*.pem"), folder.parent):
        path.chmod(0o755)
    return folder


def start_rust(folder, tls, name="httpd"):
    port = free_port()
    return servers.listening(Process(name, [program(name), port, tls], folder), port)


def rust_driver(start, name, port, tls, version, connections, plan, *more):
    d = Driver(start.folder(), name, [program(name), port, tls, version, connections, *more])
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    return d


def start_both(start, server, client, tls, version, connections, plan):
    app = start(start_rust if server == "rust" else SERVERS[server], tls)
    if client != "rust":
        return app, driver_of(start, client, app, tls, version, connections, plan)
    return app, rust_driver(start, "driver", app.port, tls, version, connections, plan)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("server,client", [("rust", "rust"), ("rust", "blocking"), ("nginx", "rust")])
def test_23_requests_of_which_7_fail(start, plumb, certificate, server, client, version):
    plan = plan_23()
    app, driver = start_both(start, server, client, certificate, version, 3, plan)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    for way, process in ((server, app), (client, driver)):
        p.wait_watching_in("rustls" if way == "rust" else "openssl", process)
    check_http_run(p, plan, {r["path"]: r for r in driver.go()}, app)


@pytest.mark.parametrize("age", ["older", "younger"])
def test_tokio(start, plumb, certificate, age):
    """hyper over tokio-rustls, which moves a connection about: server and client, HTTP/1.1 and HTTP/2, TLS 1.2 and 1.3, three requests at a time. The first one comes with the end of the handshake, or behind it."""
    ways = [(http, version) for http in ("1.1", "2") for version in ("1.2", "1.3")]

    def begin():
        app = start(start_rust, certificate, "tokio_httpd")
        return app, [rust_driver(start, "tokio_driver", app.port, certificate, version, 3, plan_of(i), http) for i, (http, version) in enumerate(ways)]

    if age == "older":
        app, drivers = begin()
        p = plumb(pids=[x.pid for x in (app, *drivers)], args=watched())
    else:
        p = plumb(args=[*watched(), "--comm", "tokio_httpd", "--comm", "tokio_driver"])
        app, drivers = begin()
    p.wait_watching_in("rustls", app, *drivers)
    results = [{r["path"]: r for r in driver.go()} for driver in drivers]
    p.wait_spans(46 * len(ways), match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    for i, (http, _) in enumerate(ways):
        check_pair(spans, plan_of(i), app, http, results[i])
    assert len(spans) == 46 * len(ways), describe(spans, 60)


def test_10007_requests(start, plumb, certificate):
    plan = [r for r in plan_10007() if r.kind != "slow"]
    app, driver = start_both(start, "rust", "rust", certificate, "1.3", 5, plan)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    p.wait_watching_in("rustls", app, driver)
    check_http_run(p, plan, {r["path"]: r for r in driver.go(300)}, app)
