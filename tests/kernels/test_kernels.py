# SPDX-License-Identifier: Apache-2.0
"""plumb on stock kernels of one architecture (KERNELS_ARCH, x86_64 unless it is set), each booted once: what doctor says, every way of reading socket data that the kernel offers (all paths, and a
truth of prime numbers of requests), and capabilities withheld one by one. The tables below are what these kernels are known to offer: a rung that stops loading fails here."""
import functools
import json
import os
import re
import subprocess
from collections import Counter

import pytest

import guest as guests
from harness import paths
from harness.process import BUILD, REPO
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe, parse
from harness.truth import check_order, sample

LADDER = ("sock_length", "sock_msg", "sys_exit")
ARCH = guests.ARCHITECTURES[os.environ.get("KERNELS_ARCH", guests.HOST)]
OFFERED = {
    "x86_64": {"5.10": ("sys_exit",), "6.1": ("sock_msg", "sys_exit"), "6.12": ("sock_length", "sock_msg", "sys_exit")},
    "arm64": {"6.1": ("sys_exit",), "6.12": ("sock_length", "sock_msg", "sys_exit")},
}[ARCH.name]
# Ways to watch calls of libraries; 5.10 has no atomic exchange in programs, and none of the functions' numbers.
WAYS = ("uprobe_multi", "uprobe_perf")
CALLS = {"5.10": (), "6.1": ("uprobe_perf",), "6.12": WAYS}
# Kernels that have kernel TLS as a module; 5.10 was built without it.
KTLS = ("6.1", "6.12")
KTLS_ROUNDS = ("23/1", "251/8")
# Kernels that can be told, while they run, to preempt tasks inside the kernel.
PREEMPTIBLE = {"x86_64": ("6.1", "6.12"), "arm64": ()}[ARCH.name]
# Requests and connections: each round is over before the next begins, so that the guest's rings hold all of it. Loss has its own test.
ROUNDS = ("23/1", "251/8", "251/8", "251/8", "251/8")
SIZES = [int(r.split("/")[0]) for r in ROUNDS]
REQUESTS = sum(SIZES)

# One of each kind: all that judges a process is in the programs then.
FILTERS = ("--exe /bin/truth --comm truth --exclude-exe /bin/nothing --exclude-exe nothing --exclude-comm nothing --exclude-port 9 --exclude-cgroup nothing "
           "--exclude-container 0123456789ab")
# Why a rung does not load where it is not offered.
LACKING = {
    "sock_length": "failed to find kernel BTF type ID",
    "sock_msg": {"x86_64": "load failed: Invalid argument", "arm64": "a program on the return of a kernel function: not on this architecture"}[ARCH.name],
}

# What plumb asks for, and what it says when one of it is withheld; the rest it can do without. 5.10 has no Landlock and counts BPF memory as locked memory; there
# CAP_SYS_ADMIN stands for both BPF capabilities.
LEAST = ("bpf", "perfmon", "sys_ptrace", "dac_read_search", "setuid", "setgid", "setpcap", "chown", "kill")
NEW = {"bpf": "privileges: CAP_BPF is missing: run as root", "perfmon": "privileges: CAP_PERFMON is missing: run as root", "setuid": "privileges: CAP_SETUID is missing", "setgid": "privileges: CAP_SETGID is missing"}
OLD = {"setuid": "privileges: CAP_SETUID is missing", "setgid": "privileges: CAP_SETGID is missing", "sys_resource": "locked memory, of which only 64 KiB are allowed: give the program CAP_SYS_RESOURCE",
       "sys_admin": "sandbox: neither an own root .a mount namespace, by CAP_SYS_ADMIN. nor Landlock"}
CAPABILITIES = {"5.10": (LEAST + ("sys_resource", "sys_admin"), OLD), "6.1": (LEAST, NEW), "6.12": (LEAST, NEW)}


