# SPDX-License-Identifier: Apache-2.0
"""The tables: of results in build/bench/, one file a load. As a program: `report.py [LOAD…]` prints what is there."""
import json
import os
import sys

import measure

FOLDER = "build/bench"
MIB = 1048576


def path(name):
    return f"{FOLDER}/{name}.json"


def of(rounds, value, tracer):
    """Summary of value(run of the tracer, run without) over all rounds; None where there is none."""
    values = [value(r[tracer], r["without"]) for r in rounds if tracer in r]
    values = [v for v in values if v is not None]
    return measure.summary(values)


def throughput(run, bare):
    return run["per_second"] / bare["per_second"] if bare["per_second"] else None


def p99(run, bare):
    return run["p99_us"] / bare["p99_us"] if bare.get("p99_us") else None


def per_request_us(of_run):
    def value(run, bare):
        return of_run(run) / run["requests"] * 1e6 if run["requests"] else None
    return value


def tracer_cpu(run):
    return sum(run["tracer_s"].values())


def number(s, form="{:.2f}", spread=True):
    if not s:
        return ""
    wide = f" ({form.format(s['min'])}–{form.format(s['max'])})" if spread and s["n"] > 1 else ""
    return form.format(s["median"]) + wide


def rows(heads, body):
    widths = [max(len(str(r[i])) for r in [heads] + body) for i in range(len(heads))]
    for r in [heads] + body:
        print("  " + "  ".join(str(v).ljust(w) if i == 0 else str(v).rjust(w) for i, (v, w) in enumerate(zip(r, widths))).rstrip())


def others(result):
    return [t for t in ("plumb", "floor", "peer") if t in result["rounds"][0]]


def show_ratios(results):
    """All loads side by side."""
    names = [t for t in ("plumb", "floor", "peer") if any(t in others(r) for r in results)]
    body = []
    for r in results:
        rounds = r["rounds"]
        if r["name"] == "idle":
            continue
        body.append([r["name"], number(of(rounds, lambda run, _: run["per_second"], "without"), "{:.0f}", False)]
                    + [number(of(rounds, throughput, t)) for t in names] + [number(of(rounds, p99, t)) for t in names]
                    + [f"{max(run['foreign'] for x in rounds for run in x.values()):.0%}"])
    if body:
        print("\nthroughput and p99 as a share of those without a tracer: median of the rounds' ratios (least–most); others: what programs that have"
              "\nnothing to do with this took of the machine, at worst")
        rows(["load", "a second"] + names + [f"{t} p99" for t in names] + ["others"], body)


def lost_text(runs):
    lost = {}
    for run in runs:
        for k, v in run["lost"].items():
            lost[k] = lost.get(k, 0) + v
    return ", ".join(f"{k} {v}" for k, v in sorted(lost.items())) or "nothing"


def show_plumb(results):
    """What plumb took of the machine, and what it saw."""
    body = []
    for r in results:
        runs = [x["plumb"] for x in r["rounds"]]
        last = runs[-1]
        cpu = of(r["rounds"], per_request_us(tracer_cpu), "plumb")
        share = measure.summary([tracer_cpu(x) / x["wall_s"] * 100 for x in runs])
        exact = all(x["served"] is not None for x in runs)
        served, counted = (sum(x[k] for x in runs) for k in ("served", "counted")) if exact else (None, sum(x["counted"] for x in runs))
        body.append([r["name"], number(cpu, spread=False), f"{share['median']:.1f} %", f"{sum(m['Rss'] for m in last['memory'].values()) / MIB:.1f}",
                     f"{sum(m['Pss'] for m in last['memory'].values()) / MIB:.1f}", f"{last['map_bytes'] / MIB:.1f}",
                     sum(x["records"] for x in runs), lost_text(runs), f"{counted:,} of {served:,}" if exact else "–"])
    print("\nplumb: CPU of both processes, their memory and that of BPF maps in MiB, records read, what was dropped, and requests counted of those served")
    rows(["load", "us/request", "of a CPU", "Rss", "Pss", "maps", "records", "dropped", "counted"], body)


