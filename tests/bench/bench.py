# SPDX-License-Identifier: Apache-2.0
"""nginx with one worker at saturation by wrk, with plumb and without in turn. See run.sh and docs/overhead.md."""
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

PAIRS = int(os.environ.get("PAIRS", "5"))
SECONDS = int(os.environ.get("SECONDS_EACH", "8"))
CONNECTIONS = int(os.environ.get("CONNECTIONS", "32"))
MODE = os.environ.get("MODE", "metrics")
PLUMB = os.environ.get("PLUMB", "build/plumb")
REPLAY_EXCHANGES = 200_000
HERE = os.path.dirname(os.path.abspath(__file__))
STATS = "/proc/sys/kernel/bpf_stats_enabled"
TICKS = os.sysconf("SC_CLK_TCK")

NGINX = """
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 1024; }}
http {{
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
	server {{
		listen 127.0.0.1:{port};
		location = /status {{ stub_status; }}
		location / {{ return 200 "the quick brown fox jumps over the lazy dog, and then does it all again, slowly\\n"; }}
	}}
}}
"""


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


class Server:
    def __init__(self, folder):
        self.port = free_port()
        conf = os.path.join(folder, "nginx.conf")
        with open(conf, "w") as f:
            f.write(NGINX.format(dir=folder, port=self.port))
        self.process = subprocess.Popen(["nginx", "-c", conf, "-p", folder, "-e", os.path.join(folder, "error.log")])
        wait_for(self.served, "nginx answering")

    def served(self):
        """All requests that nginx has answered, by its own count, this one included."""
        return int(get(self.port, "/status").split()[9])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def wrk(port, seconds):
    out = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", os.path.join(HERE, "report.lua"), f"http://127.0.0.1:{port}/q/23"],
                         check=True, capture_output=True, text=True).stdout
    result = json.loads(re.search(r"RESULT (.*)", out).group(1))
    result["per_second"] = result["requests"] * 1e6 / result["duration_us"]
    return result


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    # schedstat has nanoseconds, of each thread; stat's ticks would be too coarse for the probe.
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9 if total else (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid):
    values = {}
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            m = re.match(r"(Rss|Pss|Private_Dirty|Private_Clean):\s+(\d+) kB", line)
            if m:
                values[m.group(1)] = int(m.group(2)) * 1024
    return values


def families(text):
    """Sums of each sample name, and samples by name and labels."""
    sums, samples = {}, {}
    for line in text.splitlines():
        m = re.match(r"([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)", line)
        if m and not line.startswith("#"):
            sums[m.group(1)] = sums.get(m.group(1), 0) + float(m.group(3))
            samples[m.group(1) + (m.group(2) or "")] = float(m.group(3))
    return sums, samples


class Plumb:
    """Watches this script and its children: nginx and wrk, and nothing else on the machine."""

    def __init__(self, folder, mode=MODE):
        self.port = free_port()
        args = [PLUMB, "run", "-p", str(os.getpid()), "--metrics", f"127.0.0.1:{self.port}", "--spool", os.path.join(folder, "spool"), "--max-overhead", "100%"]
        if mode == "metrics":  # every request is counted, no span leaves
            args += ["--set", "sampling.sampler=always_off"]
        self.log = open(os.path.join(folder, "plumb.log"), "w")
        before = bpf_programs()
        self.process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=self.log)
        wait_for(lambda: get(self.port, "/healthz"), f"plumb starting ({self.log.name})")
        self.engine = wait_for(lambda: children(self.process.pid), "the engine starting")[0]
        self.programs = set(bpf_programs()) - set(before)

    def metrics(self):
        return families(get(self.port, "/metrics"))

    def cpu(self):
        return {"probe": cpu_seconds(self.process.pid), "engine": cpu_seconds(self.engine)}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


def bpf_programs():
    out = subprocess.run(["bpftool", "prog", "show", "-j"], check=True, capture_output=True, text=True).stdout
    return {p["id"]: p for p in json.loads(out)}


def bpf_costs(programs):
    found = bpf_programs()
    return {found[i].get("name", str(i)): (found[i].get("run_time_ns", 0), found[i].get("run_cnt", 0)) for i in programs if i in found}


