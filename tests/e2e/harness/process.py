# SPDX-License-Identifier: Apache-2.0
"""Processes that a test starts: waited for by condition, ended by pid, their output kept for the report."""
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]
BUILD = REPO / "build"
APPS = REPO / "tests/e2e/apps"
DEADLINE_S = 30
TIME_WAIT, LISTEN = "06", "0A"  # /proc/net/tcp's st


def wait_until(condition, what, timeout_s=DEADLINE_S, alive=None):
    """Polls until condition() is true and returns its value; fails when `alive`, a Process, ends meanwhile."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if alive is not None and alive.popen.poll() is not None:
            raise AssertionError(f"{alive.name} ended with {alive.popen.returncode} while waiting for {what}:\n{alive.tail()}")
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {timeout_s} s" + (f":\n{alive.tail()}" if alive else ""))
        time.sleep(0.005)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def connections(port):
    """How many connections a server at this port still has a descriptor of, or bytes to read from."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return sum(int(f[1].rpartition(":")[2], 16) == port and f[3] not in (LISTEN, TIME_WAIT) for f in lines)


def find_program(name, *more):
    """Path of a program or None; servers are often in sbin, which is in nobody's PATH."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *more]))


def need(name, package):
    path = find_program(name)
    if not path:
        pytest.skip(f"{name} is not installed (package {package})")
    return path


def descendants(pid):
    """pid and its children, theirs too, as /proc has them now."""
    pids = [pid]
    for p in pids:
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                pids += [int(c) for c in Path(f"/proc/{p}/task/{task}/children").read_text().split()]
        except OSError:
            pass  # ended meanwhile
    return pids


def let_enter(folder):
    """pytest's temporary folders belong to root alone; another user must get through to this one."""
    for parent in [folder, *folder.parents]:
        if parent == parent.parent or parent.stat().st_mode & 0o001:
            continue
        parent.chmod(parent.stat().st_mode | 0o711)


class Process:
    """Output goes to files, so that nobody ever waits for a reader."""

    started = []  # all of them: none outlives the tests (conftest.py)

    def __init__(self, name, argv, folder, user=None, stdin=None, **popen):
        self.name = name
        self.out = Path(folder) / f"{name}.out"
        self.err = Path(folder) / f"{name}.err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.popen = subprocess.Popen([str(a) for a in argv], stdout=out, stderr=err, user=user, group=user and _group(user), extra_groups=[] if user else None,
                                          stdin=stdin if stdin is not None else subprocess.DEVNULL, start_new_session=True, **popen)
        self.started.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def mapped_files(self):
        with open(f"/proc/{self.pid}/maps") as maps:
            return {line.split(maxsplit=5)[5].rstrip("\n").removesuffix(" (deleted)") for line in maps if "/" in line}

    def tail(self):
        return (self.out.read_bytes()[-2000:] + self.err.read_bytes()[-2000:]).decode(errors="replace")

    def wait(self, timeout_s=DEADLINE_S):
        return self.popen.wait(timeout_s)

    def stop(self, how=signal.SIGTERM, timeout_s=15):
        """Exit status. A process that does not end is killed, and that is a failure."""
        if self.popen.poll() is None:
            self.popen.send_signal(how)
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.name} did not end within {timeout_s} s of signal {how}:\n{self.tail()}") from None


def listening(process, port):
    process.port = port
    wait_until(lambda: accepts(port), f"listening {process.name}", alive=process)
    return process


def _group(user):
    import pwd

    return pwd.getpwnam(user).pw_gid if isinstance(user, str) else pwd.getpwuid(user).pw_gid
