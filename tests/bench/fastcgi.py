# SPDX-License-Identifier: Apache-2.0
"""A packet capture of FastCGI, made without a network: requests with the parameters that nginx sends, and short answers."""
import struct

import packets

PARAMS = {"SCRIPT_FILENAME": "/srv/shop/index.php", "QUERY_STRING": "", "REQUEST_METHOD": "GET", "CONTENT_TYPE": "", "CONTENT_LENGTH": "", "SCRIPT_NAME": "/index.php", "REQUEST_URI": "",
          "DOCUMENT_URI": "/index.php", "DOCUMENT_ROOT": "/srv/shop", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_SCHEME": "http", "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "nginx",
          "REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "41234", "SERVER_ADDR": "192.0.2.1", "SERVER_PORT": "80", "SERVER_NAME": "shop", "HTTP_HOST": "shop.example", "HTTP_USER_AGENT": "bench"}
ANSWER = b"X-Powered-By: PHP/8.2\r\nContent-type: text/html; charset=UTF-8\r\n\r\n" + b"v" * 100


def record(kind, content=b""):
    return struct.pack(">BBHHBB", 1, kind, 1, len(content), -len(content) % 8, 0) + content + bytes(-len(content) % 8)


def exchange(i, _):
    """What the client says, and what the server does."""
    params = {**PARAMS, "REQUEST_URI": "/items/%d" % (i % 101)}
    pairs = b"".join(bytes([len(k), len(v)]) + k.encode() + v.encode() for k, v in params.items())
    return (record(1, struct.pack(">HB5x", 1, 1)) + record(4, pairs) + record(4) + record(5),
            record(6, (b"Status: 404 Not Found\r\n" if i % 7 == 0 else b"") + ANSWER) + record(3, bytes(8)))


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 9000, exchange)
