# SPDX-License-Identifier: Apache-2.0
"""What the machine says of processes, BPF programs and itself; all of it cumulative, to be subtracted."""
import contextlib
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

STATS = "/proc/sys/kernel/bpf_stats_enabled"
QUIET = 0.05  # share of the machine that others may have


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as r:
        return r.read().decode()


def wait_for(condition, what, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            value = condition()
            if value:
                return value
        except OSError:
            pass
        if time.monotonic() > deadline:
            sys.exit(f"bench: {what} did not happen within {timeout_s} s")
        time.sleep(0.005)


def children(pid):
    found = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/children") as f:
            found += [int(p) for p in f.read().split()]
    return found


def tree(pid):
    """The process and its descendants."""
    try:
        return [pid] + [p for child in children(pid) for p in tree(child)]
    except FileNotFoundError:  # ended meanwhile
        return []


def threads(pid):
    try:
        return [f"/proc/{pid}/task/{tid}" for tid in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def cpu_s(pids):
    """In nanoseconds' precision, of each thread that lives: the tick of /proc/PID/stat would be too coarse."""
    return sum(int((read(t + "/schedstat") or "0").split()[0]) for pid in pids for t in threads(pid)) / 1e9


def ended_s(pids):
    """CPU of children that have ended and that these processes have waited for; in ticks."""
    stats = [read(f"/proc/{pid}/stat").rsplit(")", 1)[-1].split() for pid in pids]
    return sum(int(s[13]) + int(s[14]) for s in stats if s) / os.sysconf("SC_CLK_TCK")


def wakeups(pids):
    return sum(int(n) for pid in pids for t in threads(pid) for n in re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", read(t + "/status"), re.M))


def memory(pids):
    """Rss counts twice what two share, Pss once."""
    total = {"Rss": 0, "Pss": 0}
    for pid in pids:
        for name, kib in re.findall(r"^(Rss|Pss):\s+(\d+) kB", read(f"/proc/{pid}/smaps_rollup"), re.M):
            total[name] += int(kib) * 1024
    return total


def idle_s():
    """Of all CPUs together, waiting for disks included."""
    fields = read("/proc/stat").split(None, 6)
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def ended_children_s():
    """CPU of our children that have been waited for."""
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def families(text):
    """Samples of Prometheus' text format, by name and labels."""
    return {m.group(1): float(m.group(2)) for m in re.finditer(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)", text, re.M)}


def total(samples, name, *labels, without=None):
    """Sum of a family's samples which have these labels, each written as in the text."""
    return sum(v for k, v in samples.items()
               if k.split("{")[0] == name and all(label in k for label in labels) and not (without and without in k))


def bpf_programs():
    out = subprocess.run(["bpftool", "prog", "show", "-j"], check=True, capture_output=True, text=True).stdout
    return {p["id"]: p for p in json.loads(out)}


def bpf_costs(ids):
    """{name: (nanoseconds, runs)} of programs, counted while the kernel's statistics are on."""
    found = bpf_programs()
    return {found[i].get("name", str(i)): (found[i].get("run_time_ns", 0), found[i].get("run_cnt", 0)) for i in ids if i in found}


@contextlib.contextmanager
def bpf_statistics(on):
    """The kernel's own, for as long as the block lasts."""
    before = read(STATS).strip()
    if on:
        write(STATS, "1")
    try:
        yield
    finally:
        if on:
            write(STATS, before)


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)} if values else None


class Snapshot:
    """Taken before and after a load; `end - begin` is what happened between."""

    def __init__(self, load, tracer):
        self.time_s = time.monotonic()
        self.idle_s = idle_s()
        self.client_s = ended_children_s()
        self.server_s = cpu_s(load.pids()) + ended_s(load.pids())  # PostgreSQL's processes end with their connections
        self.tracer_s = {name: cpu_s(pids) for name, pids in tracer.processes().items()}
        self.wakeups = {name: wakeups(pids) for name, pids in tracer.processes().items()}

    def __sub__(self, begin):
        spent = {
            "wall_s": self.time_s - begin.time_s, "idle_s": self.idle_s - begin.idle_s,
            "client_s": self.client_s - begin.client_s, "server_s": self.server_s - begin.server_s,
            "tracer_s": {k: v - begin.tracer_s[k] for k, v in self.tracer_s.items()},
            "wakeups": {k: v - begin.wakeups[k] for k, v in self.wakeups.items()},
        }
        known = spent["idle_s"] + spent["client_s"] + spent["server_s"] + sum(spent["tracer_s"].values())
        spent["foreign"] = max(0, 1 - known / (spent["wall_s"] * os.cpu_count()))  # share of the machine that others had
        return spent
