# SPDX-License-Identifier: Apache-2.0
"""Mails by smtplib and by groups of commands of its own: smtp_driver.py PORT < "go"."""
import smtplib
import socket
import sys

port = int(sys.argv[1])


def send(s, n, to, text=b"Subject: secret\r\n\r\nQUIT\r\n.\r\nsecret\r\n"):
    refused = s.sendmail(f"secret{n}@sender.example", [f"secret{n}@{d}" for d in to], text)
    assert set(refused) == {f"secret{n}@{d}" for d in to if not d.startswith("ok")}, refused


def by_smtplib():
    s = smtplib.SMTP("127.0.0.1", port, local_hostname="client.example")
    for i in range(11):
        send(s, i, ["ok.example"])
    for i in range(3):
        send(s, i, ["refused.example", "ok.example", "later.example", "ok2.example"])
    send(s, 0, ["ok.example"], b"Subject: big\r\n\r\n" + b"secret..\r\n.\r\n" * 23_000)
    assert s.verify("secret")[0] == 502
    assert s.docmd("FROB secret")[0] == 500
    assert s.mail("secret@sender.example", ["size=5000000"])[0] == 552
    assert s.rset()[0] == 250
    assert s.noop()[0] == 250
    try:
        s.data(b"never sent")
    except smtplib.SMTPDataError as e:
        assert e.smtp_code == 503, e
    assert s.noop()[0] == 250
    s.quit()


class Raw:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")
        assert self.reply() == 220

    def reply(self):
        while True:
            line = self.file.readline()
            if line[3:4] == b" ":
                return int(line[:3])

    def send(self, *parts, replies):
        self.socket.sendall(b"".join(parts))
        got = [self.reply() for _ in replies]
        assert got == replies, got


def in_groups():
    r = Raw()
    r.send(b"EHLO client.example\r\n", replies=[250])
    for i in range(7):
        to = [b"RCPT TO:<secret%d@%s>\r\n" % (k, b"refused.example" if k == 5 else b"ok.example") for k in range(31)]
        r.send(b"MAIL FROM:<secret@sender.example>\r\n", *to, b"DATA\r\n", replies=[250] + [550 if k == 5 else 250 for k in range(31)] + [354])
        r.send(b"Subject: secret\r\n\r\nsecret\r\n.\r\n", replies=[250])
    r.send(b"MAIL FROM:<secret@sender.example>\r\n", b"RCPT TO:<secret@ok.example>\r\n", replies=[250, 250])
    chunk = b"Subject: secret\r\n\r\n" + b"secret\r\n.\r\n" * 2000
    r.send(b"BDAT %d\r\n" % len(chunk), chunk, replies=[250])
    r.send(b"BDAT 6 LAST\r\nabcd\r\n", replies=[250])
    r.send(b"QUIT\r\n", replies=[221])


assert sys.stdin.readline() == "go\n"
by_smtplib()
in_groups()
