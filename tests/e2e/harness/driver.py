# SPDX-License-Identifier: Apache-2.0
"""Programs that do a known series of things when told "go" on standard input, and print what they did and measured as JSON lines."""
import json
import subprocess
from dataclasses import dataclass

import pytest

from .process import APPS, BUILD, Process, descendants
from .servers import go_program


@dataclass(frozen=True)
class Request:
    """What is sent, and what is true about it by the design of the servers' routes."""
    method: str
    kind: str  # first part of the path
    number: int  # unique in the run
    body: int = 0

    STATUS = {"items": 200, "upload": 201, "big": 200, "chunks": 200, "slow": 200, "fail": 500, "missing": 404, "busy": 503}

    @property
    def path(self):
        return f"/{self.kind}/{self.number}"

    @property
    def route(self):
        return f"/{self.kind}/{{id}}"

    @property
    def status(self):
        return 204 if self.method == "DELETE" else self.STATUS[self.kind]


# 23 requests, 7 of which fail.
MIX = ([("GET", "items", 0)] * 6 + [("POST", "upload", 3001)] * 3 + [("GET", "big", 0)] * 2 + [("GET", "chunks", 0)] + [("GET", "slow", 0)] * 2 + [("HEAD", "items", 0), ("DELETE", "items", 0)]
       + [("GET", "fail", 0)] * 4 + [("GET", "missing", 0)] * 2 + [("GET", "busy", 0)])


def plan_23():
    # 7 and 23 have no common divisor: every entry of the mix once, in an order that mixes successes and failures.
    return [Request(*MIX[i * 7 % 23][:2], 100_001 + i, MIX[i * 7 % 23][2]) for i in range(23)]


def plan_10007():
    """The same mix over and over, but the slow ones only once in a while: 64 connections shall be busy, not asleep."""
    plan = []
    for i in range(10_007):
        method, kind, body = MIX[i * 7 % 23]
        if kind == "slow" and i % 17:
            kind = "items"
        plan.append(Request(method, kind, 100_001 + i, body))
    return plan


class Driver(Process):
    def __init__(self, folder, name, argv, **more):
        super().__init__(name, argv, folder, stdin=subprocess.PIPE, **more)

    def write(self, text):
        self.popen.stdin.write(text.encode())
        self.popen.stdin.flush()

    def begin(self):
        self.write("go\n")
        self.popen.stdin.close()

    def end(self, timeout_s=120):
        """Waits for its end; its lines. It must have succeeded."""
        try:
            status = self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()  # its connections are not to be those of later tests
            raise
        assert status == 0, f"{self.name} ended with {status}:\n{self.tail()}"
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def go(self, timeout_s=120):
        """Lets it run to its end; its lines."""
        self.begin()
        return self.end(timeout_s)


def http_driver(folder, server, connections, plan, rate=0):
    """Holds its plan and waits for go(). rate: requests a second, 0 = as fast as they go."""
    d = Driver(folder, "driver", [go_program("driver"), server.port, connections, rate, *descendants(server.pid)])
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan) + "\n")
    return d


def python_driver(folder, app, port, *args, **more):
    return Driver(folder, app.replace(".", "-"), [BUILD / "venv/bin/python", "-u", APPS / app, port, *args], **more)


def go_driver(folder, app, port, *args):
    return Driver(folder, app, [go_program(app), port, *args])


def rocketmq_driver(folder, port, *args):
    """RocketMQ's own client, in Java; setup.sh compiles it."""
    jars = BUILD / "e2e/rocketmq"
    if not (jars / "classes/RocketmqDriver.class").exists():
        pytest.skip("RocketMQ's Java driver was not compiled (package openjdk-17-jdk-headless): run tests/e2e/setup.sh")
    argv = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={folder}", "-cp", f"{jars}/classes:{jars}/*", "RocketmqDriver", port, *args]
    return Driver(folder, "rocketmq-driver", argv)
