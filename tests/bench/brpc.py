# SPDX-License-Identifier: Apache-2.0
"""A packet capture of bRPC, made without a network: of seven calls five of baidu_std that succeed, one of them that fails, and one of Sofa."""
import struct

from memcached import ACK, CONNECTIONS, PUSH, SYN, Connection

TEXT = b"v" * 100


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def std(meta, body):
    return b"PRPC" + struct.pack(">II", len(meta) + len(body), len(meta)) + meta + body


def sofa(meta, body):
    return b"SOFA" + struct.pack("<IQQ", len(meta), len(body), len(meta) + len(body)) + meta + body


def exchange(i):
    method, call = b"Method%d" % (i % 101), (1 << 32) + i // CONNECTIONS
    if i % 7 == 0:
        return (sofa(number(1, 0) + number(2, call) + text(100, b"shop.Basket." + method), TEXT), sofa(number(1, 1) + number(2, call) + number(200, 0) + number(201, 0), TEXT))
    request = std(text(1, text(1, b"shop.Basket") + text(2, method) + number(3, i)) + number(3, 0) + number(4, call), TEXT)
    if i % 7 == 1:
        return request, std(text(2, number(1, 1002) + text(2, b"Fail to find method")) + number(3, 0) + number(4, call), b"")
    return request, std(text(2, number(1, 0)) + number(3, 0) + number(4, call), TEXT)


def write_capture(path, exchanges):
    connections = [Connection(20000 + i) for i in range(CONNECTIONS)]
    for c in connections:
        c.ends = c.ends[0], (c.ends[1][0], 8000)
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
                write(connections[i % CONNECTIONS].packet(side, ACK | PUSH, data))
