# SPDX-License-Identifier: Apache-2.0
"""Serves the routes of the truth tests (the same as httpd.js and go/httpd) with a thread per connection: httpd.py PORT [DELAY_SECONDS], or a path instead of the port.
HTTPD_TLS=FOLDER: over TLS, with the certificate there."""
import os
import socket
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DELAY = float(sys.argv[2]) if len(sys.argv) > 2 else 0.053


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and body:
            self.wfile.write(body)

    def reply_in_chunks(self, pieces):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def reply_in_small_writes(self, size):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        for at in range(0, size, 4096):
            self.wfile.write(b"s" * min(4096, size - at))

    def do_GET(self):
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        kind = self.path.split("/")[1]
        if kind == "items":
            self.reply(*((204, b"") if self.command == "DELETE" else (200, b"one item: " + self.path.encode() + b"\n")))
        elif kind == "upload":
            self.reply(201, b"stored\n")
        elif kind == "big":
            self.reply(200, b"b" * 200_003)
        elif kind == "chunks":
            self.reply_in_chunks([b"c" * 701] * 5)
        elif kind == "stream":  # /stream/BYTES
            self.reply_in_small_writes(int(self.path.split("/")[2]))
        elif kind == "slow":
            time.sleep(DELAY)
            self.reply(200, b"at last\n")
        elif kind == "fail":
            self.reply(500, b"no\n")
        elif kind == "busy":
            self.reply(503, b"later\n")
        else:
            self.reply(404, b"none\n")

    do_POST = do_HEAD = do_DELETE = do_GET

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def process_request(self, request, client_address):
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # two small writes an answer: no waiting for delayed ACKs
        super().process_request(request, client_address)


class UnixServer(Server):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0

    def process_request(self, request, client_address):
        ThreadingHTTPServer.process_request(self, request, client_address)


if sys.argv[1].startswith("/"):
    server = UnixServer(sys.argv[1], Handler)
else:
    server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
if "HTTPD_TLS" in os.environ:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["HTTPD_TLS"] + "/cert.pem", os.environ["HTTPD_TLS"] + "/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)  # the threads shake hands
server.serve_forever()
