# SPDX-License-Identifier: Apache-2.0
"""A TDS session that exists before plumb does: tds_old_driver.py PORT VERSION. Connects and prepares a statement, says "ready" on standard error, and goes on at the line "go"."""
import json
import sys

import pytds

c = pytds.connect("127.0.0.1", "shop", "plumb", "sesame", port=int(sys.argv[1]), autocommit=True, tds_version=getattr(pytds.tds_base, sys.argv[2]))
cur = c.cursor()
cur.callproc("sp_prepare", (pytds.output(value=0, param_type=int), "@id int", "SELECT id FROM early LIMIT 3", 1))
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
for i in range(101):
    cur.execute(f"SELECT body FROM notes WHERE id = {i} AND body <> 'secret' LIMIT {i % 7}")
    assert len(cur.fetchall()) == i % 7
cur.callproc("sp_execute", (1,))
assert len(cur.fetchall()) == 3
cur.execute("USE market")
cur.execute("DELETE FROM notes WHERE body = %s /* 13 */", ("secret",))
try:
    cur.execute("FAIL 208")
except pytds.Error as e:
    print(json.dumps({"error": str(e.number)}))
c.close()
