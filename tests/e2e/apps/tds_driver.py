# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of statements through python-tds: tds_driver.py PORT VERSION MARS < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

import pytds

PORT, VERSION, MARS = int(sys.argv[1]), getattr(pytds.tds_base, sys.argv[2]), sys.argv[3] == "mars"
NEW = VERSION >= pytds.tds_base.TDS72


def timed(what, run):
    start = time.perf_counter_ns()
    error, value = "", None
    try:
        value = run()
    except pytds.TimeoutError:
        error = "cancelled"
    except pytds.Error as e:
        error = str(getattr(e, "number", "") or e.msg_no)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))
    return value


def connect(password="sesame", **more):
    return pytds.connect("127.0.0.1", "shop", "plumb", password, port=PORT, autocommit=True, tds_version=VERSION, use_mars=MARS, disable_connect_retry=True, **more)


def rows(cursor):
    """Of all results."""
    n = len(cursor.fetchall()) if cursor.description else 0
    while cursor.nextset():
        n += len(cursor.fetchall()) if cursor.description else 0
    return n


def select(cursor, text, *parameters):
    cursor.execute(text, parameters or None)
    return rows(cursor)


def interleaved(c):
    """Several statements of one connection at once, each in a session of its own, with rows that are read in turn. The last one asked is over first."""
    for turn in range(23):
        cursors = [c.cursor() for _ in range(7)]
        for k, q in enumerate(cursors):
            q.execute(f"SELECT {k} FROM many WHERE body = 'secret' LIMIT {(7 - k) * 101 + turn}")
        left = list(enumerate(cursors))
        while left:
            left = [(k, q) for k, q in left if q.fetchmany(97)]
        for q in cursors:
            q.close()


assert sys.stdin.readline() == "go\n"
c = connect()
cur = c.cursor()
timed("table", lambda: cur.execute("CREATE TABLE notes (id INT, body NVARCHAR(200))"))
for i in range(7):
    timed("insert", lambda: cur.execute(f"INSERT INTO notes (id, body) VALUES (%s, %s) /* {i} */", (i, "secret")))
for i in range(11):
    assert timed("select", lambda: select(cur, f"SELECT id, body FROM [dbo].[notes] WHERE id = {i} AND body <> N'secret' LIMIT {i * 7}")) == i * 7
assert timed("parameters", lambda: select(cur, "SELECT id, body FROM notes WHERE id = %s AND body <> %s LIMIT 1009", 7, "secret")) == 1009
assert timed("wide", lambda: select(cur, "SELECT * FROM wide LIMIT 7")) == 7
timed("update", lambda: cur.execute("UPDATE notes SET body = 'secret' WHERE id = 7 /* 31 */"))
timed("long", lambda: cur.execute("DELETE FROM notes WHERE body IN (" + ", ".join(f"'secret {i}'" for i in range(701)) + ") /* 701 */"))
timed("no table", lambda: cur.execute("FAIL 208"))
timed("late error", lambda: (cur.execute("LATE 8134"), cur.fetchall()))
timed("use", lambda: cur.execute("USE [market]"))
assert timed("several", lambda: select(cur, "SELECT id FROM notes LIMIT 101; UPDATE notes SET id = 5 /* 3 */; SELECT id FROM orders LIMIT 211")) == 312
timed("procedure", lambda: cur.callproc("stock.add", (7, "secret")) and rows(cur))
timed("no procedure", lambda: cur.callproc("no_such_procedure", (1,)))
text = "SELECT id FROM prepared WHERE id = @id AND body <> 'secret' LIMIT 13"
timed("prepare and execute", lambda: cur.callproc("sp_prepexec", (pytds.output(value=0, param_type=int), "@id int", text, 5)) and rows(cur))
for i in range(5):
    timed("execute", lambda: cur.callproc("sp_execute", (1, i)) and rows(cur))
timed("prepare", lambda: cur.callproc("sp_prepare", (pytds.output(value=0, param_type=int), "@id int", "UPDATE prepared SET body = 'secret' WHERE id = @id /* 17 */", 1)))
timed("execute the second", lambda: cur.callproc("sp_execute", (2, 5)))
timed("unprepare", lambda: cur.callproc("sp_unprepare", (1,)))
timed("not prepared", lambda: cur.callproc("sp_execute", (1, 5)))
timed("slow", lambda: cur.execute("WAIT 0.3"))
if NEW:
    c.autocommit = False
    cur.execute("INSERT INTO notes SELECT 'secret' /* 41 */")
    c.commit()
    cur.execute("INSERT INTO notes SELECT 'secret' /* 43 */")
    c.rollback()
    c.autocommit = True
if MARS:
    interleaved(c)
assert timed("last", lambda: select(cur, "SELECT id FROM last LIMIT 1")) == 1
c.close()
timed("refused", lambda: connect("wrong"))
