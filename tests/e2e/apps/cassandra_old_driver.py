# SPDX-License-Identifier: Apache-2.0
"""A CQL session that exists before plumb does: cassandra_old_driver.py PORT VERSION COMPRESSION. Prepares, says "ready" on standard error, and goes on at the line "go"."""
import json
import sys

from cassandra import ConsistencyLevel, InvalidRequest, Unavailable
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import FallthroughRetryPolicy, RoundRobinPolicy
from cassandra.query import SimpleStatement

PORT, VERSION, COMPRESSION = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), retry_policy=FallthroughRetryPolicy(), consistency_level=ConsistencyLevel.ONE)
cluster = Cluster(["127.0.0.1"], port=PORT, protocol_version=VERSION, compression=False if COMPRESSION == "none" else COMPRESSION, execution_profiles={EXEC_PROFILE_DEFAULT: profile},
                  auth_provider=PlainTextAuthProvider("cassandra", "cassandra"), schema_metadata_enabled=False, token_metadata_enabled=False, max_schema_agreement_wait=0,
                  idle_heartbeat_interval=0)
session = cluster.connect()
old = session.prepare("SELECT key FROM system.local WHERE key = ?")
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
results = execute_concurrent_with_args(session, old, [("local",)] * 101, concurrency=23)
assert [len(r.result_or_exc.all()) for r in results] == [1] * 101
new = session.prepare("SELECT key, rack FROM system.local WHERE key = ?")
for _ in range(11):
    assert session.execute(new, ("local",)).one().rack == "rack1"
try:
    session.execute("SELECT * FROM system.no_such_table WHERE id = 'secret'")
except InvalidRequest as e:
    print(json.dumps({"error": "0x2200"}))
session.set_keyspace("system")
try:
    session.execute(SimpleStatement("SELECT rack FROM local", consistency_level=ConsistencyLevel.TWO))
except Unavailable as e:
    print(json.dumps({"error": "0x1000"}))
assert len(session.execute("SELECT key FROM local").all()) == 1
cluster.shutdown()
