# SPDX-License-Identifier: Apache-2.0
"""A packet capture of AMQP, made without a broker: publishes that are confirmed, deliveries that are acknowledged, on two channels of each connection."""
import struct

import packets
from packets import CLIENT, SERVER

CONNECTIONS, BODY, BATCH = 8, b"b" * 200, 10


def short(text):
    return bytes([len(text)]) + text


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel, group, number, arguments=b""):
    return frame(1, channel, struct.pack(">HH", group, number) + arguments)


def content(channel, n):
    headers = short(b"traceparent") + b"S" + struct.pack(">I", 55) + b"00-%032x-%016x-01" % (n + 1, n + 1)
    properties = short(b"application/json") + struct.pack(">I", len(headers)) + headers + b"\2" + short(b"message-%d" % n)
    return frame(2, channel, struct.pack(">HHQH", 60, 0, len(BODY), 0xb080) + properties) + frame(3, channel, BODY)


START = [  # side, bytes: up to a channel that confirms and one that consumes
    (CLIENT, b"AMQP\0\0\x09\1"), (SERVER, method(0, 10, 10, b"\0\x09\0\0\0\0\0\0\0\5PLAIN\0\0\0\5en_US")),
    (CLIENT, method(0, 10, 11, b"\0\0\0\0" + short(b"PLAIN") + b"\0\0\0\x0c\0guest\0guest" + short(b"en_US"))),
    (SERVER, method(0, 10, 30, struct.pack(">HIH", 2047, 131072, 60))), (CLIENT, method(0, 10, 31, struct.pack(">HIH", 2047, 131072, 60))),
    (CLIENT, method(0, 10, 40, short(b"/") + b"\0\0")), (SERVER, method(0, 10, 41, b"\0")),
    (CLIENT, method(1, 20, 10, b"\0")), (SERVER, method(1, 20, 11, bytes(4))), (CLIENT, method(2, 20, 10, b"\0")), (SERVER, method(2, 20, 11, bytes(4))),
    (CLIENT, method(1, 85, 10, b"\0")), (SERVER, method(1, 85, 11)),
    (CLIENT, method(2, 60, 20, b"\0\0" + short(b"orders") + short(b"worker-1") + b"\0" + bytes(4))), (SERVER, method(2, 60, 21, short(b"worker-1"))),
]
START_EXCHANGES = 7


def publish(n):
    return method(1, 60, 40, b"\0\0" + short(b"shop") + short(b"orders.new") + b"\0") + content(1, n)


def deliver(tag):
    return method(2, 60, 60, short(b"worker-1") + struct.pack(">QB", tag, 0) + short(b"shop") + short(b"orders.new")) + content(2, tag)


class Connection(packets.Connection):
    def __init__(self, number):
        super().__init__(number, 5672, 56)
        self.sent, self.taken, self.turn = 0, 0, 0

    def start(self):
        return [*self.short_handshake(), *(self.packet(*said) for said in START)]

    def next(self, n):
        """n exchanges: publishes confirmed together or deliveries acknowledged one by one, in turn."""
        self.turn += 1
        if self.turn % 2:
            made = [self.packet(CLIENT, publish(self.sent + i)) for i in range(n)]
            self.sent += n
            return [*made, self.packet(SERVER, method(1, 60, 80, struct.pack(">QB", self.sent, 1)))]
        made = []
        for _ in range(n):
            self.taken += 1
            made += [self.packet(SERVER, deliver(self.taken)), self.packet(CLIENT, method(2, 60, 80, struct.pack(">QB", self.taken, 0)))]
        return made


def write_capture(path, exchanges):
    packets.take_turns(path, exchanges - CONNECTIONS * START_EXCHANGES, [Connection(i) for i in range(CONNECTIONS)], batch=BATCH, step_us=10)
