# SPDX-License-Identifier: Apache-2.0
"""A packet capture of ZooKeeper sessions, made without a server: of seven requests four read, one finds nothing, one stores and one is a multi of two."""
import struct

import packets

VALUE, STAT = b"v" * 100, bytes(68)
PART, END = b"\0\xff\xff\xff\xff", b"\xff\xff\xff\xff\1\xff\xff\xff\xff"


def number(n):
    return struct.pack(">i", n)


def text(value):
    return number(len(value)) + value


def bodies(i):
    """What is asked, with its body, and what comes behind the answer's number: transaction, error, body."""
    path, done = text(b"/orders/%06d" % (i % 1009)), struct.pack(">qi", i, 0)
    kind = i % 7
    if kind == 0:
        return number(5) + path + text(VALUE) + number(-1), done + STAT
    if kind == 1:
        return number(4) + path + b"\0", struct.pack(">qi", i, -101)
    if kind == 2:
        part = number(13) + PART + path + number(3) + number(5) + PART + path + text(VALUE) + number(-1)
        return number(14) + part + END, done + number(13) + b"\0\0\0\0\0" + number(5) + b"\0\0\0\0\0" + STAT + END
    return number(4) + path + b"\0", done + text(VALUE) + STAT


def exchange(_, i):
    """The first one of a connection begins its session."""
    if i == 0:
        return text(struct.pack(">iqiq", 0, 0, 30000, 0) + text(bytes(16)) + b"\0"), text(struct.pack(">iiq", 0, 30000, 7) + text(bytes(16)) + b"\0")
    request, answer = bodies(i)
    return text(number(i) + request), text(number(i) + answer)


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 2181, exchange, host=45)
