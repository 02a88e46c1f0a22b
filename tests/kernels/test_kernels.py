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
TLS_VERSIONS = ("tls1.2", "tls1.3")
NO_OPENSSL = guests.lacks_openssl(ARCH)
KTLS_ROUNDS = ("23/1", "71/7")
KTLS_REQUESTS, KTLS_CONNECTIONS = 23 + 71, 1 + 7
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


def sockets_tell(version):
    """OpenSSL before 3.2 has the kernel do TLS 1.3 in one direction only, and that is not read."""
    return version != "tls1.3"


def ktls_trial(name, driver, options, read=True):
    pattern, each = ("http.request.method", (23, KTLS_REQUESTS)) if read else ("tls.established", (1, KTLS_CONNECTIONS))
    return f"trial {name} {pattern} '{2 * each[0]} {2 * each[1]}' '{driver} {' '.join(KTLS_ROUNDS)}' '' {options}"


def ktls_trials(series):
    """The same of the guest that has kernel TLS."""
    lines = [ktls_trial(f"{rung}/ktls", "truth ktls", f"--set capture.socket_data={rung}") for rung in OFFERED[series]]
    # A call that was under way when its program came sock_msg does not see, as of any socket.
    lines += [f"trial old/{rung} http.request.method '{2 * 23}' 'truth old-ktls 23/3' '' --set capture.socket_data={rung}" for rung in OFFERED[series] if rung != "sock_msg"]
    if not NO_OPENSSL:
        lines += [ktls_trial(f"sockets/{version}", f"truth_ssl {version}", "", read=sockets_tell(version)) for version in TLS_VERSIONS]
        lines.append("awaited=watching")
        lines += [ktls_trial(f"sessions/{version}", f"truth_ssl {version}", "--set capture.libraries=auto --set spans.hold=2s --log-level debug") for version in TLS_VERSIONS]
    return "\n".join(lines) + "\n"


def trials(series):
    """What guest.sh does, as shell: see trial() there."""
    lines = ["plumb doctor --output json > doctor.json 2> doctor.err; echo $? > doctor.status", "paths --list > paths.list"]
    for rung in LADDER:
        rung_option = f"--set capture.socket_data={rung}"
        # The end of a call that comes late by sys_exit may be later still where CPUs are emulated.
        lines.append(f"trial {rung}/paths dns-sendmmsg.paths.test 4 paths '' {rung_option} --set spans.hold=2s")
        counts = " ".join(str(2 * sum(SIZES[: i + 1])) for i in range(len(SIZES)))
        lines.append(f"""trial {rung}/truth traceId '{counts}' 'truth {' '.join(ROUNDS)}' '' {rung_option}""")
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
    """boot(series, trials): all that a guest of this kernel sent that did these, {file: text}. Each boots once; what cannot be had is a skip of all its tests. Console
    and results stay in build/kernels."""
    @functools.cache
    def build():
        targets = [str(p.relative_to(REPO)) for p in guests.programs(ARCH).values()]
        subprocess.run(["make", "-s", "SETUP=0", f"ARCH={ARCH.name}", *targets], cwd=REPO, check=True)

    @functools.cache
    def once(series, what):
        reason = guests.missing(ARCH)
        image, reason = (None, reason) if reason else guests.kernel(ARCH, series)
        if not image:
            return reason
        build()
        folder = BUILD / "kernels" / "-".join([series] + [ARCH.name] * ARCH.foreign + ["ktls"] * (what is ktls_trials))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            sent = guests.boot(ARCH, image, folder, what(series))
        except AssertionError as e:
            return e
        return {name: data.decode() for name, data in sent.items()}

    return once


def sent_by(sent):
    if isinstance(sent, str):
        pytest.skip(sent)
    if isinstance(sent, AssertionError):
        raise sent
    return sent


@pytest.fixture
def guest(request, boot):
    return request.param, sent_by(boot(request.param, trials))


@pytest.fixture
def ktls_guest(request, boot):
    return sent_by(boot(request.param, ktls_trials))


