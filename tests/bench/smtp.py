# SPDX-License-Identifier: Apache-2.0
"""A packet capture of SMTP: of three exchanges the third is a message of 2 KB with its DATA."""
import packets

BODY = b"Subject: a\r\n\r\n" + b"a line of text that is neither long nor short\r\n" * 42 + b".\r\n"


def exchange(_, i):
    return ((b"MAIL FROM:<one@sender.example> SIZE=2000\r\n", b"250 2.1.0 Ok\r\n"), (b"RCPT TO:<two@ok.example>\r\n", b"250 2.1.5 Ok\r\n"),
            (b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n", BODY, b"250 2.0.0 Ok: queued as 1CBD59AEB5E\r\n"))[i % 3]


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 25, exchange, opening=(b"", b"220 mail.example ESMTP Postfix\r\n"))
