# SPDX-License-Identifier: Apache-2.0
"""The engine without the kernel: a recording of each protocol's load, replayed on one core."""
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import loads
import measure
from tracers import PLUMB, REPO

EXCHANGES = int(os.environ.get("REPLAY_EXCHANGES", "200000"))
RUNS = int(os.environ.get("REPLAY_RUNS", "5"))
ENCODE = f"{REPO}/build/tests/bench/encode"
# Modules of this folder that write a capture: it is replayed where there is no load to record.
MADE = [importlib.import_module(path.stem) for path in sorted(pathlib.Path(__file__).parent.glob("*.py")) if "\ndef write_capture(" in path.read_text()]


def record(load, path):
    """Both ends of a connection are seen, so each request makes two exchanges."""
    args = [PLUMB, "record", "-p", str(os.getpid()), "-o", path, "--metrics", f"127.0.0.1:{measure.free_port()}"]
    plumb = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    measure.wait_for(lambda: measure.get(args[-1].split(":")[1], "/healthz"), "plumb recording")
    requests = 0
    while requests * 2 < EXCHANGES:
        requests += load.run(1)["requests"]
    plumb.send_signal(signal.SIGTERM)
    if plumb.wait(60):
        sys.exit("bench: plumb record failed")


def cpu_of(argv):
    before = measure.ended_children_s()
    out = subprocess.run(["taskset", "-c", "0", *argv], check=True, stdout=subprocess.PIPE, text=True).stdout
    return measure.ended_children_s() - before, out


def exchanges_of(path, folder):
    out = os.path.join(folder, "metrics")
    with open(os.devnull, "w") as null:
        subprocess.run([PLUMB, "replay", path, "--errors", "--log-level", "warn", "--metrics-out", out], check=True, stdout=null)
    return int(measure.total(measure.families(measure.read(out)), "plumb_exchanges_total"))


def ways(path):
    """--errors: spans are built and none of them printed, so the engine does all its work but no sink does."""
    return {
        "spans": [PLUMB, "replay", path, "--errors", "--log-level", "warn"],
        "otlp-json": ["sh", "-c", f"exec '{PLUMB}' replay '{path}' --output otlp-json --log-level warn >/dev/null"],
        "otlp": [ENCODE, path],
    }


def replay(path, folder):
    exchanges = exchanges_of(path, folder)
    times = {way: [] for way in ways(path)}
    for _ in range(RUNS):
        for way, argv in ways(path).items():
            cpu, out = cpu_of(argv)
            times[way].append(cpu)
            if way == "otlp" and json.loads(out)["spans"] != exchanges:
                sys.exit(f"bench: {path}: {exchanges} exchanges, and OTLP has {out}")
    return {"exchanges": exchanges, "bytes": os.path.getsize(path),
            "exchanges_per_cpu_s": {way: measure.summary([exchanges / t for t in took]) for way, took in times.items()}}


def benchmark(folder):
    result = {}
    for kind in loads.ALL:
        if not kind.protocol or kind.protocol in result:
            continue
        path = os.path.join(folder, f"{kind.protocol}.plumb")
        load = kind(folder)
        try:
            record(load, path)
        finally:
            load.stop()
        result[kind.protocol] = replay(path, folder)
        os.unlink(path)
    for made in MADE:
        name = made.__name__
        path = os.path.join(folder, f"{name}.pcap")
        made.write_capture(path, EXCHANGES)
        result[name] = replay(path, folder)
        os.unlink(path)
        if result[name]["exchanges"] != EXCHANGES:
            sys.exit(f"bench: {EXCHANGES} exchanges of {name} were captured, {result[name]['exchanges']} replayed")
    return result
