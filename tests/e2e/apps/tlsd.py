# SPDX-License-Identifier: Apache-2.0
"""tlsd.py PORT FOLDER [MINIMUM]: echoes a line over TLS with the certificate of FOLDER; MINIMUM 1.3: no older version. Knows the protocols h2 and http/1.1."""
import socketserver
import ssl
import sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2] + "/cert.pem", sys.argv[2] + "/key.pem")
context.set_alpn_protocols(["h2", "http/1.1"])
if len(sys.argv) > 3:
    context.minimum_version = ssl.TLSVersion.TLSv1_3


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            with context.wrap_socket(self.request, server_side=True) as s:
                while data := s.recv(4096):
                    s.sendall(data)
        except (ssl.SSLError, ConnectionError):
            pass  # the client knows


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
