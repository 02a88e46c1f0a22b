# SPDX-License-Identifier: Apache-2.0
"""What sockets seldom do: calls that are given up, connections that are reset before they are looked at, bytes that leave a socket unseen."""
import pytest

from harness.driver import Driver
from harness.process import APPS, BUILD, free_port
from harness.spans import CLIENT, SERVER, describe

pytestmark = pytest.mark.live


def driver(start, port, what):
    folder = start.folder()
    return Driver(folder, f"sockets-{what}", ["/usr/bin/env", "-C", folder, BUILD / "venv/bin/python", "-u", APPS / "sockets.py", port, what])


def test_a_call_that_is_given_up_ends_with_close(start, plumb):
    d = driver(start, free_port(), "give_up")
    p = plumb(pids=[d.pid])
    (took,) = d.go()
    p.wait_spans(1)  # the kernel may hear of the server's end after it is gone
    (span,) = [s for s in p.finish() if s.kind == CLIENT]
    assert (span.path, span["error.type"]) == ("/silent", "connection_closed"), describe([span])
    assert abs(span.duration_ns - took["ns"]) < max(1_000_000, took["ns"] // 20), (span.duration_ns, took)


@pytest.mark.parametrize("side", ["--port", "--exclude-port"])
def test_a_reset_before_the_first_look(start, plumb, side):
    port = free_port()
    d = driver(start, port, "reset")
    p = plumb(args=[side, port])
    d.go()
    spans = [s for s in p.finish() if s.path.startswith("/reset/")]
    seen = sorted(s.path for s in spans if s.kind == SERVER)
    assert seen == ([f"/reset/{i}" for i in range(5)] if side == "--port" else []), describe(spans)
    assert side == "--port" or not spans, describe(spans)


def test_gigabytes_that_leave_unseen(start, plumb):
    d = driver(start, free_port(), "unseen")
    p = plumb(pids=[d.pid])
    d.go()
    spans = p.finish()
    for kind in (CLIENT, SERVER):
        after = [(s.path, s["http.response.status_code"], s["error.type"], s["plumb.incomplete"]) for s in spans if s.kind == kind and s.path != "/long"]
        assert sorted(after) == [(f"/after/{i}", 200, None, None) for i in range(5)], describe(spans)
