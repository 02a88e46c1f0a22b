# SPDX-License-Identifier: Apache-2.0
"""Bodies that nobody needs do not leave the kernel, also when they are moved in small pieces; what follows them on the connection is seen whole."""
import socket
import urllib.request

import pytest

from harness import servers
from harness.process import free_port, wait_until
from harness.spans import SERVER, describe

SIZE = 200_000_033  # not a multiple of the pieces: the last one ends within a piece
RUNGS = ("sock_length", "sys_exit")


def totals(port, family):
    """A family's samples by direction."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    return {line.split('"')[1]: int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(family + "{")}


def read_response(stream, after_head=lambda: None):
    """Status and the body's length."""
    status = stream.readline().split()[1]
    length = None
    while (line := stream.readline()) != b"\r\n":
        name, value = line.split(b":", 1)
        length = int(value) if name.lower() == b"content-length" else length
    after_head()
    left = length
    while left:
        left -= len(stream.read(min(left, 1 << 20)))
    return status, length


@pytest.mark.live
@pytest.mark.parametrize("rung", RUNGS)
def test_a_long_body_stays_in_the_kernel(start, plumb, rung):
    server = start(servers.start_python)
    port = free_port()
    tracer = plumb(pids=[server.pid], args=["--metrics", f"127.0.0.1:{port}", "--set", f"capture.socket_data={rung}"])
    seen = lambda direction: totals(port, "plumb_stream_bytes_total")[direction]
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # so that the server waits for us while plumb reads the head
    sock.connect(("127.0.0.1", server.port))
    with sock, sock.makefile("rb") as stream:
        sock.sendall(f"GET /stream/{SIZE} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert read_response(stream, lambda: wait_until(lambda: seen("egress") > 4096, "the response's beginning")) == (b"200", SIZE)
        sock.sendall(b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_response(stream)[0] == b"200"

        before = seen("ingress")
        sock.sendall(f"POST /upload/1 HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n".encode() + b"u" * 10)
        wait_until(lambda: seen("ingress") > before, "the request's head")
        for at in range(10, SIZE - 1000, 4096):
            sock.sendall(b"u" * min(4096, SIZE - 1000 - at))
        # The server reads the body's end and the next request in one call.
        sock.sendall(b"u" * 1000 + b"GET /fail/1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [read_response(stream)[0] for _ in range(2)] == [b"201", b"500"]
    tracer.wait_spans(4)
    wait_until(lambda: min(totals(port, "plumb_stream_bytes_total").values()) > SIZE, "all bytes counted")
    moved, captured = totals(port, "plumb_stream_bytes_total"), totals(port, "plumb_captured_bytes_total")
    spans = sorted(tracer.finish(), key=lambda s: s.start_ns)
    said = [(s.kind, s["http.request.method"], s.path, s["http.response.status_code"], s["http.request.body.size"], s["http.response.body.size"], s["plumb.incomplete"])
            for s in spans]
    item = len(b"one item: /items/1\n")
    assert said == [(SERVER, "GET", f"/stream/{SIZE}", 200, None, SIZE, None), (SERVER, "GET", "/items/1", 200, None, item, None),
                    (SERVER, "POST", "/upload/1", 201, SIZE, 7, None), (SERVER, "GET", "/fail/1", 500, None, 3, None)], describe(spans)
    print("moved", moved, "captured", captured)
    for direction in moved:
        # What was in the socket's buffers before the head had been read may have been captured: a few megabytes at the most.
        assert captured[direction] < moved[direction] // 20, (captured, moved)
