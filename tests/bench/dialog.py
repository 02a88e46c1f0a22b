# SPDX-License-Identifier: Apache-2.0
"""A packet capture of a protocol of commands and replies, made without a network."""
import struct

from memcached import ACK, CONNECTIONS, PUSH, SYN, Connection


def write_capture(path, exchanges, port, greeting, exchange):
    """exchange(i): what the client says, what the server does, and so on in turn. greeting: what it says at first."""
    connections = [Connection(20000 + i) for i in range(CONNECTIONS)]
    for c in connections:
        c.ends = c.ends[0], (c.ends[1][0], port)
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
            if greeting:
                write(c.packet(1, ACK | PUSH, greeting))
        for i in range(exchanges):
            c = connections[i % CONNECTIONS]
            for turn, said in enumerate(exchange(i // CONNECTIONS)):
                if said:
                    write(c.packet(turn % 2, ACK | PUSH, said))
