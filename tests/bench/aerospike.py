# SPDX-License-Identifier: Apache-2.0
"""A packet capture of Aerospike connections, made without a server: of seven requests four read a record, one of which is not there, two write one, and one is a batch of five."""
import struct

import packets

INFO, MSG = 1, 3
READ, GET_ALL, BATCH, WRITE, LAST = 1, 2, 8, 1, 1
OP_READ, OP_WRITE, STRING, NOT_FOUND = 1, 2, 3, 2
VALUE = b"v" * 100


def proto(kind, body):
    return struct.pack(">BBHI", 2, kind, 0, len(body)) + body


def record(info1=0, info2=0, info3=0, code=0, fields=(), ops=()):
    return struct.pack(">BBBBBBIIIHH", 22, info1, info2, info3, 0, code, 0, 0, 0, len(fields), len(ops)) + b"".join(fields) + b"".join(ops)


def field(kind, data):
    return struct.pack(">IB", len(data) + 1, kind) + data


def bin_op(op):
    return struct.pack(">IBBBB", 4 + 4 + len(VALUE), op, STRING, 0, 4) + b"name" + VALUE


def key(i):
    return field(0, b"shop"), field(1, b"orders"), field(4, b"%020d" % (i % 1009))


def batch(i):
    first = struct.pack(">I20sBBHH", 0, b"%020d" % i, 0, READ | GET_ALL, 2, 0) + field(0, b"shop") + field(1, b"orders")
    return field(41, struct.pack(">IB", 5, 1) + first + b"".join(struct.pack(">I20sB", n, b"%020d" % (i + n), 1) for n in range(1, 5)))


FOUND, NONE, WRITTEN = (proto(MSG, record(**said)) for said in ({"ops": [bin_op(OP_READ)]}, {"code": NOT_FOUND}, {}))
SEVERAL = proto(MSG, record(ops=[bin_op(OP_READ)]) * 5) + proto(MSG, record(info3=LAST))


def exchange(i, _):
    """What client and server say in exchange i of all."""
    kind = i % 7
    if kind < 4:
        return proto(MSG, record(READ | GET_ALL, fields=key(i))), NONE if kind == 3 else FOUND
    if kind < 6:
        return proto(MSG, record(0, WRITE, fields=key(i), ops=[bin_op(OP_WRITE)])), WRITTEN
    return proto(MSG, record(READ | BATCH, fields=[batch(i)])), SEVERAL


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 3000, exchange, host=47)
