# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of steps through Pulsar's own client (C++): pulsar_driver.py PORT < "go". Prints {"what","ns","error"} for each step that is timed."""
import json
import socket
import sys
import threading
import time

import pulsar

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
url = f"pulsar://127.0.0.1:{sys.argv[1]}"
quiet = pulsar.FileLogger(pulsar.LoggerLevel.Error, "/dev/null")


def client(password="sesame"):
    return pulsar.Client(url, authentication=pulsar.AuthenticationBasic("plumb", password), logger=quiet, io_threads=1, message_listener_threads=1)


def timed(what, run):
    start = time.perf_counter_ns()
    run()
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": ""}))


def at_once(producer, n):
    """All are sent before the first is confirmed."""
    left, done = threading.Semaphore(0), []
    for i in range(n):
        producer.send_async(b"secret", lambda result, _: (done.append(result), left.release()))
    producer.flush()
    for i in range(n):
        assert left.acquire(timeout=60)
    assert done == [pulsar.Result.Ok] * n, set(done)


def one_by_one(c):
    consumer = c.subscribe("orders", "one", consumer_type=pulsar.ConsumerType.Shared, negative_ack_redelivery_delay_ms=100)
    producer = c.create_producer("orders")
    for i in range(13):
        timed("send", lambda: producer.send(b"secret %d" % i, properties={"traceparent": TRACE} if i < 5 else {"password": "sesame"}))
    producer.send(b"secret" * 50_000)
    for i in range(14):
        consumer.acknowledge(consumer.receive(30_000))
    for _ in range(3):  # not more at once than the broker writes with 128 segments, of which plumb reads no more
        at_once(producer, 23)
        for i in range(23):
            m = consumer.receive(30_000)
            if i == 7:
                consumer.negative_acknowledge(m)
            else:
                consumer.acknowledge(m)
        m = consumer.receive(30_000)
        assert m.redelivery_count() == 1
        consumer.acknowledge(m)
    producer.close()
    consumer.close()


def together(c):
    consumer = c.subscribe("events", "all", consumer_type=pulsar.ConsumerType.Exclusive)
    try:
        c.subscribe("events", "all", consumer_type=pulsar.ConsumerType.Exclusive)
    except pulsar.ConsumerBusy:
        pass
    else:
        raise AssertionError("two have the subscription")
    producer = c.create_producer("events", producer_name="secretary", batching_enabled=True, batching_max_messages=5, batching_max_publish_delay_ms=60_000)
    at_once(producer, 35)  # seven batches
    for i in range(35):
        m = consumer.receive(30_000)
        if i in (14, 34):
            consumer.acknowledge_cumulative(m)
    consumer.unsubscribe()
    producer.close()


def counted(number, value):
    return bytes([number << 3 | 2, len(value)]) + value


def refused():
    """By hand: the library tries again and again."""
    connect = counted(1, b"raw") + counted(3, b"plumb:treasure") + b"\x20\x13" + counted(5, b"basic")
    command = b"\x08\x02" + counted(2, connect)
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
        s.sendall((len(command) + 4).to_bytes(4, "big") + len(command).to_bytes(4, "big") + command)
        s.settimeout(30)
        assert s.recv(1000)[9] == 14  # ERROR
        while s.recv(1000):
            pass


if __name__ == "__main__":
    assert sys.stdin.readline() == "go\n"
    c = client()
    one_by_one(c)
    together(c)
    c.close()
    refused()
