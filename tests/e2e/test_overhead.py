# SPDX-License-Identifier: Apache-2.0
"""plumb keeps within its overhead budget: it gives up in the documented order, says so, counts what it does not look at exactly, and restores."""
import contextlib
import socket
import time

from harness.process import free_port, wait_until
from harness.servers import start_redis
from test_restart import GET, metric

CONNECTIONS = 37
SEEN = "plumb_db_server_operation_duration_seconds_count"
SHED = 'plumb_lost_total{reason="shed"}'


class Load:
    """One request a turn on each of many connections; knows how many it made."""

    def __init__(self, port, stack):
        self.sent = self.errors = 0
        self.sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(CONNECTIONS)]

    def turns(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for s in self.sockets:
                s.sendall(GET)
            self.sent += CONNECTIONS
            self.errors += sum(s.recv(100) != b"$-1\r\n" for s in self.sockets)


def begin(start, plumb, share):
    redis = start(start_redis)
    port = free_port()
    return redis, port, plumb(command="run", pids=[redis.pid], output=None, args=["--metrics", f"127.0.0.1:{port}", "--spool", "", "--max-overhead", share])


def test_over_budget_connections_are_left_out_and_counted(start, plumb):
    redis, port, p = begin(start, plumb, "2%")
    with contextlib.ExitStack() as stack:
        load = Load(redis.port, stack)

        def busy_until(condition):
            load.turns(0.2)
            return condition()

        wait_until(lambda: busy_until(lambda: metric(port, "plumb_shed_level") >= 2), "connections to be left out", 60, alive=p)
        load.turns(1)
        assert load.errors == 0
        wait_until(lambda: metric(port, SEEN) + metric(port, SHED) == load.sent, f"seen and shed to be the {load.sent} that were sent", alive=p)
        assert metric(port, SHED) > 0
        assert metric(port, "plumb_overhead_budget_ratio") == 0.02
        # It says so; asking its metrics over and over would be a load.
        wait_until(lambda: "of this machine: " in p.err.read_text(), "something to be restored", 120, alive=p)
        # What is restored is restored from a request's first byte on, on connections that stayed open.
        load.turns(0.2)
        wait_until(lambda: metric(port, SEEN) + metric(port, SHED) == load.sent, f"seen and shed to be the {load.sent} that were sent", alive=p)
        assert metric(port, "plumb_unanswered_total") == 0
    assert p.stop() == 0
    said = p.err.read_text()
    assert "may take 2.0 %: at most 1024 bytes of each I/O are captured, and one connection of " in said
    assert "level" not in said


def test_without_a_limit_nothing_is_given_up(start, plumb):
    redis, port, p = begin(start, plumb, "100%")
    with contextlib.ExitStack() as stack:
        load = Load(redis.port, stack)
        load.turns(6)
        wait_until(lambda: metric(port, SEEN) == load.sent, f"{load.sent} exchanges", 20, alive=p)
        assert (metric(port, SHED), metric(port, "plumb_shed_level"), metric(port, "plumb_overhead_budget_ratio")) == (0, 0, 1)
        assert 0 < metric(port, "plumb_overhead_ratio") < 1
