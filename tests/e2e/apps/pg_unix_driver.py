# SPDX-License-Identifier: Apache-2.0
"""
PostgreSQL over its Unix socket: pg_unix_driver.py FOLDER:PORT < "go". Like unix_driver.py: one connection is there and used before "ready", another is made after "go".
Prints {"statement"} for each statement after "go", as it looks without its literals.
"""
import json
import sys

import psycopg2

OLD_STATEMENTS, NEW_STATEMENTS = 13, 17
folder, port = sys.argv[1].rsplit(":", 1)


def connect():
    connection = psycopg2.connect(host=folder, port=port, user="plumb", dbname="postgres")
    connection.autocommit = True
    return connection.cursor()


def run(cursor, name):
    cursor.execute(f"SELECT 42 AS {name}")
    assert cursor.fetchall() == [(42,)]


old = connect()
run(old, "warm")
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
new = connect()
for cursor, count, name in ((old, OLD_STATEMENTS, "old"), (new, NEW_STATEMENTS, "new")):
    for i in range(count):
        run(cursor, f"{name}_{i}")
        print(json.dumps({"statement": f"SELECT ? AS {name}_{i}"}))
