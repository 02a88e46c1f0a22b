# SPDX-License-Identifier: Apache-2.0
"""Logins and mails by aiosmtplib, with challenges and a slow server: smtp_auth_driver.py PORT < "go"."""
import asyncio
import sys

import aiosmtplib

port = int(sys.argv[1])


async def login(mechanism, password):
    s = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, local_hostname="client.example", start_tls=False, use_tls=False)
    await s.connect()
    await s.ehlo()
    try:
        await getattr(s, f"auth_{mechanism}")("plumb", password)
    except aiosmtplib.SMTPAuthenticationError as e:
        assert e.code == 535 and password != "sesame", e
    return s


async def main():
    s = await login("login", "sesame")
    for i in range(5):
        await s.sendmail("secret@sender.example", ["secret@ok.example", "secret@slow.example"], b"Subject: secret\r\n\r\nsecret\r\n")
    await s.quit()
    for mechanism in ("plain", "login"):
        s = await login(mechanism, "sesame2")
        await s.quit()


assert sys.stdin.readline() == "go\n"
asyncio.run(main())