def trials(series):
    """What guest.sh does, as shell: see trial() there."""
    lines = ["plumb doctor --output json > doctor.json 2> doctor.err; echo $? > doctor.status", "paths --list > paths.list"]
    for rung in LADDER:
        rung_option = f"--set capture.socket_data={rung}"
        # The end of a call that comes late by sys_exit may be later still where CPUs are emulated.
        lines.append(f"trial {rung}/paths dns-sendmmsg.paths.test 4 paths '' {rung_option} --set spans.hold=2s")
        counts = " ".join(str(2 * sum(SIZES[: i + 1])) for i in range(len(SIZES)))
        lines.append(f"""trial {rung}/truth traceId '{counts}' 'truth {' '.join(ROUNDS)}' '' {rung_option}""")
        if series in KTLS:
            lines.append(f"""trial {rung}/ktls traceId '{2 * 23} {2 * (23 + 251)}' 'truth ktls {' '.join(KTLS_ROUNDS)}' '' {rung_option}""")
        lines.append(f"""trial {rung}/filters traceId 46 'truth 23/1' '' {rung_option} {FILTERS}""")
    lines.append("awaited=watching")
    lines += [f"trial {way}/calls traceId 257 calls '' --set capture.libraries={way} --log-level debug" for way in CALLS[series]]
    lines.append("awaited=attached")
    kept, _ = CAPABILITIES[series]
    for name, caps in [("all", kept)] + [(cap, [c for c in kept if c != cap]) for cap in kept] + [("every", ["none"])]:
        # The least set must do for the best rung; what is missing then is the same on each, and the last one loads fastest.
        rung = "auto" if name == "all" else LADDER[-1]
        lines.append(f"""trial without/{name} traceId 46 'truth 23/1' 'withhold {','.join(caps)}' --set capture.socket_data={rung}""")
    # Last, as it changes the kernel: how it schedules, where it can be told to do that in another way.
    preempt = "/sys/kernel/debug/sched/preempt"
    lines.append(f"mount -t debugfs debug /sys/kernel/debug; [ ! -e {preempt} ] || {{ echo full > {preempt}; plumb doctor --output json > doctor.preempt.json; }}")
    return "\n".join(lines + ["dmesg > dmesg"]) + "\n"


@pytest.fixture(scope="session")
def boot():
    """boot(series): all that a guest of this kernel sent, {file: text}. Each boots once; what cannot be had is a skip of all its tests. Console
    and results stay in build/kernels."""
    @functools.cache
    def build():
        targets = [str(p.relative_to(REPO)) for p in guests.programs(ARCH).values()]
        subprocess.run(["make", "-s", "SETUP=0", f"ARCH={ARCH.name}", *targets], cwd=REPO, check=True)

    @functools.cache
    def once(series):
        reason = guests.missing(ARCH)
        image, reason = (None, reason) if reason else guests.kernel(ARCH, series)
        if not image:
            return reason
        build()
        folder = BUILD / "kernels" / (f"{series}-{ARCH.name}" if ARCH.foreign else series)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            sent = guests.boot(ARCH, image, folder, trials(series))
        except AssertionError as e:
            return e
        return {name: data.decode() for name, data in sent.items()}

    return once


@pytest.fixture
def guest(request, boot):
    sent = boot(request.param)
    if isinstance(sent, str):
        pytest.skip(sent)
    if isinstance(sent, AssertionError):
        raise sent
    return request.param, sent


def each(*columns, rows):
    return pytest.mark.parametrize(("guest", *columns), rows, indirect=["guest"])


every_kernel = each(rows=[(s,) for s in OFFERED])
every_offer = each("rung", rows=[(s, r) for s in OFFERED for r in OFFERED[s]])
every_refusal = each("rung", rows=[(s, r) for s in OFFERED for r in LADDER if r not in OFFERED[s]])
every_capability = each("withheld", rows=[(s, c) for s in OFFERED for c in ("all", *CAPABILITIES[s][0], "every")])


def run_of(sent, name):
    """Truth, spans and metrics of a trial that must have gone well."""
    said = "".join(f"{part}: {sent.get(f'{name}/{part}')}\n" for part in ("plumb.err", "driver.err", "plumb.status", "driver.status"))
    assert sent.get(f"{name}/plumb.status") == "0\n" and sent.get(f"{name}/driver.status") == "0\n", said
    return [json.loads(line) for line in sent[f"{name}/truth"].splitlines()], parse(sent[f"{name}/spans"]), sent[f"{name}/metrics"]


