# SPDX-License-Identifier: Apache-2.0
"""A packet capture of Oracle Net, made without a network: statements with two rows, the same again by their cursor, of seven calls one with an error and one commit."""
import struct

import packets

ROWS = b"\x06\x01\x01\x01\x00\x01\x01\x00\x00\x00" + b"\x07\x14value of twenty byte" * 2


def packet(payload):
    return struct.pack(">IBBHH", len(payload) + 10, 6, 0, 0, 0) + payload


def end(number, cursor, rows):
    body = b"\x04\x01\x01\x01\x07" + bytes([1, rows]) + (b"\x02" + struct.pack(">H", number) if number else b"\0") + b"\0\0" + bytes([1, cursor]) + b"\0\x03" + bytes(20)
    text = b"ORA-00942: table or view does not exist\n"
    return body + (b"\x02" + struct.pack(">H", number) if number else b"\0") + bytes([1, rows]) + (bytes([len(text)]) + text if number else b"")


def execute(sequence, sql):
    return (b"\x03\x5e" + bytes([sequence]) + b"\x02\x80\x61\x00\x01" + bytes([1, len(sql)]) + b"\x01\x01\x0d\x00\x00\x00\x01\x02\x04\x7f\xff\xff\xff" + bytes(11) + b"\x01" + bytes(15)
            + bytes([len(sql)]) + sql + b"\x01\x01" + bytes(6) + b"\x01\x01\x00\x02\x80\x00\x00\x00\x00")


def exchange(i, turn):
    """What the client says, and what the server does."""
    sequence, cursor = turn % 255 + 1, 1 + i % 7
    if i % 7 == 0:
        return packet(execute(sequence, b"select * from nowhere where id = %d" % i)), packet(end(942, cursor, 1))
    if i % 7 == 1:
        return packet(b"\x03\x0e" + bytes([sequence])), packet(b"\x09\x01\x01\x01\x07")
    if i % 7 < 5:
        return packet(execute(sequence, b"select name from orders where id = %d" % (i % 101))), packet(ROWS + end(0, cursor, 2))
    return packet(b"\x03\x4e" + bytes([sequence]) + bytes([1, cursor]) + b"\x01\x02\x01\x20\x00"), packet(ROWS + end(0, cursor, 2))


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 1521, exchange)
