# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of AMQP requests through pika: amqp_driver.py PORT < "go". Prints {"what","ns","error"} for each step.
DRIVER_TLS=FOLDER: over TLS, with the certificate there."""
import json
import os
import ssl
import sys
import time

import pika
import pika.exceptions

assert sys.stdin.readline() == "go\n"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def timed(what, run):
    start = time.perf_counter_ns()
    error = ""
    try:
        run()
    except pika.exceptions.ChannelClosedByBroker as e:
        error = str(e.reply_code)
    except pika.exceptions.UnroutableError as e:
        error = "312"
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


TLS = os.environ.get("DRIVER_TLS")
tls = pika.SSLOptions(ssl.create_default_context(cafile=TLS + "/cert.pem"), "127.0.0.1") if TLS else None
conn = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1]), ssl_options=tls))
ch = conn.channel()
ch.exchange_declare("plumb.topic", "topic")
ch.queue_declare("plumb.orders")
ch.queue_bind("plumb.orders", "plumb.topic", "orders.*")
for i in range(13):
    props = pika.BasicProperties(message_id=f"m{i}", correlation_id=f"c{i}", content_type="text/plain", headers={"n": i, "deep": {"a": [1, "secret"]}, "traceparent": PARENT})
    timed("publish", lambda: ch.basic_publish("plumb.topic", "orders.new", f"secret {i}", props))

sure = conn.channel()
sure.confirm_delivery()
for i in range(11):
    timed("confirmed", lambda: sure.basic_publish("plumb.topic", "orders.paid", f"secret {i}"))
for i in range(3):
    timed("returned", lambda: sure.basic_publish("plumb.topic", "nobody", "secret", mandatory=True))

# 24 wait: seven confirmed one by one, two refused, five and ten together.
taker = conn.channel()
taker.basic_qos(prefetch_count=29)
for n, (method, _, body) in enumerate(taker.consume("plumb.orders", auto_ack=False), 1):
    assert body.startswith(b"secret")
    if n <= 7:
        taker.basic_ack(method.delivery_tag)
    elif n == 8:
        taker.basic_nack(method.delivery_tag, requeue=False)
    elif n == 9:
        taker.basic_reject(method.delivery_tag, requeue=False)
    elif n in (14, 24):
        taker.basic_ack(method.delivery_tag, multiple=True)
    if n == 24:
        break
taker.cancel()

fast = conn.channel()
fast.queue_declare("plumb.fast")
for i in range(17):
    timed("to a queue", lambda: fast.basic_publish("", "plumb.fast", "secret"))
for n, _ in enumerate(fast.consume("plumb.fast", auto_ack=True), 1):
    if n == 17:
        break
fast.cancel()

timed("big", lambda: sure.basic_publish("", "plumb.fast", b"x" * 300_000))
timed("empty", lambda: sure.basic_publish("", "plumb.fast", b""))
got = []
timed("get", lambda: got.append(fast.basic_get("plumb.fast", auto_ack=True)))
timed("get", lambda: got.append(fast.basic_get("plumb.fast")))
timed("get nothing", lambda: got.append(fast.basic_get("plumb.fast")))
assert [len(g[2]) if g[0] else None for g in got] == [300_000, 0, None]
fast.basic_ack(got[1][0].delivery_tag)


def failing(what, run, confirm=False):
    bad = conn.channel()
    if confirm:
        bad.confirm_delivery()
    timed(what, lambda: run(bad))


failing("no queue", lambda c: c.queue_declare("plumb.none", passive=True))
failing("no queue", lambda c: c.basic_consume("plumb.none", lambda *_: None))
failing("other queue", lambda c: c.queue_declare("plumb.orders", durable=True))
failing("reserved", lambda c: c.queue_declare("amq.mine"))
failing("no exchange", lambda c: c.basic_publish("plumb.nothing", "k", "secret"), confirm=True)


def no_exchange(c):
    c.basic_publish("plumb.nothing", "k", "secret")
    c.queue_declare("plumb.fast", passive=True)  # learns of it


def no_tag(c):
    c.basic_ack(999)
    c.queue_declare("plumb.fast", passive=True)


failing("no exchange, told later", no_exchange)
failing("no tag", no_tag)
timed("transaction", fast.tx_select)
timed("publish", lambda: fast.basic_publish("", "plumb.orders", "secret"))
timed("commit", fast.tx_commit)
timed("purge", lambda: ch.queue_purge("plumb.orders"))
timed("delete", lambda: ch.queue_delete("plumb.orders"))
timed("delete", lambda: ch.queue_delete("plumb.fast"))
timed("delete", lambda: ch.exchange_delete("plumb.topic"))
conn.close()
