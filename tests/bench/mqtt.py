# SPDX-License-Identifier: Apache-2.0
"""A packet capture of MQTT 3.1.1, made without a network: of three exchanges one is a publish without confirmation, one with, and one a confirmed delivery."""
import struct

from memcached import ACK, CONNECTIONS, PUSH, SYN, Connection

PAYLOAD = b"v" * 100
CONNECT = b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4shop"


def publish(topic, packet_id=0):
    body = struct.pack(">H", len(topic)) + topic + (struct.pack(">H", packet_id) if packet_id else b"") + PAYLOAD
    assert 128 > len(body)
    return bytes([0x32 if packet_id else 0x30, len(body)]) + body


def exchange(i):
    """What each side says, in order: (side, bytes)."""
    topic, packet_id = b"orders/%d" % (i % 101), i // CONNECTIONS % 65535 + 1
    if i % 3 == 0:
        return [(0, publish(topic))]
    side = i % 3 - 1
    return [(side, publish(topic, packet_id)), (1 - side, b"\x40\x02" + struct.pack(">H", packet_id))]


def write_capture(path, exchanges):
    connections = [Connection(20000 + i) for i in range(CONNECTIONS)]
    for c in connections:
        c.ends = c.ends[0], (c.ends[1][0], 1883)
    us = 0
    with open(path, "wb") as f:
        def write(packet):
            nonlocal us
            us += 20
            f.write(struct.pack("<IIII", 1_700_000_000 + us // 1_000_000, us % 1_000_000, len(packet), len(packet)) + packet)

        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for c in connections:
            write(c.packet(0, SYN))
            write(c.packet(1, SYN | ACK))
            write(c.packet(0, ACK))
            write(c.packet(0, ACK | PUSH, CONNECT))  # the first exchanges
            write(c.packet(1, ACK | PUSH, b"\x20\2\0\0"))
        for i in range(exchanges - CONNECTIONS):
            for side, data in exchange(i):
                write(connections[i % CONNECTIONS].packet(side, ACK | PUSH, data))
