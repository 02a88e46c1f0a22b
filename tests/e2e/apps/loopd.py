# SPDX-License-Identifier: Apache-2.0
"""Calls others for each request, in the given way: loopd.py PORT WAY BACKEND_PORT [EVERY_MS]. With EVERY_MS it also calls on its own, for no request.
once: one call; twice: one after the other; fan: three at once; fresh: two, each on a new connection; pause: a call after 60 ms; file: a call after another thread has read a file
(of asyncio); idle: none, 700 ms. WAY is asyncio, or threads, each with sockets that have a timeout, or backend: what is called, and answers after 2 ms."""
import asyncio
import http.client
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, WAY = int(sys.argv[1]), sys.argv[2]
BACKEND, EVERY = (int(a) for a in (sys.argv[3:5] + ["0", "0"])[:2])
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndone\n"


class Pool:
    """Connections of asyncio's that are kept."""
    idle = []

    async def call(self, path, fresh=False):
        reader, writer = self.idle.pop() if self.idle and not fresh else await asyncio.open_connection("127.0.0.1", BACKEND)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: backend\r\n\r\n".encode())
        await reader.readuntil(b"done\n")
        if fresh:
            writer.close()
        else:
            self.idle.append((reader, writer))


async def route(pool, kind, at):
    if kind == "fan":
        await asyncio.gather(*(pool.call(f"{at}/{i}") for i in range(3)))
    elif kind == "idle":
        await asyncio.sleep(0.7)
    elif kind in ("once", "twice", "fresh", "pause", "file"):
        if kind == "pause":
            await asyncio.sleep(0.06)
        if kind == "file":
            await asyncio.to_thread(Path(__file__).read_bytes)
        for i in range(1 + (kind in ("twice", "fresh"))):
            await pool.call(f"{at}/{i}", kind == "fresh")


async def serve(pool, reader, writer):
    try:
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
            await route(pool, path.split("/")[1], f"/for{path}")
            writer.write(ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def own_calls(pool):
    for i in range(1 << 30):
        await asyncio.sleep(EVERY / 1000)
        await pool.call(f"/own/{i}")


async def main():
    pool = Pool()
    server = await asyncio.start_server(lambda r, w: serve(pool, r, w), "127.0.0.1", PORT)
    own = asyncio.create_task(own_calls(pool)) if EVERY else None
    await server.serve_forever()
    del own


class Handler(BaseHTTPRequestHandler):
    """Of threads, and of the backend. The timeouts make sockets that do not block, and threads that sleep in poll(2)."""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def call(self, path, fresh=False):
        if fresh or not hasattr(self, "kept"):
            self.kept = http.client.HTTPConnection("127.0.0.1", BACKEND, timeout=30)
        self.kept.request("GET", path)
        self.kept.getresponse().read()

    def do_GET(self):
        kind, at = self.path.split("/")[1], f"/for{self.path}"
        if WAY == "backend":
            time.sleep(0.002)
        elif kind == "idle":
            time.sleep(0.7)
        elif kind != "hello":
            if kind == "pause":
                time.sleep(0.06)
            for i in range({"twice": 2, "fresh": 2, "fan": 3}.get(kind, 1)):
                self.call(f"{at}/{i}", kind == "fresh")
        self.wfile.write(ANSWER)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 64


def own_threads():
    caller = Handler.__new__(Handler)
    for i in range(1 << 30):
        time.sleep(EVERY / 1000)
        caller.call(f"/own/{i}")


if WAY == "asyncio":
    asyncio.run(main())
if EVERY:
    threading.Thread(target=own_threads, daemon=True).start()
Server(("127.0.0.1", PORT), Handler).serve_forever()
