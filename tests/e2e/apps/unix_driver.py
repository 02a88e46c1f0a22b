# SPDX-License-Identifier: Apache-2.0
"""
HTTP over a Unix socket: unix_driver.py PATH < "go". Opens OLD connections and uses each once, says "ready" on standard error, and after "go" sends OLD_REQUESTS on
each of them and NEW_REQUESTS on each of as many new ones, in turn. Prints {"path","status"} for each request after "go".
"""
import http.client
import json
import socket
import sys

OLD, OLD_REQUESTS, NEW_REQUESTS = 3, 7, 11


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(sys.argv[1])


def request(connection, path):
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    return response.status


old = [Connection("localhost") for _ in range(OLD)]
for i, connection in enumerate(old):
    request(connection, f"/items/{100 + i}")
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"
new = [Connection("localhost") for _ in range(OLD)]
plan = [(c, OLD_REQUESTS) for c in old] + [(c, NEW_REQUESTS) for c in new]
for turn in range(max(OLD_REQUESTS, NEW_REQUESTS)):
    for i, (connection, requests) in enumerate(plan):
        if turn < requests:
            path = f"/items/{1000 * (i + 1) + turn}"
            print(json.dumps({"path": path, "status": request(connection, path)}))
