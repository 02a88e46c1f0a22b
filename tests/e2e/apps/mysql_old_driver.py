# SPDX-License-Identifier: Apache-2.0
"""
Queries through PyMySQL on a connection that is there, and was used, before "ready": mysql_old_driver.py PORT < "go". Prints {"what","error"} for each step
after "go".
"""
import json
import sys

import pymysql

assert len(sys.argv) == 2
conn = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="plumb", password="sesame", database="shop", autocommit=True)
cur = conn.cursor()
cur.execute("SELECT 42 AS warm")
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"


def step(what, run):
    error = ""
    try:
        run()
    except pymysql.Error as e:
        error = str(e.args[0])
    print(json.dumps({"what": what, "error": error}))


step("ping", lambda: conn.ping(reconnect=False))
for i in range(11):
    step("select", lambda: cur.execute("SELECT 42 AS n UNION SELECT %s", (i,)))
step("many rows", lambda: cur.execute("SELECT seq FROM seq_1_to_307"))
step("no table", lambda: cur.execute("SELECT * FROM no_such_table"))
step("database", lambda: conn.select_db("mysql"))
step("last", lambda: cur.execute("SELECT 'last'"))
conn.close()
