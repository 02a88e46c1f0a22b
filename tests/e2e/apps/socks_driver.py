# SPDX-License-Identifier: Apache-2.0
"""socks_driver.py PROXY SERVER COUNT, then "go" on standard input: COUNT requests through the SOCKS proxy, with name and password, each on its own connection; then one to where nobody listens."""
import sys

import socks

proxy, server, count = map(int, sys.argv[1:])


def connect(port):
    s = socks.socksocket()
    s.set_proxy(socks.SOCKS5, "127.0.0.1", proxy, rdns=True, username="alice", password="secret")
    s.connect(("localhost", port))
    return s


sys.stdin.readline()
for i in range(count):
    with connect(server) as s:
        s.sendall(b"GET /items/%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % i)
        while s.recv(65536):
            pass
try:
    connect(1)
except socks.ProxyError:
    print('{"refused": true}', flush=True)
