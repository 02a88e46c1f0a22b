# SPDX-License-Identifier: Apache-2.0
"""
What an application notices while plumb breaks: how long its requests take, with nothing watching, watched, and watched by a plumb whose parts are killed, whose
collector is away or silent, whose disk is full. Variables: ROUNDS (5), in each of which each state has its turn of SECONDS (4) at RATE (1000 requests a second on 8
connections). Writes build/faults.json; ends with 1 if a request failed.
"""
import contextlib
import http.server
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import measure  # noqa: E402
import report  # noqa: E402
from harness.load import Agent, Load  # noqa: E402
from harness.process import free_port  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS", "4"))
RATE = int(os.environ.get("RATE", "1000"))
EVERY = 0.5  # seconds between two faults of a turn
SMALL_DISK = ["unshare", "--mount", "sh", "-ec", 'mkdir -p "$0"; mount -t tmpfs -o size=96k none "$0"; exec "$@"']


class Quick(http.server.BaseHTTPRequestHandler):
    """Takes what comes and says so: its own CPU time is no part of what is measured."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def collector():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quick)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def away():
    yield f"http://127.0.0.1:{free_port()}"


@contextlib.contextmanager
def silent():
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        yield f"http://127.0.0.1:{s.getsockname()[1]}"


def left_alone(agent):
    return agent


def engine_killed(agent):
    restarts = agent.sum("plumb_engine_restarts_total")
    os.kill(agent.engine, signal.SIGKILL)
    agent.wait_sum("plumb_engine_restarts_total", restarts + 1)
    return agent


def again(agent, how):
    agent.popen.send_signal(how)
    agent.popen.wait(30)
    return Agent(agent.folder, agent.load, agent.url, spool=agent.spool)


def probe_killed(agent):
    return again(agent, signal.SIGKILL)


def told_to_end(agent):
    return again(agent, signal.SIGTERM)


# Name, collector, what happens, words before plumb's own.
STATES = (
    ("without", None, left_alone, ()),
    ("watched", collector, left_alone, ()),
    ("engine killed", collector, engine_killed, ()),
    ("probe killed", collector, probe_killed, ()),
    ("restarted", collector, told_to_end, ()),
    ("collector away", away, left_alone, ()),
    ("collector silent", silent, left_alone, ()),
    ("disk full", away, left_alone, SMALL_DISK),
)


def start(folder, load, url, prefix):
    spool = folder / "spool"
    agent = Agent(folder, load, url, spool=spool, prefix=[*prefix, spool] if prefix else ())
    agent.folder, agent.load, agent.url, agent.spool = folder, load, url, spool
    return agent


def turn(load, folder, server, happens, prefix):
    """What the load says of its requests meanwhile, and how often the fault came."""
    times = 0
    with server() if server else contextlib.nullcontext() as url:
        agent = start(folder, load, url, prefix) if server else None
        load.tell(f"load 0 8 {RATE}")
        ends = time.monotonic() + SECONDS
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(EVERY, left))
            if happens is not left_alone and left > EVERY:
                was, agent = agent, happens(agent)
                agent.folder, agent.load, agent.url, agent.spool = was.folder, was.load, was.url, was.spool
                times += 1
        load.tell("end")
        said = load.answer()  # fails if a request did
        if agent:
            agent.stop()
    return {**said, "faults": times}


def show(rounds):
    body = []
    for name, *_ in STATES:
        runs = [r[name] for r in rounds]
        ratios = [r[name]["p99_us"] / r["without"]["p99_us"] for r in rounds]
        body.append([name, sum(r["answered"] for r in runs), sum(r["errors"] for r in runs), sum(r["faults"] for r in runs),
                     report.number(measure.summary([r["p99_us"] for r in runs]), "{:.0f}"), report.number(measure.summary(ratios)),
                     report.number(measure.summary([r["worst_us"] for r in runs]), "{:.0f}")])
    print("\nthe application while plumb breaks: p99 and the longest of its requests, us; median of the rounds (least–most)")
    report.rows(["state", "requests", "errors", "faults", "p99", "of without", "longest"], body)


def main():
    rounds = []
    with tempfile.TemporaryDirectory(prefix="plumb-faults-") as name:
        os.chmod(name, 0o755)
        folder = Path(name)
        load = Load(folder)
        try:
            for i in range(ROUNDS):
                done = {}
                for state, *how in STATES if i % 2 == 0 else STATES[::-1]:
                    done[state] = turn(load, Path(tempfile.mkdtemp(dir=folder)), *how)
                rounds.append(done)
                print(f"  round {i + 1}: p99 us: " + "  ".join(f"{s} {r['p99_us']}" for s, r in done.items()), flush=True)
        finally:
            load.stop(signal.SIGKILL)
    with open("build/faults.json", "w") as f:
        json.dump({"name": "faults", "rate": RATE, "seconds": SECONDS, "rounds": rounds}, f, indent=1)
    show(rounds)


if __name__ == "__main__":
    main()
