# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of PostgreSQL queries through psycopg2: pg_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

import psycopg2

assert sys.stdin.readline() == "go\n"


def timed(what, run):
    start = time.perf_counter_ns()
    error = ""
    try:
        run()
    except psycopg2.Error as e:
        error = e.pgcode
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


conn = psycopg2.connect(host="127.0.0.1", port=int(sys.argv[1]), user="plumb", dbname="postgres", sslmode="disable", gssencmode="disable")
conn.autocommit = True
cur = conn.cursor()
timed("create", lambda: cur.execute("CREATE TEMP TABLE notes (id int PRIMARY KEY, body text)"))
for i in range(7):
    timed("insert", lambda: cur.execute("INSERT INTO notes (id, body) VALUES (%s, %s)", (i, f"secret {i}")))
for i in range(5):
    timed("select", lambda: cur.execute("SELECT id, body FROM notes WHERE id = %s", (i,)))
timed("slow", lambda: cur.execute("SELECT pg_sleep(0.05)"))
timed("many rows", lambda: (cur.execute("SELECT n, repeat('x', 100) FROM generate_series(1, 3001) AS n"), cur.fetchall()))
timed("no table", lambda: cur.execute("SELECT * FROM no_such_table WHERE id = 42"))
timed("duplicate", lambda: cur.execute("INSERT INTO notes (id, body) VALUES (3, 'secret again')"))
timed("division", lambda: cur.execute("SELECT 1 / 0"))
conn.autocommit = False
timed("begin + update", lambda: cur.execute("UPDATE notes SET body = 'other' WHERE id < 3"))  # psycopg2 sends BEGIN first
timed("commit", conn.commit)
conn.close()
