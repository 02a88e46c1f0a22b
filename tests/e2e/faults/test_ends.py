# SPDX-License-Identifier: Apache-2.0
"""Who ends while requests pass: the engine, the probe, plumb as a whole. Each request is seen or counted, and the application notices nothing."""
import os
import re
import signal
import subprocess
import time

import pytest

from harness.load import SIDES, Seen, spooled
from harness.process import free_port, wait_until
from harness.servers import need
from harness.spans import CLIENT

RATE = 997


def kernel_ids(pid):
    """BPF programs and maps that a process holds: {("prog", id)}"""
    ids = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{name}") as f:
                ids |= {(m[1], int(m[2])) for m in re.finditer(r"^(prog|map)_id:\s+(\d+)", f.read(), re.M)}
        except OSError:
            pass  # closed meanwhile
    return ids


def exists(kind, number):
    return subprocess.run([need("bpftool", "bpftool"), kind, "show", "id", str(number)], capture_output=True).returncode == 0


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_engine_killed_under_load(agent, load, collector):
    p = agent(collector.here().url)
    load.tell(f"load 0 3 {RATE}")
    for restarts in (1, 2):
        # Right after a delivery that the engine knows of: what it then has in memory is lost, and nothing is in between.
        before = collector.spans
        wait_until(lambda: collector.spans > before + 500, "spans at the collector", alive=p)
        wait_until(lambda: (lambda b: b["exported"] and b["queued"] < 300)(p.books()), "the engine's books", alive=p)
        os.kill(p.engine, signal.SIGKILL)  # ours: this test's plumb started it
        p.wait_sum("plumb_engine_restarts_total", restarts)
    first = collector.spans
    wait_until(lambda: collector.spans > first + 500, "spans of the third engine", alive=p)
    load.tell("end")
    report = load.answer()
    wait_until(lambda: (lambda b: b["exported"] == b["accepted"])(p.books()), "all at the collector", alive=p)
    samples = p.samples()
    spans, requests, records = (p.sum(f'plumb_lost_total{{reason="{r}"}}', samples) for r in ("unsent_spans", "open_requests", "engine_restart"))
    lost = spans + requests
    assert p.stop() == 0, p.tail()
    seen = Seen(collector)
    seen.not_twice()
    missing = sum(len(seen.missing(side, report["sent"])) for side in SIDES)
    # A request that was open is lost to its engine; the next one may see the rest of it, and then it is there without a path.
    assert lost - seen.without_path <= missing <= lost + records, (lost, records, missing, seen.without_path, report)
    assert 0 < missing < report["sent"]
    assert p.sum('plumb_lost_total{reason="ring_full', samples) == 0, samples


def test_probe_killed(agent, load, collector, folder):
    spool, port = folder / "spool", free_port()
    p = agent(collector.here().url, spool=spool, port=port)
    first = load.do("load 503 3 0")
    engine, ids = p.engine, kernel_ids(p.pid)
    assert {kind for kind, _ in ids} == {"prog", "map"} and all(exists(*i) for i in ids), ids
    p.popen.kill()
    p.popen.wait()
    # A new one begins at once, where the old one's engine may still be sending what it has.
    second = agent(collector.url, spool=spool, port=port)
    wait_until(lambda: gone(engine), "the end of the engine without a probe", 10)
    wait_until(lambda: not [i for i in ids if exists(*i)], "the end of its BPF programs and maps", 10)
    load.do("load 307 3 0")
    wait_until(lambda: collector.spans >= 2 * 810, "spans", alive=second)
    assert second.stop() == 0, second.tail()
    seen = Seen(collector)
    seen.once(1, first["sent"] + 307)
    assert sum(collector.seen.values()) == 2 * 810


def ended_within(p, how=signal.SIGTERM):
    began = time.monotonic()
    assert p.stop(how) == 0, p.tail()
    return time.monotonic() - began


@pytest.mark.parametrize("state", ["here", "away", "silent"])
def test_told_to_end_under_load(agent, load, collector, folder, state):
    spool = folder / "spool"
    if state == "here":
        collector.here()
    elif state == "silent":
        collector.silent()
    p = agent(collector.url, spool=spool)
    load.tell(f"load 0 3 {RATE}")
    wait_until(lambda: p.sum("plumb_otlp_spans_accepted_total") > 2 * RATE, "spans", alive=p)
    settled = load.mark()
    took = ended_within(p)
    load.tell("end")
    load.answer()
    assert took < 5, f"{took:.1f} s"
    delivered = spooled(spool)
    assert "were not delivered" not in p.err.read_text()
    if state == "here":
        assert delivered == 0
    else:
        assert collector.spans == 0
        collector.away()
        p = agent(collector.here().url, spool=spool)
        wait_until(lambda: collector.spans >= delivered, "what waited", alive=p)
        assert p.stop() == 0
        assert spooled(spool) == 0 and collector.spans == delivered
    seen = Seen(collector)
    seen.once(1, settled)


