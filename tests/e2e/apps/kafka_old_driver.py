# SPDX-License-Identifier: Apache-2.0
"""Sends on a connection that is older than "go": kafka_old_driver.py PORT < "go". Says "ready" on standard error when it has it."""
import json
import sys

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

BROKER = f"127.0.0.1:{sys.argv[1]}"
admin = AdminClient({"bootstrap.servers": BROKER})
admin.create_topics([NewTopic("old", 1, 1)])["old"].result(30)
p = Producer({"bootstrap.servers": BROKER, "client.id": "old", "linger.ms": 60000, "topic.metadata.refresh.interval.ms": -1})


def send(count):
    for _ in range(count):
        p.produce("old", b"secret", partition=0)
    assert p.flush(30) == 0


send(1)
del admin
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
for count in (1, 7, 1, 13, 1):
    send(count)
    print(json.dumps({"what": "send", "count": count}))
