# SPDX-License-Identifier: Apache-2.0
"""Statements through FreeTDS, by pymssql: tds_freetds.py PORT < "go"."""
import json
import sys

import pymssql

assert sys.stdin.readline() == "go\n"
c = pymssql.connect("127.0.0.1", "plumb", "sesame", "shop", port=sys.argv[1], encryption="off", autocommit=True)
cur = c.cursor()
for i in range(53):
    cur.execute(f"SELECT id FROM notes WHERE body = %s LIMIT {i * 3}", ("secret",))
    assert len(cur.fetchall()) == i * 3
cur.execute("UPDATE notes SET body = %s WHERE id = %d /* 19 */", ("secret", 7))
cur.callproc("stock.add", (7,))
assert len(cur.fetchall()) == 3
try:
    cur.execute("FAIL 208")
except pymssql.Error as e:
    print(json.dumps({"error": str(e.args[0])}))
c.close()
