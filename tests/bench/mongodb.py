# SPDX-License-Identifier: Apache-2.0
"""A packet capture of MongoDB connections, made without a network: of seven commands, five find three documents, one inserts and one updates."""
import struct

import packets

OK = b"\x01ok\0" + struct.pack("<d", 1)
LSID = b"\x03lsid\0" + struct.pack("<I", 30) + b"\x05id\0" + struct.pack("<IB", 16, 4) + bytes(range(16)) + b"\0"
DATABASE = b"\x02$db\0" + struct.pack("<I", 5) + b"shop\0"


def document(*elements):
    body = b"".join(elements)
    return struct.pack("<I", len(body) + 5) + body + b"\0"


def text(name, value):
    return b"\2" + name + b"\0" + struct.pack("<I", len(value) + 1) + value + b"\0"


def number(name, value):
    return b"\x10" + name + b"\0" + struct.pack("<I", value)


def inner(kind, name, *elements):
    return kind + name + b"\0" + document(*elements)


def message(number, to, body, *sections):
    data = struct.pack("<I", 0) + b"\0" + body + b"".join(sections)
    return struct.pack("<IIII", 16 + len(data), number, to, 2013) + data


def section(name, *documents):
    body = name + b"\0" + b"".join(documents)
    return b"\1" + struct.pack("<I", len(body) + 4) + body


ROW = document(number(b"_id", 17), text(b"name", b"a name of some length"), number(b"count", 3))
FOUND = document(inner(b"\3", b"cursor", inner(b"\4", b"firstBatch", *(b"\3%d\0" % i + ROW for i in range(3))), b"\x12id\0" + bytes(8), text(b"ns", b"shop.orders")), OK)
WRITTEN = document(number(b"n", 1), OK)


def exchange(_, i):
    """What client and server of a connection say the i-th time."""
    if i % 7 == 0:
        return message(i + 1, 0, document(text(b"insert", b"orders"), b"\x08ordered\0\1", LSID, DATABASE), section(b"documents", ROW)), message(i + 90000, i + 1, WRITTEN)
    if i % 7 == 1:
        change = document(inner(b"\3", b"q", number(b"_id", i)), inner(b"\3", b"u", inner(b"\3", b"$set", number(b"count", i))))
        return message(i + 1, 0, document(text(b"update", b"orders"), b"\x08ordered\0\1", LSID, DATABASE), section(b"updates", change)), message(i + 90000, i + 1, WRITTEN)
    find = document(text(b"find", b"orders"), inner(b"\3", b"filter", number(b"_id", i % 1009)), number(b"limit", 3), LSID, DATABASE)
    return message(i + 1, 0, find), message(i + 90000, i + 1, FOUND)


def write_capture(path, exchanges):
    packets.alternate_late(path, exchanges, 27017, exchange, host=27)
