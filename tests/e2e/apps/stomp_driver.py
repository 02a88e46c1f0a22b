# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of steps through stomp.py: stomp_driver.py PORT < "go". Prints {"what","ns","error"} for each step that is timed."""
import json
import queue
import socket
import sys
import time

import stomp

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
port = int(sys.argv[1])


class Listener(stomp.ConnectionListener):
    def __init__(self):
        self.messages, self.receipts, self.errors, self.gone = queue.Queue(), queue.Queue(), queue.Queue(), queue.Queue()

    def on_message(self, frame):
        self.messages.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame.headers["message"])

    def on_disconnected(self):
        self.gone.put(True)


def connect(kind=stomp.Connection12, passcode="guest"):
    c = kind([("127.0.0.1", port)], vhost="/", reconnect_attempts_max=1)
    listener = Listener()
    c.set_listener("", listener)
    try:
        c.connect("guest", passcode, wait=True)
        # The library does not ask for it: what follows an unanswered write would wait 40 ms, and what is over is not joined with what comes so late.
        c.transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except stomp.exception.ConnectFailedException:
        assert passcode != "guest"
    return c, listener


def confirmed(c, listener, what, run):
    start = time.perf_counter_ns()
    run(what)
    assert listener.receipts.get(timeout=30) == what
    print(json.dumps({"what": what.split("-")[0], "ns": time.perf_counter_ns() - start, "error": ""}))


def by_12():
    c, got = connect()
    confirmed(c, got, "subscribe", lambda r: c.subscribe("/queue/orders", id="1", ack="client-individual", headers={"receipt": r, "prefetch-count": "100"}))
    for i in range(13):
        c.send("/queue/orders", f"secret {i}", headers={"traceparent": TRACE} if i < 5 else {})
    for i in range(7):
        confirmed(c, got, f"sure-{i}", lambda r: c.send("/queue/orders", f"secret {i}", receipt=r))
    frames = [got.messages.get(timeout=30) for _ in range(20)]
    for i, f in enumerate(frames):
        if i in (3, 7, 11):
            c.nack(f.headers["ack"], requeue="false")
        else:
            c.ack(f.headers["ack"])
    c.send("/queue/orders", "secret" * 50_000)
    confirmed(c, got, "last ack", lambda r: c.ack(got.messages.get(timeout=30).headers["ack"], receipt=r))
    c.begin("t1")
    for i in range(3):
        c.send("/queue/other", "secret", transaction="t1")
    c.commit("t1", headers={"receipt": "commit"})
    assert got.receipts.get(timeout=30) == "commit"
    c.begin("t2")
    c.abort("t2")
    c.unsubscribe("1", headers={"receipt": "unsubscribe"})
    assert got.receipts.get(timeout=30) == "unsubscribe"
    c.disconnect(receipt="bye")
    got.gone.get(timeout=30)


def together():
    """A subscription each, as RabbitMQ takes an acknowledgement for all of the connection."""
    for n in ("one", "two"):
        c, got = connect(stomp.Connection11)
        confirmed(c, got, "subscribe", lambda r: c.subscribe(f"/queue/{n}", id=n, ack="client", headers={"receipt": r, "prefetch-count": "100"}))
        for i in range(11):
            c.send(f"/queue/{n}", "secret")
        mine = [got.messages.get(timeout=30).headers["message-id"] for _ in range(11)]
        for at in (4, 10):
            c.ack(mine[at], n)
        confirmed(c, got, "subscribe", lambda r: c.subscribe("/topic/quick", id="quick", ack="auto", headers={"receipt": r}))
        for i in range(101):
            c.send("/topic/quick", "secret")
        for i in range(101):
            got.messages.get(timeout=30)
        c.disconnect(receipt="bye")
        got.gone.get(timeout=30)


def refused():
    connect(passcode="sesame")
    for i in range(2):
        c, got = connect()
        c.send("/nowhere/else", "secret", receipt="refused" if i else None)
        print(got.errors.get(timeout=30), file=sys.stderr)
        c.disconnect(receipt="bye")
        got.gone.get(timeout=30)


if __name__ == "__main__":
    assert sys.stdin.readline() == "go\n"
    by_12()
    together()
    refused()
