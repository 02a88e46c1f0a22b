# SPDX-License-Identifier: Apache-2.0
"""Speaks JSON-RPC 2.0, GraphQL and server-sent events over HTTP/1.1: appd.py PORT"""
import gzip
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from graphql import build_schema, graphql_sync

SCHEMA = build_schema("""
	type Query { hero(id: Int): String, broken: String }
	type Mutation { rename(id: Int!, name: String!): String }
""")


def rename(_info, id, name):
    return name


def fail(_info):
    raise ValueError("secret-in-an-error")


ROOT = {"hero": lambda _info, id=0: f"hero {id}", "rename": rename, "broken": fail}


class RpcError(Exception):
    pass


def call(request):
    """The answer to one call; None to a notification."""
    method, params = request["method"], request.get("params", [])
    try:
        if method == "add":
            answer = {"result": sum(params)}
        elif method == "slow":
            time.sleep(0.103)
            answer = {"result": "at last"}
        elif method == "big":
            answer = {"result": "x" * params[0]}
        elif method == "fail":
            raise RpcError(-32000, "secret-in-an-error")
        else:
            raise RpcError(-32601, "no such method")
    except RpcError as e:
        answer = {"error": {"code": e.args[0], "message": e.args[1]}}
    return {"jsonrpc": "2.0", **answer, "id": request["id"]} if "id" in request else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, value, kind="application/json"):
        body = json.dumps(value).encode()
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        if packed:
            body = gzip.compress(body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reply_nothing(self):
        self.send_response(204)
        self.end_headers()

    def body(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)

    def do_POST(self):
        request = self.body()
        if self.path == "/rpc" and isinstance(request, list):
            self.reply(200, [a for a in map(call, request) if a])
        elif self.path == "/rpc":
            answer = call(request)
            self.reply(200, answer) if answer else self.reply_nothing()
        elif self.path == "/graphql":
            result = graphql_sync(SCHEMA, request["query"], ROOT, variable_values=request.get("variables"), operation_name=request.get("operationName"))
            answer = {"data": result.data}
            if result.errors:
                answer["errors"] = [{"message": e.message, "extensions": {"code": "BAD_USER_INPUT"} if result.data is None else {}} for e in result.errors]
            self.reply(200, answer, "application/graphql-response+json")
        else:
            self.reply(201, {"stored": request, "error": None})

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path != "/events":
            self.reply(404, {"error": {"code": 1}})
            return
        n = {k: int(v[0]) for k, v in parse_qs(url.query).items()}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(b": welcome\n\n")
        time.sleep(n["wait"] / 1000)
        for i in range(n["n"]):
            event = b"data: " + b"%d " % i + b"y" * n.get("size", 10) + b"\n\n"
            self.chunk(event[:9])
            self.chunk(event[9:])
            if i % 5 == 0:
                time.sleep(0.003)
        self.chunk(b"")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


print("ready", flush=True)
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
