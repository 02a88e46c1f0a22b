# SPDX-License-Identifier: Apache-2.0
"""Has a producer and a consumer before anybody watches: pulsar_old_driver.py PORT < "go"."""
import sys

from pulsar_driver import client

c = client()
consumer, producer = c.subscribe("old", "one"), c.create_producer("old")
print("ready", file=sys.stderr)
assert sys.stdin.readline() == "go\n"
c.get_topic_partitions("old")
for i in range(13):
    producer.send(b"secret")
for i in range(13):
    consumer.acknowledge(consumer.receive(30_000))
producer.close()
consumer.close()
c.close()
