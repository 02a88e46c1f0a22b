# SPDX-License-Identifier: Apache-2.0
"""Serves the routes of the truth tests (the same as httpd.py) over TLS, by uvicorn: asgid.py PORT LOOP, with the certificate of the folder HTTPD_TLS. LOOP: asyncio or uvloop."""
import asyncio
import os
import sys

import uvicorn


async def app(scope, receive, send):
    assert scope["type"] == "http"
    while (await receive())["more_body"]:
        pass
    kind = scope["path"].split("/")[1]
    length = True
    if kind == "items":
        status, parts = (204, [b""]) if scope["method"] == "DELETE" else (200, [f"one item: {scope['path']}\n".encode()])
    elif kind == "chunks":
        status, parts, length = 200, [b"c" * 701] * 5, False
    elif kind == "slow":
        await asyncio.sleep(0.053)
        status, parts = 200, [b"at last\n"]
    else:
        status, body = {"upload": (201, b"stored\n"), "big": (200, b"b" * 200_003), "fail": (500, b"no\n"), "busy": (503, b"later\n")}.get(kind, (404, b"none\n"))
        parts = [body]
    headers = [(b"content-length", str(len(parts[0])).encode())] if length and status != 204 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


folder = os.environ["HTTPD_TLS"]
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop=sys.argv[2], http="httptools" if sys.argv[2] == "uvloop" else "h11", lifespan="off", log_level="warning", ssl_certfile=folder + "/cert.pem",
            ssl_keyfile=folder + "/key.pem")
