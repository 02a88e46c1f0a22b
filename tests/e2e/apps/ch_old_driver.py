# SPDX-License-Identifier: Apache-2.0
"""A ClickHouse session that exists before plumb does: ch_old_driver.py PORT COMPRESSION TABLE. Connects, says "ready" on standard error, and goes on at the line "go". The library pings
before each statement, and leaves the connection after an error."""
import json
import sys

from clickhouse_driver import Client, errors

PORT, COMPRESSION, table = int(sys.argv[1]), sys.argv[2], sys.argv[3]
c = Client("127.0.0.1", PORT, user="plumb", password="sesame", database="default", compression=False if COMPRESSION == "none" else COMPRESSION)
c.execute(f"CREATE TABLE {table} (id UInt32, body Nullable(String)) ENGINE = Memory")
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
assert c.execute(f"INSERT INTO {table} VALUES", [(i, f"secret {i}" if i % 2 else None) for i in range(1009)]) == 1009
for i in range(101):
    assert c.execute(f"SELECT body FROM {table} WHERE id = {i}", settings={"max_block_size": 512}) == [(f"secret {i}" if i % 2 else None,)]
c.execute(f"INSERT INTO {table} SELECT id, 'secret' FROM {table} WHERE id < 10")
c.execute("USE system")
assert len(c.execute("SELECT number FROM numbers LIMIT 701")) == 701
c.execute_with_progress("SELECT sleep(0.1) FROM system.numbers SETTINGS max_block_size = 1")
c.cancel()
assert c.execute("SELECT 'secret'") == [("secret",)]
try:
    c.execute("SELECT 'secret' FROM no_such_table")
except errors.ServerException as e:
    print(json.dumps({"error": str(e.code)}))
c.disconnect()
