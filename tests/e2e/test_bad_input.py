# SPDX-License-Identifier: Apache-2.0
"""Hostile and broken input through the command line, under ASan and UBSan: an error or a counted loss, bounded memory, never a crash."""
import random
import re
import subprocess
import sys

import pytest

from harness.capture import CLIENT, SERVER, Conversation
from harness.plumb import PLUMB, PLUMB_ASAN, missing_rights, replay
from harness.spans import parse

SANITIZER = re.compile(rb"AddressSanitizer|runtime error:|LeakSanitizer")
SEED = 23
REQUEST = b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1 << 20
# 10,000 open exchanges of 2,272 bytes are 22 MiB of it; the whole program takes 34 MiB with them, 11 MiB with ten.
PEAK_BYTES = 48 * MIB


def run(path, *args):
    assert PLUMB_ASAN.exists(), "build/asan/plumb is missing: run make SAN=1 build"
    done = replay(path, *args, program=PLUMB_ASAN, env={"ASAN_OPTIONS": "detect_leaks=1:max_allocation_size_mb=512", "UBSAN_OPTIONS": "halt_on_error=1"})
    assert not SANITIZER.search(done.stderr), done.stderr.decode(errors="replace")[:4000]
    assert done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr.decode(errors='replace')[:2000]}"
    if done.returncode:
        assert done.stderr.startswith(b"plumb"), "an error without a sentence"
    return done


def spans_of(path, *args):
    done = run(path, *args)
    assert done.returncode == 0, done.stderr.decode()
    return parse(done.stdout.decode())


def metrics_of(path):
    """Name with labels -> value."""
    out = path.with_suffix(".prom")
    run(path, "--metrics-out", out)
    lines = [line.rsplit(" ", 1) for line in out.read_text().splitlines() if line.startswith("plumb_")]
    return {name: float(value) for name, value in lines}


# The kernel counts what a process had before its exec as its own: measured from here it would be pytest's 150 MiB. A bare interpreter has 10.
MEASURE = """import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
sys.stderr.write(f"\\n{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss}")"""


