# SPDX-License-Identifier: Apache-2.0
"""Answers from a SQLite database, a thread for each connection: sqlite_httpd.py PORT. Two queries a request."""
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        db = sqlite3.connect(":memory:")
        number = int(self.path.rsplit("/", 1)[1])
        rows = db.execute("SELECT ?", (number,)).fetchall() + db.execute("SELECT 'secret' WHERE 1 = ?", (number,)).fetchall()
        body = f"{len(rows)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
