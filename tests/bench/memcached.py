# SPDX-License-Identifier: Apache-2.0
"""A packet capture of memcached's text commands, made without a network: of seven, five hit, one misses and one stores."""
import packets

VALUE = b"v" * 100


def exchange(i, _):
    key = b"user:%06d" % (i % 1009)
    if i % 7 == 0:
        return b"set %s 0 60 %d\r\n%s\r\n" % (key, len(VALUE), VALUE), b"STORED\r\n"
    if i % 7 == 1:
        return b"get %s\r\n" % key, b"END\r\n"
    return b"get %s\r\n" % key, b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(VALUE), VALUE)


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 11211, exchange)
