# SPDX-License-Identifier: Apache-2.0
"""argv: port, what. Client and server in one process, and what sockets seldom do between them. Prints one JSON object when it is done."""
import json
import os
import socket
import struct
import sys
import threading
import time

port, what = int(sys.argv[1]), sys.argv[2]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BODY = 3_300_000_007  # more than half of what a sequence number can count


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def connected(listener):
    client = socket.create_connection(("127.0.0.1", port))
    return client, listener.accept()[0]


def give_up(listener):
    """The server is silent, and its end stays open long after the client has closed."""
    client, server = connected(listener)
    began = time.monotonic_ns()
    client.sendall(get("/silent"))
    time.sleep(0.23)
    client.close()
    took = time.monotonic_ns() - began
    server.recv(999)
    time.sleep(0.5)
    server.close()
    return {"ns": took}


def reset(listener):
    """A RST comes before the server's first look, which finds the request all the same."""
    for i in range(5):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(get(f"/reset/{i}"))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        server = listener.accept()[0]
        assert server.recv(999) == get(f"/reset/{i}")
        server.close()
    return {}


def unseen(listener):
    """A long body that the client moves from the socket without reading it."""
    client, server = connected(listener)
    with open("body", "w+b") as body:
        body.truncate(BODY)

        def serve():
            server.recv(999)
            server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY)
            sent = 0
            while sent < BODY:
                sent += os.sendfile(server.fileno(), body.fileno(), sent, BODY - sent)
            for _ in range(5):
                server.recv(999)
                server.sendall(OK)

        thread = threading.Thread(target=serve)
        thread.start()
        client.sendall(get("/long"))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        r, w = os.pipe()
        null, left = os.open("/dev/null", os.O_WRONLY), BODY
        while left:
            n = os.splice(client.fileno(), w, min(left, 1 << 20))
            left -= n
            while n:
                n -= os.splice(r, null, n)
        for i in range(5):
            client.sendall(get(f"/after/{i}"))
            assert client.recv(999) == OK
        thread.join()
    return {}


with socket.create_server(("127.0.0.1", port)) as listener:
    sys.stdin.readline()
    print(json.dumps({"give_up": give_up, "reset": reset, "unseen": unseen}[what](listener)))
