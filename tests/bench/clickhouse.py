# SPDX-License-Identifier: Apache-2.0
"""A packet capture of ClickHouse's native protocol, made without a network: logins, then selects of ten rows, and inserts of ten with the sample that they are answered with first."""
import struct

import packets

REVISION = 54460
INFO, END_OF_DATA = b"\1\0\2\xff\xff\xff\xff\0", b"\1\0\1\0\2\xff\xff\xff\xff\0\0\0"


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def text(s):
    return varint(len(s)) + s


def block(rows):
    values = b"".join(struct.pack("<Q", i) for i in range(rows)), text(b"v" * 20) * rows
    return INFO + varint(2) + varint(rows) + text(b"id") + text(b"UInt64") + b"\0" + values[0] + text(b"body") + text(b"String") + b"\0" + values[1]


def query(statement):
    info = b"\1" + text(b"") + text(b"") + text(b"0.0.0.0:0") + bytes(8) + b"\1" + text(b"me") + text(b"host") + text(b"client") + varint(24) + varint(8) + varint(REVISION)
    info += text(b"") + varint(0) + varint(2) + b"\0" + bytes(3)
    return b"\1" + text(b"") + info + text(b"max_threads") + b"\1" + text(b"2") + text(b"") + text(b"") + varint(2) + varint(0) + text(statement) + text(b"")


HELLO = (b"\0" + text(b"client") + varint(24) + varint(8) + varint(REVISION) + text(b"shop") + text(b"plumb") + text(b"sesame"),
         b"\0" + text(b"ClickHouse") + varint(24) + varint(8) + varint(REVISION) + text(b"UTC") + text(b"host") + varint(1))
PROGRESS = b"\3" + varint(1000) + varint(8000) + varint(1000) + varint(0) + varint(0) + varint(123456)
SELECTED = b"\1\0" + block(0), b"\1\0" + block(10) + b"\6" + varint(10) + varint(1) + varint(300) + b"\0\0\1" + PROGRESS + END_OF_DATA + b"\5"
EMPTY = b"\2" + END_OF_DATA[1:]


def exchange(i, turn):
    if turn == 0:
        return HELLO
    addendum = text(b"") if turn == 1 else b""
    if i % 4:
        return addendum + query(b"SELECT id, body FROM notes WHERE id > %d AND body != 'secret'" % (i % 101)) + EMPTY, SELECTED[0], b"", SELECTED[1]
    return addendum + query(b"INSERT INTO notes (id, body) VALUES") + EMPTY, b"\1\0" + block(0), b"\2\0" + block(10) + EMPTY, PROGRESS + b"\5"


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 9000, exchange)
