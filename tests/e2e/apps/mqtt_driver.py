# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of steps through paho-mqtt, in version 5 (shop) and 3.1.1 (worker): mqtt_driver.py PORT < "go". Prints {"what","ns","error"} for each step that is timed.
DRIVER_TLS=FOLDER: over TLS, with the certificate there."""
import json
import os
import queue
import socket
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
port = int(sys.argv[1])
TLS = os.environ.get("DRIVER_TLS")


class Client:
    def __init__(self, name, protocol, password="sesame"):
        self.connected, self.subscribed, self.got, self.gone = (queue.Queue() for i in range(4))
        self.acks, self.changed = {}, threading.Condition()
        c = self.c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol, reconnect_on_failure=False)
        c.username_pw_set("plumb", password)
        c.max_inflight_messages_set(200)
        c.on_connect = lambda c, user, flags, reason, properties: self.connected.put(reason)
        c.on_subscribe = lambda c, user, mid, reasons, properties: self.subscribed.put(reasons)
        c.on_unsubscribe = lambda c, user, mid, reasons, properties: self.subscribed.put(reasons)
        c.on_message = lambda c, user, message: self.got.put(message.topic)
        c.on_publish = self.acked
        c.on_socket_open = lambda c, user, s: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.on_disconnect = lambda c, user, flags, reason, properties: self.gone.put(reason)
        if TLS:
            c.tls_set(TLS + "/cert.pem")
        c.connect("127.0.0.1", port)
        c.loop_start()
        self.reason = self.connected.get(timeout=10)

    def acked(self, c, user, mid, reason, properties):
        with self.changed:
            self.acks[mid] = reason
            self.changed.notify_all()

    def publish(self, topic, qos, payload=b"secret", **more):
        return self.c.publish(topic, payload, qos, **more).mid

    def wait(self, mids):
        """The reasons of their acknowledgements."""
        with self.changed:
            assert self.changed.wait_for(lambda: all(m in self.acks for m in mids), timeout=30)
            return [self.acks.pop(m) for m in mids]

    def one(self, what, topic, qos, **more):
        start = time.perf_counter_ns()
        reason, = self.wait([self.publish(topic, qos, **more)])
        print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": str(reason) if reason.is_failure else ""}))

    def subscribe(self, *filters):
        self.c.subscribe([(f, 2) for f in filters])
        return self.subscribed.get(timeout=10)

    def end(self):
        self.c.disconnect()
        self.c.loop_stop()


def properties(trace=None, alias=None):
    p = Properties(PacketTypes.PUBLISH)
    if trace:
        p.UserProperty = ("traceparent", trace)
    if alias:
        p.TopicAlias = alias
    return p


def take(client, n):
    for i in range(n):
        client.got.get(timeout=30)


assert sys.stdin.readline() == "go\n"
for protocol in mqtt.MQTTv5, mqtt.MQTTv311:
    intruder = Client("intruder", protocol, "wrong")
    assert intruder.reason.is_failure
    intruder.c.loop_stop()
shop, worker = Client("shop", mqtt.MQTTv5), Client("worker", mqtt.MQTTv311)
assert not worker.subscribe("orders/#")[0].is_failure
assert not shop.subscribe("stock/+", "other/#")[0].is_failure
for i in range(11):
    shop.wait([shop.publish("orders/new", 0)])
for i in range(13):
    shop.one("once", "orders/paid", 1)
for i in range(7):
    shop.one("exactly once", "orders/sent", 2)
for i in range(5):
    shop.one("traced", "orders/traced", 1, properties=properties(trace=TRACE))
for i in range(3):
    shop.one("alias", "" if i else "orders/alias", 1, properties=properties(alias=3))
shop.one("big", "orders/big", 1, payload=b"x" * 300_000)
take(worker, 11 + 13 + 7 + 5 + 3 + 1)
for i in range(17):
    worker.one("stock", "stock/apples", 1)
for i in range(5):
    worker.one("stock twice", "stock/pears", 2)
take(shop, 22)
shop.wait([shop.publish("orders/many", 1) for i in range(101)] + [shop.publish("orders/more", 2) for i in range(53)])
take(worker, 154)
for i in range(5):  # Debian's mosquitto 2.0.11 ends the connection behind a denial
    denied = Client("denied", mqtt.MQTTv5)
    if i < 3:
        denied.one("denied", "forbidden/x", 1)
    else:  # paho tells nothing of a PUBREC that refuses
        denied.publish("forbidden/x", 2)
    denied.gone.get(timeout=10)
    denied.c.loop_stop()
assert shop.subscribe("forbidden/y")[0].is_failure
assert worker.subscribe("forbidden/y")[0].is_failure
shop.c.unsubscribe("stock/+")
shop.subscribed.get(timeout=10)
shop.end()
worker.end()
