# SPDX-License-Identifier: Apache-2.0
"""
What a call of a TLS library costs: a program that does nothing else (tests/e2e/apps/tls_calls.c), with nothing beside it, under probes on the same functions that do nothing (empty_uprobes.c), and under plumb. It is one
process all the time; in rounds all three have their turn, and ratios are of one round. Nanoseconds of a call are those of a round by its four calls.
"""
import os
import re
import signal
import statistics
import subprocess
import sys

import measure
import tracers

REPO = tracers.REPO
ROUNDS = int(os.environ.get("PAIRS", "5"))
TURN_S = 0.5
AIM = 1.3       # of what a call takes under probes that do nothing, at most
CASES = ("memory", 100), ("memory", 16000), ("socket", 100), ("socket", 16000)


class Calls:
    """The program, waiting for how often."""

    def __init__(self, folder, way, body):
        key, certificate = f"{folder}/key.pem", f"{folder}/cert.pem"
        if not os.path.exists(key):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-days", "7"], check=True, stderr=subprocess.DEVNULL)
        program = f"{folder}/tls_calls"
        if not os.path.exists(program):
            subprocess.run(["cc", "-O2", "-o", program, f"{REPO}/tests/e2e/apps/tls_calls.c", "-lssl", "-lcrypto"], check=True)
        self.process = subprocess.Popen([program, way, certificate, key, str(body)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            sys.exit("bench: tls_calls did not start")
        self.library, = {line.split()[-1] for line in measure.read(f"/proc/{self.process.pid}/maps").splitlines() if re.search(r"/libssl\.so", line)}

    def rounds(self, n):
        """Nanoseconds of a call."""
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()) / n / 4

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


class Empty:
    name = "empty"

    def __init__(self, folder, calls):
        self.process = subprocess.Popen([f"{REPO}/build/tests/bench/empty_uprobes", calls.library], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            sys.exit("bench: empty_uprobes did not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Watched:
    name = "plumb"

    def __init__(self, folder, calls):
        self.plumb = tracers.Plumb(folder, ["--set", "capture.libraries=auto"])
        measure.wait_for(lambda: measure.total(self.plumb.samples(), "plumb_library_processes") >= 1, "probes on the library")

    def stop(self):
        self.plumb.stop()


class Bare:
    name = "without"

    def __init__(self, folder, calls):
        pass

    def stop(self):
        pass


def turn(kind, folder, calls):
    tracer = kind(folder, calls)
    try:
        calls.rounds(1000)  # what comes first is found, pages are touched
        n = max(1000, int(TURN_S * 1e9 / calls.rounds(1000) / 4))
        return calls.rounds(n)
    finally:
        tracer.stop()


def gone(calls, bare_ns):
    """Probes are taken away behind their owner's end."""
    measure.wait_for(lambda: calls.rounds(1000) < 1.5 * bare_ns, "an end of the probes")


def benchmark(folder):
    cases = {}
    for way, body in CASES:
        calls, runs = Calls(folder, way, body), []
        try:
            for i in range(ROUNDS):
                kinds = [Bare, Empty, Watched] if i % 2 == 0 else [Bare, Watched, Empty]
                done = {}
                for kind in kinds:
                    done[kind.name] = turn(kind, folder, calls)
                    gone(calls, done["without"])
                runs.append(done)
                print(f"  {way}, {body} bytes: " + "  ".join(f"{k} {v:.0f}" for k, v in done.items()) + " ns a call", flush=True)
        finally:
            calls.stop()
        cases[f"{way} {body}"] = {"rounds": runs, "ratio": statistics.median(r["plumb"] / r["empty"] for r in runs)}
    return {"calls": cases}


def missed(cases):
    """Where the aim is, and by how much: by the medians of the rounds' ratios."""
    return [f"a call over {case.replace(' ', ', ')} bytes, takes {c['ratio']:.2f} of what it takes under empty probes, {c['ratio'] - AIM:.2f} more than {AIM}" for case, c in cases.items() if c["ratio"] > AIM]
