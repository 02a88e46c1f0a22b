# SPDX-License-Identifier: Apache-2.0
"""A packet capture of MQTT 3.1.1, made without a network: of three exchanges one is a publish without confirmation, one with, and one a confirmed delivery."""
import struct

import packets

PAYLOAD = b"v" * 100
CONNECT = b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4shop"


def publish(topic, packet_id=0):
    body = struct.pack(">H", len(topic)) + topic + (struct.pack(">H", packet_id) if packet_id else b"") + PAYLOAD
    assert 128 > len(body)
    return bytes([0x32 if packet_id else 0x30, len(body)]) + body


def exchange(i, turn):
    topic, packet_id = b"orders/%d" % (i % 101), turn % 65535 + 1
    if i % 3 == 0:
        return (publish(topic),)
    said = publish(topic, packet_id), b"\x40\x02" + struct.pack(">H", packet_id)
    return said if i % 3 == 1 else (b"", *said)


def write_capture(path, exchanges):
    """The first exchange of each connection is its CONNECT."""
    packets.alternate(path, exchanges - packets.CONNECTIONS, 1883, exchange, opening=(CONNECT, b"\x20\2\0\0"))
