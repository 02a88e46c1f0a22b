# SPDX-License-Identifier: Apache-2.0
"""Where spans and metrics go: a real Jaeger, a real Prometheus, and a collector that counts, which can be taken away and brought back."""
import gzip
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter

import pytest

from .process import REPO, Process, free_port, wait_until
from .servers import need

CANNOT = 77  # jaeger.sh: this machine cannot build it


def get(url, headers=None, timeout_s=10):
    """Body and content type."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=timeout_s) as r:
        return r.read().decode(), r.headers.get("Content-Type", "")


def answers(url):
    try:
        get(url, timeout_s=2)
        return True
    except (OSError, urllib.error.HTTPError):
        return False


def jaeger_program():
    """Built at the first call, which takes minutes; afterwards it is there."""
    done = subprocess.run([REPO / "tests/e2e/backends/jaeger.sh"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1800)
    if done.returncode == CANNOT:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, f"Jaeger does not build:\n{done.stderr[-3000:]}"
    return done.stdout.strip()


class Jaeger(Process):
    """All-in-one with its traces in memory. http and grpc are its OTLP ports."""

    def __init__(self, folder, program, http=None, grpc=None):
        self.http, self.grpc, self.query = http or free_port(), grpc or free_port(), free_port()
        ports = {"collector.otlp.grpc.host-port": self.grpc, "collector.otlp.http.host-port": self.http, "query.http-server.host-port": self.query}
        for unused in ("query.grpc-server.host-port", "admin.http.host-port", "collector.http-server.host-port", "collector.grpc-server.host-port"):
            ports[unused] = free_port()
        argv = [program] + [f"--{k}=127.0.0.1:{v}" for k, v in ports.items()] + ["--log-level=warn"]
        super().__init__("jaeger", argv, folder, env={**os.environ, "SPAN_STORAGE_TYPE": "memory", "OTEL_TRACES_SAMPLER": "always_off"})
        wait_until(lambda: answers(f"http://127.0.0.1:{self.query}/api/services"), "Jaeger that answers", alive=self)

    def stop(self, how=signal.SIGKILL, timeout_s=15):  # asked politely it waits for a collector of its own traces; what it holds is in memory anyway
        return super().stop(how, timeout_s)

    def api(self, path, **parameters):
        body, _ = get(f"http://127.0.0.1:{self.query}/api/{path}?{urllib.parse.urlencode(parameters)}")
        return json.loads(body)["data"] or []

    def services(self):
        return set(self.api("services"))

    def traces(self, service):
        return [JaegerTrace(t) for t in self.api("traces", service=service, limit=1500, lookback="1h")]

    def dependencies(self):
        """{(caller, called): calls}"""
        return {(d["parent"], d["child"]): d["callCount"] for d in self.api("dependencies", endTs=int(time.time() * 1000) + 60_000, lookback=3_600_000)}


class JaegerSpan:
    def __init__(self, raw, processes):
        tags = {t["key"]: t["value"] for t in raw["tags"]}
        parents = [r["spanID"] for r in raw["references"] if r["refType"] == "CHILD_OF"]
        assert len(parents) <= 1, raw
        self.id, self.trace_id, self.parent_id, self.name = raw["spanID"], raw["traceID"], parents[0] if parents else None, raw["operationName"]
        self.kind, self.tags = tags.get("span.kind"), tags
        self.service = processes[raw["processID"]]["serviceName"]


class JaegerTrace:
    def __init__(self, raw):
        self.id = raw["traceID"]
        self.spans = [JaegerSpan(s, raw["processes"]) for s in raw["spans"]]
        self.by_id = {s.id: s for s in self.spans}

    def shape(self):
        """(kind, service, name, (kind, service) of the parent) of each span, sorted."""
        def end(span):
            return (span.kind, span.service) if span else None

        return sorted((s.kind, s.service, s.name, end(self.by_id[s.parent_id] if s.parent_id else None)) for s in self.spans)


class Prometheus(Process):
    def __init__(self, folder, config):
        program = need("prometheus", "prometheus")
        self.port = free_port()
        (folder / "prometheus.yml").write_text(config)
        super().__init__("prometheus", [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--enable-feature=exemplar-storage",
                                        f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], folder)
        wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/-/ready"), "Prometheus that answers", alive=self)

    def api(self, path, **parameters):
        body, _ = get(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(body)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, query):
        """[(labels, value)]"""
        return [(r["metric"], float(r["value"][1])) for r in self.api("query", query=query)["result"]]


class Collector:
    """
    OTLP over HTTP, as much as it takes to count spans by id. A request is either taken whole and answered, or not taken at all: away() happens between requests, so that
    "exactly once" can be demanded of the sender.
    """

    context = None  # ssl.SSLContext of a server behind TLS

    def __init__(self, port=None):
        self.port = port or free_port()
        self.seen = Counter()  # (trace id, span id)
        self.bodies = []       # requests as they were taken, for who wants to know more
        self.refused = 0
        self.heads = []  # headers of each request
        self._lock = threading.Lock()
        self._server = self._silent = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self):
        with self._lock:
            return sum(self.seen.values())

    def here(self):
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with collector._lock:
                    if collector._server is not self.server:
                        collector.refused += 1
                        self.close_connection = True
                        return
                    collector.heads.append(dict(self.headers))
                    assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
                    body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                    collector.seen.update(span_ids(body))
                    collector.bodies.append(body)
                    self.send_response(200)
                    self.send_header("Content-Type", "application/x-protobuf")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def get_request(self):
                connection, address = super().get_request()
                if collector.context:
                    connection.settimeout(30)
                    connection = collector.context.wrap_socket(connection, server_side=True)  # a failure is an OSError, which socketserver takes for "no request"
                collector._connections.append(connection)
                return connection, address

        self._connections = []
        with self._lock:
            self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def silent(self):
        """Takes connections and whatever comes on them, and never answers."""
        self._silent = socket.create_server(("127.0.0.1", self.port))
        return self

    def away(self):
        if self._silent:
            self._silent.close()
            self._silent = None
        with self._lock:
            server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other end was first


def fields(data):
    """(number, value) of a protobuf message's fields; values of variable length as bytes. https://protobuf.dev/programming-guides/encoding/"""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        wire = key & 7
        if wire == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(wire) or varint()
            assert wire in (1, 2, 5) and at + size <= len(data), f"not protobuf at {at}"
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def spans_in(request):
    """ExportTraceServiceRequest > resource_spans 1 > scope_spans 2 > spans 2"""
    for n, resource in fields(request):
        for m, scope in fields(resource) if n == 1 else ():
            for k, span in fields(scope) if m == 2 else ():
                if k == 2:
                    yield span


def span_ids(request):
    """trace_id 1, span_id 2"""
    for span in spans_in(request):
        ids = dict(x for x in fields(span) if x[0] in (1, 2))
        assert len(ids[1]) == 16 and len(ids[2]) == 8
        yield ids[1].hex(), ids[2].hex()


def span_paths(request):
    """(kind, path, start, end) of each span: kind 6, start_time_unix_nano 7, end 8, attributes 9 > key 1, value 2 > string_value 1"""
    for span in spans_in(request):
        kind, start, end, path = 0, 0, 0, None
        for n, value in fields(span):
            if n == 6:
                kind = value
            elif n in (7, 8):
                start, end = (int.from_bytes(value, "little"), end) if n == 7 else (start, int.from_bytes(value, "little"))
            elif n == 9 and (b"url.path" in value or b"url.full" in value):
                text = dict(fields(dict(fields(value))[2]))[1].decode()
                path = "/" + text.split("://", 1)[1].split("/", 1)[1] if "://" in text else text
        yield kind, path, start, end


def promtool():
    path = shutil.which("promtool")
    return path or pytest.skip("promtool is not installed (package prometheus)")
