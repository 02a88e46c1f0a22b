# SPDX-License-Identifier: Apache-2.0
"""
Who is watched: each way to name processes and connections, to include and to exclude, with programs that run already and with programs that live for a millisecond. Those that are to be
watched are seen whole, the others not at all.
"""
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from harness import servers
from harness.process import APPS, wait_until
from harness.spans import CLIENT, SERVER, describe

pytestmark = pytest.mark.live
NAMED, OTHERS = 13, 17  # short-lived programs, or requests of one that runs already
CONTAINER = "c0ffee" + "0123456789" * 5 + "abcdefab"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("oneshot") / "oneshot"
    subprocess.run(["cc", "-O2", "-static", "-D_GNU_SOURCE", "-o", path, APPS / "oneshot.c"], check=True)
    return path


@pytest.fixture
def copy(program, folder):
    """copy(name): the program's path under a name that no other test uses."""
    def make(name):
        path = folder / f"{name}-{os.getpid() % 100_000}"
        if not path.exists():
            shutil.copy(program, path)
        return path

    return make


@pytest.fixture
def cgroup():
    """cgroup("a/b"): a cgroup of version 2 below one of our own; its folder. Before `start` among a test's fixtures: what runs in it must end first."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    top = next((Path(m[1]) for m in mounts if m[2] == "cgroup2"), None)
    if not top or not os.access(top, os.W_OK):
        pytest.skip("no writable cgroup2")
    own, made = f"plumb-e2e-{os.getpid()}", []

    def make(path):
        at = top
        for part in [own, *path.split("/")]:
            at = at / part
            if not at.exists():
                at.mkdir()
                made.append(at)
        return at

    yield make
    for at in reversed(made):
        wait_until(lambda: not (at / "cgroup.procs").read_text(), f"empty {at}")
        at.rmdir()


def enter(at):
    return (lambda: (at / "cgroup.procs").write_text(str(os.getpid()))) if at else None


class Launcher:
    """Runs commands one after the other, each in a process of its own: a shell, in a cgroup if need be."""

    def __init__(self, start, at=None):
        self.shell = start.process("launcher", ["bash", "-c", 'while read -r line; do $line || exit 1; echo done; done'], stdin=subprocess.PIPE, preexec_fn=enter(at))
        self.pid = self.shell.pid
        self.count = 0

    def run(self, *argv):
        self.shell.popen.stdin.write((" ".join(map(str, argv)) + "\n").encode())
        self.shell.popen.stdin.flush()
        self.count += 1
        wait_until(lambda: self.shell.out.read_text().count("done") == self.count, "end of a program", alive=self.shell)


class Waiting:
    """A program that runs already and asks when it is told to."""

    def __init__(self, start, path, *args, at=None):
        self.process = start.process("waiting", [path, "-w", *args], stdin=subprocess.PIPE, preexec_fn=enter(at))
        self.pid = self.process.pid
        wait_until(lambda: os.readlink(f"/proc/{self.pid}/exe") == str(path), "program", alive=self.process)

    def go(self):
        self.process.popen.stdin.write(b"go\n")
        self.process.popen.stdin.close()
        assert self.process.wait() == 0, self.process.tail()


class Numbers:
    """Item numbers that no other test and no other program on this machine asks for."""

    def __init__(self):
        self.next = time.monotonic_ns() // 1000 % 1_000_000 * 1000
        self.named, self.others = [], []

    def take(self, side, count):
        first, self.next = self.next, self.next + count
        side += [f"/items/{first + i}" for i in range(count)]
        return first

    def check(self, p, wanted, unwanted, kinds=(CLIENT,)):
        """The wanted ones once at each end that is looked at, the unwanted ones nowhere."""
        p.wait_spans(len(wanted) * len(kinds), lambda s: s.kind in kinds and s.path in wanted)
        spans = [s for s in p.finish() if s.kind in kinds and s["url.scheme"]]
        for kind in kinds:
            assert sorted(s.path for s in spans if s.kind == kind and s.path in wanted + unwanted) == sorted(wanted), describe(spans, 100)
        assert all(s["http.response.status_code"] == 200 for s in spans if s.path in wanted), describe(spans, 100)


# How each way names a program. Each returns (value of the option, launcher and program of the named ones, launcher and program of the others).

def by_pid(start, copy, cgroup):
    named, others = Launcher(start), Launcher(start)
    return named.pid, (named, copy("x")), (others, copy("x"))


def by_comm(start, copy, cgroup):
    launcher = Launcher(start)
    return copy("named").name[:15], (launcher, copy("named")), (launcher, copy("other"))


def by_exe(start, copy, cgroup):
    launcher = Launcher(start)
    return copy("named").name, (launcher, copy("named")), (launcher, copy("other"))


def by_path(start, copy, cgroup):
    """The same name in another folder is another program."""
    launcher, named = Launcher(start), copy("named")
    other = named.parent / "elsewhere" / named.name
    other.parent.mkdir()
    shutil.copy(named, other)
    return named, (launcher, named), (launcher, other)


def by_cgroup_part(start, copy, cgroup):
    named, others = Launcher(start, cgroup("named/inner")), Launcher(start, cgroup("others/inner"))
    return f"plumb-e2e-{os.getpid()}/named", (named, copy("x")), (others, copy("x"))


def by_container(start, copy, cgroup):
    named, others = Launcher(start, cgroup(f"docker/{CONTAINER}")), Launcher(start, cgroup(f"docker/{CONTAINER[::-1]}"))
    return CONTAINER[:12], (named, copy("x")), (others, copy("x"))


WAYS = {"pid": by_pid, "comm": by_comm, "exe": by_exe, "path": by_path, "cgroup": by_cgroup_part, "container": by_container}
OPTION = {"path": "exe"}


def option(way, side):
    return ("--exclude-" if side == "exclude" else "--") + OPTION.get(way, way)


@pytest.mark.parametrize("side", ["include", "exclude"])
@pytest.mark.parametrize("way", WAYS)
def test_short_lived_programs(cgroup, start, plumb, copy, way, side):
    """Each lives for a millisecond and asks once. The probe sleeps: nothing may depend on how soon it looks."""
    server, numbers = start(servers.start_go), Numbers()
    value, named, others = WAYS[way](start, copy, cgroup)
    p = plumb(args=[option(way, side), value])
    with p.probe_stopped():
        for i in range(max(NAMED, OTHERS)):
            for (launcher, path), side_of, count in ((named, numbers.named, NAMED), (others, numbers.others, OTHERS)):
                if i < count:
                    launcher.run(path, server.port, numbers.take(side_of, 1), 1)
    numbers.check(p, *((numbers.named, numbers.others) if side == "include" else (numbers.others, numbers.named)))


@pytest.mark.parametrize("side", ["include", "exclude"])
@pytest.mark.parametrize("way", WAYS)
def test_programs_that_run_already(cgroup, start, plumb, copy, way, side):
    server, numbers = start(servers.start_go), Numbers()
    value, (_, named), (_, other) = WAYS[way](start, copy, cgroup)
    places = {"cgroup": ("named/inner", "others/inner"), "container": (f"docker/{CONTAINER}", f"docker/{CONTAINER[::-1]}")}
    at = [cgroup(place) for place in places[way]] if way in places else [None, None]
    waiting = [Waiting(start, named, server.port, numbers.take(numbers.named, NAMED), NAMED, at=at[0]),
               Waiting(start, other, server.port, numbers.take(numbers.others, OTHERS), OTHERS, at=at[1])]
    p = plumb(args=[option(way, side), waiting[0].pid if way == "pid" else value])
    for w in waiting:
        w.go()
    numbers.check(p, *((numbers.named, numbers.others) if side == "include" else (numbers.others, numbers.named)))


@pytest.mark.parametrize("side", ["include", "exclude"])
def test_a_cgroup_that_is_entered_just_before_the_program(cgroup, start, plumb, copy, side):
    """As service managers and container runtimes do it. The name of the cgroup itself is known to the kernel side: right from the first instruction."""
    server, numbers = start(servers.start_go), Numbers()
    named, others = cgroup(f"named-{os.getpid()}.service"), cgroup("other.service")
    p = plumb(args=[f"--{'exclude-' if side == 'exclude' else ''}cgroup", named.name])
    with p.probe_stopped():
        for i in range(max(NAMED, OTHERS)):
            for at, side_of, count in ((named, numbers.named, NAMED), (others, numbers.others, OTHERS)):
                if i < count:
                    subprocess.run([copy("x"), str(server.port), str(numbers.take(side_of, 1)), "1"], check=True, preexec_fn=enter(at))
    numbers.check(p, *((numbers.named, numbers.others) if side == "include" else (numbers.others, numbers.named)))


@pytest.mark.parametrize("side", ["include", "exclude"])
def test_ports(start, plumb, copy, side):
    """Both ends of the connection, of short-lived programs and of one that runs already."""
    named, other, numbers, launcher = start(servers.start_go), start(servers.start_go), Numbers(), Launcher(start)
    waiting = [Waiting(start, copy("x"), server.port, numbers.take(of, 7), 7) for server, of in ((named, numbers.named), (other, numbers.others))]
    p = plumb(args=[option("port", side), named.port])
    for w in waiting:
        w.go()
    for i in range(OTHERS):
        launcher.run(copy("x"), other.port, numbers.take(numbers.others, 1), 1)
        if i < NAMED:
            launcher.run(copy("x"), named.port, numbers.take(numbers.named, 1), 1)
    numbers.check(p, *((numbers.named, numbers.others) if side == "include" else (numbers.others, numbers.named)), kinds=(CLIENT, SERVER))


# Precedence: exclusion wins.

def test_a_connection_with_a_wanted_and_an_excluded_port(start, plumb, copy):
    wanted, excluded, numbers, launcher = start(servers.start_go), start(servers.start_go), Numbers(), Launcher(start)
    own = servers.free_port()
    p = plumb(args=["--port", wanted.port, "--port", own, "--exclude-port", excluded.port])
    launcher.run(copy("x"), wanted.port, numbers.take(numbers.named, NAMED), NAMED)
    launcher.run(copy("x"), "-b", own, excluded.port, numbers.take(numbers.others, OTHERS), OTHERS)
    launcher.run(copy("x"), excluded.port, numbers.take(numbers.others, 7), 7)
    numbers.check(p, numbers.named, numbers.others, kinds=(CLIENT, SERVER))


def test_a_wanted_program_and_an_excluded_port(start, plumb, copy):
    kept, excluded, numbers, launcher = start(servers.start_go), start(servers.start_go), Numbers(), Launcher(start)
    p = plumb(args=["--exe", copy("named").name, "--exclude-port", excluded.port])
    launcher.run(copy("named"), kept.port, numbers.take(numbers.named, NAMED), NAMED)
    launcher.run(copy("named"), excluded.port, numbers.take(numbers.others, OTHERS), OTHERS)
    launcher.run(copy("other"), kept.port, numbers.take(numbers.others, 7), 7)
    numbers.check(p, numbers.named, numbers.others)


@pytest.mark.parametrize("how", ["pid", "comm"])
def test_a_named_child_of_an_excluded_parent_is_excluded(start, plumb, copy, how):
    server, numbers, excluded, other = start(servers.start_go), Numbers(), Launcher(start), Launcher(start)
    parent = copy("parent")
    p = plumb(args=["--exe", copy("named").name, f"--exclude-{how}", excluded.pid if how == "pid" else parent.name[:15]])
    if how == "pid":
        excluded.run(copy("named"), server.port, numbers.take(numbers.others, OTHERS), OTHERS)
    else:
        # A shell under the excluded name, whose child is the named program.
        shell = copy("shell").with_name(parent.name)
        shell.unlink()
        shutil.copy("/bin/bash", shell)
        subprocess.run([shell, "-c", f"{copy('named')} {server.port} {numbers.take(numbers.others, OTHERS)} {OTHERS}; true"], check=True)
    other.run(copy("named"), server.port, numbers.take(numbers.named, NAMED), NAMED)
    numbers.check(p, numbers.named, numbers.others)


def test_an_excluded_executable_says_nothing_of_its_children(start, plumb, copy):
    server, numbers, launcher = start(servers.start_go), Numbers(), Launcher(start)
    shell = copy("shell")
    shutil.copy("/bin/bash", shell)
    p = plumb(args=["--exe", copy("named").name, "--exclude-exe", shell.name])
    subprocess.run([shell, "-c", f"{copy('named')} {server.port} {numbers.take(numbers.named, NAMED)} {NAMED}; true"], check=True)
    launcher.run(copy("other"), server.port, numbers.take(numbers.others, OTHERS), OTHERS)
    numbers.check(p, numbers.named, numbers.others)


@pytest.mark.parametrize("ways", [("exe", "exe"), ("comm", "comm"), ("comm", "exe"), ("", "exe"), ("exe", "")], ids=lambda w: f"{w[0] or 'all'} without {w[1] or 'none'}")
def test_the_verdict_follows_the_program(start, plumb, copy, ways):
    """One process, one connection: an excluded program becomes a wanted one and that again an excluded one, before and after plumb has come."""
    server, numbers = start(servers.start_go), Numbers()
    wanted, excluded = copy("wanted"), copy("excluded")

    def chain():
        """Arguments of the first of five programs: excluded, wanted, excluded, …, each with some requests over the connection that the first has made."""
        argv = []
        for i in range(5):
            path, side, count = (wanted, numbers.named, 7) if i % 2 else (excluded, numbers.others, 5)
            argv += (["--", path, 0] if i else [server.port]) + [numbers.take(side, count), count]
        return argv

    running = Waiting(start, excluded, *chain())
    args = [a for side, way, path in (("include", ways[0], wanted), ("exclude", ways[1], excluded)) if way for a in (option(way, side), path.name[:15] if way == "comm" else path.name)]
    p = plumb(args=args)
    with p.probe_stopped():
        running.go()
        Launcher(start).run(excluded, *chain())
    assert (len(numbers.named), len(numbers.others)) == (28, 30)
    numbers.check(p, numbers.named, numbers.others)


@pytest.mark.parametrize("way", ["pid", "comm", "exe", "container"])
def test_a_number_that_is_used_again(cgroup, start, plumb, copy, way):
    """An excluded process ends, and another one gets its number."""
    server, numbers = start(servers.start_go), Numbers()
    at = cgroup(f"docker/{CONTAINER}") if way == "container" else None
    excluded = Waiting(start, copy("excluded"), server.port, numbers.take(numbers.others, 5), 5, at=at)
    value = {"pid": excluded.pid, "comm": copy("excluded").name[:15], "exe": copy("excluded").name, "container": CONTAINER[:12]}[way]
    p = plumb(args=[f"--exclude-{way}", value])
    with p.probe_stopped():
        excluded.go()
        for i in range(7):
            subprocess.run([copy("kept"), "-t", str(excluded.pid), str(server.port), str(numbers.take(numbers.named, 1)), "1"], check=True)
    numbers.check(p, numbers.named, numbers.others)
