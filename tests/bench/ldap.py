# SPDX-License-Identifier: Apache-2.0
"""A packet capture of LDAP connections, made without a server: of seven requests five search and find an entry, one finds none, one compares."""
import struct

from memcached import ACK, CONNECTIONS, PUSH, SYN, tcp

CLIENT, SERVER, PORT = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 46]), 389


def tlv(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    return bytes([tag]) + (bytes([n]) if n < 128 else b"\x82" + struct.pack(">H", n)) + content


def number(n, tag=2):
    return tlv(tag, struct.pack(">i", n))


def text(value):
    return tlv(4, value)


def result(tag, code):
    return tlv(tag, tlv(10, bytes([code])), text(b""), text(b""))


def exchange(i):
    """What is asked, and the messages of its answer."""
    name = b"uid=u%06d,ou=people,dc=example,dc=org" % (i % 1009)
    if i % 7 == 0:
        return tlv(0x6e, text(name), tlv(0x30, text(b"mail"), text(b"u@example.org"))), [result(0x6f, 6)]
    found = b"%06d" % (i % 1009)
    ask = tlv(0x63, text(b"ou=people,dc=example,dc=org"), tlv(10, b"\2"), tlv(10, b"\0"), number(0), number(0), tlv(1, b"\0"),
              tlv(0xa0, tlv(0xa3, text(b"objectClass"), text(b"inetOrgPerson")), tlv(0xa3, text(b"uid"), text(found))), tlv(0x30, text(b"cn"), text(b"mail")))
    if i % 7 == 1:
        return ask, [result(0x65, 32)]
    entry = tlv(0x64, text(name), tlv(0x30, tlv(0x30, text(b"cn"), tlv(0x31, text(b"v" * 100))), tlv(0x30, text(b"mail"), tlv(0x31, text(b"u@example.org")))))
    return ask, [entry, result(0x65, 0)]


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
            c.done += 1
            request, answers = exchange(i)
            write(c.packet(0, ACK | PUSH, tlv(0x30, number(c.done), request)))
            for answer in answers:
                write(c.packet(1, ACK | PUSH, tlv(0x30, number(c.done), answer)))
