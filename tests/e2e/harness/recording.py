# SPDX-License-Identifier: Apache-2.0
"""Recordings taken apart and put together again (docs/records.md): to lose records on purpose, to see what was copied."""
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

BLOCK, END = b"\x89PLBLK\r\n", b"\x89PLEND\r\n"
FILE_HEAD, BLOCK_HEAD, BLOCK_BYTES = 24, 40, 200_000
DATA, DGRAM = 13, 14  # PLUMB_REC_…


@dataclass
class Record:
    type: int
    cpu: int
    bytes: bytes


def read(path):
    """(file header, records)"""
    raw, at, records = Path(path).read_bytes(), FILE_HEAD, []
    while raw[at : at + 8] == BLOCK:
        stored = struct.unpack_from("<QIII", raw, at + 8)[3]
        data = zlib.decompress(raw[at + BLOCK_HEAD : at + BLOCK_HEAD + stored], -15)
        at += BLOCK_HEAD + stored
        p = 0
        while p < len(data):
            size, kind, cpu = struct.unpack_from("<IHH", data, p)
            records.append(Record(kind, cpu, data[p : p + size]))
            p += size
    assert raw[at : at + 8] == END, f"{path} is cut"
    return raw[:FILE_HEAD], records


def write(path, head, records):
    out, first, blocks, i = [head], 0, 0, 0
    while i < len(records):
        chunk, size = [], 0
        while i < len(records) and size < BLOCK_BYTES:
            chunk.append(records[i].bytes)
            size += len(chunk[-1])
            i += 1
        data, deflate = b"".join(chunk), zlib.compressobj(1, zlib.DEFLATED, -15)
        stored = deflate.compress(data) + deflate.flush()
        header = BLOCK + struct.pack("<QIIIII", first, len(chunk), len(data), len(stored), zlib.crc32(stored), 0)
        out += [header, struct.pack("<I", zlib.crc32(header)), stored]
        first += len(chunk)
        blocks += 1
    trailer = END + struct.pack("<QQI", first, blocks, 0)
    Path(path).write_bytes(b"".join([*out, trailer, struct.pack("<I", zlib.crc32(trailer))]))


def volume(path):
    """(records of payload, bytes that were moved, bytes of these that were copied)"""
    data = [struct.unpack_from("<II", r.bytes, 48) for r in read(path)[1] if r.type in (DATA, DGRAM)]
    return len(data), sum(moved for moved, _ in data), sum(copied for _, copied in data)
