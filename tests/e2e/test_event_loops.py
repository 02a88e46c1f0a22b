# SPDX-License-Identifier: Apache-2.0
"""Whose is a call that an event loop makes: of the request whose turn it is, or of a timer that happens to fire while a request is open."""
import http.client
import subprocess
import time

import pytest

from harness import servers
from harness.driver import Request, http_driver
from harness.process import BUILD, wait_until
from harness.spans import CLIENT, CONSUMER, SERVER, describe

pytestmark = pytest.mark.live
CALLS = {"once": 1, "twice": 2, "fan": 3, "fresh": 2, "pause": 1, "idle": 0}
ROUNDS = 7
EVERY_MS = 100


def start_loop(start, way, every_ms):
    backend = start(servers.start_python, "backend", app="loopd.py")
    if way == "node":
        return start(servers.start_node, backend.port, every_ms, app="loopd.js")
    return start(servers.start_python, way, backend.port, every_ms, app="loopd.py")


def ask(port, kinds, rounds=ROUNDS):
    """Returns how many calls were made for the requests."""
    c = http.client.HTTPConnection("127.0.0.1", port)
    for i in range(rounds):
        for kind in kinds:
            c.request("GET", f"/{kind}/{i}")
            assert c.getresponse().read() == b"done\n"
    c.close()
    return rounds * sum(CALLS[k] for k in kinds)


def split(spans):
    """Calls made for requests, those made on its own, and requests by id."""
    calls = [s for s in spans if s.kind == CLIENT and s["plumb.incomplete"] != "request_not_seen"]  # but for one that was under way when plumb came
    assert len([s for s in spans if s.kind == CLIENT]) - len(calls) <= 1, describe(spans)
    assert all(s.path.startswith(("/for/", "/own/")) for s in calls), describe(spans)
    own = [s for s in calls if s.path.startswith("/own/")]
    return [s for s in calls if s not in own], own, {s.span_id: s for s in spans if s.kind == SERVER}


def check_parents(calls, requests, join="thread"):
    for s in calls:
        r = requests.get(s.parent_id)
        assert r and s.path.startswith(f"/for{r.path}/") and s["plumb.join"] == join, describe([s] + [r] * bool(r))


@pytest.mark.parametrize("way", ["node", "asyncio", "threads"])
def test_calls_belong_to_their_request(start, plumb, way):
    """Nothing else is done: each call that follows an answer, or the request, is certain. Of a thread so is one that follows a pause."""
    server = start_loop(start, way, 0)
    kinds = ["once", "twice", "fan", "fresh"] + ["pause"] * (way == "threads")
    ask(server.port, kinds, rounds=1)  # what is compiled when it is first called may sleep within a turn
    p = plumb(pids=[server.pid])
    count = ask(server.port, kinds)
    p.wait_spans(count, lambda s: s.kind == CLIENT)
    calls, own, requests = split(p.finish())
    assert (len(calls), own, len(requests)) == (count, [], ROUNDS * len(kinds)), describe(calls)
    check_parents(calls, requests)


