# SPDX-License-Identifier: Apache-2.0
"""Every way by which bytes enter or leave a socket yields its spans, on each rung of the ladder, or is listed here and by `plumb doctor` as one whose payload
cannot be read: then exactly what remains visible is asserted."""
import json
import subprocess
import urllib.request

import pytest

from harness.paths import check_run
from harness.process import BUILD, REPO, free_port, wait_until

PATHS = BUILD / "tests/e2e/paths"
RUNGS = ("sock_length", "sys_exit")  # served by the kernels that plumb is developed on; tests/kernels has every kernel and rung
MORE = ("sock_msg",)

@pytest.fixture(scope="module")
def program():
    subprocess.run(["make", "-s", "SETUP=0", str(PATHS.relative_to(REPO))], cwd=REPO, check=True)
    return PATHS


def refused(rung):
    """Why this kernel does not offer a rung, or None."""
    doctor = json.loads(subprocess.run([BUILD / "plumb", "doctor", "--output", "json"], capture_output=True, text=True, timeout=60).stdout)
    way = next(w for f in doctor["features"] for w in f["ways"] if w["name"] == rung)
    return None if way["state"] == "works" else way["why"]


@pytest.fixture(params=RUNGS + MORE)
def run(request, program, start, plumb):
    """The program's truth and plumb's spans and metrics, of one rung."""
    if request.param in MORE and refused(request.param):
        pytest.skip(f"{request.param}: {refused(request.param)}")
    driver = start.process("paths", [program], stdin=subprocess.PIPE)
    wait_until(lambda: "ready" in driver.err.read_text(), "open connections", alive=driver)
    port = free_port()
    # Rings that hold all of it, however busy the machine is: loss has its own test.
    tracer = plumb(pids=[driver.pid], args=["--metrics", f"127.0.0.1:{port}", "--set", f"capture.socket_data={request.param}"])
    driver.popen.stdin.write(b"go\n")
    driver.popen.stdin.close()
    assert driver.wait() == 0, driver.tail()
    truth = [json.loads(line) for line in driver.out.read_text().splitlines()]
    last = next(t for t in truth if t["case"] == "dns-sendmmsg")["name"]
    tracer.wait_spans(4, lambda s: s["dns.question.name"] == last)
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    return request.param, truth, tracer.finish(), metrics


@pytest.mark.live
def test_every_path(run):
    rung, truth, spans, metrics = run
    listed = subprocess.run([PATHS, "--list"], capture_output=True, text=True, check=True).stdout.split()
    check_run(rung, listed, truth, spans, metrics)


@pytest.mark.live
def test_doctor_lists_what_is_not_read():
    """What this file calls lengths only, doctor tells the operator."""
    done = subprocess.run([BUILD / "plumb", "doctor"], capture_output=True, text=True, timeout=60)
    for name in ("sendfile", "splice", "io_uring"):
        assert name in done.stdout, done.stdout + done.stderr