def pair(server, folder):
    without = wrk(server.port, SECONDS)
    plumb = Plumb(folder)
    try:
        wrk(server.port, 1)  # connections are found, pages touched
        cpu = plumb.cpu()
        traced = wrk(server.port, SECONDS)
        used = {k: v - cpu[k] for k, v in plumb.cpu().items()}
    finally:
        plumb.stop()
    return {"without": without, "with": traced, "cpu_s": used,
            "throughput_ratio": traced["per_second"] / without["per_second"], "p99_ratio": traced["p99_us"] / max(1, without["p99_us"])}


def counted(plumb):
    return int(plumb.metrics()[0].get("http_server_request_duration_seconds_count", 0))


def cost(server, folder):
    """Machine time, memory, and whether every request was counted, over one run of 10 s with the kernel's statistics on."""
    plumb = Plumb(folder)
    try:
        wrk(server.port, 1)
        time.sleep(0.3)
        with open(STATS, "w") as f:
            f.write("1")
        base, count_base = server.served(), counted_when_still(plumb)
        bpf, cpu, sums = bpf_costs(plumb.programs), plumb.cpu(), plumb.metrics()
        load = wrk(server.port, 10)
        bpf_after, cpu_after = bpf_costs(plumb.programs), plumb.cpu()
        served = server.served() - base
        # The status requests are nginx's too, the first before the base; all are counted.
        seen = counted_when_still(plumb) - count_base
        after = plumb.metrics()
        memory_of = {"probe": memory(plumb.process.pid), "engine": memory(plumb.engine)}
    finally:
        with open(STATS, "w") as f:
            f.write("0")
        plumb.stop()
    n = load["requests"]
    programs = {k: {"run_ns": bpf_after[k][0] - bpf[k][0], "runs": bpf_after[k][1] - bpf[k][1]} for k in bpf}
    bpf_us = sum(p["run_ns"] for p in programs.values()) / 1e3
    cpu_us = {k: (cpu_after[k] - cpu[k]) * 1e6 for k in cpu}
    lost = {k: v - sums[1].get(k, 0) for k, v in after[1].items() if k.startswith("plumb_lost_total") and v != sums[1].get(k, 0)}
    return {"requests": n, "per_second": load["per_second"], "served": served, "counted": seen, "lost": lost, "programs": programs,
            "bpf_us_per_request": bpf_us / n, "cpu_us_per_request": {k: v / n for k, v in cpu_us.items()},
            "machine_us_per_request": (bpf_us + sum(cpu_us.values())) / n,
            "cpu_s_per_10000": sum(cpu_us.values()) / 1e6 / n * 10000,
            "memory": memory_of, "map_bytes": int(after[0].get("plumb_map_memory_bytes", 0))}


def counted_when_still(plumb):
    """The count once it has stopped growing: spans are held for some milliseconds."""
    last, same = -1, 0
    while same < 5:
        now = counted(plumb)
        last, same = now, same + 1 if now == last else 0
        time.sleep(0.1)
    return last


