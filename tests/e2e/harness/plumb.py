# SPDX-License-Identifier: Apache-2.0
"""build/plumb as the tests run it: attached before the traffic starts, spans read from its standard output."""
import contextlib
import ctypes
import errno
import os
import platform
import re
import signal
import struct
import subprocess

from .process import BUILD, Process, wait_until
from .spans import parse

PLUMB = BUILD / "plumb"
PLUMB_ASAN = BUILD / "asan/plumb"
NR_BPF = {"x86_64": 321, "aarch64": 280}
BPF_MAP_CREATE, BPF_MAP_TYPE_RINGBUF = 0, 27


def missing_rights():
    """Why this machine cannot trace at all, or None. Asks the kernel, not plumb: a plumb that fails must not become a skip."""
    if os.geteuid() != 0:
        return "live tracing needs root"
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        return "live tracing needs a kernel with BTF"
    attr = ctypes.create_string_buffer(struct.pack("=IIIII", BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0).ljust(128, b"\0"), 128)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(NR_BPF[platform.machine()], BPF_MAP_CREATE, attr, 128)
    if fd < 0:
        return f"live tracing needs BPF: {errno.errorcode[ctypes.get_errno()]} for a ring buffer"
    os.close(fd)
    return None


class Plumb(Process):
    """`plumb trace` (or `run`) in the background. Standard output is the OTLP/JSON lines and nothing else."""

    def __init__(self, folder, args=(), pids=(), command="trace", name="plumb", env=None, output="otlp-json", prefix=()):
        """prefix: words of a command that ends by becoming plumb."""
        argv = [*prefix, PLUMB, command, *args]
        for pid in pids:
            argv += ["-p", pid]
        if command in ("trace", "record") and not {"-d", "--duration"} & set(args):
            argv += ["-d", "1h"] # else it ends with the processes that are named
        if command in ("trace", "record") and not any("ring_size" in str(a) for a in args):
            argv += ["--set", "capture.ring_size=16MiB"] # what a ring bears while others have the CPUs is test_overload.py's to say
        if output:
            argv += ["--output", output]
        super().__init__(name, argv, folder, env={**os.environ, **(env or {})})
        wait_until(lambda: "attached" in self.err.read_text(errors="replace"), "line 'attached' on standard error", alive=self)

    def watching(self, library):
        """Paths of the files of this library, and others before it, on whose functions probes have been put. Needs harness.libraries.watched()."""
        return re.findall(rf"watching (?:[a-z0-9, ]+, )?{re.escape(library)} in (.*?)(?: \(deleted\))? \((?:mapped before|[0-9.]+ ms)", self.err.read_text(errors="replace"))

    def wait_watching(self, library, times=1, file=""):
        """Until probes lie on so many that have this in their path."""
        wait_until(lambda: sum(file in path for path in self.watching(library)) >= times, f"probes on {library} {file}", alive=self)

    def wait_watching_in(self, library, *processes):
        """Until probes lie on one that each of these has mapped: others' may be watched as well, or before they come."""
        for process in processes:
            wait_until(lambda: set(self.watching(library)) & set(process.mapped_files()), f"probes on {library} in {process.name}", alive=self)

    @contextlib.contextmanager
    def probe_stopped(self):
        """What happens meanwhile is decided in the kernel or not at all: the probe hears of it later."""
        self.popen.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.popen.send_signal(signal.SIGCONT)

    def spans(self):
        """Those whose lines are complete."""
        text = self.out.read_text()
        return parse(text[: text.rfind("\n") + 1])

    def wait_spans(self, count, match=lambda s: True, timeout_s=10):
        """Waits until `count` spans match, or the time is over: what then comes of it is the test's to say."""
        try:
            wait_until(lambda: sum(map(match, self.spans())) >= count, f"{count} spans", timeout_s, alive=self)
        except AssertionError:
            if self.popen.poll() is not None:
                raise

    def finish(self):
        """Ends plumb and returns all spans. It must end well, and have written whole lines."""
        status = self.stop()
        assert status == 0, f"plumb ended with {status}:\n{self.err.read_text(errors='replace')[-3000:]}"
        text = self.out.read_text()
        assert text == "" or text.endswith("\n"), f"cut line at the end: {text[-200:]!r}"
        return parse(text)


def replay(path, *args, program=PLUMB, output="otlp-json", timeout_s=120, env=None):
    """Runs `plumb replay`; CompletedProcess with bytes."""
    argv = [str(program), "replay", str(path), *args] + (["--output", output] if output else [])
    return subprocess.run(argv, capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
