# SPDX-License-Identifier: Apache-2.0
"""Deliveries by smtplib's LMTP, and in groups: lmtp_driver.py PORT < "go"."""
import smtplib
import sys

s = smtplib.LMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example")
assert sys.stdin.readline() == "go\n"
for i in range(5):
    s.sendmail("secret@sender.example", ["secret@ok.example"], b"Subject: secret\r\n\r\nsecret\r\n")
for i in range(3):
    to = [b"ok@ok.example", b"full@ok.example", b"ok2@ok.example"]
    s.sock.sendall(b"MAIL FROM:<secret@sender.example>\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % t for t in to) + b"DATA\r\n")
    assert [s.getreply()[0] for _ in range(5)] == [250, 250, 250, 250, 354]
    s.sock.sendall(b"Subject: secret\r\n\r\nsecret\r\n.\r\n")
    assert [s.getreply()[0] for _ in to] == [250, 552, 250]
s.quit()
