# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of AMQP 1.0 deliveries through Qpid Proton: amqp10_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import time

from proton import ConnectionException, Delivery, Endpoint, Message
from proton.reactor import AtMostOnce
from proton.utils import BlockingConnection, SendException

assert sys.stdin.readline() == "go\n"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PORT = sys.argv[1]


class Refused(Exception):
    pass


def timed(what, run):
    start = time.perf_counter_ns()
    error = ""
    try:
        run()
    except SendException as e:
        error = {Delivery.REJECTED: "rejected", Delivery.RELEASED: "released", Delivery.MODIFIED: "modified"}[e.state]
    except ConnectionException as e:
        error = "connection"
    except Refused as e:
        error = str(e)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


def connect(user="guest", password="guest"):
    return BlockingConnection(f"amqp://127.0.0.1:{PORT}", user=user, password=password, allowed_mechs="PLAIN", timeout=20)


conn = connect()
orders, audit = conn.create_sender("/queue/plumb.ten"), conn.create_sender("/exchange/amq.topic/plumb.nobody")
for i in range(13):
    timed("send", lambda: orders.send(Message(f"secret {i}", id=f"m{i}", correlation_id=f"c{i}", properties={"n": i, "deep": "secret", "traceparent": PARENT})))
for i in range(3):
    timed("nobody", lambda: audit.send(Message("secret")))
# Eleven are under way at once.
under_way = [orders.link.send(Message(b"secret", inferred=True)) for _ in range(11)]
conn.wait(lambda: all(d.remote_state for d in under_way))
for d in under_way:
    d.settle()
taker = conn.create_receiver("/queue/plumb.ten", credit=24)
for n in range(1, 25):
    taker.receive(10)
    if n <= 7:
        taker.accept()
    elif n == 8:
        taker.reject()
    elif n == 9:
        taker.reject()
    else:
        taker.accept()
taker.link.close()  # the broker answers with a detach that does not close, for which Proton would wait in vain
quick = conn.create_sender("/queue/plumb.quick", options=AtMostOnce())
for i in range(17):
    quick.send(Message("secret"))
quickly = conn.create_receiver("/queue/plumb.quick", credit=17, options=AtMostOnce())
for i in range(17):
    quickly.receive(10)
quickly.link.close()
timed("big", lambda: orders.send(Message(b"x" * 300_000, inferred=True)))
timed("empty", lambda: orders.send(Message(b"", inferred=True)))
taker = conn.create_receiver("/queue/plumb.ten", credit=2)
sizes = []
for i in range(2):
    sizes.append(len(taker.receive(10).body))
    taker.accept()
assert sizes == [300_000, 0]
conn.close()



def refused(make):
    conn = connect()
    link = make(conn.container, conn.conn)
    conn.wait(lambda: link.session.state & Endpoint.REMOTE_CLOSED)  # RabbitMQ ends the session
    error = link.session.remote_condition.name
    try:
        conn.close()
    except ConnectionException:
        pass  # what RabbitMQ says of a session that both have ended depends on which comes first, that or the close
    raise Refused(error)


timed("no queue", lambda: refused(lambda container, c: container.create_receiver(c, "/amq/queue/plumb.none")))
timed("no such address", lambda: refused(lambda container, c: container.create_sender(c, "/nonsense/plumb")))
timed("wrong password", lambda: connect(password="secret"))
