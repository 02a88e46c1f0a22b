# SPDX-License-Identifier: Apache-2.0
"""A packet capture of Thrift, made without a network: framed calls of the binary protocol and their results, of seven one a oneway and one with an exception."""
import struct

from memcached import ACK, CONNECTIONS, PUSH, SYN, Connection

TEXT = b"v" * 100


def frame(kind, name, seqid, fields):
    body = struct.pack(">II", 0x80010000 | kind, len(name)) + name + struct.pack(">I", seqid) + fields + b"\0"
    return struct.pack(">I", len(body)) + body


def text(field, value):
    return struct.pack(">BHI", 11, field, len(value)) + value


def exchange(i):
    """What the client says, and what the server does."""
    name, seqid = b"method%d" % (i % 101), i // CONNECTIONS
    args = text(1, TEXT) + struct.pack(">BHI", 8, 2, i)
    if i % 7 == 0:
        return frame(4, name, seqid, args), b""
    if i % 7 == 1:
        return frame(1, name, seqid, args), frame(3, name, seqid, text(1, b"Internal error") + struct.pack(">BHI", 8, 2, 6))
    return frame(1, name, seqid, args), frame(2, name, seqid, text(0, TEXT))


def write_capture(path, exchanges):
    connections = [Connection(20000 + i) for i in range(CONNECTIONS)]
    for c in connections:
        c.ends = c.ends[0], (c.ends[1][0], 9090)
    us = 0
    with open(path, "wb") as f:
        def write(packet):
            nonlocal us
            us += 20
            f.write(struct.pack("<IIII", 1_700_000_000 + us // 1_000_000, us % 1_000_000, len(packet), len(packet)) + packet)

        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for c in connections:
            write(c.packet(0, SYN))
            write(c.packet(1, SYN | ACK))
            write(c.packet(0, ACK))
        for i in range(exchanges):
            for side, data in enumerate(exchange(i)):
                if data:
                    write(connections[i % CONNECTIONS].packet(side, ACK | PUSH, data))