def peak_memory(path):
    """Most resident bytes of the plain build."""
    command = [sys.executable, "-I", "-S", "-c", MEASURE, str(PLUMB), "replay", str(path), "--output", "json"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    code, kib = done.stderr.split(b"\n")[-1].split()
    assert int(code) == 0, done.stderr.decode()
    return int(kib) * 1024


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    conversation = Conversation()
    for i in range(23):
        conversation.send(CLIENT, REQUEST.replace(b"7", b"%d" % (100 + i)) if i % 5 else b"x").send(SERVER, RESPONSE)
    return conversation.close().write(tmp_path_factory.mktemp("capture") / "capture.pcap")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Of a live run: a few requests to a real server."""
    if missing_rights():
        pytest.skip(missing_rights())
    from harness import servers
    from harness.driver import python_driver
    from harness.plumb import Plumb

    folder = tmp_path_factory.mktemp("recording")
    folder.chmod(0o755)
    path = folder / "run.plumb"
    server = servers.start_redis(folder)
    driver = python_driver(folder, "redis_driver.py", server.port)
    p = Plumb(folder, pids=[server.pid, driver.pid], args=["--record", path])
    driver.go()
    p.wait_spans(280)
    assert len(p.finish()) == 280
    server.stop()
    return path


def damage(data, rng):
    """One of the ways in which files break."""
    kind = rng.randrange(5)
    at = rng.randrange(len(data))
    if kind == 0:  # cut
        return data[:at]
    if kind == 1:  # a few bytes wrong
        out = bytearray(data)
        for _ in range(rng.randrange(1, 20)):
            out[rng.randrange(len(out))] = rng.randrange(256)
        return bytes(out)
    if kind == 2:  # a piece missing
        return data[:at] + data[at + rng.randrange(1, 4096):]
    if kind == 3:  # a piece twice
        return data[:at] + data[max(0, at - 4096):]
    length = rng.randrange(1, 4096)  # a piece of noise
    return data[:at] + rng.randbytes(length) + data[at + length:]


def test_damaged_captures(capture, tmp_path):
    rng, data = random.Random(SEED), capture.read_bytes()
    for i in range(67):
        path = tmp_path / "damaged.pcap"
        path.write_bytes(damage(data, rng))
        run(path)


def test_damaged_recordings(recording, tmp_path):
    rng, data = random.Random(SEED), recording.read_bytes()
    whole = spans_of(recording)
    assert len(whole) == 280
    for i in range(67):
        path = tmp_path / "damaged.plumb"
        path.write_bytes(damage(data, rng))
        done = run(path)
        assert len(done.stdout.splitlines()) <= 2 * len(whole)


@pytest.mark.parametrize("head", [b"", b"\x89PLUMB\r\n", b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a"])
def test_noise_behind_every_magic(tmp_path, head):
    rng = random.Random(SEED)
    for i in range(13):
        path = tmp_path / "noise"
        path.write_bytes(head + rng.randbytes(rng.randrange(0, 30_000)))
        done = run(path)
        assert done.stdout == b""
        assert done.returncode == 1 or head, "noise was taken for a file that plumb knows"


def test_an_empty_file_and_none(tmp_path):
    (tmp_path / "empty").touch()
    for path in (tmp_path / "empty", tmp_path / "nothing", tmp_path):
        done = run(path)
        assert done.returncode == 1 and done.stderr.count(b"\n") == 1


def test_a_header_line_of_1_mib(tmp_path):
    long = b"GET /items/7 HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * MIB + b"\r\n\r\n"
    conversation = Conversation().send(CLIENT, REQUEST).send(SERVER, RESPONSE).send(CLIENT, long).send(SERVER, RESPONSE).send(CLIENT, REQUEST).send(SERVER, RESPONSE)
    path = conversation.close().write(tmp_path / "long.pcap")
    spans = spans_of(path)
    assert peak_memory(path) <= PEAK_BYTES
    assert [(s["http.response.status_code"], s.path) for s in spans] == [(200, "/items/7")] * 3


def test_a_request_line_of_1_mib(tmp_path):
    long = b"GET /items/" + b"7" * MIB + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    conversation = Conversation().send(CLIENT, REQUEST).send(SERVER, RESPONSE).send(CLIENT, long).send(SERVER, RESPONSE.replace(b"200 OK", b"414 URI Too Long"))
    spans = spans_of(conversation.close().write(tmp_path / "long.pcap"))
    assert [s["http.response.status_code"] for s in spans] == [200, 414]
    assert all(len(s.path) < 10_000 for s in spans)


def test_10000_pipelined_requests(tmp_path):
    conversation = Conversation()
    conversation.send(CLIENT, b"".join(REQUEST.replace(b"/7", b"/%d" % (100_000 + i)) for i in range(10_000)))
    conversation.send(SERVER, RESPONSE * 10_000)
    path = conversation.close().write(tmp_path / "pipelined.pcap")
    spans, metrics = spans_of(path), metrics_of(path)
    assert peak_memory(path) <= PEAK_BYTES
    # At most so many exchanges of a connection may be open at once: what is beyond is counted, and nothing is given a wrong response.
    refused = sum(v for k, v in metrics.items() if k.startswith("plumb_exchanges_refused_total"))
    assert len(spans) + refused == 10_000, (len(spans), refused)
    assert [s.path for s in spans] == [f"/items/{100_000 + i}" for i in range(len(spans))]
    assert {s["http.response.status_code"] for s in spans} == {200}


@pytest.mark.parametrize("sender", [CLIENT, SERVER])
def test_garbage_in_the_middle(tmp_path, sender):
    garbage = random.Random(SEED).randbytes(7001)
    conversation = Conversation()
    for i in range(11):
        conversation.send(CLIENT, REQUEST).send(SERVER, RESPONSE)
    conversation.send(sender, garbage)
    for i in range(11):
        conversation.send(CLIENT, REQUEST).send(SERVER, RESPONSE)
    path = conversation.close().write(tmp_path / "garbage.pcap")
    spans, metrics = spans_of(path), metrics_of(path)
    good = [s for s in spans if s.path == "/items/7" and s["http.response.status_code"] == 200]
    assert len(good) >= 21, [(s.name, s.attrs) for s in spans]
    assert len(spans) <= 23
    resyncs = sum(v for k, v in metrics.items() if k.startswith("plumb_resyncs_total"))
    assert 1 <= resyncs <= 10, f"{resyncs} resyncs"
