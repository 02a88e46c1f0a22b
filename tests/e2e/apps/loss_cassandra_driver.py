# SPDX-License-Identifier: Apache-2.0
"""argv: port, version. Many statements at once on one connection, whose text tells how many rows they return, and some that fail."""
import sys

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster
from cassandra.concurrent import execute_concurrent

sys.stdin.readline()
space = f"loss{sys.argv[2]}"
cluster = Cluster(["127.0.0.1"], port=int(sys.argv[1]), protocol_version=int(sys.argv[2]), auth_provider=PlainTextAuthProvider("cassandra", "cassandra"), compression=False,
                  schema_metadata_enabled=False, token_metadata_enabled=False, max_schema_agreement_wait=0, idle_heartbeat_interval=0)
session = cluster.connect()
session.execute(f"CREATE KEYSPACE {space} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
session.execute(f"CREATE TABLE {space}.t (k int, s int, PRIMARY KEY (k, s))")
for s in range(101):
    session.execute(f"INSERT INTO {space}.t (k, s) VALUES (1, {s})")
statements = [(f"SELECT {'nothing' if i % 11 == 0 else 's'} FROM {space}.t WHERE k = 1 LIMIT {1 + i * 7 % 101}", ()) for i in range(1009)]
execute_concurrent(session, statements, concurrency=23, raise_on_first_error=False)
cluster.shutdown()
