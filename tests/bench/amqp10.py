# SPDX-License-Identifier: Apache-2.0
"""A packet capture of AMQP 1.0, made without a broker: messages that are sent and settled together, deliveries that are settled one by one, on two links of each connection."""
import struct

import packets
from packets import CLIENT, SERVER

CONNECTIONS, BODY, BATCH = 8, b"b" * 200, 10
NULL, TRUE, FALSE, EMPTY = b"\x40", b"\x41", b"\x42", b"\x45"


def text(s, kind=0xa1):
    return bytes([kind, len(s)]) + s


def number(n):
    return b"\x43" if n == 0 else b"\x52" + bytes([n]) if n < 256 else b"\x70" + struct.pack(">I", n)


def items(kind, *parts):
    inside = b"".join(parts)
    return bytes([kind, len(inside) + 1, len(parts)]) + inside


def described(code, value):
    return b"\0\x53" + bytes([code]) + value


def frame(code, *fields, payload=b"", kind=0):
    body = described(code, items(0xc0, *fields)) + payload
    return struct.pack(">IBBH", len(body) + 8, 2, kind, 0) + body


def attach(name, handle, receives, address):
    return frame(0x12, text(name), number(handle), TRUE if receives else FALSE, b"\x50\2", b"\x50\0", described(0x28, items(0xc0, text(address))), described(0x29, items(0xc0, text(address))))


ACCEPTED = described(0x24, EMPTY)
START = [  # side, bytes: up to a link that sends and one that receives
    (CLIENT, b"AMQP\3\1\0\0"), (SERVER, b"AMQP\3\1\0\0" + frame(0x40, text(b"PLAIN", 0xa3), kind=1)), (CLIENT, frame(0x41, text(b"PLAIN", 0xa3), text(b"\0guest\0guest", 0xa0), kind=1)),
    (SERVER, frame(0x44, b"\x50\0", kind=1)), (CLIENT, b"AMQP\0\1\0\0" + frame(0x10, text(b"client"), text(b"localhost")) + frame(0x11, NULL, number(0), number(100), number(100))),
    (SERVER, b"AMQP\0\1\0\0" + frame(0x10, text(b"server")) + frame(0x11, b"\x60\0\0", number(0), number(100), number(100))),
    (CLIENT, attach(b"out", 0, False, b"orders")), (SERVER, attach(b"out", 0, True, b"orders")), (CLIENT, attach(b"in", 1, True, b"tasks")), (SERVER, attach(b"in", 1, False, b"tasks")),
]
START_EXCHANGES = 3


def message(n):
    context = b"00-%032x-%016x-01" % (n + 1, n + 1)
    return (described(0x70, items(0xc0, TRUE)) + described(0x73, items(0xc0, text(b"message-%d" % n))) + described(0x74, items(0xc1, text(b"traceparent"), text(context), text(b"n"), number(n)))
            + described(0x75, text(BODY, 0xa0)))


def transfer(handle, n):
    return frame(0x14, number(handle), number(n), text(b"%d" % n, 0xa0), number(0), FALSE, FALSE, payload=message(n))


def settle(first, last):
    return frame(0x15, TRUE, number(first), number(last), TRUE, ACCEPTED)


class Connection(packets.Connection):
    def __init__(self, number):
        super().__init__(number, 5672, 57)
        self.sent, self.taken, self.turn = 0, 0, 0

    def start(self):
        return [*self.short_handshake(), *(self.packet(*said) for said in START)]

    def next(self, n):
        """n exchanges: messages settled together or deliveries settled one by one, in turn."""
        self.turn += 1
        if self.turn % 2:
            first = self.sent
            made = [self.packet(CLIENT, transfer(0, first + i)) for i in range(n)]
            self.sent += n
            return [*made, self.packet(SERVER, settle(first, self.sent - 1))]
        made = []
        for _ in range(n):
            made += [self.packet(SERVER, transfer(1, self.taken)), self.packet(CLIENT, settle(self.taken, self.taken))]
            self.taken += 1
        return made


def write_capture(path, exchanges):
    packets.take_turns(path, exchanges - CONNECTIONS * START_EXCHANGES, [Connection(i) for i in range(CONNECTIONS)], batch=BATCH, step_us=10)
