# SPDX-License-Identifier: Apache-2.0
"""A packet capture of NATS, made without a network: of three exchanges one is a publish, one a delivery and one a request with its answer."""
import struct

from memcached import ACK, CONNECTIONS, PUSH, SYN, Connection

PAYLOAD = b"v" * 100


def exchange(i):
    """What the client says, and what the server does."""
    subject = b"orders.%d" % (i % 101)
    if i % 3 == 0:
        return b"PUB %s %d\r\n%s\r\n" % (subject, len(PAYLOAD), PAYLOAD), b""
    if i % 3 == 1:
        return b"", b"MSG %s 7 %d\r\n%s\r\n" % (subject, len(PAYLOAD), PAYLOAD)
    inbox = b"_INBOX.a1b2c3d4e5f6g7h8i9j0k1.%08d" % i
    return b"PUB svc.%s %s %d\r\n%s\r\n" % (subject, inbox, len(PAYLOAD), PAYLOAD), b"MSG %s 1 %d\r\n%s\r\n" % (inbox, len(PAYLOAD), PAYLOAD)


def write_capture(path, exchanges):
    connections = [Connection(20000 + i) for i in range(CONNECTIONS)]
    for c in connections:
        c.ends = c.ends[0], (c.ends[1][0], 4222)
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
            write(c.packet(1, ACK | PUSH, b'INFO {"server_id":"N1"}\r\n'))
        for i in range(exchanges):
            c = connections[i % CONNECTIONS]
            for side, data in enumerate(exchange(i)):
                if data:
                    write(c.packet(side, ACK | PUSH, data))
