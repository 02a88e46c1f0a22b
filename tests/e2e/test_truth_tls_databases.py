# SPDX-License-Identifier: Apache-2.0
"""Databases over TLS, which PostgreSQL and MySQL begin within their own protocols: 101 statements of which 7 fail, at both ends."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import python_driver
from harness.libraries import watched
from harness.process import wait_until
from harness.spans import CLIENT, SERVER, STATUS_ERROR, describe

pytestmark = pytest.mark.live

SERVERS = {"postgresql": servers.Postgres, "mysql": servers.Mariadb, "redis": servers.start_redis}
# Of both ends together: psycopg2's package has its own OpenSSL, which the driver has mapped, whatever it drives.
FILES = "/libssl.so", "psycopg2"
ERRORS = {"postgresql": "42703", "mysql": "42S22", "redis": "WRONGTYPE"}


@pytest.mark.parametrize("age", ["new", "older"])
@pytest.mark.parametrize("kind", SERVERS)
def test_101_statements_of_which_7_fail(start, plumb, localhost_certificate, kind, age):
    server = start(SERVERS[kind], tls=localhost_certificate)
    driver = python_driver(start.folder(), "tls_databases.py", server.port, kind, age)
    wait_until(lambda: "ready" in driver.out.read_text(), "its libraries, or its connection", alive=driver)
    p = plumb(pids=[server.pid, driver.pid], args=watched())
    for file in FILES:
        p.wait_watching("openssl", file=file)
    driver.write("go\n")
    driver.popen.stdin.close()
    assert driver.wait(60) == 0, driver.tail()
    word = {"redis": ("GETRANGE", "LPUSH")}.get(kind, ("SELECT",))

    def counts(s):
        return s["db.system.name"] in (kind, "mariadb") and s["db.operation.name"] in word and (kind != "mysql" or "no_such" in s["db.query.text"] or s["db.query.text"] == "SELECT ?, ?")

    p.wait_spans(202, match=counts)
    spans = [s for s in p.finish() if counts(s)]
    for s in spans:
        assert s["server.port"] == server.port and s["network.peer.address"] in ("127.0.0.1", "::1"), describe([s])
        assert "secret" not in str(s), describe([s])
        assert (s.status == STATUS_ERROR) == (s["error.type"] == ERRORS[kind]), describe([s])
    assert Counter((s.kind, s["error.type"]) for s in spans) == {(side, error): n for side in (CLIENT, SERVER) for error, n in ((None, 94), (ERRORS[kind], 7))}, describe(spans, 30)
    joined = sum(s["plumb.join"] == "socket" for s in spans)
    assert joined == 101, joined
