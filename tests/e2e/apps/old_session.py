# SPDX-License-Identifier: Apache-2.0
"""old_session.py PORT FOLDER WAY FIRST COUNT: a request over TLS; when "go" is read two more, and COUNT on the same connection, /items/FIRST and on. WAY: blocking, TLS on the socket; asyncio, TLS in memory."""
import asyncio
import http.client
import ssl
import sys

PORT, FOLDER, WAY, FIRST, COUNT = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
context = ssl.create_default_context(cafile=FOLDER + "/cert.pem")


def paths():
    yield "/items/1"
    print("ready", flush=True)
    assert sys.stdin.readline() == "go\n"
    yield "/items/2"
    yield "/items/3"
    for i in range(COUNT):
        yield f"/items/{FIRST + i}"


def blocking():
    connection = http.client.HTTPSConnection("localhost", PORT, context=context)
    for path in paths():
        connection.request("GET", path)
        assert connection.getresponse().read() is not None
    connection.close()


async def in_memory():
    reader, writer = await asyncio.open_connection("localhost", PORT, ssl=context)
    for path in paths():
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{PORT}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length"))
        await reader.readexactly(length)
    writer.close()


blocking() if WAY == "blocking" else asyncio.run(in_memory())
