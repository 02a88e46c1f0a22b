# SPDX-License-Identifier: Apache-2.0
"""HTTP over TLS by rustls, in programs that have their symbols: spans equal the truth."""
import json
import shutil

import pytest

from harness import servers
from harness.driver import Driver, plan_23, plan_10007
from harness.libraries import watched
from harness.process import BUILD, Process, free_port
from harness.tls import Authority
from test_truth_https import SERVERS, driver_of
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


def start_rust(folder, tls):
    port = free_port()
    return servers.listening(Process("rust-httpd", [program("httpd"), port, tls], folder), port)


def start_both(start, server, client, tls, version, connections, plan):
    app = start(start_rust if server == "rust" else SERVERS[server], tls)
    if client != "rust":
        return app, driver_of(start, client, app, tls, version, connections, plan)
    d = Driver(start.folder(), "rust-driver", [program("driver"), app.port, tls, version, connections])
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    return app, d


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("server,client", [("rust", "rust"), ("rust", "blocking"), ("nginx", "rust")])
def test_23_requests_of_which_7_fail(start, plumb, certificate, server, client, version):
    plan = plan_23()
    app, driver = start_both(start, server, client, certificate, version, 3, plan)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    p.wait_watching("rustls", times=(server, client).count("rust"))
    if server != client:
        p.wait_watching("openssl")
    check_http_run(p, plan, {r["path"]: r for r in driver.go()}, app)


def test_10007_requests(start, plumb, certificate):
    plan = [r for r in plan_10007() if r.kind != "slow"]
    app, driver = start_both(start, "rust", "rust", certificate, "1.3", 5, plan)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    p.wait_watching("rustls", times=2)
    check_http_run(p, plan, {r["path"]: r for r in driver.go(300)}, app)
