# SPDX-License-Identifier: Apache-2.0
"""TLS in Java: Netty with a library of its own (BoringSSL, linked into a shared object that it unpacks to /tmp and unlinks) is read as others are; of the JDK's there are handshakes alone."""
import json

import pytest

from harness import servers
from harness.driver import Driver, plan_23
from harness.libraries import watched
from harness.process import BUILD, Process, free_port, wait_until
from harness.servers import listening
from harness.spans import describe
from test_truth_https import check_pair, requests_of

pytestmark = pytest.mark.live


def netty(*args):
    java, jars = servers.need("java", "default-jre-headless"), BUILD / "e2e/netty"
    if not (jars / "classes/NettyTls.class").exists():
        pytest.skip("Netty was not fetched, or there was no javac: run tests/e2e/setup.sh")
    return [java, "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/classes:{jars}/*", "NettyTls", *args]


def serve(folder, tls, provider):
    port = free_port()
    return listening(Process("netty", netty("serve", port, tls, provider), folder), port)


def drive(start, server, tls, version, provider, plan):
    d = Driver(start.folder(), "netty-driver", netty("drive", server.port, tls, version, 3, provider))
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    wait_until(lambda: "ready" in d.err.read_text(), "its libraries to be loaded", alive=d)
    return d


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_netty_with_its_own_library(start, plumb, localhost_certificate, version):
    server = start(serve, localhost_certificate, "OPENSSL")
    plan = plan_23()
    driver = drive(start, server, localhost_certificate, version, "OPENSSL", plan)
    p = plumb(pids=[server.pid, driver.pid], args=watched())
    p.wait_watching_in("openssl", server, driver)  # each has unpacked a file of its own
    results = {r["path"]: r for r in driver.go()}
    p.wait_spans(46, match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    assert len(spans) == 46, describe(spans, 60)
    check_pair(spans, plan, server, "1.1", results)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_jdk_shakes_hands(start, plumb, localhost_certificate, version):
    """What passes then is not seen, and nothing is made up."""
    server = start(serve, localhost_certificate, "JDK")
    driver = drive(start, server, localhost_certificate, version, "JDK", plan_23())
    p = plumb(pids=[server.pid, driver.pid], args=watched())
    assert len(driver.go()) == 23
    p.wait_spans(6)
    spans = p.finish()
    assert {s.name for s in spans} == {"TLS handshake"} and len(spans) == 6, describe(spans)
    assert {s["tls.protocol.version"] for s in spans} == {version}
