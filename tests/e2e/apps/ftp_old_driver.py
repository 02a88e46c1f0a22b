# SPDX-License-Identifier: Apache-2.0
"""Is logged in before anybody watches, then transfers: ftp_old_driver.py PORT < "go"."""
import ftplib
import io
import sys

f = ftplib.FTP()
f.connect("127.0.0.1", int(sys.argv[1]))
f.login("anonymous", "sesame")
f.cwd("in")
print("ready", file=sys.stderr)
assert sys.stdin.readline() == "go\n"
for i in range(13):
    f.storbinary("STOR file.txt" if i == 0 else "APPE file.txt", io.BytesIO(b"secret"))
f.quit()
