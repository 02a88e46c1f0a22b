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
from harness.truth import TOLERANCE_NS, check_order, close
from test_cli import raw
from test_truth_db import check_series

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
SECOND = [BIND, SLOW] + piped("uid", "noSuchObject", 101) + [SLOW[:2] + ("abandoned",), search('""', "base", "(objectClass=*)"), ("abandon", None, None), UNBIND]
FOUND = [12] + [1] * 5 + [0, 0, 7, 0, 0]


def check_silent(spans):
    for s in spans:
        assert s["db.system.name"] == "ldap" and s.name == s["db.operation.name"], describe([s])
        assert "secret" not in str(s.raw) and "sesame" not in str(s.raw)


def check_not_longer(client, steps, alone):
    """
    No span is longer than what its client measured. On a busy machine it may well be shorter, as the library's own work and threads lie between the two. alone: what the driver calls the
    steps of one request, in order; None for no such step.
    """
    measured = {}
    for step in steps:
        measured.setdefault(step["what"], []).append(step["ns"])
    for span, what in zip(client, alone):
        if what:
            ns = measured[what].pop(0)
            assert span.duration_ns <= ns + TOLERANCE_NS, f"{what}: span {span.duration_ns / 1e6:.3f} ms, measured {ns / 1e6:.3f} ms"


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
    check_not_longer(client, steps, FIRST_STEPS)
    for side in (client, server_side):
        check_silent(side)
        found = [s["db.response.returned_rows"] for s in of(side, "search")]
        assert found == FOUND + [0] + [0 if i % 7 == 0 else 11 for i in range(101)] + [None, 1]
        assert [s["db.response.status_code"] for s in of(side, "compare")] == ["6", "5", "16"]
        slow = [s for s in of(side, "search") if s["db.query.text"] == SLOW[1]]
        assert [s["db.response.status_code"] for s in slow] == ["51", None, None, None]
        assert all(close(s.duration_ns, 1_000_000_000, 30_000_000) for s in slow[1:3]), describe(slow)
        # The slow one was not waited for.
        assert of(side, "search")[-3].end_ns < slow[2].end_ns


UNIT, ADD_UNIT = "cn=?,ou=?,dc=?,dc=?", "ou=?,dc=?,dc=?"
GO = (
    [BIND, ("add", f"add {ROOT}", None), ("add", f"add {ADD_UNIT}", None)] + [("add", f"add {UNIT}", None)] * 13 + [("add", f"add {ADD_UNIT}", "entryAlreadyExists")]
    + [search(ADD_UNIT, "sub", "(&(objectClass=?)(cn=?*))"), search(ADD_UNIT, "base", "(objectClass=*)", "noSuchObject"), ("compare", f"compare {UNIT} (sn=?)", None),
       ("modify", f"modify {UNIT}", None), ("passwordModify", None, None), ("whoAmI", None, None), ("modifyDN", f"modifyDN {UNIT} cn=?", None), ("delete", f"delete {UNIT}", None)]
    + [search(ADD_UNIT, "one", "(cn=*)")] * 3 + [("add", f"add {UNIT}", "objectClassViolation")])
GO_STEPS = (["bind", "add", "add"] + ["add person"] * 13 + ["duplicate", "search", "no entry", "compare", "modify", "password", "who am I", "rename", "delete", None, None, None, "no object class"])
GO_AT_ONCE = Counter({search(ADD_UNIT, "base", "(cn=?)", "noSuchObject"): 31, search(ADD_UNIT, "one", "(cn=?*)"): 180})
GO_END = [search(ROOT, "base", "(objectClass=*)")]


def said(s):
    return (s["db.operation.name"], s["db.query.text"], s["error.type"])


def test_go_ldap(start, plumb):
    """Its requests of many goroutines are sent in no known order. It closes without an unbind."""
    server = start(servers.start_slapd)
    driver = go_driver(start.folder(), "ldapdriver", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * (len(GO) + GO_AT_ONCE.total() + len(GO_END)))
    spans = p.finish()
    sent = [said(s) for s in sorted((s for s in spans if s.pid == driver.pid), key=lambda s: s.start_ns)]
    at_once = sent[len(GO):-len(GO_END)]
    assert Counter(at_once) == GO_AT_ONCE, describe(sorted((s for s in spans if s.pid == driver.pid), key=lambda s: s.start_ns))
    client, server_side = check_series(spans, GO + at_once + GO_END, driver.pid, server.port)
    check_not_longer(client, steps, GO_STEPS)
    for side in (client, server_side):
        check_silent(side)
        found = [s["db.response.returned_rows"] for s in of(side, "search")]
        assert found[:5] == [13, 0, 5, 5, 2] and found[-1] == 1
        assert all(s["db.response.returned_rows"] == (0 if s["error.type"] else 12) for s in of(side, "search")[5:-1])


OLD = ([search("cn=?,dc=?,dc=?" if i % 10 == 0 else ROOT, "sub", "(cn=?*)", "noSuchObject" if i % 10 == 0 else None) for i in range(101)]
       + [("add", "add cn=?,dc=?,dc=?", "entryAlreadyExists"), ("compare", "compare cn=?,dc=?,dc=? (sn=?)", None), search(ROOT, "base", "(objectClass=*)"), UNBIND])


def test_a_connection_older_than_plumb(start, plumb):
    server = start(servers.start_slapd)
    driver = python_driver(start.folder(), "ldap_old_driver.py", server.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    assert Counter(s["error"] for s in steps) == {"": 91, "noSuchObject": 11, "entryAlreadyExists": 1, "compareTrue": 1}
    p.wait_spans(2 * len(OLD))
    for side in check_series(p.finish(), OLD, driver.pid, server.port):
        check_silent(side)
        assert [s["db.response.returned_rows"] for s in of(side, "search")] == [0 if i % 10 == 0 else 7 for i in range(101)] + [1]


def test_start_tls(start, plumb, folder):
    """Behind the answer the connection is TLS, whose handshake has its span."""
    server = start(servers.start_slapd, pair=Authority(folder, "authority").issue("IP:127.0.0.1"))
    driver = python_driver(start.folder(), "ldap_tls_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2, lambda s: s.name == "TLS handshake")
    spans = p.finish()
    check_order(spans)
    for kind in (CLIENT, SERVER):
        side = sorted((s for s in spans if s.kind == kind), key=lambda s: s.start_ns)
        assert [s.name for s in side][:2] == ["startTLS", "TLS handshake"] and side[0].status == STATUS_UNSET, describe(side)
        assert all("sesame" not in str(s.raw) for s in side)


def test_a_redacted_recording_keeps_the_spans(start, folder):
    server = start(servers.start_slapd)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "ldap_driver.py", server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    found = None
    for path in (plain, masked):
        side = sorted(parse(replay(path).stdout.decode()), key=lambda s: s.start_ns)
        assert [(s["db.operation.name"], s["error.type"]) for s in side] == [(operation, error) for operation, _, error in FIRST + SECOND], describe(side)
        rows = [s["db.response.returned_rows"] for s in of(side, "search")]
        assert found in (None, rows)
        found = rows
        assert all(s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET) for s in side)
    for secret in (b"secret", b"sesame", b"people", b"description"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
