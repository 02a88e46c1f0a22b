# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of statements through clickhouse-driver: ch_driver.py PORT COMPRESSION DATABASE < "go". Prints {"what","ns","error"} for each step. Before each statement but the
first the library pings the server."""
import json
import sys
import time
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from clickhouse_driver import Client, errors

PORT, COMPRESSION, space = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def timed(what, run):
    start = time.perf_counter_ns()
    error, value = "", None
    try:
        value = run()
    except errors.ServerException as e:
        error = str(e.code)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))
    return value


def client(**more):
    return Client("127.0.0.1", PORT, compression=False if COMPRESSION == "none" else COMPRESSION, **{"user": "plumb", "password": "sesame", "database": "system", **more})


KINDS = [(i, f"secret {i}", None if i % 3 else f"maybe {i}", [f"part {k}" for k in range(i % 5)], (i, "pair"), "ab", "red" if i % 2 else "blue", date(2026, 11, 1 + i % 20),
          datetime(2026, 11, 1, 12, i % 60), i / 7, Decimal(i) / 4, UUID(int=i), [[i, None], []]) for i in range(1, 48)]
TYPES = ("id UInt32, text String, maybe Nullable(String), parts Array(String), pair Tuple(UInt8, String), fixed FixedString(2), colour Enum8('red' = 1, 'blue' = 2), day Date, "
         "at DateTime, ratio Float64, price Decimal(9, 2), uid UUID, nested Array(Array(Nullable(Int64)))")

assert sys.stdin.readline() == "go\n"
c = client()
execute = c.execute
timed("database", lambda: execute(f"CREATE DATABASE {space}"))
timed("database again", lambda: execute(f"CREATE DATABASE {space}"))
timed("use", lambda: execute(f"USE {space}"))
timed("table", lambda: execute("CREATE TABLE notes (id UInt32, body String) ENGINE = Memory"))
for i in range(7):
    assert timed("insert", lambda: execute("INSERT INTO notes (id, body) VALUES", [(i, f"secret {i}"), (i, "secret")])) == 2
for i in range(11):
    assert timed("select", lambda: execute(f"SELECT body FROM notes WHERE id = {i % 7} AND body != 'secret'")) == [(f"secret {i % 7}",)]
assert timed("none", lambda: execute("SELECT body FROM notes WHERE id = 4711")) == []
timed("no table", lambda: execute("SELECT * FROM no_such_table WHERE id = 'secret'"))
timed("syntax", lambda: execute("SELEKT body FROM notes"))
timed("no column", lambda: execute("SELECT nothing FROM notes"))
timed("insert into nothing", lambda: execute("INSERT INTO no_such_table (id) VALUES", [(1,)]))
timed("late error", lambda: execute("SELECT throwIf(number = 100000) FROM system.numbers SETTINGS max_block_size = 1000"))
timed("kinds", lambda: execute(f"CREATE TABLE kinds ({TYPES}) ENGINE = Memory"))
assert timed("insert kinds", lambda: execute("INSERT INTO kinds VALUES", KINDS)) == 47
assert [r[:2] for r in timed("select kinds", lambda: execute("SELECT * FROM kinds ORDER BY id"))] == [r[:2] for r in KINDS]
# Of an I/O call of more than 256 KiB not all is captured.
assert timed("insert many", lambda: execute("INSERT INTO notes (id, body) VALUES", [(1000 + i, f"secret {i}") for i in range(10_007)])) == 10_007
assert len(timed("many", lambda: execute("SELECT id, body FROM notes WHERE id >= 1000"))) == 10_007
assert len(timed("numbers", lambda: execute("SELECT number FROM system.numbers LIMIT 20011"))) == 20_011
if COMPRESSION != "none":  # several frames
    assert len(timed("long", lambda: execute(f"SELECT concat('{'secret ' * 15}', toString(number % 7)) FROM system.numbers LIMIT 40009"))) == 40_009
    timed("long ones", lambda: execute("CREATE TABLE long (body String) ENGINE = Memory"))
    assert timed("insert long", lambda: execute("INSERT INTO long VALUES", [("secret " * 15,)] * 30_011)) == 30_011
assert len(timed("totals", lambda: execute("SELECT id, count() FROM notes WHERE id < 7 GROUP BY id WITH TOTALS", settings={"extremes": 1}))) == 8 + 2
assert timed("external", lambda: execute("SELECT sum(x) FROM extra WHERE note = 'secret'", external_tables=[
    {"name": "extra", "structure": [("x", "UInt32"), ("note", "String")], "data": [{"x": i, "note": "secret"} for i in range(101)]}])) == [(5050,)]
timed("copy", lambda: execute("INSERT INTO notes SELECT * FROM notes WHERE id < 3"))
timed("slow", lambda: execute("SELECT sleep(0.5), 'secret'"))
assert sum(len(block) for block in (timed("stream", lambda: list(c.execute_iter("SELECT number FROM system.numbers LIMIT 5003", chunk_size=1000))))) == 5003
timed("cancelled", lambda: (c.execute_with_progress("SELECT sleep(0.1) FROM system.numbers SETTINGS max_block_size = 1"), c.cancel()))
for i in range(307):
    assert execute(f"SELECT {i}, 'secret'") == [(i, "secret")]
timed("last", lambda: execute("SELECT id FROM notes WHERE id = 6 LIMIT 1"))
c.disconnect()
timed("refused", lambda: client(password="sesame, open").execute("SELECT 1"))
