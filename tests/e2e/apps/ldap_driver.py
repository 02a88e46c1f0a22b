# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of requests through ldap3: ldap_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

import ldap3
from ldap3 import ASYNC, BASE, LEVEL, MODIFY_ADD, MODIFY_DELETE, MODIFY_REPLACE, NONE, SUBTREE, Connection, Server

assert sys.stdin.readline() == "go\n"
ROOT, PEOPLE = "dc=plumb,dc=test", "ou=people,dc=plumb,dc=test"
server = Server("127.0.0.1", port=int(sys.argv[1]), get_info=NONE)
c = Connection(server, user=f"cn=admin,{ROOT}", password="sesame", check_names=False, auto_referrals=False)
ERRORS = {0, 5, 6, 10, 14}


def timed(what, run, expect=None):
    start = time.perf_counter_ns()
    got = run()
    ns = time.perf_counter_ns() - start
    assert expect is None or got == expect, (what, got, c.result)
    error = "" if c.result["result"] in ERRORS else c.result["description"]
    print(json.dumps({"what": what, "ns": ns, "error": error}))


def person(i):
    return {"objectClass": ["inetOrgPerson"], "cn": f"secret {i}", "sn": f"secret {i}", "userPassword": f"secret {i}", "description": "secret" * 100}


def search(base, scope, filter, **more):
    c.search(base, filter, scope, attributes=["cn", "description"], **more)
    return len([e for e in c.response if e["type"] == "searchResEntry"])


timed("bind", c.bind, True)
timed("who am I", c.extend.standard.who_am_i, f"dn:cn=admin,{ROOT}")
timed("root", lambda: c.add(ROOT, ["organization", "dcObject"], {"o": "secret", "dc": "plumb"}), True)
timed("unit", lambda: c.add(PEOPLE, "organizationalUnit"), True)
for i in range(23):
    timed("add", lambda: c.add(f"uid=secret{i},{PEOPLE}", attributes=person(i)), True)
for i in range(3):
    timed("duplicate", lambda: c.add(f"uid=secret{i},{PEOPLE}", attributes=person(i)), False)
timed("search", lambda: search(PEOPLE, SUBTREE, "(&(objectClass=inetOrgPerson)(|(uid=secret1*)(cn=*7*))(!(sn=nobody)))"), 12)
for i in range(5):
    timed("one", lambda: search(f"uid=secret{i},{PEOPLE}", BASE, "(objectClass=*)"), 1)
timed("nothing", lambda: search(PEOPLE, LEVEL, "(&(uid>=secret)(uid<=secret)(mail~=secret))"), 0)
timed("no entry", lambda: search(f"ou=secret,{ROOT}", SUBTREE, "(cn:caseExactMatch:=secret)"), 0)
timed("too many", lambda: search(PEOPLE, SUBTREE, "(uid=*)", size_limit=7), 7)
timed("compare", lambda: c.compare(f"uid=secret1,{PEOPLE}", "cn", "secret 1"), True)
timed("compare not", lambda: c.compare(f"uid=secret1,{PEOPLE}", "cn", "secret"), False)
timed("compare nothing", lambda: c.compare(f"uid=secret1,{PEOPLE}", "mail", "secret"), False)
timed("modify", lambda: c.modify(f"uid=secret1,{PEOPLE}", {"mail": [(MODIFY_ADD, ["secret@plumb.test"])], "sn": [(MODIFY_REPLACE, ["secret"])]}), True)
timed("no attribute", lambda: c.modify(f"uid=secret1,{PEOPLE}", {"telephoneNumber": [(MODIFY_DELETE, [])]}), False)
timed("rename", lambda: c.modify_dn(f"uid=secret1,{PEOPLE}", "uid=secret1+cn=secret 1"), True)
timed("not a leaf", lambda: c.delete(PEOPLE), False)
timed("delete", lambda: c.delete(f"uid=secret2,{PEOPLE}"), True)
timed("busy", lambda: search(f"cn=busy,ou=codes,{ROOT}", BASE, "(objectClass=*)"), 0)
timed("slow", lambda: search(f"cn=slow,ou=codes,{ROOT}", BASE, "(objectClass=*)"), 0)
timed("wrong password", lambda: c.rebind(user=f"cn=admin,{ROOT}", password="secret"), False)
c.user = c.password = None
timed("anonymous", lambda: c.rebind(authentication=ldap3.ANONYMOUS), True)
timed("not allowed", lambda: c.delete(f"uid=secret3,{PEOPLE}"), False)
c.unbind()
# All under way at once on one connection, every seventh for nothing; the first one is slow, and the last one is given up.
a = Connection(server, user=f"cn=admin,{ROOT}", password="sesame", client_strategy=ASYNC, check_names=False)
a.bind()
pending = [a.search(f"cn=slow,ou=codes,{ROOT}", "(objectClass=*)", BASE)]
pending += [a.search(f"ou=secret,{ROOT}" if i % 7 == 0 else PEOPLE, "(uid=secret1*)", SUBTREE, attributes=["cn"]) for i in range(101)]
results = [a.get_response(p, timeout=60) for p in pending]
assert [len(response or []) for response, _ in results[1:]] == [0 if i % 7 == 0 else 11 for i in range(101)], [r for _, r in results]
last = a.search(f"cn=slow,ou=codes,{ROOT}", "(objectClass=*)", BASE)
a.get_response(a.search("", "(objectClass=*)", BASE), timeout=60)  # by then the server has it
a.abandon(last)
a.unbind()
