#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Type information out of a kernel image that lies in it uncompressed, as it does in Debian's for arm64: btf.py IMAGE > BTF. Of a kernel that runs it is /sys/kernel/btf/vmlinux."""
import struct
import sys

HEAD = struct.Struct("<HBBIIIII")  # struct btf_header, include/uapi/linux/btf.h


def sections(image):
    start = HEAD.pack(0xEB9F, 1, 0, HEAD.size, 0, 0, 0, 0)[:12]
    at = image.find(start)
    while at >= 0:
        _, _, _, _, _, types, strings, length = HEAD.unpack_from(image, at)
        end = at + HEAD.size + strings + length
        if strings == types and end <= len(image):
            yield image[at:end]
        at = image.find(start, at + 1)


if len(sys.argv) != 2:
    sys.exit("usage: btf.py IMAGE > BTF")
with open(sys.argv[1], "rb") as file:
    found = max(sections(file.read()), key=len, default=None)
if not found:
    sys.exit(f"{sys.argv[1]}: no type information; is the image compressed?")
sys.stdout.buffer.write(found)