def one_line_error(sent, name):
    assert sent[f"{name}/plumb.status"] == "1\n" and sent[f"{name}/spans"] == ""
    said = sent[f"{name}/plumb.err"].splitlines()
    errors = [line for line in said if "error:" in line]
    assert len(errors) == 1 and all("warning:" in line for line in said if line not in errors), said
    return errors[0]


@every_kernel
def test_doctor(guest):
    series, sent = guest
    assert (sent["doctor.status"], sent["doctor.err"]) == ("0\n", ""), sent["doctor.json"]
    doctor = json.loads(sent["doctor.json"])
    assert doctor["usable"] and all(p["ok"] for p in doctor["prerequisites"]), doctor
    features = {f["name"]: f for f in doctor["features"]}
    data = features.pop("socket data")
    assert tuple(w["name"] for w in data["ways"]) == LADDER
    assert tuple(w["name"] for w in data["ways"] if w["state"] == "works") == OFFERED[series], data
    assert data["serves"] == OFFERED[series][0]
    assert all(w["why"] for w in data["ways"] if w["state"] == "fails"), data
    calls = features.pop("library calls")
    assert calls["serves"] == (CALLS[series] or (None,))[0], calls
    assert all(w["why"] for w in calls["ways"] if w["state"] == "fails"), calls
    for feature in features.values():
        assert feature["serves"], feature
    sandbox = doctor["sandbox"]
    assert sandbox["own_root"] and sandbox["seccomp"] and sandbox["no_capabilities"] and sandbox["user"] == "nobody", sandbox
    assert sandbox["landlock"] == (series != "5.10")


@pytest.mark.parametrize("guest", [s for s in OFFERED if "sock_msg" in OFFERED[s]], indirect=True)
def test_rung_gives_way_where_programs_are_preempted(guest):
    series, sent = guest
    if series not in PREEMPTIBLE:
        assert "doctor.preempt.json" not in sent
        pytest.skip("this kernel preempts in one way only")
    data = json.loads(sent["doctor.preempt.json"])["features"][0]
    ways = {w["name"]: w for w in data["ways"]}
    assert ways["sock_msg"]["state"] == "fails" and "preempts programs" in ways["sock_msg"]["why"], data
    assert data["serves"] == [r for r in OFFERED[series] if r != "sock_msg"][0]


@every_kernel
def test_kernel_complains_of_nothing(guest):
    _, sent = guest
    assert not re.findall(r".*(?:BUG|WARNING|Oops):.*", sent["dmesg"])


@every_refusal
def test_rung_that_the_kernel_lacks_says_so(guest, rung):
    _, sent = guest
    for program in ("paths", "truth"):
        line = one_line_error(sent, f"{rung}/{program}")
        assert re.search(f"cannot load the socket programs: .*{LACKING[rung]}.*: see 'plumb doctor'", line), line


@every_offer
def test_every_path(guest, rung):
    _, sent = guest
    paths.check_run(rung, sent["paths.list"].split(), *run_of(sent, f"{rung}/paths"))


LOSSES = ("ring_full", "nested", "storage", "fault", "unreadable", "truncated")


def check_truth(truth, spans, metrics, losses=LOSSES):
    """Each request has exactly one span at either end, of one trace, that says what the driver knows; there is no other span; nothing was lost."""
    by_kind = {kind: {s.path: s for s in spans if s.kind == kind} for kind in (CLIENT, SERVER)}
    for kind, side in ((CLIENT, "client"), (SERVER, "server")):
        def wanted(t):
            failed = t["status"] >= (500 if kind == SERVER else 400)
            return (t["path"], t["method"], t["status"], STATUS_ERROR if failed else STATUS_UNSET, t["request_body"], t["response_body"], t[f"{side}_pid"])

        def found(s):
            return (s.path, s["http.request.method"], s["http.response.status_code"], s.status, s["http.request.body.size"] or 0, s["http.response.body.size"] or 0, s.pid)

        known, said = Counter(map(wanted, truth)), Counter(found(s) for s in spans if s.kind == kind)
        assert known == said, f"{side}s missing: {sample(known - said)}\ntoo much: {sample(said - known)}"
    assert len(spans) == 2 * len(truth), describe(spans)
    check_order(spans)
    for t in truth:
        client, server = (by_kind[kind][t["path"]] for kind in (CLIENT, SERVER))
        assert (server.trace_id, server.parent_id) == (client.trace_id, client.span_id), f"{t['path']} is not one trace"
        assert client.duration_ns <= t["duration_ns"], f"{t['path']}: {client.duration_ns} ns, measured {t['duration_ns']} ns"
    for reason in losses:
        assert paths.metric(metrics, f'plumb_lost_total{{reason="{reason}"}}') == 0, reason


