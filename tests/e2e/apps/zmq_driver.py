# SPDX-License-Identifier: Apache-2.0
"""Talks with each of zmqd.py's sockets: zmq_driver.py PORTS(JSON) [STEP…] < "go". Prints {"what","ns","error"} for each step that is timed."""
import json
import sys
import threading
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

context = zmq.Context()
ports = json.loads(sys.argv[1])


def connected(kind, name, **options):
    s = context.socket(kind)
    s.linger = 5000
    s.rcvtimeo = 30_000
    for option, value in options.items():
        setattr(s, option, value)
    s.connect(f"tcp://127.0.0.1:{ports[name]}")
    return s


def timed(what, s, *frames):
    start = time.perf_counter_ns()
    s.send_multipart(frames)
    assert s.recv_multipart() == list(frames)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": ""}))


def requests():
    s = connected(zmq.REQ, "rep")
    for i in range(11):
        timed("request", s, b"secret %d" % i)
    timed("slow", s, b"slow")
    timed("big", s, b"secret" * 50_000)
    timed("parts", s, b"secret", b"", b"parts")
    s.close()
    s = connected(zmq.REQ, "rep", req_correlate=1, req_relaxed=1)
    for i in range(7):
        timed("correlated", s, b"secret %d" % i)
    s.close()


def pipelined():
    s = connected(zmq.DEALER, "rep")
    for i in range(3):
        s.send(b"secret: nobody could answer")
    for i in range(53):
        s.send_multipart([b"", b"secret %d" % i])
    assert [s.recv_multipart() for i in range(53)] == [[b"", b"secret %d" % i] for i in range(53)]
    s.close()


def dealer():
    s = connected(zmq.DEALER, "router")
    for i in range(13):
        s.send_multipart([b"secret %d" % i, b"more"])
    assert [s.recv_multipart()[0] for i in range(13)] == [b"secret %d" % i for i in reversed(range(13))]
    s.close()


def push():
    s = connected(zmq.PUSH, "pull")
    for i in range(100):
        s.send(b"secret %d" % i)
    s.send(b"s" * 300_000)
    s.close()


def pull():
    s = connected(zmq.PULL, "push")
    assert [s.recv() for i in range(17)] == [b"secret job"] * 17
    s.close()


def until_end(s):
    got = []
    while not got or got[-1] != b"end":
        got.append(s.recv_multipart()[0])
    return got


def subscribe():
    s = connected(zmq.SUB, "pub")
    for topic in ("weather.", "weather.rain.", "end"):
        s.subscribe(topic)
    assert len(until_end(s)) == 7
    s.unsubscribe("weather.rain.")
    s.unsubscribe("end")
    s.subscribe("end")
    assert len(until_end(s)) == 7
    s.close()


def publish():
    s = connected(zmq.XPUB, "sub")
    assert s.recv() == b"\1to."
    for i in range(11):
        s.send_multipart([b"to.%d" % i, b"secret"])
        s.send(b"not.%d" % i)
    s.close()


def secured():
    s = connected(zmq.REQ, "plain", plain_username=b"plumb", plain_password=b"sesame")
    for i in range(3):
        timed("plain", s, b"secret")
    s.close()
    s = context.socket(zmq.REQ)
    events = s.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    s.linger, s.reconnect_ivl, s.plain_username, s.plain_password = 0, -1, b"plumb", b"open sesame"
    s.connect(f"tcp://127.0.0.1:{ports['plain']}")
    assert recv_monitor_message(events)["value"] == 400
    s.close()
    public, secret = zmq.curve_keypair()
    s = connected(zmq.REQ, "curve", curve_serverkey=ports["key"].encode(), curve_publickey=public, curve_secretkey=secret)
    for i in range(3):
        timed("curve", s, b"secret")
    s.close()


def reply():
    s = connected(zmq.REP, "req")
    for i in range(13):
        s.send(s.recv())
    s.close()


def work(worker):
    for i in range(10):
        worker.send_multipart(worker.recv_multipart())
    worker.close()


def queue():
    thread = threading.Thread(target=work, args=(connected(zmq.REP, "workers"),))
    thread.start()
    askers = [connected(zmq.REQ, "front") for i in range(2)]
    for i in range(5):
        for s in askers:
            s.send(b"secret")
        for s in askers:
            assert s.recv() == b"secret"
    thread.join()
    for s in askers:
        s.close()


if __name__ == "__main__":
    assert sys.stdin.readline() == "go\n"
    for run in (requests, pipelined, dealer, push, pull, subscribe, publish, secured, reply, queue):
        if run.__name__ in sys.argv[2:] or not sys.argv[2:]:
            run()
    context.term()
