# SPDX-License-Identifier: Apache-2.0
"""Writes packet captures of made-up conversations, so that bad input needs no privileges: Ethernet, IPv4, TCP with the right sequence numbers."""
import struct

CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", 80)
SEGMENT = 1400


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _address(text):
    return bytes(map(int, text.split(".")))


class Conversation:
    """Packets of one TCP connection in order. A microsecond passes per packet."""

    def __init__(self):
        self.packets = []
        self.next = {CLIENT: 1000, SERVER: 5000}
        self._add(CLIENT, b"", 0x02)
        self._add(SERVER, b"", 0x12)
        self._add(CLIENT, b"", 0x10)

    def _add(self, sender, data, flags):
        receiver = SERVER if sender == CLIENT else CLIENT
        tcp = struct.pack("!HHIIBBHHH", sender[1], receiver[1], self.next[sender], self.next[receiver], 5 << 4, flags, 65535, 0, 0) + data
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, _address(sender[0]), _address(receiver[0]))
        ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
        self.packets.append(b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0" + ip + tcp)
        self.next[sender] = (self.next[sender] + len(data) + (1 if flags & 0x03 else 0)) & 0xFFFFFFFF

    def send(self, sender, data):
        for at in range(0, len(data), SEGMENT):
            self._add(sender, data[at:at + SEGMENT], 0x18)
        return self

    def close(self):
        self._add(CLIENT, b"", 0x11)
        self._add(SERVER, b"", 0x11)
        self._add(CLIENT, b"", 0x10)
        return self

    def write(self, path):
        out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)]
        for i, p in enumerate(self.packets):
            out.append(struct.pack("<IIII", 1_700_000_000 + i // 1_000_000, i % 1_000_000, len(p), len(p)) + p)
        path.write_bytes(b"".join(out))
        return path
