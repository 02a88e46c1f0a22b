# SPDX-License-Identifier: Apache-2.0
"""
What plumb does with fewer capabilities: exactly the table of docs/privileges.md. Each is taken away from the set that suffices; then plumb works fully, or works less
and says what is lost in one line, or does not start and says in one line what to grant.
"""
import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from harness.backends import Collector
from harness.plumb import PLUMB
from harness.process import BUILD, REPO, Process, free_port, wait_until
from harness.servers import go_program, listening
from test_restart import children, metric

pytestmark = pytest.mark.live

NUMBERS = {"CHOWN": 0, "DAC_READ_SEARCH": 2, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8, "NET_ADMIN": 12, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_NICE": 23,
           "SYS_RESOURCE": 24, "LEASE": 28, "PERFMON": 38, "BPF": 39}
# With these and no other everything works (SYS_RESOURCE besides, on kernels that count maps against RLIMIT_MEMLOCK).
ALL = set(NUMBERS) - {"SYS_RESOURCE"}
RESTARTS = {"SETUID", "SETGID", "SETPCAP", "SYS_NICE", "NET_ADMIN"}
LIBRARIES = {"LEASE", "PERFMON"}
ALWAYS = {"BPF", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_ADMIN", "KILL"}
REQUESTS = 7


def names(mask):
    return {name for name, number in NUMBERS.items() if int(mask, 16) >> number & 1}


def status(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def reduced(capabilities, user=None):
    """The command that starts another one with these capabilities."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed (package util-linux)")
    plus = ",".join(f"+{c.lower()}" for c in sorted(capabilities))
    sets = ["--bounding-set", f"-all,{plus}" if plus else "-all", "--inh-caps", "-all"]
    if user:  # as a systemd unit with User= and AmbientCapabilities= does
        sets = [*sets[:-1], f"-all,{plus}", "--ambient-caps", f"-all,{plus}", "--reuid", user, "--regid", "nogroup", "--clear-groups"]
    return [shutil.which("setpriv"), *sets]


@pytest.fixture
def shop(folder):
    """A Go server of another user whose program only its owner may read: whatever is known of it, plumb's capabilities have made known."""
    program = folder / "shop"
    shutil.copy(go_program("httpd"), program)
    os.chown(program, 65534, -1)
    program.chmod(0o511)
    port = free_port()
    server = listening(Process("shop-server", [program, port], folder, user="nobody", env={"OTEL_SERVICE_NAME": "books"}), port)
    yield server
    server.stop()


class Run:
    """`plumb run` that watches `server`, and what its metrics say."""

    def __init__(self, start, folder, server, capabilities, user=None, args=()):
        self.port = free_port()
        self.collector = Collector().here()
        self.spool = folder / "spool"
        self.spool.mkdir()
        if user:
            shutil.chown(self.spool, user)
        self.process = start.process("plumb", [*reduced(capabilities, user), PLUMB, "run", "--metrics", f"127.0.0.1:{self.port}", "--spool", self.spool, "--otlp", self.collector.url,
                                               "--set", "capture.stat_interval=100ms", "-p", server.pid, *args])

    @property
    def pid(self):
        return self.process.pid

    def attached(self):
        wait_until(lambda: "attached" in self.said(), "line 'attached'", alive=self.process)
        return self

    def said(self):
        return self.process.err.read_text(errors="replace")

    def warnings(self):
        return re.findall(r"^plumb: warning: (.*)$", self.said(), re.M)

    def value(self, name):
        return metric(self.port, name)

    def labels(self, family):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics").read().decode()
        found = re.findall(rf"^{family}\{{(.*)\}} ", text, re.M)
        assert len(found) == 1, text
        return dict(re.findall(r'(\w+)="([^"]*)"', found[0]))

    def serve(self, server, before=0):
        for i in range(REQUESTS):
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/items/{i}").read()
        wait_until(lambda: self.value("http_server_request_duration_seconds_count") == REQUESTS, f"{REQUESTS} requests", alive=self.process)
        wait_until(lambda: self.value("process_threads"), "resource use of the server", alive=self.process)
        wait_until(lambda: self.collector.spans == before + REQUESTS, f"{REQUESTS} spans at the collector", alive=self.process)


def documented():
    """{capability: (state, what is lost)} from docs/privileges.md's first table."""
    rows = re.findall(r"^\| `CAP_(\w+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", (REPO / "docs/privileges.md").read_text(), re.M)
    return {name: {"serves": serves.strip(), "without": without.strip(), "keeps": keeps.strip()} for name, serves, without, keeps in rows}


def doctor(capabilities, user=None):
    done = subprocess.run([*reduced(capabilities, user), PLUMB, "doctor", "--output", "json", "--agent", f"127.0.0.1:{free_port()}"], capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["usable"] else 1), done.stderr
    return report


def test_the_documentation_is_the_programs_table():
    table = {c["name"].removeprefix("CAP_"): c for c in doctor(ALL)["capabilities"]}
    rows = documented()
    assert set(rows) == set(table) == set(NUMBERS)
    for name, row in rows.items():
        assert row["serves"] == table[name]["serves"] and row["without"] == table[name]["without"], name
        keeps = "for libraries" if name in LIBRARIES else "always" if name in ALWAYS else "run" if name in RESTARTS else "no"
        assert row["keeps"] == keeps, name


def test_with_all_of_them_nothing_is_missing(start, folder, shop):
    run = Run(start, folder, shop, ALL).attached()
    assert "runs as nobody with a root of its own, Landlock, seccomp, no capabilities" in run.said() or "runs as nobody with a root of its own, seccomp, no capabilities" in run.said()
    run.serve(shop)
    about = run.labels("target_info")
    assert about["service_name"] == "books" and about["process_executable_name"] == "shop"
    assert run.value("process_open_file_descriptors") == len(os.listdir(f"/proc/{shop.pid}/fd"))
    engine, = children(run.pid)
    assert os.getpriority(os.PRIO_PROCESS, engine) == -5
    own = status(engine)
    assert own["Uid"].split() == ["65534"] * 4 and own["NoNewPrivs"] == "1" and own["Seccomp"] == "2"
    assert {own[f"Cap{s}"] for s in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert run.process.stop() == 0, run.said()
    assert run.warnings() == []
    assert run.collector.spans == REQUESTS


# What is taken away, the file of another user's process that may then not be read, and what else of it shows. Whatever else may be read differs by kernel: it is tried.
LESS = {
    "SYS_PTRACE": {"unreadable": "exe"},
    "DAC_READ_SEARCH": {"unreadable": "environ"},
    "SYS_ADMIN": {"sandbox": "Landlock, seccomp, no capabilities"},
    "LEASE": {"args": ["--set", "capture.libraries=auto"]}, # else nothing is lost
    "SETPCAP": {"sandbox": "no capabilities but in its bounding set (CAP_SETPCAP is missing)", "bounding": ALL - {"SETPCAP"}},
    "KILL": {},
    "SYS_NICE": {"nice": 0},
    "NET_ADMIN": {},
}


def readable(capabilities, pid):
    """Which files of the process these rights open, without plumb."""
    tries = {"exe": f"readlink /proc/{pid}/exe", "environ": f"cat /proc/{pid}/environ", "fd": f"test $(stat -c %s /proc/{pid}/fd) != 0 || ls /proc/{pid}/fd"}
    return {name for name, command in tries.items() if subprocess.run([*reduced(capabilities), "/bin/sh", "-c", command], capture_output=True).returncode == 0}


@pytest.mark.parametrize("without", sorted(LESS))
def test_works_less_and_says_what_is_lost(start, folder, shop, without):
    rows, lost = documented(), LESS[without]
    run = Run(start, folder, shop, ALL - {without}, args=lost.get("args", ())).attached()
    run.serve(shop)
    assert run.warnings() == [f"CAP_{without} is missing: {rows[without]['without']}"]
    about, can = run.labels("target_info"), readable(ALL - {without}, shop.pid)
    assert lost.get("unreadable") not in can
    assert about["service_name"] == ("books" if "environ" in can else "shop")
    assert about.get("process_executable_name") == ("shop" if "exe" in can else None)
    assert run.value("process_open_file_descriptors") == (len(os.listdir(f"/proc/{shop.pid}/fd")) if "fd" in can else 0)
    sandbox, = re.findall(r"attached; the engine runs as nobody with (.*)", run.said())
    assert lost.get("sandbox", "a root of its own") in sandbox
    assert ("a root of its own" in sandbox) == (without != "SYS_ADMIN")
    engine, = wait_until(lambda: len(children(run.pid)) == 1 and children(run.pid), "the engine alone", alive=run.process) # and nobody who takes probes away
    assert os.getpriority(os.PRIO_PROCESS, engine) == lost.get("nice", -5)
    assert names(status(engine)["CapBnd"]) == lost.get("bounding", set())
    assert run.process.stop() == 0, run.said()


# SYS_ADMIN holds what BPF and PERFMON were taken out of.
REFUSED = {
    ("BPF", "SYS_ADMIN"): "privileges: CAP_BPF is missing: run as root (sudo plumb …), or grant it; 'plumb doctor' says what each is for",
    ("PERFMON", "SYS_ADMIN"): "privileges: CAP_PERFMON is missing: run as root (sudo plumb …), or grant it; 'plumb doctor' says what each is for",
    ("SETUID",): "privileges: CAP_SETUID is missing: run as root (sudo plumb …), or grant it; 'plumb doctor' says what each is for",
    ("SETGID",): "privileges: CAP_SETGID is missing: run as root (sudo plumb …), or grant it; 'plumb doctor' says what each is for",
    tuple(ALL): "privileges: CAP_BPF, CAP_PERFMON, CAP_SETUID, CAP_SETGID are missing: run as root (sudo plumb …), or grant them; 'plumb doctor' says what each is for",
    ("CHOWN",): "{spool} must belong to the engine's user nobody: grant CAP_CHOWN, or 'chown nobody {spool}', or do without a spool (--spool '')",
}


@pytest.mark.parametrize("without", REFUSED, ids=lambda w: "all" if len(w) > 2 else "+".join(w))
def test_does_not_start_and_says_what_to_grant(start, folder, shop, without):
    run = Run(start, folder, shop, ALL - set(without))
    assert run.process.wait() == 1
    assert run.said() == "plumb: error: " + REFUSED[without].format(spool=run.spool) + "\n"
    assert run.process.out.read_text() == ""


def test_sys_admin_stands_for_bpf_and_perfmon(start, folder, shop):
    run = Run(start, folder, shop, ALL - {"BPF", "PERFMON"}).attached()
    run.serve(shop)
    assert run.process.stop() == 0 and run.warnings() == [], run.said()


def test_a_spool_that_is_the_engines_needs_no_chown(start, folder, shop):
    (folder / "mine").mkdir()
    shutil.chown(folder / "mine", "nobody")
    run = Run(start, folder, shop, ALL - {"CHOWN"}, args=["--spool", folder / "mine"]).attached()
    run.serve(shop)
    assert run.process.stop() == 0 and run.warnings() == [], run.said()


def test_another_user_than_root_needs_fewer(start, folder, shop):
    """User= and AmbientCapabilities= of a unit: the engine is the same user, so there is nobody to become, nothing to give away, and nobody else's process to end."""
    few = {"BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_ADMIN", "SETPCAP", "SYS_NICE", "NET_ADMIN"}
    run = Run(start, folder, shop, few, user="daemon").attached()
    run.serve(shop)
    assert "runs as daemon with a root of its own" in run.said()
    assert run.labels("target_info")["service_name"] == "books"
    engine, = children(run.pid)
    assert names(status(engine)["CapBnd"]) == set() and int(status(engine)["CapPrm"], 16) == 0
    assert run.process.stop() == 0 and run.warnings() == [], run.said()
    assert {c["name"] for c in doctor(few, "daemon")["capabilities"] if c["state"] == "unneeded"} >= {f"CAP_{c}" for c in ("SETUID", "SETGID", "CHOWN", "KILL")}


@pytest.mark.parametrize("without", sorted(ALL))
def test_doctor_names_what_is_missing(without):
    stands_in = {"SYS_ADMIN"} if without in ("BPF", "PERFMON") else set()
    report = doctor(ALL - {without} - stands_in)
    missing = {c["name"] for c in report["capabilities"] if c["state"] == "missing"}
    assert missing == {f"CAP_{c}" for c in {without} | stands_in}
    assert report["usable"] == (without not in ("BPF", "PERFMON", "SETUID", "SETGID"))


def test_doctor_says_what_each_missing_one_costs():
    rows = documented()
    done = subprocess.run([*reduced(ALL - {"SYS_PTRACE", "KILL"}), PLUMB, "doctor", "--agent", f"127.0.0.1:{free_port()}"], capture_output=True, text=True)
    assert re.findall(r"^  (CAP_\w+) +missing", done.stdout, re.M) == ["CAP_SYS_PTRACE", "CAP_KILL"]
    assert re.findall(r"^ +without it: (.*)$", done.stdout, re.M) == [rows["SYS_PTRACE"]["without"], rows["KILL"]["without"]]


def test_after_the_start_the_probe_keeps_what_it_needs(start, folder, shop, plumb):
    run = Run(start, folder, shop, ALL).attached()
    run.serve(shop)

    def probe():
        own = status(run.pid)
        return own if own["NoNewPrivs"] == "1" and own["Seccomp"] == "2" else None

    own = wait_until(probe, "a probe that has given up rights", alive=run.process)
    assert names(own["CapPrm"]) == names(own["CapEff"]) == ALWAYS | RESTARTS and int(own["CapInh"], 16) == 0
    # What it keeps suffices for another engine, which is as confined as the first.
    engine, = children(run.pid)
    os.kill(engine, 9)  # ours: this test's plumb started it
    wait_until(lambda: run.value("plumb_engine_restarts_total") == 1, "the engine to come back", alive=run.process)
    run.serve(shop, before=REQUESTS)
    second, = children(run.pid)
    own = status(second)
    assert second != engine and own["Uid"].split() == ["65534"] * 4 and {own[f"Cap{s}"] for s in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert os.getpriority(os.PRIO_PROCESS, second) == -5
    with pytest.raises(OSError):
        os.stat(f"/proc/{second}/root/etc/passwd")
    assert run.process.stop() == 0, run.said()

    # A trace starts no second engine; where it watches no calls of libraries it attaches to nothing more.
    for options, kept in ([], ALWAYS), (["--set", "capture.libraries=auto"], ALWAYS | LIBRARIES):
        p = plumb(args=options, pids=[shop.pid])
        own = wait_until(lambda: status(p.pid) if status(p.pid)["Seccomp"] == "2" else None, "a probe that has given up rights", alive=p)
        assert names(own["CapPrm"]) == kept and int(own["CapPrm"], 16) & ~sum(1 << NUMBERS[c] for c in kept) == 0
        p.finish()


def test_the_operators_command_keeps_its_rights(start, folder):
    mine = status("self")
    p = start.process("plumb", [PLUMB, "trace", "--", "/bin/sh", "-c", "cat /proc/self/status"])
    assert p.wait() == 0, p.tail()
    own = dict(line.split(":\t", 1) for line in p.err.read_text().splitlines() if ":\t" in line)
    for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid"):
        assert own[key] == mine[key], key
