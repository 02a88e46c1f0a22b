# SPDX-License-Identifier: Apache-2.0
"""A packet capture of memcached's text commands, made without a network: of seven, five hit, one misses and one stores."""
import struct

CLIENT, SERVER = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 11])
CONNECTIONS, VALUE = 32, b"v" * 100
SYN, ACK, PUSH = 2, 16, 8


def tcp(source, target, seq, ack, flags, data=b""):
    """source, target: address and port."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0, source[0], target[0])
    return b"\2\0\0\0\0\2" + b"\2\0\0\0\0\1" + b"\x08\x00" + ip + struct.pack(">HHIIBBHHH", source[1], target[1], seq, ack, 0x50, flags, 65535, 0, 0) + data


def command(i):
    key = b"user:%06d" % (i % 1009)
    if i % 7 == 0:
        return b"set %s 0 60 %d\r\n%s\r\n" % (key, len(VALUE), VALUE), b"STORED\r\n"
    if i % 7 == 1:
        return b"get %s\r\n" % key, b"END\r\n"
    return b"get %s\r\n" % key, b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(VALUE), VALUE)


class Connection:
    def __init__(self, port):
        self.ends = (CLIENT, port), (SERVER, 11211)
        self.seq = [1000, 2000]

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
            request, answer = command(i)
            write(c.packet(0, ACK | PUSH, request))
            write(c.packet(1, ACK | PUSH, answer))
