# SPDX-License-Identifier: Apache-2.0
"""A packet capture of bRPC, made without a network: of seven calls five of baidu_std that succeed, one of them that fails, and one of Sofa."""
import struct

import packets

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


def exchange(i, turn):
    method, call = b"Method%d" % (i % 101), (1 << 32) + turn
    if i % 7 == 0:
        return (sofa(number(1, 0) + number(2, call) + text(100, b"shop.Basket." + method), TEXT), sofa(number(1, 1) + number(2, call) + number(200, 0) + number(201, 0), TEXT))
    request = std(text(1, text(1, b"shop.Basket") + text(2, method) + number(3, i)) + number(3, 0) + number(4, call), TEXT)
    if i % 7 == 1:
        return request, std(text(2, number(1, 1002) + text(2, b"Fail to find method")) + number(3, 0) + number(4, call), b"")
    return request, std(text(2, number(1, 0)) + number(3, 0) + number(4, call), TEXT)


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 8000, exchange)
