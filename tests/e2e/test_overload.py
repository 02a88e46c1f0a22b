# SPDX-License-Identifier: Apache-2.0
"""Under overload every I/O is either seen or counted as dropped, exactly, and the application notices nothing; afterwards tracing is exact again."""
import json
import os
import signal
import subprocess
import urllib.request

import pytest

from harness.process import BUILD, REPO, descendants, free_port, wait_until
from harness.spans import CLIENT, SERVER

PROGRAMS = [BUILD / "tests/e2e" / n for n in ("overload", "paths")]
SIZE = 4099  # prime: a sum that fits by chance is unlikely
RUNGS = ("sock_length", "sys_exit")


@pytest.fixture(scope="module")
def programs():
    subprocess.run(["make", "-s", "SETUP=0", *(str(p.relative_to(REPO)) for p in PROGRAMS)], cwd=REPO, check=True)
    return PROGRAMS


class Sums:
    def __init__(self, port):
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
        self.seen = sum(int(v) for k, v in values.items() if k.startswith("plumb_stream_bytes_total"))
        self.dropped = int(values.get('plumb_lost_total{reason="ring_full"}', 0))
        self.dropped_bytes = int(values.get('plumb_lost_total{reason="ring_full_bytes"}', 0))
        self.other = {k: v for k, v in values.items() if any(k == f'plumb_lost_total{{reason="{r}"}}' for r in ("nested", "storage", "fault")) and v != "0"}

    def __repr__(self):
        return str(vars(self))


def flood(driver, count):
    before = len(driver.out.read_text().splitlines())
    driver.popen.stdin.write(f"flood {count} {SIZE}\n".encode())
    driver.popen.stdin.flush()
    wait_until(lambda: len(driver.out.read_text().splitlines()) > before and driver.out.read_text().endswith("\n"), "end of the flood", alive=driver)
    done = json.loads(driver.out.read_text().splitlines()[-1])
    assert done == {"writes": count, "written": count * SIZE, "reads": count, "read": count * SIZE, "errors": 0}
    return 2 * count


def settled(port, calls):
    """Waits until the sum is whole; what it then is, or never became, is the caller's to compare."""
    try:
        wait_until(lambda: (lambda s: s.seen + s.dropped_bytes >= calls * SIZE)(Sums(port)), "sums", 15)
    except AssertionError:
        pass
    return Sums(port)


@pytest.mark.live
@pytest.mark.parametrize("rung", RUNGS)
def test_seen_and_dropped_are_sent(programs, start, plumb, rung):
    overload, paths = programs
    driver = start.process("overload", [overload], stdin=subprocess.PIPE)
    after = start.process("paths", [paths, "write-read", "sendmsg-recvmsg", "preopened-tcp", "threads"], stdin=subprocess.PIPE)
    for p in (driver, after):
        wait_until(lambda p=p: "ready" in p.err.read_text(), "the driver", alive=p)
    port = free_port()
    tracer = plumb(pids=[driver.pid, after.pid],
                   args=["--metrics", f"127.0.0.1:{port}", "--set", "capture.ring_size=64KiB", "--set", f"capture.socket_data={rung}"])

    # The consumer stands still: what the rings do not hold is dropped.
    engine = [p for p in descendants(tracer.pid) if p != tracer.pid]
    assert len(engine) == 1, engine
    os.kill(engine[0], signal.SIGSTOP)
    try:
        calls = flood(driver, 10007)
    finally:
        os.kill(engine[0], signal.SIGCONT)
    sums = settled(port, calls)
    assert sums.dropped > calls // 2, sums
    assert (sums.seen + sums.dropped_bytes, sums.dropped * SIZE, sums.other) == (calls * SIZE, sums.dropped_bytes, {}), sums

    # The consumer runs, as fast as it can.
    calls += flood(driver, 20011)
    sums = settled(port, calls)
    assert (sums.seen + sums.dropped_bytes, sums.dropped * SIZE, sums.other) == (calls * SIZE, sums.dropped_bytes, {}), sums

    # What follows is traced as if nothing had been.
    after.popen.stdin.write(b"go\n")
    after.popen.stdin.close()
    assert after.wait() == 0, after.tail()
    truth = [json.loads(line) for line in after.out.read_text().splitlines()]
    assert len(truth) == 8
    tracer.wait_spans(2 * len(truth), lambda s: s.path.startswith("/paths/"))
    spans = tracer.finish()
    said = tracer.err.read_text()
    assert f"ring_full {sums.dropped}" in said and " records were lost (" in said.splitlines()[-1] and "capture.ring_size" in said.splitlines()[-1], said
    for t in truth:
        for kind in (CLIENT, SERVER):
            mine = [s for s in spans if s.path == t["path"] and s.kind == kind]
            assert [(s["http.response.status_code"], s["http.request.body.size"], s["http.response.body.size"], s["plumb.incomplete"]) for s in mine] == [
                (t["status"], t["request_body"], t["response_body"], None)], (t, mine)
    driver.popen.stdin.close()
    assert driver.wait() == 0