def test_told_to_end_without_a_spool(agent, load, collector):
    """What nobody took and nothing keeps is told, to the span."""
    p = agent(collector.url)
    load.do("load 1009 3 0")
    p.wait_sum("plumb_otlp_spans_accepted_total", 2018)
    took = ended_within(p)
    assert took < 5, f"{took:.1f} s"
    assert re.search(r"otlp: 2018 spans were not delivered and are lost", p.err.read_text()), p.tail()


def test_restart_under_load(agent, load, collector, folder):
    spool, port = folder / "spool", free_port()
    collector.here()
    load.tell(f"load 0 3 {RATE}")
    spans = []
    for _ in range(3):
        p = agent(collector.url, spool=spool, port=port)
        begun = load.mark() + 1 + 3  # those that were open may be seen in half
        p.wait_sum("plumb_otlp_spans_accepted_total", RATE + 211)  # in the middle of a batch
        spans.append((begun, load.mark()))
        assert ended_within(p) < 5
    load.tell("end")
    load.answer()
    seen = Seen(collector)
    for begun, ended in spans:
        seen.once(begun, ended)
    # Where a run begins, a request may be seen from its middle on: one of each connection, at each side.
    assert seen.without_path <= 3 * 2 * len(spans), seen.without_path
    assert spooled(spool) == 0


def test_upgrade_in_place(agent, load, collector, folder):
    """The next version starts with the same configuration while this one runs; then this one is told to end."""
    spool, port = folder / "spool", free_port()
    new_collector = type(collector)()
    load.tell(f"load 0 3 {RATE}")
    first = agent(collector.here().url, spool=spool, port=port)
    begun = load.mark() + 1 + 3
    first.wait_sum("plumb_otlp_spans_accepted_total", RATE)
    try:
        second = agent(new_collector.here().url, spool=spool, port=port)
        overlap = load.mark() + 1 + 3
        assert "another" in second.err.read_text(), "it must say what it waits for"
        wait_until(lambda: new_collector.spans > RATE / 2, "spans of the second", alive=second)
        ended = load.mark()
        assert ended_within(first) < 5
        wait_until(lambda: second.sum("plumb_otlp_spans_accepted_total") > RATE, "the second's metrics at the first's port", 10, alive=second)
        last = load.mark()
        load.tell("end")
        load.answer()
        assert ended_within(second) < 5
    finally:
        new_collector.away()
    Seen(collector).once(begun, ended)
    Seen(new_collector).once(overlap, last)  # no gap at all: it began before the first one ended
    assert overlap < ended
    assert spooled(spool) == 0


def cgroup(name):
    """A memory cgroup of our own: (folder, file of its limit, file of its use)."""
    v1 = "/sys/fs/cgroup/memory"
    v2 = next((p for p in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(f"{p}/cgroup.controllers")), None)
    try:
        if os.path.exists(f"{v1}/memory.limit_in_bytes"):
            path, limit, use = f"{v1}/{name}", "memory.limit_in_bytes", "memory.usage_in_bytes"
        elif v2 and "memory" in open(f"{v2}/cgroup.subtree_control").read().split():
            path, limit, use = f"{v2}/{name}", "memory.max", "memory.current"
        else:
            pytest.skip("no memory cgroup controller on this machine, neither v1 nor v2")
        os.mkdir(path)
    except OSError as e:
        pytest.skip(f"cannot make a memory cgroup: {e}")
    return path, f"{path}/{limit}", f"{path}/{use}"


def oom_score_adj(pid):
    with open(f"/proc/{pid}/oom_score_adj") as f:
        return int(f.read())


def test_engine_out_of_memory(agent, load, collector):
    group, limit, use = cgroup(f"plumb-test-{os.getpid()}")
    join = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
    p = agent(collector.here().url, prefix=join, args=["--set", "limits.buffer_bytes=1GiB"])
    try:
        load.do("load 101 1 0")
        wait_until(lambda: collector.spans == 202, "spans", alive=p)
        engine = p.engine
        assert oom_score_adj(engine) > oom_score_adj(p.pid), "the probe must be the last to go"
        with open(limit, "w") as f, open(use) as u:
            f.write(str(int(u.read()) + (4 << 20)))
        # Heads that do not end wait in the engine: more of them than it may have memory.
        held = load.do("hold 1009 60000")
        p.wait_sum("plumb_engine_restarts_total", 1)
        assert gone(engine) and p.popen.poll() is None
        with open(limit, "w") as f:
            f.write("1G")
        load.do("release")
        wait_until(lambda: p.samples(), "an engine that answers", alive=p)
        after = load.do("load 503 3 0")
        first, last = after["first"], after["first"] + after["sent"] - 1
        assert first == 101 + held["requests"] + 1
        wait_until(lambda: not Seen(collector).missing(CLIENT, last, first), "spans after it", alive=p)
    finally:
        status = p.stop()
        os.rmdir(group)
    assert status == 0, p.tail()
    seen = Seen(collector)
    seen.once(1, 101)
    seen.once(first, last)
