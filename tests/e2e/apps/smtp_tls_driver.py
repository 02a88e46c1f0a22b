# SPDX-License-Identifier: Apache-2.0
"""Asks for TLS, and sends a mail by it: smtp_tls_driver.py PORT < "go"."""
import smtplib
import ssl
import sys

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
assert sys.stdin.readline() == "go\n"
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example")
s.starttls(context=context)
s.sendmail("secret@sender.example", ["secret@ok.example"], b"Subject: secret\r\n\r\nsecret\r\n")
s.quit()
