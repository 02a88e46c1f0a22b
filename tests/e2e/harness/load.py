# SPDX-License-Identifier: Apache-2.0
"""The load of the fault tests (faults/load.c), whose requests have numbers, and plumb as the node agent under it."""
import json
import subprocess
import urllib.request
from collections import Counter

from .backends import span_paths
from .plumb import Plumb
from .process import BUILD, REPO, Process, free_port, wait_until
from .spans import CLIENT, SERVER

PROGRAM = BUILD / "tests/e2e/faults/load"
SIDES = (SERVER, CLIENT)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


class Load(Process):
    """Server and clients. Each answer is checked for errors: plumb may break, the application must not notice."""

    def __init__(self, folder):
        subprocess.run(["make", "-s", "SETUP=0", str(PROGRAM.relative_to(REPO))], cwd=REPO, check=True)
        super().__init__("load", [PROGRAM], folder, stdin=subprocess.PIPE)
        self._answers = 0
        wait_until(lambda: "ready" in self.err.read_text(), "the load", alive=self)

    def tell(self, line):
        self.popen.stdin.write(f"{line}\n".encode())
        self.popen.stdin.flush()

    def answer(self, timeout_s=60):
        def whole_lines():
            text = self.out.read_text()
            return text[: text.rfind("\n") + 1].splitlines()[self._answers:]

        lines = wait_until(whole_lines, "the load's answer", timeout_s, alive=self)
        self._answers += 1
        said = json.loads(lines[0])
        assert said["errors"] == 0, f"the application had errors: {said}"
        return said

    def do(self, line, timeout_s=60):
        self.tell(line)
        return self.answer(timeout_s)

    def mark(self):
        """How far it has come: all requests up to this number are answered."""
        return self.do("mark")["settled"]


class Agent(Plumb):
    """`plumb run` of the load and nothing else, with a port for its metrics, its spans to a collector."""

    def __init__(self, folder, load, url, spool="", port=None, args=(), **named):
        self.port = port or free_port()
        # Without an overhead budget: what is left out to keep to one is another test's subject.
        args = ["--metrics", f"127.0.0.1:{self.port}", "--otlp", url, "--spool", spool, "--max-overhead", "100%",
                "--set", "sinks.otlp.retry_initial=100ms", "--set", "sinks.otlp.retry_max=500ms", *args]
        super().__init__(folder, command="run", pids=[load.pid], output=None, args=args, **named)

    @property
    def engine(self):
        pids = children(self.pid)
        assert len(pids) == 1, pids
        return pids[0]

    def samples(self):
        """Name with labels -> value; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as r:
                lines = r.read().decode().splitlines()
        except OSError:
            return {}
        return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def sum(self, name, samples=None):
        """Of all samples whose name and labels begin so."""
        return sum(v for k, v in (self.samples() if samples is None else samples).items() if k.startswith(name))

    def wait_sum(self, name, value, timeout_s=30):
        """Waits until the sum is as high, and returns what it is then."""
        return wait_until(lambda: (lambda s: s if s >= value else None)(self.sum(name)), f"{name} of {value}", timeout_s, alive=self)

    def books(self):
        """The OTLP sink's: where its spans are. In balance, or the test fails."""
        samples = self.samples()
        assert samples, "no metrics"
        b = {k: int(self.sum(f"plumb_otlp_spans_{k}", samples)) for k in ("accepted", "found", "exported", "dropped", "queued", "spooled")}
        assert b["accepted"] + b["found"] == b["exported"] + b["dropped"] + b["queued"] + b["spooled"], b
        dropped = {k: int(v) for k, v in samples.items() if k.startswith("plumb_otlp_spans_dropped_total") and v}
        b["reasons"] = {k.split('reason="')[1].split('"')[0]: v for k, v in dropped.items()}
        return b

    def wait_exported(self, count):
        """Waits until all spans have left it, and none was dropped."""
        def left():
            b = self.books()
            return b if b["exported"] + b["dropped"] >= count else None

        b = wait_until(left, f"{count} spans exported", timeout_s=60, alive=self)
        assert (b["exported"], b["dropped"]) == (count, 0), b


class Seen:
    """What a collector got of numbered requests: spans by side and number."""

    def __init__(self, collector):
        self.spans = [s for body in collector.bodies for s in span_paths(body)]
        self.times = {}
        self.numbers = {side: Counter() for side in SIDES}
        self.without_path = 0  # seen in part
        for kind, path, start, end in self.spans:
            if path is None or not path.startswith("/n/"):
                self.without_path += 1
                continue
            number = int(path[3:])
            self.numbers[kind][number] += 1
            self.times[kind, number] = (start, end)

    @staticmethod
    def times_in(body):
        return [(start, end) for _, _, start, end in span_paths(body)]

    def once(self, first, last):
        """Asserts that each of these requests has one span of each side."""
        for side in SIDES:
            missing = [n for n in range(first, last + 1) if n not in self.numbers[side]]
            assert not missing, f"side {side}: {len(missing)} of {first} to {last} are missing, such as {missing[:8]}"
        self.not_twice()

    def not_twice(self):
        for side in SIDES:
            twice = {n: c for n, c in self.numbers[side].items() if c > 1}
            assert not twice, f"side {side}: {len(twice)} came more than once, such as {list(twice.items())[:8]}"

    def missing(self, side, last, first=1):
        return [n for n in range(first, last + 1) if n not in self.numbers[side]]


def spooled(spool):
    """Spans that wait there, as the file names tell."""
    return sum(int(f.name.split("-")[1].split(".")[0]) for f in spool.glob("otlp/*.batch"))
