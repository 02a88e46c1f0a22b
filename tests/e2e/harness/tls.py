# SPDX-License-Identifier: Apache-2.0
"""Certificates made by openssl, and collectors behind TLS: OTLP over HTTP/1.1, and over gRPC on HTTP/2 (ALPN), which speaks its frames itself."""
import gzip
import socketserver
import ssl
import subprocess
import threading

from .backends import Collector, span_ids
from .servers import need


class Authority:
    """A certificate authority in a folder of its own, which other users may read (its keys guard nothing)."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self._count = 0
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={name}", "-days", "2")

    @property
    def certificate(self):
        return self.folder / "ca.pem"

    def _openssl(self, *args):
        done = subprocess.run([need("openssl", "openssl"), *map(str, args)], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def issue(self, names, expired=False):
        """(certificate, key) for the subject alternative names, as "IP:127.0.0.1"; expired: it was valid for a day long ago."""
        self._count += 1
        stem = f"leaf{self._count}"
        (self.folder / f"{stem}.cnf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={stem}.db\nnew_certs_dir=.\nserial={stem}.serial\ndefault_md=sha256\npolicy=p\n"
                                                 f"unique_subject=no\n[p]\ncommonName=supplied\n[x]\nsubjectAltName={names}\n")
        (self.folder / f"{stem}.db").write_text("")
        (self.folder / f"{stem}.serial").write_text(f"{self._count:04}\n")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={stem}")
        dates = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"] if expired else ["-days", "2"]
        self._openssl("ca", "-batch", "-notext", "-config", f"{stem}.cnf", "-extensions", "x", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{stem}.csr", "-out", f"{stem}.pem", *dates)
        return self.folder / f"{stem}.pem", self.folder / f"{stem}.key"


def server_context(pair, client_authority=None, alpn=("http/1.1",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.set_alpn_protocols(list(alpn))
    if client_authority:
        context.load_verify_locations(client_authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class TlsCollector(Collector):
    """Collector, for those who can prove themselves, where that is asked for."""

    def __init__(self, pair, client_authority=None):
        super().__init__()
        self.context = server_context(pair, client_authority)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
WINDOW = 2**31 - 1


class GrpcCollector:
    """One connection a thread. RFC 9113, as much as one client that sends one request at a time needs; its header block is not looked at."""

    def __init__(self, pair, client_authority=None):
        self._seen = Collector()  # the books
        self.seen = self._seen.seen
        self._lock = threading.Lock()
        collector = self
        context = server_context(pair, client_authority, alpn=("h2",))

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.settimeout(30)
                try:
                    self.request = context.wrap_socket(self.request, server_side=True)
                    assert self.request.selected_alpn_protocol() == "h2", "a client without ALPN h2"
                    self.stream = self.request.makefile("rb")
                    self.serve()
                except OSError:
                    pass  # a handshake that failed, or the client has gone

            def send(self, kind, flags, stream, payload=b""):
                self.request.sendall(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)

            def serve(self):
                assert self.stream.read(len(PREFACE)) == PREFACE
                self.send(SETTINGS, 0, 0, b"\0\4" + WINDOW.to_bytes(4, "big"))
                self.send(WINDOW_UPDATE, 0, 0, (WINDOW - 65535).to_bytes(4, "big"))
                body = b""
                while len(head := self.stream.read(9)) == 9:
                    kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
                    payload = self.stream.read(int.from_bytes(head[:3], "big"))
                    if kind == SETTINGS and not flags & ACK:
                        self.send(SETTINGS, ACK, 0)
                    elif kind == PING and not flags & ACK:
                        self.send(PING, ACK, 0, payload)
                    elif kind == DATA:
                        assert not flags & 8, "padding"
                        body += payload
                        if flags & END_STREAM:
                            collector.take(body)
                            body = b""
                            self.answer(stream)

            def answer(self, stream):
                def literal(name, value):
                    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

                self.send(HEADERS, END_HEADERS, stream, b"\x88" + literal(b"content-type", b"application/grpc"))
                self.send(DATA, 0, stream, bytes(5))
                self.send(HEADERS, END_HEADERS | END_STREAM, stream, literal(b"grpc-status", b"0"))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def spans(self):
        with self._lock:
            return sum(self.seen.values())

    def take(self, body):
        assert len(body) >= 5 and int.from_bytes(body[1:5], "big") == len(body) - 5
        request = gzip.decompress(body[5:]) if body[0] else body[5:]
        with self._lock:
            self.seen.update(span_ids(request))

    def here(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def away(self):
        self._server.shutdown()
        self._server.server_close()
