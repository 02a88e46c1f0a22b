# SPDX-License-Identifier: Apache-2.0
"""A packet capture of Couchbase's key-value protocol, made without a server: of seven requests four get, one of which misses, one looks into a document and two store."""
import struct

import packets

REQUEST, ANSWER, REQUEST_FRAMED, ANSWER_FRAMED = 0x80, 0x81, 0x08, 0x18
GET, SET, HELLO, SELECT_BUCKET, LOOKUP = 0x00, 0x01, 0x1F, 0x89, 0xD0
VALUE = b'{"v":"' + b"v" * 92 + b'"}'
TIME = b"\x02\x00\x1e"


def message(magic, opcode, number, code=0, frames=b"", extras=b"", key=b"", value=b""):
    lengths = struct.pack(">BB", len(frames), len(key)) if magic < REQUEST else struct.pack(">H", len(key))
    head = bytes([magic, opcode]) + lengths + struct.pack(">BBHIIQ", len(extras), 0, code, len(frames) + len(extras) + len(key) + len(value), number, 0)
    return head + frames + extras + key + value


def exchange(_, i):
    """The first two of a connection agree on collections, and select the bucket."""
    if i == 0:
        return message(REQUEST, HELLO, i, key=b"bench", value=b"\0\x12"), message(ANSWER, HELLO, i, value=b"\0\x12")
    if i == 1:
        return message(REQUEST, SELECT_BUCKET, i, key=b"shop"), message(ANSWER, SELECT_BUCKET, i)
    key, vbucket = b"\0orders::%06d" % (i % 1009), i % 1024
    kind = i % 7
    if kind < 2:
        return message(REQUEST_FRAMED, SET, i, vbucket, b"\x11\1", bytes(8), key, VALUE), message(ANSWER_FRAMED, SET, i, 0, TIME, bytes(16))
    if kind == 2:
        return message(REQUEST, LOOKUP, i, vbucket, key=key, value=b"\xc5\0\0\1v"), message(ANSWER_FRAMED, LOOKUP, i, 0, TIME, value=bytes(6) + VALUE)
    return message(REQUEST, GET, i, vbucket, key=key), message(ANSWER_FRAMED, GET, i, int(kind == 3), TIME, b"" if kind == 3 else bytes(4), value=b"" if kind == 3 else VALUE)


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 11210, exchange, host=46)
