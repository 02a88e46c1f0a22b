# SPDX-License-Identifier: Apache-2.0
"""Uses SQLite by Python's own module: sqlite_driver.py FILE < "go". Prints {"what","ns","error"} for each step."""
import json
import sqlite3
import sys
import time

db = sqlite3.connect(":memory:")
old = "SELECT 'older than plumb'"
db.execute(old).fetchall()
assert sys.stdin.readline() == "go\n"
db = sqlite3.connect(sys.argv[1], isolation_level=None)


def timed(what, act):
    start, error = time.perf_counter_ns(), ""
    try:
        act()
    except sqlite3.Error as e:
        error = type(e).__name__
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


def read(expect, *args, on=db):
    rows = on.execute(*args).fetchall()
    assert len(rows) == expect, (args, len(rows))


timed("table", lambda: db.execute("CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT UNIQUE)"))
db.execute("BEGIN")
db.executemany("INSERT INTO notes(body) VALUES (?)", [("secret %d" % i,) for i in range(1009)])
db.execute("COMMIT")
for i in range(23):
    timed("select", lambda: read(i * 7, "SELECT id, body FROM notes WHERE id <= ? AND body <> 'secret'", (i * 7,)))
timed("named", lambda: read(1, "SELECT body FROM notes WHERE id = :id LIMIT 5", {"id": 3}))
timed("update", lambda: db.execute("UPDATE notes SET body = 'secret seven' WHERE id = 7"))
timed("unique", lambda: db.execute("UPDATE notes SET body = 'secret seven' WHERE id = 8"))
timed("no table", lambda: db.execute("SELECT * FROM nowhere WHERE body = 'secret'"))
timed("syntax", lambda: db.execute("SELEC 'secret'"))
# What the library asks itself meanwhile is no call of this program.
timed("search", lambda: db.execute("CREATE VIRTUAL TABLE words USING fts5(word)"))
timed("word", lambda: db.execute("INSERT INTO words VALUES ('secret words')"))
timed("match", lambda: read(1, "SELECT word FROM words WHERE words MATCH 'secret'"))
timed("vacuum", lambda: db.execute("VACUUM"))
db.create_function("nap", 1, lambda ms: time.sleep(ms / 1000))
timed("slow", lambda: read(1, "SELECT nap(300)"))
other = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.3)
db.execute("BEGIN IMMEDIATE")
timed("busy", lambda: other.execute("DELETE FROM notes WHERE body = 'secret'"))
db.execute("ROLLBACK")
for i in range(10_007):
    read(1, "SELECT body FROM notes WHERE id = ?", (1 + i % 1009,))