def show_split(results):
    """Where the CPUs' time goes, for each request; what is left over is the kernel's own and other programs'."""
    body = []
    for r in results:
        if r["name"] == "idle":
            continue
        for t in ["without"] + others(r):
            def part(key):
                return number(of(r["rounds"], per_request_us(lambda run: run[key]), t), spread=False)

            def tracing(name):
                return number(of(r["rounds"], per_request_us(lambda run: run["tracer_s"].get(name, 0)), t), spread=False)
            whole = per_request_us(lambda run: run["wall_s"] * r["machine"]["cpus"])
            if t == "plumb":
                own = [tracing("engine"), tracing("probe")]
            else:
                own = ["" if t == "without" else number(of(r["rounds"], per_request_us(tracer_cpu), t), spread=False), ""]
            body.append([r["name"] if t == "without" else "", t, part("server_s"), part("client_s"), *own, part("idle_s"),
                         number(of(r["rounds"], whole, t), spread=False)])
    if body:
        print("\nCPU time of each request in us, of all CPUs together; all = of the run's time, divided by its requests")
        rows(["load", "under", "server", "client", "tracer (engine)", "probe", "idle", "all"], body)


def show_programs(results):
    for r in results:
        cost = r.get("cost")
        if not cost or not cost["requests"]:
            continue
        n = cost["requests"]
        bpf_us = sum(p["run_ns"] for p in cost["programs"].values()) / 1e3 / n
        cpu_us = tracer_cpu(cost) / n * 1e6
        print(f"\n{r['name']}: {bpf_us + cpu_us:.2f} us of machine time a request: BPF {bpf_us:.2f} (the kernel's statistics included), processes {cpu_us:.2f}")
        body = [[name, f"{p['runs'] / n:.2f}", f"{p['run_ns'] / p['runs']:.0f}"]
                for name, p in sorted(cost["programs"].items(), key=lambda i: -i[1]["run_ns"]) if p["runs"] > n / 1000]
        if body:
            rows(["program", "runs/request", "ns/run"], body)


def show_idle(r):
    print(f"\nidle, {len(r['rounds'])} times {r['rounds'][0]['plumb']['wall_s']:.0f} s")
    body = []
    for t in others(r):
        run = r["rounds"][0][t]
        for name, cpu in run["tracer_s"].items():
            body.append([name, f"{cpu / run['wall_s'] * 60:.3f}", f"{run['wakeups'][name] / run['wall_s']:.1f}", f"{run['memory'][name]['Rss'] / MIB:.1f}"])
    rows(["process", "CPU s/minute", "wake-ups/s", "Rss MiB"], body)


def show_calls(r):
    print("\ncalls of a TLS library, each with two probes: nanoseconds of one (a round's median over four calls), and plumb's as a share of those under probes that do nothing: medians (least–most)")
    rows(["over, bytes of the answer", "without", "empty", "plumb", "plumb / empty"],
         [[case] + [number(measure.summary([run[name] for run in c["rounds"]]), "{:.0f}") for name in ("without", "empty", "plumb")]
          + [number(measure.summary([run["plumb"] / run["empty"] for run in c["rounds"]]))] for case, c in r["calls"].items()])


def show_replay(r):
    print("\nreplay: exchanges a second on one core, reading the file included; median (least–most)")
    rows(["protocol", "exchanges", "to spans", "to OTLP/JSON", "to OTLP/protobuf"],
         [[name, p["exchanges"]] + [number(p["exchanges_per_cpu_s"][way], "{:.0f}") for way in ("spans", "otlp-json", "otlp")]
          for name, p in r["protocols"].items()])


def load_results(names):
    results = []
    for name in names:
        with open(path(name)) as f:
            results.append(json.load(f))
    return results


def show(names):
    results = load_results(names)
    if not results:
        sys.exit(f"bench: nothing in {FOLDER}: run make bench")
    m = results[0]["machine"]
    print(f"\n{m['cpus']} CPUs ({m['model']}), Linux {m['kernel']} {m['arch']}; mode {results[0]['mode']}; results in {FOLDER}/")
    loads = [r for r in results if "rounds" in r]
    if loads:
        show_ratios(loads)
        show_plumb(loads)
        show_split(loads)
        show_programs(loads)
    for r in results:
        if r["name"] == "idle":
            show_idle(r)
        elif r["name"] == "start":
            print(f"\nfirst span after start: {number(r['first_span_s'], '{:.2f}')} s")
        elif r["name"] == "replay":
            show_replay(r)
        elif r["name"] == "tls_calls":
            show_calls(r)


if __name__ == "__main__":
    show(sys.argv[1:] or sorted(f[:-5] for f in os.listdir(FOLDER)))
