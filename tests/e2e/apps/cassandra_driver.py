# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of CQL statements through the DataStax driver: cassandra_driver.py PORT VERSION COMPRESSION KEYSPACE < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

from cassandra import ConsistencyLevel, InvalidRequest, Unauthorized, protocol
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import RoundRobinPolicy
from cassandra.query import BatchStatement, BatchType, SimpleStatement, tuple_factory

PORT, VERSION, COMPRESSION, space = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
CODES = {InvalidRequest: "0x2200", protocol.SyntaxException: "0x2000", protocol.AlreadyExistsException: "0x2400", Unauthorized: "0x2100"}


def timed(what, run):
    start = time.perf_counter_ns()
    error, value = "", None
    try:
        value = run()
    except tuple(CODES) as e:
        error = next(code for kind, code in CODES.items() if isinstance(e, kind))
    except Exception as e:  # the driver's AlreadyExists is no exception of the protocol's
        if type(e).__name__ != "AlreadyExists":
            raise
        error = "0x2400"
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))
    return value


assert sys.stdin.readline() == "go\n"
profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), row_factory=tuple_factory, consistency_level=ConsistencyLevel.LOCAL_ONE)
cluster = Cluster(["127.0.0.1"], port=PORT, protocol_version=VERSION, compression=False if COMPRESSION == "none" else COMPRESSION, execution_profiles={EXEC_PROFILE_DEFAULT: profile},
                  auth_provider=PlainTextAuthProvider("cassandra", "cassandra"), schema_metadata_enabled=False, token_metadata_enabled=False, max_schema_agreement_wait=0,
                  idle_heartbeat_interval=0, allow_beta_protocol_version=False)
session = cluster.connect()
execute = session.execute
timed("keyspace", lambda: execute(f"CREATE KEYSPACE {space} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"))
timed("keyspace again", lambda: execute(f"CREATE KEYSPACE {space} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"))
timed("use", lambda: session.set_keyspace(space))
timed("table", lambda: execute("CREATE TABLE notes (id int PRIMARY KEY, body text)"))
for i in range(7):
    timed("insert", lambda: execute("INSERT INTO notes (id, body) VALUES (%s, %s)", (i, f"secret {i}")))
insert = timed("prepare", lambda: session.prepare("INSERT INTO notes (id, body) VALUES (?, ?)"))
for i in range(11):
    timed("prepared insert", lambda: execute(insert, (i, f"secret of a value {i}")))
select = timed("prepare", lambda: session.prepare("SELECT body FROM notes WHERE id = ?"))
select.consistency_level = ConsistencyLevel.QUORUM
for i in range(5):
    rows = timed("prepared select", lambda: execute(select, (i,)).all())
    assert rows == [(f"secret of a value {i}",)]
assert timed("none", lambda: execute(select, (4711,)).all()) == []
timed("no table", lambda: execute("SELECT * FROM no_such_table WHERE id = 42"))
timed("syntax", lambda: execute("SELEKT body FROM notes"))
timed("no such column", lambda: session.prepare("SELECT nothing FROM notes WHERE id = ?"))
batch = BatchStatement(BatchType.UNLOGGED)
for i in range(100, 103):
    batch.add(insert, (i, f"secret in a batch {i}"))
timed("batch", lambda: execute(batch))
mixed = BatchStatement(BatchType.UNLOGGED)
mixed.add(insert, (103, "secret"))
mixed.add(SimpleStatement("DELETE FROM notes WHERE id = 101"))
timed("mixed batch", lambda: execute(mixed))
timed("big", lambda: execute(insert, (200, "secret " * 50_001)))
assert len(timed("big back", lambda: execute(select, (200,)).all())[0][0]) == 350_007
timed("two literals", lambda: execute("SELECT id FROM notes WHERE id = 5 AND body = 'secret' ALLOW FILTERING").all())
# Many at once on one connection; not so many that the server answers 128 of them with one call.
execute_concurrent_with_args(session, insert, [(1000 + i, f"secret {i}") for i in range(307)], concurrency=37)
pages = timed("pages", lambda: execute(SimpleStatement("SELECT id FROM notes WHERE id > 999 ALLOW FILTERING", fetch_size=100)).all())
assert len(pages) == 307
assert [len(r.result_or_exc.all()) for r in execute_concurrent_with_args(session, select, [(1000 + i,) for i in range(101)], concurrency=37)] == [1] * 101
timed("last", lambda: execute("SELECT id FROM notes WHERE id = 7").all())
cluster.shutdown()
