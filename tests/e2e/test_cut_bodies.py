# SPDX-License-Identifier: Apache-2.0
"""Bodies of which less comes than was announced: their size is what came, and the span has failed."""
import os
import re
import socket
import struct
import threading

import pytest

from harness.process import wait_until
from harness.spans import CLIENT, SERVER, STATUS_ERROR, describe

ANNOUNCED, SENT = 200_017, 100_003
PIECE = 7_001
BODIES = {"text/plain": b"b" * SENT, "application/json": b'{"jsonrpc": "2.0", "method": "' + b"m" * (SENT - 30)}

pytestmark = pytest.mark.live


def read(sock, until):
    """Until so many bytes behind the head have come, or the other end sends no more."""
    got = b""
    while not (head := got.partition(b"\r\n\r\n"))[1] or len(head[2]) < until:
        more = sock.recv(65536)
        if not more:
            break
        got += more


def leave(sock, how):
    if how == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def cut_off(sock, head, body, how, has_come):
    sock.sendall(head)
    for at in range(0, len(body), PIECE):
        sock.sendall(body[at:at + PIECE])
    assert has_come.wait(20)  # a reset takes with it what was not read yet
    leave(sock, how)


def receive(sock, has_come):
    read(sock, SENT)
    has_come.set()
    try:
        assert sock.recv(1) == b""
    except ConnectionResetError:
        pass


def talk(side, how, kind):
    """One connection of which the one on `side` leaves in the middle of its body."""
    has_come, length = threading.Event(), f"Content-Type: {kind}\r\nContent-Length: {ANNOUNCED}\r\n\r\n".encode()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server = listener.accept()[0]
    with client, server:
        if side == "request":
            sender = threading.Thread(target=cut_off, args=(client, b"POST /cut HTTP/1.1\r\nHost: a\r\n" + length, BODIES[kind], how, has_come))
            sender.start()
            receive(server, has_come)
        else:
            client.sendall(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
            read(server, 0)
            sender = threading.Thread(target=cut_off, args=(server, b"HTTP/1.1 200 OK\r\n" + length, BODIES[kind], how, has_come))
            sender.start()
            receive(client, has_come)
        sender.join()


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("side", ["request", "response"])
def test_the_size_is_what_was_transferred(plumb, side, how, kind):
    p = plumb(pids=[os.getpid()])
    talk(side, how, kind)
    p.wait_spans(2)
    spans = p.finish()
    assert sorted((s.kind, s.path) for s in spans) == sorted([(CLIENT, "/cut"), (SERVER, "/cut")]), describe(spans)
    for s in spans:
        sizes = (s["http.request.body.size"], s["http.response.body.size"])
        assert sizes == ((SENT, None) if side == "request" else (None, SENT)), describe([s])
        assert (s.status, s["error.type"] in ("connection_closed", "connection_reset", "incomplete_message")) == (STATUS_ERROR, True), describe([s])


def test_the_console_says_what_was_answered_and_how_it_ended(plumb):
    p = plumb(pids=[os.getpid()], output="console")
    talk("response", "close", "text/plain")
    wait_until(lambda: p.out.read_text().count("/cut") == 2, "both ends", alive=p)
    assert p.stop() == 0, p.tail()
    lines = [line for line in p.out.read_text().splitlines() if "/cut" in line]
    assert all(re.search(r" 200 (connection_closed|connection_reset|incomplete_message)$", line) for line in lines), lines
