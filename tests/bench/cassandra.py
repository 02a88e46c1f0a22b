# SPDX-License-Identifier: Apache-2.0
"""A packet capture of Cassandra connections, made without a server: of seven requests four execute what was prepared, two are texts, one is a batch. Half speak version 5."""
import struct
import zlib

import packets

ROWS, STATEMENTS = 3, 101
ID, TEXT = b"0123456789abcdef", b"SELECT id, name FROM shop.orders WHERE id > ? LIMIT 3"


def sized(data):
    return struct.pack(">I", len(data)) + data


def string(data):
    return struct.pack(">H", len(data)) + data


def envelope(version, stream, opcode, body):
    return struct.pack(">BBHB", version, 0, stream, opcode) + sized(body)


def crc24(data):
    crc = 0x875060
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1974F0B if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


def segment(payload):
    head = (len(payload) | 1 << 17).to_bytes(3, "little")
    tail = zlib.crc32(payload, zlib.crc32(b"\xfa\x2d\x55\xca"))
    return head + crc24(head).to_bytes(3, "little") + payload + struct.pack("<I", tail)


COLUMNS = string(b"shop") + string(b"orders") + string(b"id") + b"\0\x09" + string(b"name") + b"\0\x0d"
VALUES = (sized(struct.pack(">i", 17)) + sized(b"a name of some length")) * ROWS
PREPARED_ROWS, TEXT_ROWS = struct.pack(">iiii", 2, 4, 2, ROWS) + VALUES, struct.pack(">iii", 2, 1, 2) + COLUMNS + struct.pack(">i", ROWS) + VALUES


def bodies(version, i):
    """Opcode and body of the i-th request, and of its response."""
    flags = struct.pack(">i", 1) if version == 5 else b"\1"
    none = bytes(len(flags))
    if i == 0:
        return 1, struct.pack(">H", 1) + string(b"CQL_VERSION") + string(b"3.0.0"), 2, b""
    if i == 1:
        result = string(ID) + (string(ID) if version == 5 else b"") + struct.pack(">iiiHii", 4, 0, 0, 0, 4, 0)
        return 9, sized(TEXT) + (none if version == 5 else b""), 8, struct.pack(">i", 4) + result
    if i % 7 < 4:
        return 10, string(ID) + (string(ID) if version == 5 else b"") + b"\0\6" + flags + b"\0\1" + sized(struct.pack(">i", i)), 8, PREPARED_ROWS
    if i % 7 < 6:
        return 7, sized(b"SELECT id, name FROM shop.orders WHERE id > %d LIMIT 3" % (i % STATEMENTS)) + b"\0\1" + none, 8, TEXT_ROWS
    part = b"\0" + sized(b"UPDATE shop.orders SET name = ? WHERE id = ?") + struct.pack(">H", 2) + sized(b"a name of some length") + sized(struct.pack(">i", i))
    return 13, b"\0\0\3" + part * 3 + b"\0\1" + none, 8, struct.pack(">i", 1)


def exchange(n, i):
    """What client and server of a connection say the i-th time. Each connection has only even n or only odd ones."""
    version, stream = 4 + n % 2, i % 64
    asked, question, answered, answer = bodies(version, i)
    wrap = segment if version == 5 and i else bytes
    return wrap(envelope(version, stream, asked, question)), wrap(envelope(version | 0x80, stream, answered, answer))


def write_capture(path, exchanges):
    packets.alternate_late(path, exchanges, 9042, exchange, host=33)
