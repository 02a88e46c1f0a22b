# SPDX-License-Identifier: Apache-2.0
"""aiosmtpd: smtpd.py PORT [smtp|lmtp [CERTIFICATE KEY]]. User plumb with password sesame; takes its time for slow.example; of a mailbox called full it says so (LMTP)."""
import asyncio
import ssl
import sys

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_DATA(self, server, session, envelope):
        if any("@slow." in r for r in envelope.rcpt_tos):
            await asyncio.sleep(0.1)
        if isinstance(server, LMTP):
            return "\r\n".join("552 5.2.2 Mailbox full" if r.startswith("full") else "250 2.1.5 OK" for r in envelope.rcpt_tos)
        return "250 2.0.0 OK"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"plumb", b"sesame"), handled=False)


def protocol():
    if sys.argv[2:3] == ["lmtp"]:
        return LMTP(Handler(), hostname="mail.example")
    context = None
    if sys.argv[3:]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[3], sys.argv[4])
    return SMTP(Handler(), hostname="mail.example", authenticator=authenticate, auth_require_tls=False, tls_context=context)


async def main():
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
