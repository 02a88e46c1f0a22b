# SPDX-License-Identifier: Apache-2.0
"""A packet capture of STOMP: of three exchanges one is sent and over, one is sent with a receipt, one is delivered."""
import packets

BODY = b"v" * 100


def exchange(_, i):
    if i % 3 == 0:
        return b"SEND\ndestination:/queue/orders\ncontent-length:100\n\n%s\0" % BODY, b""
    if i % 3 == 1:
        return b"SEND\ndestination:/queue/orders\nreceipt:r%d\ncontent-length:100\n\n%s\0" % (i, BODY), b"RECEIPT\nreceipt-id:r%d\n\n\0" % i
    return b"", b"MESSAGE\nsubscription:0\ndestination:/queue/orders\nmessage-id:T_0@@session@@%d\nredelivered:false\ncontent-length:100\n\n%s\0" % (i, BODY)


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 61613, exchange)