@every_offer
def test_truth(guest, rung):
    _, sent = guest
    truth, spans, metrics = run_of(sent, f"{rung}/truth")
    assert len(truth) == REQUESTS
    assert Counter(t["round"] for t in truth) == {i + 1: n for i, n in enumerate(SIZES)}
    first = [t for t in truth if t["round"] == 1]
    assert (len(first), sum(t["status"] >= 400 for t in first)) == (23, 7)
    check_truth(truth, spans, metrics)


@each("rung", rows=[(s, r) for s in KTLS for r in OFFERED[s]])
def test_ktls(guest, rung):
    """Of connections for which the kernel does TLS the same is known as of those in clear, though nothing but their first bytes was ever encrypted by the program."""
    _, sent = guest
    truth, spans, metrics = run_of(sent, f"{rung}/ktls")
    assert len(truth) == 23 + 251
    # Long bodies come from a file.
    check_truth(truth, spans, metrics, losses=[r for r in LOSSES if r != "unreadable"])
    assert {s["url.scheme"] for s in spans if s.kind == SERVER} == {"https"}


@each("way", rows=[(s, w) for s in OFFERED for w in CALLS[s]])
def test_calls(guest, way):
    """Rows and errors of each execution, in order; the stand-in's text without its literal. And what launches say that fail."""
    _, sent = guest
    _, spans, metrics = run_of(sent, f"{way}/calls")
    check_order(spans)
    launches, spans = [s for s in spans if s["plumb.gpu.api"]], [s for s in spans if not s["plumb.gpu.api"]]
    said = {(s.name, s["error.type"], s["plumb.gpu.kernel.name"], s["plumb.gpu.kernel.grid"], s["plumb.gpu.kernel.block"], s["plumb.gpu.kernel.shared_memory"]) for s in launches}
    assert len(launches) == 6 and said == {("cuLaunchKernel", "CUDA_ERROR_LAUNCH_FAILED", "_Z10vector_addPfS_i", "70000,3,5", "128,2,1", 4096)}, describe(launches)
    assert [(s["db.response.returned_rows"] or 0, s["error.type"]) for s in sorted(spans, key=lambda s: s.start_ns)] == [
        (i % 23, "SQLITE_CONSTRAINT" if i % 36 == 35 else None) for i in range(251)], describe(spans)
    assert {(s["db.system.name"], s["db.namespace"], s["db.query.text"]) for s in spans} == {("sqlite", "shop.db", "SELECT id FROM goods WHERE name = ?")}
    assert "plumb_lost_total{reason=\"calls\"} 0" in metrics


@every_offer
def test_filters(guest, rung):
    _, sent = guest
    truth, spans, metrics = run_of(sent, f"{rung}/filters")
    assert len(truth) == 23
    check_truth(truth, spans, metrics)


@every_capability
def test_capability_withheld(guest, withheld):
    series, sent = guest
    complaint = "privileges: CAP_BPF, CAP_PERFMON, CAP_SETUID, CAP_SETGID are missing: run as root" if withheld == "every" else CAPABILITIES[series][1].get(withheld)
    if complaint:
        assert re.search(complaint, one_line_error(sent, f"without/{withheld}"))
        return
    truth, spans, metrics = run_of(sent, f"without/{withheld}")
    assert len(truth) == 23
    check_truth(truth, spans, metrics)
