# SPDX-License-Identifier: Apache-2.0
"""A packet capture of gRPC calls, made without a network: some connections, a call at a time on each, headers as a table makes them short."""
import struct

import packets

CONNECTIONS = 16
METHODS = 7
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MESSAGE = b"\0" + struct.pack(">I", 23) + b"m" * 23


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """Goes into the table."""
    return b"\x40" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request_block(call):
    """The first METHODS calls fill the table; later ones name its entries. Newest first: paths, then what came before them."""
    if call == 0:
        return (b"\x83\x86" + literal(b":authority", b"shop:50051") + literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers")
                + literal(b"user-agent", b"grpc-go/1.58.3") + literal(b":path", b"/shop.Cart/Method0"))
    paths = min(call, METHODS)
    old = bytes(0x80 | 62 + paths + i for i in range(4))
    if call < METHODS:
        return b"\x83\x86" + old + literal(b":path", b"/shop.Cart/Method%d" % call)
    return b"\x83\x86" + old + bytes([0x80 | 62 + call % METHODS])


def response_blocks(call):
    if call == 0:
        return b"\x88" + literal(b"content-type", b"application/grpc"), literal(b"grpc-status", b"0") + literal(b"grpc-message", b"")
    return b"\x88\xc0", b"\xbf\xbe"


def exchange(call):
    """What client and server of a connection say in a call of it."""
    stream = 2 * call + 1
    first, trailers = response_blocks(call)
    return (frame(1, 4, stream, request_block(call)) + frame(0, 1, stream, MESSAGE),
            frame(1, 4, stream, first) + frame(0, 0, stream, MESSAGE) + frame(1, 5, stream, trailers))


class Connection(packets.Connection):
    def __init__(self, number):
        super().__init__(number, 50051, 80, seq=(1, 1))
        self.calls = 0

    def start(self):
        settings = frame(4, 0, 0)
        return [*self.short_handshake(), *self.talk((PREFACE + settings, settings + frame(4, 1, 0)))]

    def next(self, n):
        self.calls += n
        return [packet for call in range(self.calls - n, self.calls) for packet in self.talk(exchange(call))]


def write_capture(path, exchanges):
    packets.take_turns(path, exchanges, [Connection(i) for i in range(CONNECTIONS)])
