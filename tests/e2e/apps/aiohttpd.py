# SPDX-License-Identifier: Apache-2.0
"""Serves the routes of the truth tests (the same as httpd.py) over TLS, by aiohttp: aiohttpd.py PORT, with the certificate of the folder HTTPD_TLS."""
import asyncio
import os
import ssl
import sys

from aiohttp import web


async def answer(request):
    await request.read()
    kind = request.path.split("/")[1]
    if kind == "items":
        return web.Response(status=204) if request.method == "DELETE" else web.Response(text=f"one item: {request.path}\n")
    if kind == "upload":
        return web.Response(status=201, text="stored\n")
    if kind == "big":
        return web.Response(text="b" * 200_003)
    if kind == "chunks":
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(5):
            await response.write(b"c" * 701)
        return response
    if kind == "slow":
        await asyncio.sleep(0.053)
        return web.Response(text="at last\n")
    return web.Response(**{"fail": {"status": 500, "text": "no\n"}, "busy": {"status": 503, "text": "later\n"}}.get(kind, {"status": 404, "text": "none\n"}))


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.environ["HTTPD_TLS"] + "/cert.pem", os.environ["HTTPD_TLS"] + "/key.pem")
app = web.Application()
app.router.add_route("*", "/{rest:.*}", answer)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), ssl_context=context, access_log=None, print=None)
