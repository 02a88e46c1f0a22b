# SPDX-License-Identifier: Apache-2.0
"""A packet capture of LDAP connections, made without a server: of seven requests five search and find an entry, one finds none, one compares."""
import struct

import packets



def tlv(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    return bytes([tag]) + (bytes([n]) if n < 128 else b"\x82" + struct.pack(">H", n)) + content


def number(n, tag=2):
    return tlv(tag, struct.pack(">i", n))


def text(value):
    return tlv(4, value)


def result(tag, code):
    return tlv(tag, tlv(10, bytes([code])), text(b""), text(b""))


def operations(i):
    """What is asked, and what is answered: an entry if one is found, then the result. As talk() takes it, but without the messages around."""
    name = b"uid=u%06d,ou=people,dc=example,dc=org" % (i % 1009)
    if i % 7 == 0:
        return tlv(0x6e, text(name), tlv(0x30, text(b"mail"), text(b"u@example.org"))), result(0x6f, 6)
    found = b"%06d" % (i % 1009)
    ask = tlv(0x63, text(b"ou=people,dc=example,dc=org"), tlv(10, b"\2"), tlv(10, b"\0"), number(0), number(0), tlv(1, b"\0"),
              tlv(0xa0, tlv(0xa3, text(b"objectClass"), text(b"inetOrgPerson")), tlv(0xa3, text(b"uid"), text(found))), tlv(0x30, text(b"cn"), text(b"mail")))
    if i % 7 == 1:
        return ask, result(0x65, 32)
    entry = tlv(0x64, text(name), tlv(0x30, tlv(0x30, text(b"cn"), tlv(0x31, text(b"v" * 100))), tlv(0x30, text(b"mail"), tlv(0x31, text(b"u@example.org")))))
    return ask, entry, b"", result(0x65, 0)


def exchange(i, turn):
    return [operation and tlv(0x30, number(turn + 1), operation) for operation in operations(i)]


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 389, exchange, host=46)
