# SPDX-License-Identifier: Apache-2.0
"""A packet capture of Pulsar: of two exchanges one is sent and confirmed, one is delivered and acknowledged."""
import packets


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def number(field, value):
    return varint(field << 3) + varint(value)


def counted(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def frame(kind, command, rest=b""):
    command = number(1, kind) + counted(kind, command)
    return (4 + len(command) + len(rest)).to_bytes(4, "big") + len(command).to_bytes(4, "big") + command + rest


METADATA = counted(1, b"standalone-0-0") + number(2, 7) + number(3, 1_700_000_000_000) + counted(4, counted(1, b"key") + counted(2, b"value"))
CARRIED = b"\x0e\x01\1\2\3\4" + len(METADATA).to_bytes(4, "big") + METADATA + b"v" * 100


def identity(i):
    return number(1, 40 + i // 50_000) + number(2, i % 50_000)


def exchange(_, i):
    if i % 2 == 0:
        return frame(6, number(1, 1) + number(2, i), CARRIED), frame(7, number(1, 1) + number(2, i) + counted(3, identity(i)))
    return frame(10, number(1, 1) + number(2, 0) + counted(3, identity(i - 2))) if i > 2 else b"", frame(9, number(1, 1) + counted(2, identity(i)), CARRIED)


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 6650, exchange)
