# SPDX-License-Identifier: Apache-2.0
"""A packet capture of MySQL connections, made without a server: texts and prepared statements in turn, each answered by some rows."""
import struct

import packets

ROWS, STATEMENTS = 3, 101
OK = bytes.fromhex("00000002000000")


def packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


def text(value):
    return bytes([len(value)]) + value


def column(name):
    return text(b"def") + text(b"shop") + text(b"orders") * 2 + text(name) * 2 + bytes.fromhex("0c3f000b000000030000000000")


def result(rows):
    """Two columns; OK ends the rows (CLIENT_DEPRECATE_EOF)."""
    parts = [b"\2", column(b"id"), column(b"name"), *rows, b"\xfe" + OK[1:]]
    return b"".join(packet(1 + i, part) for i, part in enumerate(parts))


GREETING = packet(0, b"\x0a8.0.36\0" + struct.pack("<I", 7) + b"abcdefgh\0" + bytes.fromhex("fff7ff0200ffdf15") + bytes(10) + b"0123456789ab\0" + b"mysql_native_password\0")
LOGIN = packet(1, bytes.fromhex("0da22801") + struct.pack("<IB", 1 << 24, 255) + bytes(23) + b"me\0" + text(b"p" * 20) + b"shop\0" + b"mysql_native_password\0")
PREPARED = packet(1, b"\0" + struct.pack("<IHHBH", 1, 2, 1, 0, 0)) + packet(2, column(b"?")) + packet(3, column(b"id")) + packet(4, column(b"name"))
TEXT_ROWS, BINARY_ROWS = [text(b"17") + text(b"a name of some length")] * ROWS, [b"\0\0" + struct.pack("<I", 17) + text(b"a name of some length")] * ROWS


def exchange(_, i):
    """What client and server of a connection say the i-th time."""
    if i == 0:
        return LOGIN, packet(2, OK)
    if i == 1:
        return packet(0, b"\x16SELECT id, name FROM orders WHERE id > ? LIMIT 3"), PREPARED
    if i % 2:
        return packet(0, b"\x17" + struct.pack("<IBI", 1, 0, 1) + b"\0\1\3\0" + struct.pack("<I", i)), result(BINARY_ROWS)
    return packet(0, b"\3SELECT id, name FROM orders WHERE id > %d LIMIT 3" % (i % STATEMENTS)), result(TEXT_ROWS)


def write_capture(path, exchanges):
    packets.alternate_late(path, exchanges, 3306, exchange, opening=(b"", GREETING), host=33)
