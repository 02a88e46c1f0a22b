# SPDX-License-Identifier: Apache-2.0
"""A packet capture of Kafka connections, made without a broker: of five requests three send a message with a trace context, one fetches five and one is a heartbeat."""
import struct

import packets

VALUE = b"v" * 100


def text(value):
    return struct.pack(">h", len(value)) + value


def varint(n):
    n = n << 1 if n >= 0 else (-n << 1) - 1
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def record(i):
    name, trace = b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033%02x-01" % (i % 256)
    body = b"\0" + varint(0) + varint(i) + varint(-1) + varint(len(VALUE)) + VALUE + varint(1) + varint(len(name)) + name + varint(len(trace)) + trace
    return varint(len(body)) + body


def batch(count):
    records = b"".join(record(i) for i in range(count))
    return struct.pack(">qiiBIhiqqqhii", 0, 49 + len(records), 0, 2, 0, 0, count - 1, 0, 0, -1, -1, -1, count) + records


ONE, FIVE = batch(1), batch(5)


def bodies(i):
    """Key, version and body of a request, and the body of its response."""
    if i % 5 < 3:
        return (0, 7, struct.pack(">hhii", -1, 1, 30000, 1) + text(b"orders") + struct.pack(">iii", 1, 3, len(ONE)) + ONE,
                struct.pack(">i", 1) + text(b"orders") + struct.pack(">iihqqqi", 1, 3, 0, i, -1, 0, 0))
    if i % 5 == 3:
        return (1, 4, struct.pack(">iiiibi", -1, 500, 1, 1 << 20, 0, 1) + text(b"orders") + struct.pack(">iiqi", 1, 3, i, 1 << 20),
                struct.pack(">ii", 0, 1) + text(b"orders") + struct.pack(">iihqqii", 1, 3, 0, i, i, -1, len(FIVE)) + FIVE)
    return 12, 3, text(b"billing") + struct.pack(">i", 1) + text(b"member-1") + b"\xff\xff", struct.pack(">ih", 0, 0)


def exchange(_, i):
    key, version, body, answer = bodies(i)
    request = struct.pack(">hhi", key, version, i) + text(b"shop") + body
    return struct.pack(">i", len(request)) + request, struct.pack(">ii", 4 + len(answer), i) + answer


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 9092, exchange, host=44)
