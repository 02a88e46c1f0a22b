# SPDX-License-Identifier: Apache-2.0
"""The engine is killed while it works: it comes back, knows the connections that are open, and says what it lost."""
import os
import signal
import socket
import urllib.request

from harness.backends import Collector
from harness.process import free_port, wait_until
from harness.servers import start_redis

GET = b"*2\r\n$3\r\nGET\r\n$4\r\nkey1\r\n"
BEFORE, AFTER = 7, 11


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def metric(port, name, having=""):
    """Sum of a family's samples whose labels have this; None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as r:
            lines = r.read().decode().splitlines()
    except OSError:
        return None
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and having in line)


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


def test_spans_in_the_memory_of_a_killed_engine_are_counted(start, plumb, folder):
    """Sent, found in the spool and lost are together what was made."""
    redis, port, collector = start(start_redis), free_port(), Collector()
    fast = [x for s in ("interval=50ms", "retry_initial=20ms", "retry_max=50ms") for x in ("--set", f"sinks.otlp.{s}")]
    lost = 'plumb_lost_total{reason="unsent_spans"}'
    restarts = 0

    def kill(p):
        nonlocal restarts
        engine, = children(p.pid)
        os.kill(engine, signal.SIGKILL)  # ours: this test's plumb started it
        restarts += 1
        wait_until(lambda: metric(port, "plumb_engine_restarts_total") == restarts, "the engine to come back", alive=p)

    def run(spool):
        nonlocal restarts
        restarts = 0
        return plumb(command="run", pids=[redis.pid], output=None, args=["--metrics", f"127.0.0.1:{port}", "--spool", spool, *fast],
                     env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})

    with socket.create_connection(("127.0.0.1", redis.port)) as sock:
        p = run("")
        exchange(sock, 211)  # nobody takes them, there is no spool: they stay in memory
        wait_until(lambda: metric(port, "plumb_otlp_spans_accepted_total") == 211, "211 spans", alive=p)
        kill(p)
        wait_until(lambda: metric(port, lost) == 211, "211 lost spans", alive=p)
        collector.here()
        exchange(sock, 101)
        wait_until(lambda: metric(port, "plumb_otlp_spans_exported_total") == 101, "101 spans at the collector", alive=p)
        kill(p)
        collector.away()
        exchange(sock, 7)
        wait_until(lambda: metric(port, "plumb_otlp_spans_accepted_total") == 7, "7 spans", alive=p)
        kill(p)
        wait_until(lambda: metric(port, lost) == 218, "218 lost spans", alive=p)
        assert p.stop() == 0, p.tail()
        assert (collector.spans, p.err.read_text().count("spans that the engine had not sent yet and 0 requests")) == (101, 2)

        p = run(folder / "spool")
        exchange(sock, 53)
        wait_until(lambda: metric(port, "plumb_otlp_spans_spooled") == 53, "53 spans on disk", alive=p)
        kill(p)
        collector.here()
        wait_until(lambda: collector.spans == 101 + 53, "the spooled spans", alive=p)
        assert metric(port, lost) == 0
        assert p.stop() == 0, p.tail()
    collector.away()
