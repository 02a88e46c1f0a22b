# SPDX-License-Identifier: Apache-2.0
"""
Statements through python-oracledb on a connection that is there, and was used, before "ready": oracle_old_driver.py PORT [SERVICE] < "go". Prints {"what","error"} for each step
after "go".
"""
import json
import sys

import oracledb

service = sys.argv[2] if len(sys.argv) > 2 else "orders"
c = oracledb.connect(user="plumb", password="sesame", dsn=f"127.0.0.1:{sys.argv[1]}/{service}", disable_oob=True)
known = c.cursor()
known.execute("select id from parcels where name = 'secret'")
assert len(known.fetchall()) == 3
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"


def step(what, run):
    error = ""
    try:
        run()
    except oracledb.Error as e:
        error = e.args[0].full_code
    print(json.dumps({"what": what, "error": error}))


def again():
    known.execute("select id from parcels where name = 'secret'")
    assert len(known.fetchall()) == 3


step("again", again)
cur = c.cursor()
for i in range(53):
    step("none", lambda: cur.execute("select id from empty where id = 4711"))
for i in range(3):
    step("no table", lambda: cur.execute("select * from nowhere where name = 'secret'"))
for i in range(11):
    step("ping", c.ping)
step("commit", c.commit)
step("close", c.close)
