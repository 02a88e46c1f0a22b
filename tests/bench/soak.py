# SPDX-License-Identifier: Apache-2.0
"""
Hours of load, with processes and connections that come and go: memory is flat after the first five minutes, and each request was seen or counted.
Variables: SECONDS (3600), RATE (10000 requests a second), EVERY (10: seconds between samples). Writes build/soak.json; ends with 1 if something
does not hold.
"""
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from harness.load import Agent, Load  # noqa: E402

SECONDS = int(os.environ.get("SECONDS", "3600"))
RATE = int(os.environ.get("RATE", "10000"))
EVERY = int(os.environ.get("EVERY", "10"))
SETTLE = min(300, SECONDS // 4)  # memory may grow until then: tables fill
GROWTH = 0.03  # of what it was: the allocator's and the kernel's own noise
MIB = 1 << 20
GAUGES = ("plumb_connections_active", "plumb_processes_active", "plumb_exchanges_open", "plumb_metric_series")
SIDES = ("http_server_request_duration_seconds_count", "http_client_request_duration_seconds_count")


class Sample:
    def __init__(self, agent, began):
        s = agent.samples()
        if not s:
            sys.exit(f"soak: no metrics:\n{agent.tail()}")
        self.at = time.monotonic() - began
        self.memory = {n: agent.sum(f'plumb_resident_memory_bytes{{process="{n}"}}', s) for n in ("probe", "engine")}
        self.memory["maps"] = agent.sum("plumb_map_memory_bytes", s)
        self.cpu = agent.sum("plumb_cpu_seconds_total", s)
        self.seen = [int(agent.sum(side, s)) for side in SIDES]
        self.lost = {k.split('"')[1]: int(v) for k, v in s.items() if k.startswith("plumb_lost_total") and v}
        self.gauges = {g: int(agent.sum(g, s)) for g in GAUGES}
        self.restarts = int(agent.sum("plumb_engine_restarts_total", s))

    def line(self):
        memory = "  ".join(f"{n} {v / MIB:.1f}" for n, v in self.memory.items())
        connections = self.gauges["plumb_connections_active"]
        return f"{self.at:7.0f} s  {self.seen[0]:12d} requests  MiB: {memory}  {connections} connections  lost {self.lost or 'nothing'}"


def churn(load, stop, done):
    """Beside the steady load: processes that live for a moment, and connections with one request each."""
    done["requests"] = 0
    while not stop.is_set():
        done["requests"] += load.do("spawn 101 10")["requests"] + load.do("connect 211")["requests"]
        stop.wait(1)


def flat(samples):
    """What grew: by part, the highest of the second half of what follows the settling against the highest of its first half."""
    late = [s for s in samples if s.at >= SETTLE]
    half = len(late) // 2
    if half < 2:
        sys.exit("soak: too short to tell")
    grown = {}
    for part in late[0].memory:
        before, after = max(s.memory[part] for s in late[:half]), max(s.memory[part] for s in late[half:])
        if after > before * (1 + GROWTH) and after > before + MIB / 4:
            grown[part] = (before, after)
    return grown


def watch(agent, began):
    samples = []
    while (left := began + SECONDS - time.monotonic()) > 0:
        time.sleep(min(EVERY, left))
        samples.append(Sample(agent, began))
        print(samples[-1].line(), flush=True)
    return samples


def last_sample(agent, began, requests):
    """Once all is counted, or it is clear that it will not be."""
    deadline = time.monotonic() + 20
    while True:
        s = Sample(agent, began)
        if min(s.seen) >= requests or time.monotonic() > deadline:
            return s
        time.sleep(0.2)


def soak(folder):
    folder.chmod(0o755)
    for name in ("steady", "churn", "plumb"):
        (folder / name).mkdir()
    steady, other = Load(folder / "steady"), Load(folder / "churn")
    # Every request is counted, no span leaves: a collector would be what is measured.
    agent = Agent(folder / "plumb", steady, "http://127.0.0.1:9", args=["-p", other.pid, "--set", "sampling.sampler=always_off"])
    stop, done = threading.Event(), {}
    beside = threading.Thread(target=churn, args=(other, stop, done))
    began = time.monotonic()
    steady.tell(f"load 0 32 {RATE}")
    beside.start()
    try:
        samples = watch(agent, began)
    finally:
        stop.set()
        beside.join()
        steady.tell("end")
    report = steady.answer()
    requests = report["answered"] + done["requests"]
    last = last_sample(agent, began, requests)
    status = agent.stop()
    for p in (steady, other):
        p.popen.stdin.close()
        p.stop()
    return report, requests, samples, last, status


def main():
    with tempfile.TemporaryDirectory(prefix="plumb-soak-") as folder:
        report, requests, samples, last, status = soak(Path(folder))
    grown = flat(samples)
    missing = {side: requests - seen for side, seen in zip(("server", "client"), last.seen)}
    uncounted = {side: n for side, n in missing.items() if n and not (0 < n <= last.lost.get("ring_full", 0))}
    faults = [f"{part} grew from {a / MIB:.1f} to {b / MIB:.1f} MiB" for part, (a, b) in grown.items()]
    faults += [f"{n} requests of the {side} side are neither seen nor counted as lost" for side, n in uncounted.items()]
    faults += [f"the engine was restarted {last.restarts} times"] if last.restarts else []
    faults += [f"plumb ended with {status}"] if status else []
    Path("build").mkdir(exist_ok=True)
    with open("build/soak.json", "w") as f:
        json.dump({"seconds": SECONDS, "rate": RATE, "load": report, "requests": requests, "missing": missing, "faults": faults,
                   "samples": [vars(s) for s in [*samples, last]]}, f, indent=1)
    print(f"\n{requests} requests, {report['answered'] / report['seconds']:.0f} a second asked of {RATE}, p99 {report['p99_us']} us; "
          f"missing {missing}, lost {last.lost or 'nothing'}; CPU {last.cpu / last.at:.3f}; memory {', '.join(f'{n} {v / MIB:.1f} MiB' for n, v in last.memory.items())}")
    print("written to build/soak.json")
    for fault in faults:
        print(f"soak: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
