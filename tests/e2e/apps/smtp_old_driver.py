# SPDX-License-Identifier: Apache-2.0
"""Is connected before anybody watches, then sends mails: smtp_old_driver.py PORT < "go"."""
import smtplib
import sys

s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example")
s.ehlo()
print("ready", file=sys.stderr)
assert sys.stdin.readline() == "go\n"
for i in range(13):
    s.sendmail("secret@sender.example", ["secret@ok.example"], b"Subject: secret\r\n\r\nsecret\r\n")
s.quit()
