# SPDX-License-Identifier: Apache-2.0
"""Drivers of GPUs that need none (apps/gpu), programs that work with them, and what plumb's metrics say of that."""
import json
import re
import subprocess

from .driver import Driver
from .process import APPS, wait_until

SAMPLE = re.compile(r'^(\w+?)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def build(folder):
    """libcuda.so.1, libamdhip64.so.6 and the program app."""
    library = ["cc", "-O2", "-D_GNU_SOURCE", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,lazy", "-o"]
    subprocess.run([*library, folder / "libcuda.so.1", APPS / "gpu/cuda.c"], check=True)
    subprocess.run([*library, folder / "libamdhip64.so.6", APPS / "gpu/hip.c"], check=True)
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", folder / "app", APPS / "gpu/app.c", "-ldl"], check=True)
    return folder


class App(Driver):
    def __init__(self, start, built, launches, failures):
        super().__init__(start.folder(), "gpu-app", [built / "app", built / "libcuda.so.1", launches, failures])
        wait_until(lambda: "ready" in self.out.read_text(), "it to be ready", alive=self)

    def run(self):
        """To its end; what its driver knows, the call that follows included."""
        self.write("go\n")
        self.popen.stdin.close()
        assert self.wait(60) == 0, self.tail()
        truth = json.loads(self.out.read_text().splitlines()[-1])
        truth["calls"]["cuCtxSynchronize"]["count"] += 1
        return truth


class Metrics:
    def __init__(self, text):
        self.samples = {}
        for line in text.splitlines():
            m = SAMPLE.match(line)
            if m and not line.startswith("#"):
                self.samples[m[1], tuple(sorted(LABEL.findall(m[2] or "")))] = float(m[3])

    def of(self, family, by, **labels):
        """Sums of a family's samples with these labels, by another one, or by several."""
        found = {}
        for (name, pairs), value in self.samples.items():
            pairs = dict(pairs)
            if name == family and all(pairs.get(k) == str(v) for k, v in labels.items()):
                key = pairs.get(by) if isinstance(by, str) else tuple(pairs.get(b) for b in by)
                found[key] = found.get(key, 0) + value
        return found
