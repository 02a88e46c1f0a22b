# SPDX-License-Identifier: Apache-2.0
"""
Ten thousand processes that load a TLS library, use it and end, one of FRESH with a copy of the library that nobody has loaded before: plumb sees them come and go, and must keep nothing of them. Prints how late it was at
files that it had not seen, from the record of the mapping to the last probe, and what it holds at the first thousandth process and at the last.
Variables: PROCESSES (10000), FRESH (40). Writes build/churn.json; ends with 1 if descriptors, files or memory have grown, a process failed, or, where others had no more than a twentieth of the machine, if it was
late by more than 50 ms at one of a hundred such files.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import measure  # noqa: E402
from harness.libraries import watched  # noqa: E402
from harness.plumb import Plumb  # noqa: E402
from harness.process import APPS, BUILD, free_port, wait_until  # noqa: E402
from test_restart import children, metric  # noqa: E402

PROCESSES = int(os.environ.get("PROCESSES", "10000"))
FRESH = int(os.environ.get("FRESH", "40"))
SETTLED = 1000  # processes behind which plumb has what it needs
ROUNDS = 3      # of requests in each process
GROWTH_BYTES = 4 << 20
LATE_MS = 50    # 99 of 100 files that are new have their probes by then


class Others:
    """What of the machine they had since then."""

    def __init__(self, p, engine):
        self.pids = [p.pid, engine]
        self.begin_s, self.known_s = time.monotonic(), self.known()

    def known(self):
        return measure.idle_s() + time.process_time() + measure.ended_children_s() + measure.cpu_s(self.pids) + measure.ended_s(self.pids)

    def share(self):
        return max(0, 1 - (self.known() - self.known_s) / ((time.monotonic() - self.begin_s) * os.cpu_count()))


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) << 10


def held(p, engine):
    fds = [os.readlink(f"/proc/{p.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{p.pid}/fd")]
    return {"descriptors": len(fds), "links": sum("bpf_link" in fd or "perf_event" in fd for fd in fds), "probe_rss": rss(p.pid), "engine_rss": rss(engine)}


def one(folder, program, library, number):
    """A process; number 0 of each FRESH has a library of its own."""
    env = dict(os.environ)
    own = folder / f"own{number}"
    if number % FRESH == 0:
        own.mkdir()
        shutil.copy(library, own / Path(library).name)
        env["LD_LIBRARY_PATH"] = str(own)
    done = subprocess.run([program, "memory", folder / "cert.pem", folder / "key.pem", "100"], input=f"{ROUNDS}\n", env=env, capture_output=True, text=True)
    if own.exists():
        shutil.rmtree(own)
    return done.returncode == 0 and len(done.stdout.split()) == 2


def quiet(p, port):
    """All have ended: their files go some seconds later, whoever takes probes away has done so."""
    wait_until(lambda: metric(port, "plumb_library_files") == 0 and len(children(p.pid)) == 1, "an end of all probes", 60, alive=p)


def main():
    with tempfile.TemporaryDirectory(prefix="plumb-churn-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        program = folder / "tls_calls"
        subprocess.run(["cc", "-O2", "-o", program, APPS / "tls_calls.c", "-lssl", "-lcrypto"], check=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=localhost", "-days", "7"], check=True,
                       stderr=subprocess.DEVNULL)
        library, = re.findall(r"=> (\S*/libssl\.so\S*)", subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout)
        p = Plumb(folder, args=[*watched(), "--comm", "tls_calls", "--max-overhead", "100%", "--metrics", f"127.0.0.1:{port}"])
        engine, = wait_until(lambda: children(p.pid) if len(children(p.pid)) == 1 else None, "its engine alone", alive=p)
        failed, first, begin, others = 0, None, time.monotonic(), Others(p, engine)
        for i in range(PROCESSES):
            failed += not one(folder, program, library, i)
            if i + 1 == SETTLED:
                quiet(p, port)
                first = held(p, engine)
            if (i + 1) % 1000 == 0:
                print(f"{i + 1} processes, {failed} failed, {time.monotonic() - begin:.0f} s", flush=True)
        share = others.share()
        quiet(p, port)
        last = held(p, engine)
        late = sorted(float(ms) for ms in re.findall(r"watching openssl in \S+ \(([0-9.]+) ms\)", p.err.read_text()))
        unseen = metric(port, "plumb_library_unseen_total")
        p.stop()
    grown = [k for k in first if last[k] > first[k] + (GROWTH_BYTES if "rss" in k else 0)]
    done = {"processes": PROCESSES, "failed": failed, "seconds": round(time.monotonic() - begin), "others": round(share, 3), "files": len(late), "unseen": unseen, "attach_ms": {
        "p50": statistics.median(late), "p99": late[int(len(late) * 0.99)], "max": late[-1]}, "first": first, "last": last, "grown": grown}
    (BUILD / "churn.json").write_text(json.dumps(done, indent=1))
    print(json.dumps(done, indent=1))
    p99 = done["attach_ms"]["p99"]
    if p99 > LATE_MS:
        print(f"churn: p99 of {p99:.1f} ms, {p99 - LATE_MS:.1f} more than the aim of {LATE_MS}" + (f"; not judged: others had {share:.0%} of the machine" if share > measure.QUIET else ""), file=sys.stderr)
    return 1 if failed or grown or unseen or (p99 > LATE_MS and share <= measure.QUIET) else 0


sys.exit(main())
