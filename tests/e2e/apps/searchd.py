# SPDX-License-Identifier: Apache-2.0
"""As much of Elasticsearch as its clients need to believe in it: searchd.py PORT"""
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INFO = {"name": "n", "cluster_name": "c", "cluster_uuid": "u", "version": {"number": "8.0.0", "build_flavor": "default"}, "tagline": "You Know, for Search"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    documents = {}

    def answer(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if parts == [""]:
            return 200, INFO
        index, rest = (None, parts) if parts[0].startswith("_") else (parts[0], parts[1:])
        if index == "none":
            return 404, {"error": {"root_cause": [{"type": "index_not_found_exception"}], "type": "index_not_found_exception"}, "status": 404}
        if not rest:
            return 200, {"acknowledged": True, "index": index}
        if rest[0] == "_search":
            if b"slow" in body:
                time.sleep(0.103)
            return 200, {"took": 1, "timed_out": False, "_shards": {"total": 1}, "hits": {"total": {"value": 0}, "hits": []}}
        if rest[0] == "_bulk":
            return 200, {"took": 1, "errors": False, "items": [{"index": {"_id": str(i), "status": 201}} for i in range(body.count(b"\n") // 2)]}
        if rest[0] == "_doc":
            return 201 if self.command == "POST" or self.command == "PUT" else 200, {"_index": index, "_id": rest[-1], "_version": 1, "result": "created", "found": True, "_source": {}}
        if rest[0] == "_count":
            return 200, {"count": 0, "_shards": {"total": 1}}
        return 200, {"cluster_name": "c", "status": "green", "number_of_nodes": 1, "acknowledged": True}

    def reply(self):
        status, value = self.answer()
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("X-elastic-product", "Elasticsearch")
        accept = self.headers.get("Accept", "")
        self.send_header("Content-Type", accept.replace("; ", ";") if "vnd.elasticsearch" in accept else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = reply

    def log_message(self, format, *args):
        pass


print("ready", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