def each(*columns, rows, of="guest"):
    return pytest.mark.parametrize((of, *columns), rows, indirect=[of])


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


def check_truth(truth, spans, metrics, losses=LOSSES, joined=True):
    """Each request has exactly one span at either end, of one trace if they are to be joined, that says what the driver knows; there is no other span; nothing was lost."""
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
        if joined:
            assert (server.trace_id, server.parent_id) == (client.trace_id, client.span_id), f"{t['path']} is not one trace"
        else:
            assert not server.parent_id and server.trace_id != client.trace_id, describe([client, server])
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


@each("rung", rows=[(s, r) for s in KTLS for r in OFFERED[s]], of="ktls_guest")
def test_ktls(ktls_guest, rung):
    """Of connections for which the kernel does TLS the same is known as of those in clear, though nothing but their first bytes was ever encrypted by the program."""
    truth, spans, metrics = run_of(ktls_guest, f"{rung}/ktls")
    assert len(truth) == KTLS_REQUESTS
    check_ktls(truth, spans, metrics)


@each("rung", rows=[(s, r) for s in KTLS for r in OFFERED[s] if r != "sock_msg"], of="ktls_guest")
def test_ktls_that_is_older(ktls_guest, rung):
    """Connections that the kernel encrypted before plumb came: all of them, but nobody knows where their streams began."""
    truth, spans, metrics = run_of(ktls_guest, f"old/{rung}")
    assert len(truth) == 23
    check_ktls(truth, spans, metrics, joined=False)


def check_ktls(truth, spans, metrics, joined=True):
    # Long bodies come from a file.
    check_truth(truth, spans, metrics, losses=[r for r in LOSSES if r != "unreadable"], joined=joined)
    assert {s["url.scheme"] for s in spans if s.kind == SERVER} == {"https"}


def without_handshakes(spans, version):
    """The others. Of each connection both ends have shaken hands, which did not take until what was sent over it."""
    handshakes = [s for s in spans if s["tls.established"] is not None]
    others = [s for s in spans if s["tls.established"] is None]
    assert Counter((s.kind, s["tls.established"], s["tls.protocol.version"], s.status) for s in handshakes) == {
        (kind, True, version.removeprefix("tls"), STATUS_UNSET): KTLS_CONNECTIONS for kind in (CLIENT, SERVER)}, describe(handshakes)
    return others


needs_openssl = pytest.mark.skipif(NO_OPENSSL is not None, reason=NO_OPENSSL or "")


@needs_openssl
@each("version", rows=[(s, v) for s in KTLS for v in TLS_VERSIONS], of="ktls_guest")
def test_ktls_of_openssl(ktls_guest, version):
    """Where OpenSSL has the kernel do TLS in both directions sockets tell all; where in one, handshakes alone, and nothing that is not whole."""
    truth, spans, metrics = run_of(ktls_guest, f"sockets/{version}")
    assert f"the kernel sends 1, receives {int(sockets_tell(version))}" in ktls_guest[f"sockets/{version}/driver.err"]
    others = without_handshakes(spans, version)
    if sockets_tell(version):
        check_ktls(truth, others, metrics)
    else:
        assert not others, describe(others)


@needs_openssl
@each("version", rows=[(s, v) for s in KTLS for v in TLS_VERSIONS], of="ktls_guest")
def test_ktls_under_sessions(ktls_guest, version):
    """With probes on OpenSSL each request is its session's and nobody's else, SSL_sendfile() included; addresses and joins come of the socket under it."""
    truth, spans, metrics = run_of(ktls_guest, f"sessions/{version}")
    assert "the kernel sends 1" in ktls_guest[f"sessions/{version}/driver.err"]
    others = without_handshakes(spans, version)
    check_truth(truth, others, metrics)
    assert {s["url.scheme"] for s in others if s.kind == SERVER} == {"https"}
    assert all(s["network.peer.port"] for s in others), describe(others)
    assert paths.metric(metrics, 'plumb_tls_sessions_total{evidence="none"}') == 0


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
