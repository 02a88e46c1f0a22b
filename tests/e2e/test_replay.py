# SPDX-License-Identifier: Apache-2.0
"""A recording of a live run replays to the very lines of the live run, every time."""
import re

import pytest

from harness import servers
from harness.driver import http_driver, plan_10007, plan_23, python_driver
from harness.plumb import replay

pytestmark = pytest.mark.live


def check_replays(p, recording, at_least):
    p.wait_spans(at_least)
    assert len(p.finish()) >= at_least
    live = p.out.read_bytes()
    first, second = replay(recording), replay(recording)
    for r in (first, second):
        assert r.returncode == 0, r.stderr.decode()
        # Nothing but how many records there were: no damage, nothing cut.
        assert re.fullmatch(rb"plumb: replay: \S+: \d+ records\n", r.stderr), r.stderr.decode()
    assert first.stdout == second.stdout, "two replays of one file differ"
    mine, theirs = first.stdout.splitlines(), live.splitlines()
    differing = [(a, b) for a, b in zip(mine, theirs) if a != b]
    assert not differing, f"{len(differing)} of {len(theirs)} lines differ; the first:\nlive:   {differing[0][1]!r}\nreplay: {differing[0][0]!r}"
    assert first.stdout == live, f"{len(mine)} lines replayed of {len(theirs)} live ones"


def test_http_replays_bit_for_bit(start, plumb, folder):
    server = start(servers.start_nginx)
    driver = http_driver(start.folder(), server, 1, plan_23())
    recording = folder / "run.plumb"
    p = plumb(pids=[server.pid, driver.pid], args=["--record", recording])
    driver.go()
    check_replays(p, recording, 46)


def test_redis_replays_bit_for_bit(start, plumb, folder):
    server = start(servers.start_redis)
    driver = python_driver(start.folder(), "redis_driver.py", server.port)
    recording = folder / "run.plumb"
    p = plumb(pids=[server.pid, driver.pid], args=["--record", recording])
    driver.go()
    check_replays(p, recording, 280)


def test_a_busy_run_replays_bit_for_bit(start, plumb, folder):
    """On many connections, as fast as they go: what is lost on the way is lost in both."""
    server = start(servers.start_go)
    plan = plan_10007()[:3001]
    driver = http_driver(start.folder(), server, 64, plan)
    recording = folder / "run.plumb"
    p = plumb(pids=[server.pid, driver.pid], args=["--record", recording])
    driver.go()
    check_replays(p, recording, 1)
