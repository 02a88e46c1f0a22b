# SPDX-License-Identifier: Apache-2.0
"""websocket_driver.py PORT, then "go" on standard input: one connection after the other, and what was sent and came back on each, a line each."""
import json
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

# Path, what is sent on it, how it ends.
TALKS = [("/chat/1", ["1"] * 7, "close"), ("/chat/2", ["101", b"secret" * 30_011, "3f"], "close"), ("/chat/3", [], "close"), ("/chat/4", ["2", "close 1011"], "server"),
         ("/chat/5", ["2", "close 3007"], "server"), ("/chat/6", ["1", "vanish"], "server"), ("/chat/7", ["0"] * 1009 + ["10007"], "close")]

sys.stdin.readline()
for path, messages, end in TALKS:
    sent = received = 0
    with connect(f"ws://127.0.0.1:{sys.argv[1]}{path}?token=secret", max_size=None, ping_interval=0.01 if path == "/chat/1" else None) as c:
        for m in messages:
            c.send(m)
            sent += 1
            want = 1 if isinstance(m, bytes) or m.endswith("f") else int(m) if m.isdigit() else 0
            for _ in range(want):
                c.recv()
                received += 1
        if end == "server":
            try:
                c.recv()
            except ConnectionClosed:
                pass
    print(json.dumps({"path": path, "sent": sent, "received": received}), flush=True)
