# SPDX-License-Identifier: Apache-2.0
"""A packet capture of gRPC calls, made without a network: some connections, a call at a time on each, headers as a table makes them short."""
import struct

CLIENT, SERVER, PORT = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 80]), 50051
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


class Connection:
    def __init__(self, number):
        self.port, self.calls, self.sent = 20000 + number, 0, [1, 1]

    def packet(self, to_server, data, flags=0x18):
        ends = [(CLIENT, self.port), (SERVER, PORT)]
        (source, source_port), (target, target_port) = ends if to_server else reversed(ends)
        mine = 0 if to_server else 1
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0, source, target)
        tcp = struct.pack(">HHIIBBHHH", source_port, target_port, self.sent[mine] & 0xffffffff, self.sent[1 - mine] & 0xffffffff, 0x50, flags, 65535, 0, 0)
        self.sent[mine] += len(data) + (flags & 2) // 2
        return b"\2\0\0\0\0\2" + b"\2\0\0\0\0\1" + b"\x08\x00" + ip + tcp + data

    def begin(self):
        settings = frame(4, 0, 0)
        return [self.packet(True, b"", 2), self.packet(False, b"", 0x12), self.packet(True, PREFACE + settings), self.packet(False, settings + frame(4, 1, 0))]

    def call(self):
        stream, head = 2 * self.calls + 1, request_block(self.calls)
        first, trailers = response_blocks(self.calls)
        self.calls += 1
        return [self.packet(True, frame(1, 4, stream, head) + frame(0, 1, stream, MESSAGE)),
                self.packet(False, frame(1, 4, stream, first) + frame(0, 0, stream, MESSAGE) + frame(1, 5, stream, trailers))]


def write_capture(path, exchanges):
    connections = [Connection(i) for i in range(CONNECTIONS)]
    us = 0
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(-CONNECTIONS, exchanges):
            for packet in connections[i].begin() if i < 0 else connections[i % CONNECTIONS].call():
                us += 20
                f.write(struct.pack("<IIII", 1_700_000_000 + us // 1_000_000, us % 1_000_000, len(packet), len(packet)) + packet)
