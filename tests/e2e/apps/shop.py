# SPDX-License-Identifier: Apache-2.0
"""First service of the joined trace: for each request one Redis command, one PostgreSQL statement, one HTTP call: shop.py PORT REDIS POSTGRES NEXT"""
import http.client
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2
import redis

PORT, REDIS, POSTGRES, NEXT = map(int, sys.argv[1:5])
clients = threading.local()


def connect():
    """A thread keeps its connections, as most programs do."""
    if not hasattr(clients, "redis"):
        clients.redis = redis.Redis(host="127.0.0.1", port=REDIS, single_connection_client=True, lib_name=None, lib_version=None)
        clients.postgres = psycopg2.connect(host="127.0.0.1", port=POSTGRES, user="plumb", dbname="postgres", sslmode="disable", gssencmode="disable")
        clients.postgres.autocommit = True
        clients.http = http.client.HTTPConnection("127.0.0.1", NEXT)
    return clients


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        c = connect()
        number = int(self.path.split("/")[-1])
        c.redis.incr(f"seen:{number}")
        c.postgres.cursor().execute("SELECT %s::int AS price", (number,))
        c.http.request("GET", f"/basket/{number}")
        body = c.http.getresponse().read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
