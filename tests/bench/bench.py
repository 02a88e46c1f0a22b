# SPDX-License-Identifier: Apache-2.0
"""What plumb costs. See run.sh for the variables, docs/overhead.md for what is measured and how. Ends with 1 where a ratio is above its aim (tls_calls)."""
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import loads
import measure
import replay
import report
import tls_calls
import tracers

PAIRS = int(os.environ.get("PAIRS", "5"))
SECONDS = float(os.environ.get("SECONDS_EACH", "3"))
IDLE_SECONDS = 20
LOST = "plumb_lost_total"


def rate(result):
    return result["requests"] * 1e6 / result["duration_us"]


def difference(after, before):
    return {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}


def one_run(load, kind, folder, seconds, statistics=False):
    """The load under one tracer; with statistics, what each of plumb's BPF programs took as well."""
    tracer = kind(folder)
    try:
        load.run(1)  # connections are found, pages touched
        with measure.bpf_statistics(statistics):
            return turn(load, tracer, seconds, statistics)
    finally:
        tracer.stop()


def turn(load, tracer, seconds, statistics):
    watched = isinstance(tracer, tracers.Plumb)
    served = load.served()
    first = tracer.settled(load.counted) if watched else {}  # after it: what asking made is in it
    bpf = measure.bpf_costs(tracer.programs) if statistics else {}
    begin = measure.Snapshot(load, tracer)
    result = load.run(seconds)
    result.update(measure.Snapshot(load, tracer) - begin, per_second=rate(result))
    if statistics:
        after = measure.bpf_costs(tracer.programs)
        result["programs"] = {k: {"run_ns": after[k][0] - bpf[k][0], "runs": after[k][1] - bpf[k][1]} for k in after}
    result["memory"] = {name: measure.memory(pids) for name, pids in tracer.processes().items()}
    if watched:
        result.update(counts(load, tracer, first, served))
    return result


def counts(load, plumb, first, served):
    """What the application counted since `first` and `served`, and what plumb did."""
    now = load.served()
    last = plumb.settled(load.counted)
    lost = difference(last, first)
    return {
        "served": None if now is None else now - served, "counted": int(load.counted(last) - load.counted(first)),
        "records": int(measure.total(last, "plumb_records_total") - measure.total(first, "plumb_records_total")),
        "lost": {k[len(LOST):]: int(v) for k, v in lost.items() if k.startswith(LOST)},
        "map_bytes": int(measure.total(last, "plumb_map_memory_bytes")),
    }


def foreign(done):
    """What programs that have nothing to do with us took of the machine, in the worst turn of a round."""
    return max(run["foreign"] for run in done.values())


def pairs(load, kinds, folder):
    """
    Rounds in which each tracer has its turn, every second one in the opposite order. A round in which others had more than QUIET of the
    machine is made again, at most as often as there are rounds; of all, those count which were disturbed least.
    """
    rounds = []
    while sum(foreign(done) <= measure.QUIET for done in rounds) < PAIRS and len(rounds) < 2 * PAIRS:
        order = kinds if len(rounds) % 2 == 0 else kinds[::-1]
        done = {kind.name: one_run(load, kind, folder, SECONDS) for kind in order}
        rounds.append(done)
        told = "  ".join(f"{name} {run['per_second']:.0f}" for name, run in done.items())
        print(f"  round {len(rounds)}: {told} {load.unit} a second; others had {foreign(done):.0%} of the machine", flush=True)
    return sorted(rounds, key=foreign)[:PAIRS]


def busy(kind, folder):
    load = kind(folder)
    try:
        load.run(1)
        return {"rounds": pairs(load, tracers.chosen(), folder), "cost": one_run(load, tracers.Plumb, folder, max(SECONDS, 5), statistics=True)}
    finally:
        load.stop()


def idle(folder):
    load = loads.Idle(folder)
    try:
        return {"rounds": [{kind.name: one_run(load, kind, folder, IDLE_SECONDS) for kind in tracers.chosen()}]}
    finally:
        load.stop()


def start(folder, runs=7):
    """From the start of the process to the first line of plumb trace, with traffic running."""
    load, times = loads.Nginx(folder), []
    wrk = subprocess.Popen(["wrk", "-t1", "-c1", f"-d{runs * 4}s", f"http://127.0.0.1:{load.port}{load.path}"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(runs):
            began = time.monotonic()
            p = subprocess.Popen([tracers.PLUMB, "trace", "-p", str(load.process.pid), "-o", "json", "-n", "1"],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            line = p.stdout.readline()
            times.append(time.monotonic() - began)
            p.wait(30)
            if not line.startswith(b"{"):
                sys.exit("bench: plumb trace printed no span")
    finally:
        wrk.terminate()
        wrk.wait()
        load.stop()
    return {"first_span_s": measure.summary(times)}


def machine():
    model = [line.split(":")[1].strip() for line in measure.read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return {"kernel": platform.release(), "arch": platform.machine(), "cpus": os.cpu_count(), "model": model[0] if model else "", "load": os.getloadavg()[0]}


def known():
    jobs = {kind.name: (lambda folder, kind=kind: busy(kind, folder)) for kind in loads.ALL if kind is not loads.Idle}
    jobs.update(idle=idle, start=start, replay=lambda folder: {"protocols": replay.benchmark(folder)}, tls_calls=tls_calls.benchmark)
    return jobs


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    jobs = known()
    names = [n for n in os.environ.get("LOADS", "").replace(" ", ",").split(",") if n] or list(jobs)
    unknown = [n for n in names if n not in jobs]
    if unknown:
        sys.exit(f"bench: no such load: {', '.join(unknown)}; there are {', '.join(jobs)}")
    os.makedirs(report.FOLDER, exist_ok=True)
    results = {}
    for name in names:
        print(f"{name}:", flush=True)
        folder = tempfile.mkdtemp(prefix="plumb-bench-")
        os.chmod(folder, 0o755)
        try:
            result = {"name": name, "mode": tracers.MODE, "peer": tracers.PEER_CMD, "machine": machine(), "connections": loads.CONNECTIONS, "seconds": SECONDS}
            result.update(jobs[name](folder))
            results[name] = result
        finally:
            shutil.rmtree(folder)
        with open(report.path(name), "w") as f:
            json.dump(result, f, indent=1)
    report.show(names)
    missed = tls_calls.missed(results["tls_calls"]["calls"]) if "tls_calls" in results else []
    for line in missed:
        print(f"bench: aim missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
