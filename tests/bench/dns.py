# SPDX-License-Identifier: Apache-2.0
"""A packet capture of look-ups, made without a network: what a resolver answers is not what is measured."""
import struct

import packets

CLIENT, SERVER = packets.address(2), packets.address(53)
NAMES = 23


def udp(source, source_port, target, target_port, data):
    return packets.ip(17, source, target, struct.pack(">HHHH", source_port, target_port, 8 + len(data), 0) + data)


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
    with packets.Capture(path) as capture:
        for i in range(exchanges):
            capture.us = i * 50
            capture.write(*exchange(i))
