# SPDX-License-Identifier: Apache-2.0
"""A packet capture of TDS connections, made without a server: batches and calls of sp_executesql in turn, each answered by some rows."""
import struct

import packets

ROWS, STATEMENTS = 3, 101
HEADERS = bytes.fromhex("16000000120000000200") + struct.pack("<QI", 0, 1)
COLLATION = bytes.fromhex("0904d00034")


def packet(kind, payload):
    return struct.pack(">BBHHBB", kind, 1, 8 + len(payload), 0, 1, 0) + payload


def utf16(text):
    return text.encode("utf-16-le")


def short(text):
    return bytes([len(text)]) + utf16(text)


def parameter(text):
    return b"\0\0\xe7" + struct.pack("<H", 8000) + COLLATION + struct.pack("<H", 2 * len(text)) + utf16(text)


def result(done):
    """Two columns, then DONE, or DONEINPROC with what ends a procedure."""
    columns = b"\x81\2\0" + struct.pack("<IHB", 0, 9, 0x38) + short("id") + struct.pack("<IHBH", 0, 9, 0xe7, 400) + COLLATION + short("name")
    name = utf16("a name of some length")
    return columns + (b"\xd1" + struct.pack("<IH", 17, len(name)) + name) * ROWS + struct.pack("<BHHQ", done, 0x10 | (done == 0xff), 0xc1, ROWS)


TEXT = packet(4, result(0xfd))
CALL = packet(4, result(0xff) + b"\x79" + bytes(4) + struct.pack("<BHHQ", 0xfe, 0, 0xe0, 0))


def exchange(_, i):
    """What client and server of a connection say the i-th time."""
    if i % 2:
        number = b"\0\0\x26\4\4" + struct.pack("<I", i)
        return packet(3, HEADERS + struct.pack("<HHH", 0xffff, 10, 0) + parameter("SELECT TOP 3 id, name FROM orders WHERE id > @p1") + parameter("@p1 int") + number), CALL
    return packet(1, HEADERS + utf16("SELECT TOP 3 id, name FROM orders WHERE id > %d" % (i % STATEMENTS))), TEXT


def write_capture(path, exchanges):
    packets.alternate_late(path, exchanges, 1433, exchange, host=34)
