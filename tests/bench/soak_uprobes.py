# SPDX-License-Identifier: Apache-2.0
"""
An hour of probes that come and go on functions of programs under load: servers in Go and Node over TLS, of which each request must be answered, whatever happens beside it. In rounds: plumb starts, watches
them for a moment, in which it must see requests at both ends, and ends, by turns as told and by SIGKILL.
Variables: SECONDS (3600). Writes build/soak-uprobes.json; ends with 1 if a request failed, a program ended, or plumb saw nothing.
"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from harness import servers  # noqa: E402
from harness.driver import Driver  # noqa: E402
from harness.libraries import watched  # noqa: E402
from harness.plumb import Plumb  # noqa: E402
from harness.process import BUILD  # noqa: E402
from harness.spans import CLIENT, SERVER  # noqa: E402

SECONDS = int(os.environ.get("SECONDS", "3600"))
REQUESTS = 4001  # of one client, before the next one comes


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-days", "73"], check=True, stderr=subprocess.DEVNULL)


class Clients(threading.Thread):
    """One behind the other: each is a new process, with connections of its own."""

    def __init__(self, folder, server, tls, stop):
        super().__init__(daemon=True)
        self.folder, self.server, self.tls, self.stop = folder, server, tls, stop
        self.answered, self.clients, self.failure = 0, 0, None

    def run(self):
        plan = "".join(json.dumps({"method": "GET", "path": f"/items/{i}", "body": 0}) + "\n" for i in range(REQUESTS)) + "\n"
        try:
            while not self.stop.is_set() and self.server.popen.poll() is None:
                env = {**os.environ, "DRIVER_TLS": str(self.tls), "DRIVER_TLS_VERSION": "1.3"}
                driver = Driver(self.folder, f"driver-{self.server.name}", [BUILD / "e2e/driver", self.server.port, 7, 2000], env=env)
                driver.write(plan)
                results = driver.go(120)
                bad = [r for r in results if r["status"] != 200]
                assert not bad and len(results) == REQUESTS, bad[:3]
                self.answered += len(results)
                self.clients += 1
        except (AssertionError, OSError) as e:
            self.failure = str(e)


def rounds(folder, pids, all_clients, until):
    done = {"rounds": 0, "spans": 0, "killed": 0}
    while time.monotonic() < until and not any(c.failure for c in all_clients):
        own = folder / f"plumb{done['rounds']}"
        own.mkdir()
        p = Plumb(own, args=[*watched(), "--max-overhead", "100%", "--comm", "driver"], pids=pids)
        p.wait_spans(101, match=lambda s: s.kind in (SERVER, CLIENT) and s["url.scheme"] == "https", timeout_s=20)
        seen = sum(s["url.scheme"] == "https" for s in p.spans())
        if seen < 101:
            sys.exit(f"soak-uprobes: {seen} spans in round {done['rounds']}:\n{p.tail()}")
        if done["rounds"] % 2:
            p.popen.kill()
            p.popen.wait()
            done["killed"] += 1
        else:
            p.stop()
        done["rounds"] += 1
        done["spans"] += seen
        subprocess.run(["rm", "-rf", own], check=True)
        if done["rounds"] % 50 == 0:
            print(f"{done['rounds']} rounds, {sum(c.answered for c in all_clients)} requests answered", flush=True)
    return done


def main():
    with tempfile.TemporaryDirectory(prefix="plumb-soak-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        certificate(folder)
        places = [folder / "go", folder / "node"]
        for place in places:
            place.mkdir()
        env = {"HTTPD_TLS": str(folder)}
        apps = [servers.start_go(places[0], env=env), servers.start_node(places[1], env=env)]
        stop = threading.Event()
        all_clients = [Clients(place, app, folder, stop) for place, app in zip(places, apps)]
        for c in all_clients:
            c.start()
        done = rounds(folder, [a.pid for a in apps], all_clients, time.monotonic() + SECONDS)
        stop.set()
        for c in all_clients:
            c.join(120)
        ended = [f"{a.name} ended: {a.tail()}" for a in apps if a.popen.poll() is not None]
        for a in apps:
            a.stop()
        done |= {"seconds": SECONDS, "answered": sum(c.answered for c in all_clients), "clients": sum(c.clients for c in all_clients),
                 "failures": [c.failure for c in all_clients if c.failure] + ended}
    (BUILD / "soak-uprobes.json").write_text(json.dumps(done, indent=1))
    print(json.dumps(done, indent=1))
    return 1 if done["failures"] or not done["rounds"] else 0


sys.exit(main())
