# SPDX-License-Identifier: Apache-2.0
"""The engine is killed while it works: it comes back, knows the connections that are open, and says what it lost."""
import os
import signal
import socket
import urllib.request

from harness.process import free_port, wait_until
from harness.servers import start_redis

GET = b"*2\r\n$3\r\nGET\r\n$4\r\nkey1\r\n"
BEFORE, AFTER = 7, 11


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def metric(port, name):
    """Sum of a family's samples; None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as r:
            lines = r.read().decode().splitlines()
    except OSError:
        return None
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def exchange(sock, count):
    for _ in range(count):
        sock.sendall(GET)
        assert sock.recv(100) == b"$-1\r\n"


def test_a_killed_engine_comes_back(start, plumb, folder):
    redis = start(start_redis)
    port = free_port()
    p = plumb(command="run", pids=[redis.pid], output=None, args=["--metrics", f"127.0.0.1:{port}", "--spool", "", "--console", "--record", folder / "r.plumb"])
    family = "plumb_db_server_operation_duration_seconds_count"
    with socket.create_connection(("127.0.0.1", redis.port)) as sock:
        client = f"127.0.0.1:{sock.getsockname()[1]}"
        exchange(sock, BEFORE)
        wait_until(lambda: metric(port, family) == BEFORE, f"{BEFORE} exchanges", alive=p)

        engine, = children(p.pid)
        os.kill(engine, signal.SIGKILL)  # ours: this test's plumb started it
        wait_until(lambda: metric(port, "plumb_engine_restarts_total") == 1, "the engine to come back", alive=p)
        assert children(p.pid) != [engine]

        exchange(sock, AFTER)  # on the connection that is older than this engine
        wait_until(lambda: metric(port, family) == AFTER, f"{AFTER} exchanges after the restart", alive=p)
    assert p.stop() == 0, p.tail()
    lines = [line for line in p.out.read_text().splitlines() if "GET" in line and client in line]
    assert len(lines) == BEFORE + AFTER, p.out.read_text()
    assert all("redis-server" in line for line in lines), lines
    # What the first engine wrote is evidence (its last second was in its memory): the second one writes beside it.
    assert (folder / "r.plumb").read_bytes()[:8] == (folder / "r.plumb.1").read_bytes()[:8]
    assert (folder / "r.plumb.1").stat().st_size > 300
