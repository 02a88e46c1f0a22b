# SPDX-License-Identifier: Apache-2.0
"""plumb keeps within its overhead budget: it gives up in the documented order, says so, counts what it does not look at exactly, and restores."""
import contextlib
import socket
import time

import pytest

from harness.process import free_port, wait_until
from harness.servers import start_go, start_redis
from test_restart import GET, metric

CONNECTIONS = 37
SHED = 'plumb_lost_total{reason="shed"}'


class Redis:
    start, request, seen = start_redis, GET, "plumb_db_server_operation_duration_seconds_count"

    @staticmethod
    def is_answer(reply):
        return reply == b"$-1\r\n"


class Http:
    start, request, seen = start_go, b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n", "http_server_request_duration_seconds_count"

    @staticmethod
    def is_answer(reply):
        return reply.startswith(b"HTTP/1.1 200 ")


class Load:
    """One request a turn on each of many connections; knows how many it made."""

    def __init__(self, what, port, stack):
        self.what, self.sent, self.errors = what, 0, 0
        self.sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(CONNECTIONS)]

    def turns(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for s in self.sockets:
                s.sendall(self.what.request)
            self.sent += CONNECTIONS
            self.errors += sum(not self.what.is_answer(s.recv(9999)) for s in self.sockets)


def begin(start, plumb, share, what=Redis):
    server = start(what.start)
    port = free_port()
    return server, port, plumb(command="run", pids=[server.pid], output=None, args=["--metrics", f"127.0.0.1:{port}", "--spool", "", "--max-overhead", share])


@pytest.mark.parametrize("what", [Redis, Http])
def test_over_budget_connections_are_left_out_and_counted(start, plumb, what):
    server, port, p = begin(start, plumb, "2%", what)

    def counted():
        return metric(port, what.seen) + metric(port, SHED)

    with contextlib.ExitStack() as stack:
        load = Load(what, server.port, stack)

        def busy_until(condition):
            load.turns(0.2)
            return condition()

        wait_until(lambda: busy_until(lambda: metric(port, "plumb_shed_level") >= 2), "connections to be left out", 60, alive=p)
        load.turns(1)
        assert load.errors == 0
        wait_until(lambda: counted() == load.sent, f"seen and shed to be the {load.sent} that were sent", alive=p)
        assert metric(port, SHED) > 0
        assert metric(port, "plumb_overhead_budget_ratio") == 0.02
        # It says so; asking its metrics over and over would be a load.
        wait_until(lambda: "of this machine: " in p.err.read_text(), "something to be restored", 120, alive=p)
        # What is restored is restored from a request's first byte on, on connections that stayed open.
        load.turns(0.2)
        wait_until(lambda: counted() == load.sent, f"seen and shed to be the {load.sent} that were sent", alive=p)
        assert metric(port, "plumb_unanswered_total") == 0
        # Nor is anything made up when the connections end, whether they were looked at last or not.
    wait_until(lambda: metric(port, "plumb_connections_active") == 0, "connections to end", alive=p)
    assert counted() == load.sent
    assert p.stop() == 0
    said = p.err.read_text()
    assert "may take 2.0 %: at most 1024 bytes of each I/O are captured, and one connection of " in said
    assert "level" not in said


def test_without_a_limit_nothing_is_given_up(start, plumb):
    server, port, p = begin(start, plumb, "100%")
    with contextlib.ExitStack() as stack:
        load = Load(Redis, server.port, stack)
        load.turns(6)
        wait_until(lambda: metric(port, Redis.seen) == load.sent, f"{load.sent} exchanges", 20, alive=p)
        assert (metric(port, SHED), metric(port, "plumb_shed_level"), metric(port, "plumb_overhead_budget_ratio")) == (0, 0, 1)
        assert 0 < metric(port, "plumb_overhead_ratio") < 1
