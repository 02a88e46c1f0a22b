# SPDX-License-Identifier: Apache-2.0
"""
Requests through ldap3 on a connection that is there, and was used, before "ready": ldap_old_driver.py PORT < "go". Prints {"what","error"} for each step
after "go".
"""
import json
import sys

from ldap3 import ASYNC, BASE, NONE, SUBTREE, Connection, Server

ROOT = "dc=plumb,dc=test"
c = Connection(Server("127.0.0.1", port=int(sys.argv[1]), get_info=NONE), user=f"cn=admin,{ROOT}", password="sesame", client_strategy=ASYNC, check_names=False)
c.bind()


def step(what, number):
    response, result = c.get_response(number, timeout=60)
    print(json.dumps({"what": what, "error": result["description"] if result["result"] else "", "found": len(response or [])}))


c.get_response(c.add(ROOT, "domain", {"dc": "plumb"}))
for i in range(7):
    c.get_response(c.add(f"cn=secret{i},{ROOT}", "person", {"cn": f"secret{i}", "sn": "secret", "description": "secret" * 1000}))
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
for n in [c.search(f"cn=secret,{ROOT}" if i % 10 == 0 else ROOT, "(cn=secret*)", SUBTREE, attributes=["cn", "description"]) for i in range(101)]:
    step("search", n)
step("add", c.add(f"cn=secret1,{ROOT}", "person", {"cn": "secret1", "sn": "secret"}))
step("compare", c.compare(f"cn=secret1,{ROOT}", "sn", "secret"))
step("last", c.search(ROOT, "(objectClass=*)", BASE))
c.unbind()
