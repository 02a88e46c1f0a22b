# SPDX-License-Identifier: Apache-2.0
"""Packet captures that are made without a network: the file, TCP connections in it, and who speaks when. What is said is up to each protocol's module."""
import struct

CLIENT, SERVER = 0, 1
SYN, PUSH, ACK = 2, 8, 16
CONNECTIONS, LATE_CONNECTIONS = 32, 8
LINK = b"\2\0\0\0\0\2" + b"\2\0\0\0\0\1" + b"\x08\x00"


def address(host):
    return bytes([10, 0, 0, host])


def ip(protocol, source, target, payload):
    return LINK + struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, source, target) + payload


class Capture:
    """us: when the next packet is written; each one is step_us behind the one before."""

    def __init__(self, path, step_us=20):
        self.us, self.step_us = step_us, step_us
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, *packets):
        for packet in packets:
            self.file.write(struct.pack("<IIII", 1_700_000_000 + self.us // 1_000_000, self.us % 1_000_000, len(packet), len(packet)) + packet)
            self.us += self.step_us


class Connection:
    """A client's connection, by its number, to port of 10.0.0.host. Its methods return packets."""

    def __init__(self, number, port, host, seq=(1000, 2000)):
        self.ends = (address(2), 20000 + number), (address(host), port)
        self.seq = list(seq)

    def packet(self, side, data=b"", flags=ACK | PUSH, ack=None):
        (source, source_port), (target, target_port) = self.ends[side], self.ends[1 - side]
        head = struct.pack(">HHIIBBHHH", source_port, target_port, self.seq[side], self.seq[1 - side] if ack is None else ack, 0x50, flags, 65535, 0, 0)
        self.seq[side] = (self.seq[side] + len(data) + bool(flags & SYN)) % (1 << 32)
        return ip(6, source, target, head + data)

    def handshake(self):
        return [self.packet(CLIENT, flags=SYN, ack=0), self.packet(SERVER, flags=SYN | ACK), self.packet(CLIENT, flags=ACK)]

    def short_handshake(self):
        """The client's ACK comes with its first data."""
        return [self.packet(CLIENT, flags=SYN), self.packet(SERVER, flags=SYN | ACK)]

    def talk(self, said):
        """said: by client and server in turn, the client first; b"" of one that has nothing to say."""
        return [self.packet(turn % 2, data) for turn, data in enumerate(said) if data]


def alternate(path, exchanges, port, exchange, opening=(), host=11):
    """exchange(i, turn): what is said in exchange i of all, which is exchange turn of its connection. opening: what is said before. Both as talk() takes it."""
    connections = [Connection(number, port, host) for number in range(CONNECTIONS)]
    with Capture(path) as capture:
        for c in connections:
            capture.write(*c.handshake(), *c.talk(opening))
        for i in range(exchanges):
            capture.write(*connections[i % CONNECTIONS].talk(exchange(i, i // CONNECTIONS)))


def alternate_late(path, exchanges, port, exchange, opening=(), host=11):
    """The same on fewer connections, each of them opened by its first exchange, and with 50 us from one exchange to the next."""
    connections = [Connection(number, port, host) for number in range(LATE_CONNECTIONS)]
    with Capture(path, step_us=5) as capture:
        for i in range(exchanges):
            c, turn = connections[i % LATE_CONNECTIONS], i // LATE_CONNECTIONS
            capture.us = i * 50
            if turn == 0:
                capture.write(*c.short_handshake(), *c.talk(opening))
            capture.write(*c.talk(exchange(i, turn)))


def take_turns(path, exchanges, connections, batch=1, step_us=20):
    """For connections that keep more than their turn: the packets of start(), then batch by batch those of next(n), which are n exchanges."""
    with Capture(path, step_us) as capture:
        for c in connections:
            capture.write(*c.start())
        for i, done in enumerate(range(0, exchanges, batch)):
            capture.write(*connections[i % len(connections)].next(min(batch, exchanges - done)))
