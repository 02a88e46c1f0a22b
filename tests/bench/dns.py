# SPDX-License-Identifier: Apache-2.0
"""A packet capture of look-ups, made without a network: what a resolver answers is not what is measured."""
import struct

CLIENT, SERVER = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 53])
NAMES = 23


def udp(source, source_port, target, target_port, data):
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0, 64, 17, 0, source, target)
    return b"\2\0\0\0\0\2" + b"\2\0\0\0\0\1" + b"\x08\x00" + ip + struct.pack(">HHHH", source_port, target_port, 8 + len(data), 0) + data


def question(i):
    name = b"".join(bytes([len(part)]) + part for part in (b"host%d" % (i % NAMES), b"example", b"com"))
    return name + b"\0" + struct.pack(">HH", 1, 1)


def exchange(i):
    """The packets of look-up i: A of one of NAMES names, and one address."""
    port, asked = 20000 + i % 40000, question(i)
    query = struct.pack(">HHHHHH", i & 0xffff, 0x0100, 1, 0, 0, 0) + asked
    answer = struct.pack(">HHHHHH", i & 0xffff, 0x8180, 1, 1, 0, 0) + asked + struct.pack(">HHHIH4s", 0xc00c, 1, 1, 60, 4, bytes([192, 0, 2, i % 250]))
    return udp(CLIENT, port, SERVER, 53, query), udp(SERVER, 53, CLIENT, port, answer)


def write_capture(path, exchanges):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(exchanges):
            for n, packet in enumerate(exchange(i)):
                us = i * 50 + n * 20
                f.write(struct.pack("<IIII", 1_700_000_000 + us // 1_000_000, us % 1_000_000, len(packet), len(packet)) + packet)
