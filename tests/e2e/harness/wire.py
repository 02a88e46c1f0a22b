# SPDX-License-Identifier: Apache-2.0
"""tcpdump beside a test, and what tshark counts in its file."""
import re
import socket
import struct
import subprocess
from collections import Counter

from .process import Process, wait_until
from .servers import need

MARK = b"plumb's end of capture"


class Capture(Process):
    """Packets from and to a port of the loopback device, from when it is made until finish()."""

    def __init__(self, folder, port):
        self.port, self.path = port, folder / "wire.pcap"
        super().__init__("tcpdump", [need("tcpdump", "tcpdump"), "-i", "lo", "-s", 0, "-B", 65536, "-U", "-Z", "root", "-w", self.path, "port", port], folder)
        wait_until(lambda: "listening on" in self.err.read_text(), "capture", alive=self)

    def finish(self):
        """The file, which holds all that was sent before: what is sent last is in it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(MARK, ("127.0.0.1", self.port))
        wait_until(lambda: MARK in self.path.read_bytes()[-65536:], "last packet", alive=self)
        self.stop()
        assert re.search(r"^0 packets dropped by kernel", self.err.read_text(), re.M), self.tail()
        return self.path


def cut(path, times):
    """Files beside it that begin later, each at another packet."""
    data, at = path.read_bytes(), 24
    assert data[:4] == struct.pack("<I", 0xA1B2C3D4), "tcpdump writes another format"
    packets = []
    while at < len(data):
        packets.append(at)
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    for i in range(1, times + 1):
        late = path.with_name(f"late-{i}.pcap")
        late.write_bytes(data[:24] + data[packets[len(packets) * i // (times + 1)]:])
        yield late


def tshark(path, dissector, port, field, match=None):
    """How often each value of a field of Wireshark's occurs, in any case; of several fields, which stand together, the values joined by a blank."""
    udp = ["-d", f"udp.port=={port},dns"] if dissector == "dns" else []
    fields = field.split()
    # Its dissector of gRPC fails on streams that are reset, and what else is in the packet is not counted.
    argv = [need("tshark", "tshark"), "-r", path, "-d", f"tcp.port=={port},{dissector}", *udp, "--disable-protocol", "grpc", "-o", "tcp.reassemble_out_of_order:TRUE",
            "-T", "fields", *(a for f in fields for a in ("-e", f)), "-E", "occurrence=a", "-E", "aggregator=|"]
    out = subprocess.run([str(a) for a in argv + (["-Y", match] if match else [])], capture_output=True, text=True, check=True).stdout
    found = Counter()
    for line in out.splitlines():
        columns = [column.split("|") if column else [] for column in line.split("\t")]
        assert len({len(c) for c in columns}) <= 1, (fields, line)
        found.update(" ".join(v).casefold() for v in zip(*columns) if any(v))
    return found