@pytest.mark.parametrize("way", ["node", "asyncio", "threads"])
def test_calls_on_its_own_belong_to_no_request(start, plumb, way):
    """A request is open for 700 ms and calls nobody; a timer, or another thread, does every 100 ms, and did before."""
    server = start_loop(start, way, EVERY_MS)
    p = plumb(pids=[server.pid])
    p.wait_spans(3, lambda s: s.path.startswith("/own/"))
    ask(server.port, ["idle"], rounds=3)
    p.wait_spans(3, lambda s: s.kind == SERVER)
    calls, own, requests = split(p.finish())
    assert calls == [] and len(requests) == 3, describe(calls)
    within = [s for s in own if any(r.start_ns < s.start_ns < r.end_ns for r in requests.values())]
    assert len(within) >= 3 * (700 // EVERY_MS - 2), describe(own)
    # One that begins in the very turn in which a request is read cannot be told from the request's: of a few none does.
    certain = [s for s in own if s["plumb.join"] == "thread"]
    weak = [s for s in own if s["plumb.join"] == "process"]
    assert len(certain) + len(weak) <= 1, describe(certain + weak)


@pytest.mark.parametrize("way", ["node", "asyncio"])
def test_a_call_behind_a_pause(start, plumb, way):
    """The loop has slept since the request was read: a process that makes no calls of its own is supposed to call for it, which is weak; of another nothing is said."""
    for every_ms, wanted in ((0, "process"), (EVERY_MS, None)):
        server = start_loop(start, way, every_ms)
        p = plumb(pids=[server.pid])
        if every_ms:
            p.wait_spans(3, lambda s: s.path.startswith("/own/"))
        ask(server.port, ["idle"] * 2, 1)  # it was seen idle for
        wait_until(idle_for(2.5), "2.5 seconds in which it served nobody")
        count = ask(server.port, ["pause"], rounds=3)
        p.wait_spans(count, lambda s: s.path.startswith("/for/"))
        calls, _, requests = split(p.finish())
        assert len(calls) == count
        if wanted:
            check_parents(calls, requests, wanted)
        else:
            assert [s for s in calls if s["plumb.join"]] == [], describe(calls)


@pytest.mark.parametrize("kind,connections", [("once", 3), ("file", 12)])
@pytest.mark.parametrize("way", ["node", "asyncio"])
def test_a_busy_loop(start, plumb, way, kind, connections):
    """It hardly sleeps, so in the turn in which it reads a request it comes to what others have waited for. Who has a file read by another thread, and calls then, is seen to do so soon: of nobody's calls more is said than is certain."""
    server = start_loop(start, way, 0)
    driver = http_driver(start.folder(), server, connections, [Request("GET", kind, 100_001 + i) for i in range(1009)])
    p = plumb(pids=[server.pid])
    assert [r["status"] for r in driver.go()] == [200] * 1009
    p.wait_spans(1009, lambda s: s.kind == CLIENT)
    calls, own, requests = split(p.finish())
    assert (len(calls), own, len(requests)) == (1009, [], 1009)
    joined = [s for s in calls if s.parent_id]
    wrong = [s for s in joined if not s.path.startswith(f"/for{requests[s.parent_id].path}/")]
    assert len(wrong) <= 2, describe([span for s in wrong[:5] for span in (s, requests[s.parent_id])])
    assert kind == "file" or len(joined) >= 1009 // 3, f"only {len(joined)} of 1009 calls are joined"


def idle_for(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


MQTT_APP = """
import paho.mqtt.client as mqtt, sys, time
from paho.mqtt.enums import CallbackAPIVersion
c = mqtt.Client(CallbackAPIVersion.VERSION2, "app", protocol=mqtt.MQTTv311)
c.username_pw_set("plumb", "sesame")
c.on_message = lambda *a: time.sleep(0.015)
input()
c.connect("127.0.0.1", int(sys.argv[1]))
c.subscribe("in/#", 1)
c.loop_start()
time.sleep(1)
for i in range(61):
    c.publish(f"timer/{i}", "tick", qos=0)
    time.sleep(0.031)
print("done", flush=True)
input()
"""
MQTT_FEED = """
import paho.mqtt.client as mqtt, sys, time
from paho.mqtt.enums import CallbackAPIVersion
c = mqtt.Client(CallbackAPIVersion.VERSION2, "feed", protocol=mqtt.MQTTv311)
c.username_pw_set("plumb", "sesame")
c.connect("127.0.0.1", int(sys.argv[1]))
c.loop_start()
for i in range(89):
    c.publish(f"in/{i}", "x" * 200, qos=1).wait_for_publish()
    time.sleep(0.02)
"""


def test_what_the_network_thread_of_mqtt_writes_for_others(start, plumb):
    """Paho's thread handles a delivery for 15 ms; what the main thread publishes meanwhile is written by it, and no part of that."""
    broker = start(servers.start_mosquitto)
    app = subprocess.Popen([BUILD / "venv/bin/python", "-c", MQTT_APP, str(broker.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        p = plumb(pids=[app.pid])
        app.stdin.write("go\n")
        app.stdin.flush()
        subprocess.run([BUILD / "venv/bin/python", "-c", MQTT_FEED, str(broker.port)], check=True, timeout=60)
        assert app.stdout.readline() == "done\n"
        app.stdin.write("end\n")
        app.stdin.flush()
        app.wait(timeout=20)
        p.wait_spans(61, lambda s: (s["messaging.destination.name"] or "").startswith("timer/"))
        spans = p.finish()
    finally:
        app.kill()
        app.wait()
    timers = [s for s in spans if (s["messaging.destination.name"] or "").startswith("timer/")]
    deliveries = [s for s in spans if s.kind == CONSUMER]
    assert len(timers) == 61 and len(deliveries) >= 61, describe(spans)
    within = [s for s in timers if any(d.start_ns < s.start_ns < d.end_ns for d in deliveries)]
    assert within, describe(timers)
    assert [s for s in timers if s["plumb.join"]] == [], describe([s for s in timers if s["plumb.join"]])
