# SPDX-License-Identifier: Apache-2.0
"""A packet capture of Thrift, made without a network: framed calls of the binary protocol and their results, of seven one a oneway and one with an exception."""
import struct

import packets

TEXT = b"v" * 100


def frame(kind, name, seqid, fields):
    body = struct.pack(">II", 0x80010000 | kind, len(name)) + name + struct.pack(">I", seqid) + fields + b"\0"
    return struct.pack(">I", len(body)) + body


def text(field, value):
    return struct.pack(">BHI", 11, field, len(value)) + value


def exchange(i, turn):
    """What the client says, and what the server does."""
    name, seqid = b"method%d" % (i % 101), turn
    args = text(1, TEXT) + struct.pack(">BHI", 8, 2, i)
    if i % 7 == 0:
        return frame(4, name, seqid, args), b""
    if i % 7 == 1:
        return frame(1, name, seqid, args), frame(3, name, seqid, text(1, b"Internal error") + struct.pack(">BHI", 8, 2, 6))
    return frame(1, name, seqid, args), frame(2, name, seqid, text(0, TEXT))


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 9090, exchange)
