# SPDX-License-Identifier: Apache-2.0
"""A packet capture of Dubbo, made without a network: calls in hessian2 and their answers, of seven one a oneway and one with an exception."""
import struct

import packets

TEXT = b"v" * 100


def message(flags, status, number, body):
    return struct.pack(">HBBQI", 0xdabb, flags | 2, status, number, len(body)) + body


def text(value):
    return bytes([len(value)]) + value if len(value) < 32 else bytes([0x30 | len(value) >> 8, len(value) & 255]) + value


def exchange(i, _):
    """What the client says, and what the server does."""
    number, service = (1 << 60) + i, b"com.example.Service%d" % (i % 7)
    attachments = b"H" + b"".join(map(text, (b"path", service, b"interface", service, b"version", b"1.7.0", b"timeout", b"20000"))) + b"Z"
    call = b"".join(map(text, (b"2.0.2", service, b"1.7.0", b"method%d" % (i % 101), b"Ljava/lang/String;", TEXT))) + attachments
    if i % 7 == 0:
        return message(0x80, 0, number, call), b""
    if i % 7 == 1:
        return message(0xc0, 0, number, call), message(0, 20, number, b"\x93C" + text(b"java.lang.IllegalStateException") + TEXT * 40)
    return message(0xc0, 0, number, call), message(0, 20, number, b"\x94" + text(TEXT) + b"H" + text(b"dubbo") + text(b"2.0.2") + b"Z")


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 20880, exchange)
