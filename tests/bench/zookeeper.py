# SPDX-License-Identifier: Apache-2.0
"""A packet capture of ZooKeeper sessions, made without a server: of seven requests four read, one finds nothing, one stores and one is a multi of two."""
import struct

from memcached import ACK, CONNECTIONS, PUSH, SYN, tcp

CLIENT, SERVER, PORT = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 45]), 2181
VALUE, STAT = b"v" * 100, bytes(68)
PART, END = b"\0\xff\xff\xff\xff", b"\xff\xff\xff\xff\1\xff\xff\xff\xff"


def number(n):
    return struct.pack(">i", n)


def text(value):
    return number(len(value)) + value


def bodies(i):
    """What is asked, with its body, and what comes behind the answer's number: transaction, error, body."""
    path, done = text(b"/orders/%06d" % (i % 1009)), struct.pack(">qi", i, 0)
    kind = i % 7
    if kind == 0:
        return number(5) + path + text(VALUE) + number(-1), done + STAT
    if kind == 1:
        return number(4) + path + b"\0", struct.pack(">qi", i, -101)
    if kind == 2:
        part = number(13) + PART + path + number(3) + number(5) + PART + path + text(VALUE) + number(-1)
        return number(14) + part + END, done + number(13) + b"\0\0\0\0\0" + number(5) + b"\0\0\0\0\0" + STAT + END
    return number(4) + path + b"\0", done + text(VALUE) + STAT


def exchange(i):
    """The first one of a connection begins its session."""
    if i == 0:
        return text(struct.pack(">iqiq", 0, 0, 30000, 0) + text(bytes(16)) + b"\0"), text(struct.pack(">iiq", 0, 30000, 7) + text(bytes(16)) + b"\0")
    request, answer = bodies(i)
    return text(number(i) + request), text(number(i) + answer)


class Connection:
    def __init__(self, port):
        self.ends = (CLIENT, port), (SERVER, PORT)
        self.seq = [1000, 2000]
        self.done = 0

    def packet(self, side, flags, data=b""):
        made = tcp(self.ends[side], self.ends[1 - side], self.seq[side], self.seq[1 - side] if flags & ACK else 0, flags, data)
        self.seq[side] += len(data) + bool(flags & SYN)
        return made


def write_capture(path, exchanges):
    connections = [Connection(20000 + i) for i in range(CONNECTIONS)]
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
            c = connections[i % CONNECTIONS]
            request, answer = exchange(c.done)
            c.done += 1
            write(c.packet(0, ACK | PUSH, request))
            write(c.packet(1, ACK | PUSH, answer))
