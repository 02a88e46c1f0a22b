# SPDX-License-Identifier: Apache-2.0
"""A packet capture of ZeroMQ: a DEALER and a REP, of whose exchanges one is a request with its answer, one a message in two frames that nobody answers."""
import packets

BODY = b"v" * 100
GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL" + bytes(48)


def frame(body, flags=0):
    return bytes([flags, len(body)]) + body


def ready(kind):
    return frame(b"\5READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind, 4)


def exchange(_, i):
    if i == 0:
        return GREETING, GREETING, ready(b"DEALER"), ready(b"REP")
    if i % 2:
        return b"\1\0" + frame(BODY), b"\1\0" + frame(BODY)
    return frame(b"orders", 1) + frame(BODY), b""


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 5555, exchange)
