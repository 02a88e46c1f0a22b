# SPDX-License-Identifier: Apache-2.0
"""A packet capture of FTP's control connections: of three exchanges the third is a transfer."""
import packets


def exchange(_, i):
    return ((b"TYPE I\r\n", b"200 Switching to Binary mode.\r\n"), (b"PASV\r\n", b"227 Entering Passive Mode (127,0,0,1,100,7).\r\n"),
            (b"RETR files/file%d.txt\r\n" % i, b"150 Opening BINARY mode data connection (7 bytes).\r\n226 Transfer complete.\r\n"))[i % 3]


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 21, exchange, opening=(b"", b"220 (vsFTPd 3.0.3)\r\n"))
