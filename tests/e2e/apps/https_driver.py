# SPDX-License-Identifier: Apache-2.0
"""https_driver.py PORT FOLDER VERSION CONNECTIONS WAY: requests over TLS VERSION (1.2 or 1.3) with the certificate of FOLDER, when "go" is read behind a plan of JSON lines.
WAY: blocking, a thread for each connection, TLS on the socket; asyncio, a task for each, TLS in memory; requests, its sessions instead, pyopenssl, over this, memory, pyOpenSSL that has the encrypted bytes in memory, curl_cffi, those of the same name; aiohttp, and httpx on one connection of HTTP/2, a task for each."""
import asyncio
import contextlib
import http.client
import io
import json
import socket
import ssl
import sys
import threading
import time

PORT, FOLDER, VERSION, CONNECTIONS, WAY = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]

if WAY == "aiohttp":
    import aiohttp
elif WAY == "httpx":
    import httpx
elif WAY == "curl_cffi":
    import curl_cffi.requests
elif WAY in ("requests", "pyopenssl"):
    import requests
elif WAY == "memory":
    from OpenSSL import SSL
if WAY == "pyopenssl":
    from urllib3.contrib.pyopenssl import inject_into_urllib3

    inject_into_urllib3()

context = ssl.create_default_context(cafile=FOLDER + "/cert.pem")
context.minimum_version = context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[VERSION]
plan = []
for line in sys.stdin:
    if line == "go\n":
        break
    plan.append(json.loads(line))
results = []


def done(request, status, begin_ns):
    results.append({"path": request["path"], "status": status, "ns": time.monotonic_ns() - begin_ns})


class InMemory(io.RawIOBase):
    """What http.client needs of a socket, with TLS between it and one."""

    def __init__(self, below):
        self.below = below
        of_memory = SSL.Context(SSL.TLS_CLIENT_METHOD)
        version = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}[VERSION]
        of_memory.set_min_proto_version(version)
        of_memory.set_max_proto_version(version)
        self.session = SSL.Connection(of_memory, None)
        self.session.set_connect_state()
        self.until_it_can(self.session.do_handshake)

    def flush(self):
        with contextlib.suppress(SSL.WantReadError):
            self.below.sendall(self.session.bio_read(1 << 17))

    def until_it_can(self, function, *args):
        while True:
            try:
                result = function(*args)
                self.flush()
                return result
            except SSL.WantReadError:
                self.flush()
                self.session.bio_write(self.below.recv(1 << 17))

    def sendall(self, data):
        self.until_it_can(self.session.send, bytes(data))

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.until_it_can(self.session.recv_into, buffer)

    def makefile(self, mode):
        return io.BufferedReader(self)

    def close(self):
        pass  # http.client closes what makefile() gave behind each answer


def blocking(mine):
    if WAY == "memory":
        connection = http.client.HTTPConnection("localhost", PORT)
        connection.sock = InMemory(socket.create_connection(("localhost", PORT)))
    else:
        connection = http.client.HTTPSConnection("localhost", PORT, context=context)
        connection.connect()
    for r in mine:
        begin_ns = time.monotonic_ns()
        connection.request(r["method"], r["path"], body=b"u" * r["body"] if r["body"] else None)
        response = connection.getresponse()
        response.read()
        done(r, response.status, begin_ns)
    connection.close()


def with_requests(mine):
    if WAY == "curl_cffi":
        session = curl_cffi.requests.Session(http_version="v1")
    else:
        session = requests.Session()
    with session:
        session.trust_env, session.verify = False, FOLDER + "/cert.pem"
        for r in mine:
            begin_ns = time.monotonic_ns()
            done(r, session.request(r["method"], f"https://localhost:{PORT}{r['path']}", data=b"u" * r["body"] if r["body"] else None).status_code, begin_ns)


async def one_task(mine):
    reader, writer = await asyncio.open_connection("localhost", PORT, ssl=context, limit=1 << 20)
    for r in mine:
        begin_ns = time.monotonic_ns()
        body = b"u" * r["body"]
        writer.write(f"{r['method']} {r['path']} HTTP/1.1\r\nHost: localhost:{PORT}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = int(head.split(" ", 2)[1])
        if r["method"] == "HEAD" or status == 204:
            pass
        elif "transfer-encoding: chunked" in head:
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        else:
            await reader.readexactly(int(head.split("content-length: ", 1)[1].split("\r\n", 1)[0]))
        done(r, status, begin_ns)
    writer.close()
    await writer.wait_closed()


async def all_tasks(parts):
    await asyncio.gather(*map(one_task, parts))


async def with_aiohttp(parts):
    async def one(session, mine):
        for r in mine:
            begin_ns = time.monotonic_ns()
            async with session.request(r["method"], f"https://localhost:{PORT}{r['path']}", data=b"u" * r["body"] if r["body"] else None, ssl=context) as response:
                await response.read()
                done(r, response.status, begin_ns)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(one(session, part) for part in parts))


async def with_httpx(parts):
    async def one(client, mine):
        for r in mine:
            begin_ns = time.monotonic_ns()
            response = await client.request(r["method"], f"https://localhost:{PORT}{r['path']}", content=b"u" * r["body"] if r["body"] else None)
            assert response.http_version == "HTTP/2"
            done(r, response.status_code, begin_ns)

    async with httpx.AsyncClient(verify=context, http2=True, trust_env=False) as client:
        await asyncio.gather(*(one(client, part) for part in parts))


parts = [plan[i::CONNECTIONS] for i in range(CONNECTIONS)]
if WAY in ("asyncio", "aiohttp", "httpx"):
    asyncio.run({"asyncio": all_tasks, "aiohttp": with_aiohttp, "httpx": with_httpx}[WAY](parts))
else:
    threads = [threading.Thread(target=blocking if WAY in ("blocking", "memory") else with_requests, args=(part,)) for part in parts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
for r in results:
    print(json.dumps(r))
