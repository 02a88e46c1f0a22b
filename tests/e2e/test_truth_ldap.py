# SPDX-License-Identifier: Apache-2.0
"""LDAP by ldap3 and go-ldap: every request has its two spans, in order, with names of attributes and without their values, with its error."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.tls import Authority
from harness.truth import check_order, close
from test_cli import raw
from test_truth_db import check_measured, check_series

pytestmark = pytest.mark.live

ROOT, PEOPLE, PERSON, CODE = "dc=?,dc=?", "ou=?,dc=?,dc=?", "uid=?,ou=?,dc=?,dc=?", "cn=?,ou=?,dc=?,dc=?"
BIND, UNBIND = ("bind", f"bind cn=?,{ROOT} simple", None), ("unbind", None, None)


def search(base, scope, text, error=None):
    return ("search", f"search {base} {scope} {text}", error)


def piped(name, error, count):
    return [search(PEOPLE, "sub", f"({name}=?*)", error if i % 7 == 0 else None) for i in range(count)]


ADD = ("add", f"add {PERSON}", None)
SLOW = search(CODE, "base", "(objectClass=*)")
FIRST = (
    [BIND, ("whoAmI", None, None), ("add", f"add {ROOT}", None), ("add", f"add {PEOPLE}", None)] + [ADD] * 23 + [("add", f"add {PERSON}", "entryAlreadyExists")] * 3
    + [search(PEOPLE, "sub", "(&(objectClass=?)(|(uid=?*)(cn=*?*))(!(sn=?)))")] + [search(PERSON, "base", "(objectClass=*)")] * 5
    + [search(PEOPLE, "one", "(&(uid>=?)(uid<=?)(mail~=?))"), search(PEOPLE, "sub", "(cn:=?)", "noSuchObject"), search(PEOPLE, "sub", "(uid=*)", "sizeLimitExceeded"),
       ("compare", f"compare {PERSON} (cn=?)", None), ("compare", f"compare {PERSON} (cn=?)", None), ("compare", f"compare {PERSON} (mail=?)", "noSuchAttribute"),
       ("modify", f"modify {PERSON}", None), ("modify", f"modify {PERSON}", "noSuchAttribute"), ("modifyDN", f"modifyDN {PERSON} uid=?+cn=?", None),
       ("delete", f"delete {PEOPLE}", "notAllowedOnNonLeaf"), ("delete", f"delete {PERSON}", None), search(CODE, "base", "(objectClass=*)", "busy"), SLOW,
       ("bind", f"bind cn=?,{ROOT} simple", "invalidCredentials"), ("bind", 'bind "" simple', None), ("delete", f"delete {PERSON}", "strongerAuthRequired"), UNBIND])
FIRST_STEPS = (["bind", "who am I", "root", "unit"] + ["add"] * 23 + ["duplicate"] * 3 + ["search"] + ["one"] * 5
               + ["nothing", "no entry", "too many", "compare", "compare not", "compare nothing", "modify", "no attribute", "rename", "not a leaf", "delete", "busy", "slow", "wrong password",
                  "anonymous", "not allowed", None])
SECOND = [BIND, SLOW] + piped("uid", "noSuchObject", 101) + [SLOW[:2] + ("abandoned",), ("abandon", None, None), UNBIND]
FOUND = [12] + [1] * 5 + [0, 0, 7, 0, 0]


def check_silent(spans):
    for s in spans:
        assert s["db.system.name"] == "ldap" and s.name == s["db.operation.name"], describe([s])
        assert "secret" not in str(s.raw) and "sesame" not in str(s.raw)


def of(spans, operation):
    return [s for s in spans if s["db.operation.name"] == operation]


def test_ldap3(start, plumb):
    server = start(servers.start_slapd)
    driver = python_driver(start.folder(), "ldap_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    truth = FIRST + SECOND
    p.wait_spans(2 * len(truth))
    client, server_side = check_series(p.finish(), truth, driver.pid, server.port)
    check_measured(client, FIRST, steps, FIRST_STEPS)
    for side in (client, server_side):
        check_silent(side)
        found = [s["db.response.returned_rows"] for s in of(side, "search")]
        assert found == FOUND + [0] + [0 if i % 7 == 0 else 11 for i in range(101)] + [None]
        assert [s["db.response.status_code"] for s in of(side, "compare")] == ["6", "5", "16"]
        slow = [s for s in of(side, "search") if s["db.query.text"] == SLOW[1]]
        assert [s["db.response.status_code"] for s in slow] == ["51", None, None, None]
        assert all(close(s.duration_ns, 1_000_000_000, 30_000_000) for s in slow[1:3]), describe(slow)
        # The slow one was not waited for.
        assert of(side, "search")[-2].end_ns < slow[2].end_ns
