# SPDX-License-Identifier: Apache-2.0
"""HTTP over TLS in the runtimes that people use, older than plumb and younger: spans equal the truth, request by request, and both ends of a call are one trace."""
import dataclasses
import json
import os

import pytest

from harness.driver import Driver, plan_23
from harness.libraries import watched
from harness.runtimes import CLIENTS, SERVERS
from harness.spans import CLIENT, SERVER, describe
from harness.truth import check_http, check_order
from test_truth_https import SERVERS as COMMON, check_measured, check_one_trace, requests_of

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
    "Rust": [("native-tls", "native-tls", "1.1", ("1.2",)), ("nginx", "native-tls", "1.1", ("1.3",))],
}


def plan_of(number):
    """23 requests with paths that no other driver asks for."""
    return [dataclasses.replace(r, number=r.number + 1000 * number) for r in plan_23()]


def driver_of(start, way, port, certificate, version, connections, plan):
    """Holds its plan and waits for go()."""
    argv, env = CLIENTS[way](certificate, version)
    d = Driver(start.folder(), way, [*argv, port, certificate, version, connections, way], env={**os.environ, **env})
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    return d


def wait_for_libraries(p, names):
    """Node has a library of its own, and so has Go; all others share one file."""
    p.wait_watching("openssl", len({"node" if name in ("node", "fetch") else "shared" for name in names if name != "go"}))
    if "go" in names:
        p.wait_watching("crypto/tls")


def check_pair(spans, plan, app, http, results):
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
        p = plumb(args=watched())
        apps, drivers = begin()
    wait_for_libraries(p, [name for pair in pairs for name in pair[:2]])
    for driver in drivers:
        driver.begin()
    results = [{r["path"]: r for r in driver.end()} for driver in drivers]
    ports = {app.port for app in apps.values()}
    p.wait_spans(46 * len(pairs), match=lambda s: s.name != "TLS handshake" and s["server.port"] in ports)
    spans = [s for s in requests_of(p.finish()) if s["server.port"] in ports]
    for i, (server, _, http, _) in enumerate(pairs):
        check_pair(spans, plan_of(i), apps[server], http, results[i])
    assert len(spans) == 46 * len(pairs), describe([s for s in spans if not any(s.path in r for r in results)])
