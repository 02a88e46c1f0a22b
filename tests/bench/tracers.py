# SPDX-License-Identifier: Apache-2.0
"""
What may watch a load: nothing, plumb, empty programs on plumb's hooks (the floor), another tracer (PEER_CMD). Each watches from its making until stop(); processes()
names its processes.
"""
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import measure

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLUMB = os.environ.get("PLUMB", f"{REPO}/build/plumb")
PLUMB_ARGS = shlex.split(os.environ.get("PLUMB_ARGS", ""))
MODE = os.environ.get("MODE", "metrics")
PEER_CMD = os.environ.get("PEER_CMD", "")
PEER_WAIT = float(os.environ.get("PEER_WAIT", "2"))


class Bare:
    name = "without"

    def __init__(self, folder):
        pass

    def processes(self):
        return {}

    def stop(self):
        pass


class Plumb:
    """Watches the benchmark and its children: servers and clients, and nothing else on the machine."""

    name = "plumb"

    def __init__(self, folder, more=()):
        self.port = measure.free_port()
        args = [PLUMB, "run", "-p", str(os.getpid()), "--metrics", f"127.0.0.1:{self.port}", "--spool", os.path.join(folder, "spool"),
                "--max-overhead", "100%"]  # its cost is measured here, not what it does to stay below one
        if MODE == "metrics":  # every request is counted, no span leaves
            args += ["--set", "sampling.sampler=always_off"]
        args += [*more, *PLUMB_ARGS]
        self.log = open(os.path.join(folder, "plumb.log"), "w")
        before = measure.bpf_programs()
        self.process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=self.log)
        measure.wait_for(self.healthy, "plumb starting")
        self.engine = measure.wait_for(lambda: measure.children(self.process.pid), "the engine starting")[0]
        self.programs = set(measure.bpf_programs()) - set(before)

    def healthy(self):
        if self.process.poll() is not None:
            sys.exit(f"bench: plumb did not start:\n{measure.read(self.log.name)}")
        return measure.get(self.port, "/healthz")

    def processes(self):
        return {"probe": [self.process.pid], "engine": [self.engine]}

    def samples(self):
        return measure.families(measure.get(self.port, "/metrics"))

    def settled(self, counted):
        """Samples once the count has stopped growing: spans are held for some milliseconds, records read some milliseconds late."""
        last, same = None, 0
        while same < 4:
            time.sleep(0.06)
            samples = self.samples()
            now = counted(samples), measure.total(samples, "plumb_records_total")
            last, same = now, same + 1 if now[0] == (last or now)[0] else 0
        return samples

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


def hooks():
    """Where plumb attaches on this machine, as its sources say: of the two rungs for sockets the first, if the kernel has it."""
    def of(source):
        return re.findall(r'SEC\("tp_btf/(\w+)"\)', measure.read(f"{REPO}/bpf/{source}"))

    with open("/sys/kernel/btf/vmlinux", "rb") as f:
        rung = "socket.bpf.c" if b"btf_trace_sock_send_length" in f.read() else "syscall.bpf.c"
    return of(rung) + of("lib/life.bpf.h") + of("process.bpf.c")


class Floor:
    name = "floor"

    def __init__(self, folder):
        self.process = subprocess.Popen([f"{REPO}/build/tests/bench/floor", *hooks()], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            sys.exit("bench: the floor's programs cannot be attached")

    def processes(self):
        return {"floor": [self.process.pid]}

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()


class Peer:
    """Any command that traces until it is interrupted. It has PEER_WAIT seconds to be ready, and is told our pid in BENCH_PID."""

    name = "peer"

    def __init__(self, folder):
        self.log = open(os.path.join(folder, "peer.log"), "w")
        self.process = subprocess.Popen(PEER_CMD, shell=True, stdout=self.log, stderr=self.log, start_new_session=True,
                                        env={**os.environ, "BENCH_PID": str(os.getpid())})
        time.sleep(PEER_WAIT)  # nothing says when it is ready
        if self.process.poll() is not None:
            sys.exit(f"bench: PEER_CMD ended:\n{measure.read(self.log.name)[-2000:]}")

    def processes(self):
        return {"peer": measure.tree(self.process.pid)}

    def stop(self):
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def chosen():
    return [Bare, Plumb, Floor] + ([Peer] if PEER_CMD else [])
