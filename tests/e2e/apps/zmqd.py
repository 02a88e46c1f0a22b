# SPDX-License-Identifier: Apache-2.0
"""One socket of each type, on ports of their own: zmqd.py PORT [PATH]. Prints them as JSON. PORT is the REP's, which listens at the Unix socket PATH, too."""
import json
import sys
import threading
import time

import zmq
from zmq.auth.thread import ThreadAuthenticator

context = zmq.Context()
ports = {"rep": int(sys.argv[1])}
PUBLISHED = [b"weather.1", b"weather.rain.2", b"sports.3", b"weather.4", b"weather.rain.5", b"news.6", b"weather.7"]


def bound(kind, name, run=None, **options):
    s = context.socket(kind)
    s.linger = 0
    for option, value in options.items():
        setattr(s, option, value)
    if name in ports:
        s.bind(f"tcp://127.0.0.1:{ports[name]}")
    else:
        ports[name] = s.bind_to_random_port("tcp://127.0.0.1")
    if run:
        threading.Thread(target=run, args=(s,), daemon=True).start()
    return s


def answer(s):
    while True:
        frames = s.recv_multipart()
        if frames[0] == b"slow":
            time.sleep(0.097)
        s.send_multipart(frames)


def answer_backwards(s):
    """After each thirteenth."""
    while True:
        for frames in reversed([s.recv_multipart() for _ in range(13)]):
            s.send_multipart(frames)


def take(s):
    while True:
        s.recv_multipart()


def publish(s):
    """When somebody has subscribed to what is published, and to the end."""
    while True:
        if s.recv() == b"\1end":
            for topic in PUBLISHED:
                s.send_multipart([topic, b"secret"])
            s.send(b"weather.secret")
            s.send(b"end")


def ask(s):
    """Whoever connects."""
    for i in range(13):
        s.send(b"secret question")
        s.recv()


if __name__ == "__main__":
    auth = ThreadAuthenticator(context)
    auth.start()
    auth.configure_plain("*", {"plumb": "sesame"})
    auth.configure_curve(location=zmq.auth.CURVE_ALLOW_ANY)
    public, secret = zmq.curve_keypair()
    bound(zmq.ROUTER, "router", answer_backwards)
    bound(zmq.PULL, "pull", take)
    jobs = bound(zmq.PUSH, "push")
    bound(zmq.XPUB, "pub", publish)
    sub = bound(zmq.SUB, "sub", take)
    sub.subscribe(b"to.")
    bound(zmq.REP, "plain", answer, plain_server=True)
    bound(zmq.REP, "curve", answer, curve_server=True, curve_secretkey=secret)
    bound(zmq.REQ, "req", ask)
    workers = bound(zmq.DEALER, "workers")
    threading.Thread(target=zmq.proxy, args=(bound(zmq.ROUTER, "front"), workers), daemon=True).start()
    ports["key"] = public.decode()
    print(json.dumps(ports), flush=True)
    rep = bound(zmq.REP, "rep")
    if len(sys.argv) > 2:
        rep.bind(f"ipc://{sys.argv[2]}")
    threading.Thread(target=answer, args=(rep,), daemon=True).start()
    for i in range(17):
        jobs.send(b"secret job")
    threading.Event().wait()
