# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of MySQL queries through PyMySQL: mysql_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import tempfile
import time

import pymysql

assert sys.stdin.readline() == "go\n"


def timed(what, run):
    start = time.perf_counter_ns()
    error = ""
    try:
        run()
    except pymysql.Error as e:
        error = str(e.args[0])
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


def all_results(text):
    cur.execute(text)
    while cur.nextset():
        pass


conn = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="plumb", password="sesame", database="shop", charset="utf8mb4", local_infile=True,
                       client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)
cur = conn.cursor()
timed("create", lambda: cur.execute("CREATE TEMPORARY TABLE notes (id int PRIMARY KEY, body text)"))
for i in range(7):
    timed("insert", lambda: cur.execute("INSERT INTO notes (id, body) VALUES (%s, %s)", (i, f"secret {i}")))
for i in range(5):
    timed("select", lambda: cur.execute("SELECT id, body FROM notes WHERE id = %s", (i,)))
timed("slow", lambda: cur.execute("SELECT SLEEP(0.05)"))
timed("many rows", lambda: cur.execute("SELECT seq, REPEAT('x', 100) FROM seq_1_to_3001"))
timed("no table", lambda: cur.execute("SELECT * FROM no_such_table WHERE id = 42"))
timed("duplicate", lambda: cur.execute("INSERT INTO notes (id, body) VALUES (3, 'secret again')"))
timed("several", lambda: all_results("SELECT id FROM notes; UPDATE notes SET body = 'other' WHERE id < 3; SELECT 2 UNION SELECT 3"))
with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
    file.write("".join(f"{i}\tsecret of a file\n" for i in range(101, 114)))
    file.flush()
    timed("file", lambda: cur.execute(f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE notes"))
timed("ping", lambda: conn.ping(reconnect=False))
timed("database", lambda: conn.select_db("mysql"))
timed("use", lambda: cur.execute("USE shop"))
timed("begin", conn.begin)
timed("delete", lambda: cur.execute("DELETE FROM notes WHERE id > 100"))
timed("commit", conn.commit)
conn.close()
