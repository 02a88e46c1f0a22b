# SPDX-License-Identifier: Apache-2.0
"""The first of two services: GET /order/N asks the second one over HTTP, then PostgreSQL: gateway.py PORT STOCK_PORT POSTGRES_PORT"""
import http.client
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg2

stock_port = int(sys.argv[2])
database = psycopg2.connect(host="127.0.0.1", port=int(sys.argv[3]), user="plumb", dbname="postgres", gssencmode="disable", sslmode="disable")
database.autocommit = True
stock = http.client.HTTPConnection("127.0.0.1", stock_port)
stock.connect()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        number = int(self.path.split("/")[2])
        stock.request("GET", f"/stock/{number}")
        answer = stock.getresponse()
        body = answer.read()
        with database.cursor() as c:
            c.execute("SELECT %s::int + 1", (number,))
            body += b" %d" % c.fetchone()[0]
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
