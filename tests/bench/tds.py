# SPDX-License-Identifier: Apache-2.0
"""A packet capture of TDS connections, made without a server: batches and calls of sp_executesql in turn, each answered by some rows."""
import struct

CLIENT, SERVER, PORT = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 34]), 1433
CONNECTIONS, ROWS, STATEMENTS = 8, 3, 101
HEADERS = bytes.fromhex("16000000120000000200") + struct.pack("<QI", 0, 1)
COLLATION = bytes.fromhex("0904d00034")


def packet(kind, payload):
    return struct.pack(">BBHHBB", kind, 1, 8 + len(payload), 0, 1, 0) + payload


def utf16(text):
    return text.encode("utf-16-le")


def short(text):
    return bytes([len(text)]) + utf16(text)


def parameter(text):
    return b"\0\0\xe7" + struct.pack("<H", 8000) + COLLATION + struct.pack("<H", 2 * len(text)) + utf16(text)


def result(done):
    """Two columns, then DONE, or DONEINPROC with what ends a procedure."""
    columns = b"\x81\2\0" + struct.pack("<IHB", 0, 9, 0x38) + short("id") + struct.pack("<IHBH", 0, 9, 0xe7, 400) + COLLATION + short("name")
    name = utf16("a name of some length")
    return columns + (b"\xd1" + struct.pack("<IH", 17, len(name)) + name) * ROWS + struct.pack("<BHHQ", done, 0x10 | (done == 0xff), 0xc1, ROWS)


TEXT = packet(4, result(0xfd))
CALL = packet(4, result(0xff) + b"\x79" + bytes(4) + struct.pack("<BHHQ", 0xfe, 0, 0xe0, 0))


def exchange(i):
    """What client and server of a connection say the i-th time."""
    if i % 2:
        number = b"\0\0\x26\4\4" + struct.pack("<I", i)
        return packet(3, HEADERS + struct.pack("<HHH", 0xffff, 10, 0) + parameter("SELECT TOP 3 id, name FROM orders WHERE id > @p1") + parameter("@p1 int") + number), CALL
    return packet(1, HEADERS + utf16("SELECT TOP 3 id, name FROM orders WHERE id > %d" % (i % STATEMENTS))), TEXT


class Connection:
    def __init__(self, number):
        self.port, self.seq, self.done = 20000 + number, {CLIENT: 1000, SERVER: 2000}, 0

    def frame(self, source, data, flags=0x18):
        target = SERVER if source == CLIENT else CLIENT
        ports = (self.port, PORT) if source == CLIENT else (PORT, self.port)
        tcp = struct.pack(">HHIIBBHHH", *ports, self.seq[source], self.seq[target], 0x50, flags, 65535, 0, 0)
        self.seq[source] = (self.seq[source] + len(data) + (flags & 2 == 2)) % (1 << 32)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0, source, target)
        return b"\2\0\0\0\0\2" + b"\2\0\0\0\0\1" + b"\x08\x00" + ip + tcp + data

    def next(self):
        first = [self.frame(CLIENT, b"", 0x02), self.frame(SERVER, b"", 0x12)] if self.done == 0 else []
        request, response = exchange(self.done)
        self.done += 1
        return first + [self.frame(CLIENT, request), self.frame(SERVER, response)]


def write_capture(path, exchanges):
    connections = [Connection(i) for i in range(CONNECTIONS)]
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(exchanges):
            for n, data in enumerate(connections[i % CONNECTIONS].next()):
                us = i * 50 + n * 5
                f.write(struct.pack("<IIII", 1_700_000_000 + us // 1_000_000, us % 1_000_000, len(data), len(data)) + data)