def first_span(server, rounds=5):
    """From the start of the process to the first line of plumb trace, with traffic running."""
    times = []
    load = subprocess.Popen(["wrk", "-t1", "-c1", f"-d{rounds * 4}s", f"http://127.0.0.1:{server.port}/q/23"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(rounds):
            began = time.monotonic()
            p = subprocess.Popen([PLUMB, "trace", "-p", str(server.process.pid), "-o", "json", "-n", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            line = p.stdout.readline()
            times.append(time.monotonic() - began)
            p.wait(30)
            if not line.startswith(b"{"):
                sys.exit("bench: plumb trace printed no span")
    finally:
        load.terminate()
        load.wait()
    return times


def replay(server, folder):
    """The engine alone: a recording of wrk's traffic, replayed without sinks' output, on one core."""
    path = os.path.join(folder, "bench.plumb")
    plumb = subprocess.Popen([PLUMB, "record", "-p", str(os.getpid()), "-o", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)  # nothing says when recording has begun; what is missed is only less to replay
    requests = 0
    while requests * 2 < REPLAY_EXCHANGES * 1.05:  # both ends make an exchange of each
        requests += wrk(server.port, 2)["requests"]
    plumb.send_signal(signal.SIGTERM)
    plumb.wait(60)
    times, spans = [], 0
    for _ in range(3):
        out = os.path.join(folder, "spans")
        # --errors: spans are built and filtered, none is printed; the parsers and the correlation do all their work.
        began = os.times()
        subprocess.run(["taskset", "-c", "0", PLUMB, "replay", path, "--errors", "--metrics-out", out], check=True, stdout=subprocess.DEVNULL)
        ended = os.times()
        times.append(ended.children_user + ended.children_system - began.children_user - began.children_system)
        with open(out) as f:
            spans = int(families(f.read())[0]["plumb_exchanges_total"])
    best = min(times)
    return {"exchanges": spans, "recording_bytes": os.path.getsize(path), "cpu_s": times, "exchanges_per_cpu_second": spans / best}


def median(values):
    return statistics.median(values)


def spread(values):
    return f"{min(values):.3f} to {max(values):.3f}"


def mib(n):
    return f"{n / 1048576:.1f} MiB"


def print_table(r):
    c, pairs = r["cost"], r["pairs"]
    ratio, p99 = [p["throughput_ratio"] for p in pairs], [p["p99_ratio"] for p in pairs]
    rows = [
        ("throughput with / without", f"{median(ratio):.3f}", f"{spread(ratio)}, {len(pairs)} pairs", "0.90"),
        ("p99 with / without", f"{median(p99):.3f}", spread(p99), ""),
        ("requests per second without", f"{median([p['without']['per_second'] for p in pairs]):.0f}", "", ""),
        ("machine time per request", f"{c['machine_us_per_request']:.2f} us", "BPF and both processes", "4"),
        ("  in BPF", f"{c['bpf_us_per_request']:.2f} us", "statistics' own cost included", ""),
        ("  engine, probe", f"{c['cpu_us_per_request']['engine']:.2f} us, {c['cpu_us_per_request']['probe']:.2f} us", "", ""),
        ("CPU per 10,000 requests", f"{c['cpu_s_per_10000']:.3f} s", "both processes", ""),
        ("resident, both processes", mib(sum(m["Rss"] for m in c["memory"].values())), "Pss " + mib(sum(m["Pss"] for m in c["memory"].values())), "40 MiB"),
        ("BPF maps", mib(c["map_bytes"]), "", ""),
        ("first span after start", f"{median(r['first_span_s']):.3f} s", spread(r["first_span_s"]), "0.5"),
        ("requests counted", f"{c['counted']} of {c['served']}", "lost: " + (json.dumps(c["lost"]) if c["lost"] else "none"), "all"),
        ("replay, one core", f"{r['replay']['exchanges_per_cpu_second']:.0f} /s", f"{r['replay']['exchanges']} exchanges", ""),
    ]
    print(f"\n{'':30} {'figure':>20}  {'':34} aim")
    for name, figure, detail, aim in rows:
        print(f"{name:30} {figure:>20}  {detail:34} {aim}")
    print("\nBPF programs:")
    for name, p in sorted(c["programs"].items(), key=lambda i: -i[1]["run_ns"]):
        if p["runs"]:
            print(f"  {name:24} {p['runs'] / c['requests']:6.2f} runs a request  {p['run_ns'] / p['runs']:7.0f} ns a run")


def main():
    folder = tempfile.mkdtemp(prefix="plumb-bench-")
    os.chmod(folder, 0o755)
    server = Server(folder)
    result = {"mode": MODE, "machine": {"kernel": platform.release(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]},
              "connections": CONNECTIONS, "seconds": SECONDS}
    try:
        wrk(server.port, 1)
        result["pairs"] = []
        for i in range(PAIRS):
            result["pairs"].append(pair(server, folder))
            p = result["pairs"][-1]
            print(f"pair {i + 1}: {p['without']['per_second']:.0f} -> {p['with']['per_second']:.0f} requests/s, ratio {p['throughput_ratio']:.3f}", flush=True)
        result["cost"] = cost(server, folder)
        result["first_span_s"] = first_span(server)
        result["replay"] = replay(server, folder)
    finally:
        server.stop()
        shutil.rmtree(folder)
    os.makedirs("build", exist_ok=True)
    with open("build/bench.json", "w") as f:
        json.dump(result, f, indent=1)
    print_table(result)
    print("\nwritten to build/bench.json")


main()
