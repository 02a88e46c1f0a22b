# SPDX-License-Identifier: Apache-2.0
"""A fixed series of requests through librdkafka: kafka_driver.py PORT [CERTIFICATE] < "go". Prints {"what","ns","error"} for each step. With the certificate, over TLS."""
import json
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

BROKER = f"127.0.0.1:{sys.argv[1]}"
TLS = {"security.protocol": "ssl", "ssl.ca.location": sys.argv[2], "ssl.endpoint.identification.algorithm": "none"} if len(sys.argv) > 2 else {}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033{:02x}-01"


def timed(what, run):
    start = time.perf_counter_ns()
    error = run() or ""
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


def create(admin, topic, partitions):
    try:
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
    except KafkaException as e:
        return e.args[0].name()


def producer(**more):
    return Producer({"bootstrap.servers": BROKER, "client.id": "shop", "linger.ms": 60000, "message.max.bytes": 5_000_000, "compression.type": "none", **TLS, **more})


def send(p, topic, count, partition, value, headers=None):
    errors = []

    def report(error, _):
        if error:
            errors.append(error.name())

    for i in range(count):
        p.produce(topic, value, partition=partition, headers=headers(i) if headers else None, on_delivery=report)
    assert p.flush(30) == 0
    return errors[0] if errors else None


assert sys.stdin.readline() == "go\n"
admin = AdminClient({"bootstrap.servers": BROKER, "client.id": "admin", **TLS})
for topic in ("orders", "orders", "bulk"):
    timed("create", lambda: create(admin, topic, 2))

p = producer(acks="all")
for i in range(11):
    timed("one", lambda: send(p, "orders", 1, 0, b"secret", lambda _: {"traceparent": TRACEPARENT.format(i)}))
timed("several", lambda: send(p, "orders", 53, 1, b"secret", lambda i: {"traceparent": TRACEPARENT.format(i)} if i < 7 else {}))
timed("large", lambda: send(p, "bulk", 1, 0, b"secret" * 50_000))
for i in range(3):
    timed("too large", lambda: send(p, "bulk", 1, 1, b"secret" * 300_000))
timed("compressed", lambda: send(producer(**{"compression.type": "gzip", "client.id": "zip"}), "orders", 13, 0, b"secret" * 100))
quiet = producer(acks=0, **{"client.id": "quiet"})
for i in range(5):
    timed("quiet", lambda: send(quiet, "bulk", 1, 1, b"secret"))

c = Consumer({"bootstrap.servers": BROKER, "client.id": "reader", "group.id": "billing", "auto.offset.reset": "earliest", "enable.auto.commit": False, **TLS})
c.subscribe(["orders"])
got = 0
deadline = time.monotonic() + 60
while got < 77 and time.monotonic() < deadline:
    message = c.poll(1)
    if message is not None and not message.error():
        got += 1
assert got == 77, got
for i in range(3):
    timed("commit", lambda: c.commit(offsets=[TopicPartition("orders", 0, i + 1)], asynchronous=False) and None)
c.close()
