# SPDX-License-Identifier: Apache-2.0
"""Asks for TLS, and logs in by it: ftp_tls_driver.py PORT < "go"."""
import ftplib
import ssl
import sys

assert sys.stdin.readline() == "go\n"
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
f = ftplib.FTP_TLS(context=context)
f.connect("127.0.0.1", int(sys.argv[1]))
f.login("anonymous", "sesame")
f.pwd()
f.quit()
