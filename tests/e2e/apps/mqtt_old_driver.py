# SPDX-License-Identifier: Apache-2.0
"""Opens a connection of MQTT 5 and one of 3.1.1, says "ready" on standard error, and works on them after "go": mqtt_old_driver.py PORT < "go"."""
import queue
import socket
import sys
import threading

import paho.mqtt.client as mqtt


class Client:
    def __init__(self, name, protocol):
        self.said, self.got, self.acked = queue.Queue(), queue.Queue(), threading.Semaphore(0)
        c = self.c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol)
        c.username_pw_set("plumb", "sesame")
        c.max_inflight_messages_set(200)
        c.on_connect = c.on_subscribe = lambda *a: self.said.put(a)
        c.on_message = lambda c, user, message: self.got.put(message.topic)
        c.on_publish = lambda *a: self.acked.release()
        c.on_socket_open = lambda c, user, s: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.connect("127.0.0.1", int(sys.argv[1]))
        c.loop_start()
        self.said.get(timeout=10)


clients = [Client("new", mqtt.MQTTv5), Client("old", mqtt.MQTTv311)]
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
for c in clients:
    c.c.subscribe("late/#", 2)
    c.said.get(timeout=10)
for c, topic, qos, n in ((clients[0], "late/a", 1, 11), (clients[1], "late/b", 1, 53), (clients[1], "late/c", 2, 7)):
    for i in range(n):
        c.c.publish(topic, b"secret", qos)
    for i in range(n):
        assert c.acked.acquire(timeout=30)
for c in clients:
    for i in range(71):
        c.got.get(timeout=30)
    c.c.disconnect()
    c.c.loop_stop()
