# SPDX-License-Identifier: Apache-2.0
"""A packet capture of NATS, made without a network: of three exchanges one is a publish, one a delivery and one a request with its answer."""
import packets

PAYLOAD = b"v" * 100


def exchange(i, _):
    """What the client says, and what the server does."""
    subject = b"orders.%d" % (i % 101)
    if i % 3 == 0:
        return b"PUB %s %d\r\n%s\r\n" % (subject, len(PAYLOAD), PAYLOAD), b""
    if i % 3 == 1:
        return b"", b"MSG %s 7 %d\r\n%s\r\n" % (subject, len(PAYLOAD), PAYLOAD)
    inbox = b"_INBOX.a1b2c3d4e5f6g7h8i9j0k1.%08d" % i
    return b"PUB svc.%s %s %d\r\n%s\r\n" % (subject, inbox, len(PAYLOAD), PAYLOAD), b"MSG %s 1 %d\r\n%s\r\n" % (inbox, len(PAYLOAD), PAYLOAD)


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 4222, exchange, opening=(b"", b'INFO {"server_id":"N1"}\r\n'))
