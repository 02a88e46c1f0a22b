# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of statements through python-oracledb's thin mode: oracle_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

import oracledb

PORT = int(sys.argv[1])


def timed(what, run):
    start = time.perf_counter_ns()
    error, value = "", None
    try:
        value = run()
    except oracledb.Error as e:
        error = e.args[0].full_code
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))
    return value


def connect(service="orders", password="sesame", **more):
    return oracledb.connect(user="plumb", password=password, dsn=f"127.0.0.1:{PORT}/{service}", disable_oob=True, **more)


assert sys.stdin.readline() == "go\n"
c = timed("connect", connect)
cur = c.cursor()


def select(sql, *binds):
    cur.execute(sql, *binds)
    return len(cur.fetchall())


for i in range(11):
    assert timed("select", lambda: select("select id from parcels where name = 'secret'")) == 3
for i in range(7):
    timed("insert", lambda: cur.execute("insert into parcels (id, name) values (:1, :2)", [i, f"secret {i}"]))
timed("update", lambda: cur.execute("update parcels set name = 'secret' where id < 4711"))
assert cur.rowcount == 11
assert timed("none", lambda: select("select id from empty where id = 4711")) == 0
timed("many", lambda: cur.executemany("insert into parcels (id) values (:1)", [[i] for i in range(5)]))
cur.arraysize = 100
assert timed("orders", lambda: select("select id, name from orders")) == 1009
for i in range(3):
    timed("no table", lambda: cur.execute("select * from nowhere where name = 'secret'"))
timed("duplicate", lambda: cur.execute("insert into duplicate values ('secret')"))
timed("slow", lambda: cur.execute("begin slow('secret'); end;"))
timed("long", lambda: cur.execute("update parcels set name = '" + "secret" * 100 + "'"))
timed("user", lambda: cur.execute("alter user plumb identified by sesame1 replace sesame"))
timed("quotes", lambda: cur.execute("update parcels set name = q'[it's secret]' where id = 1"))
timed("commit", c.commit)
timed("rollback", c.rollback)
for i in range(2):
    timed("ping", c.ping)
c.call_timeout = 200
timed("cancelled", lambda: cur.execute("begin sleep(5); end;"))
c.call_timeout = 0
c.module = "secret"
timed("behind a piggyback", c.ping)
timed("close", c.close)
timed("unknown service", lambda: connect("nothing"))
timed("wrong password", lambda: connect(password="open sesame"))
timed("redirected", lambda: connect("moved").close())
