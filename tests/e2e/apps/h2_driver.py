# SPDX-License-Identifier: Apache-2.0
"""h2_driver.py PORT STREAMS: sends a plan over one HTTP/2 connection without TLS, STREAMS at once. Plan and output are those of apps/go/h2driver."""
import json
import socket
import sys
import time

import h2.config
import h2.connection
import h2.events


class Client:
    def __init__(self, port):
        self.host = f"127.0.0.1:{port}"
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.bodies, self.results, self.open = {}, {}, {}

    def begin(self, q):
        stream = self.h2.get_next_available_stream_id()
        headers = [(":method", q["method"]), (":path", q["path"]), (":scheme", "http"), (":authority", self.host), ("user-agent", "h2_driver")]
        self.h2.send_headers(stream, headers, end_stream=not q["body"])
        self.open[stream] = {"method": q["method"], "path": q["path"], "status": 0, "bytes": 0, "start_ns": time.time_ns(), "ns": 0, "waited_ns": 0}
        if q["body"]:
            self.bodies[stream] = b"u" * q["body"]

    def send_bodies(self):
        for stream, body in list(self.bodies.items()):
            n = min(len(body), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            self.h2.send_data(stream, body[:n], end_stream=n == len(body), pad_length=7 if n and n + 8 < self.h2.local_flow_control_window(stream) else None)
            self.bodies[stream] = body[n:]
            if n == len(body):
                del self.bodies[stream]

    def turn(self):
        self.send_bodies()
        self.sock.sendall(self.h2.data_to_send())
        data = self.sock.recv(65536)
        assert data, "the server closes the connection"
        for e in self.h2.receive_data(data):
            if isinstance(e, h2.events.ResponseReceived):
                self.open[e.stream_id]["status"] = int(dict(e.headers)[":status"])
            elif isinstance(e, h2.events.DataReceived):
                self.open[e.stream_id]["bytes"] += len(e.data)
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
            elif isinstance(e, (h2.events.StreamEnded, h2.events.StreamReset)):
                r = self.open.pop(e.stream_id)
                self.bodies.pop(e.stream_id, None)
                r["ns"] = time.time_ns() - r["start_ns"]
                if isinstance(e, h2.events.StreamReset):
                    r["status"] = 0
                self.results[r["path"]] = r

    def all(self, plan, streams):
        todo = list(plan)
        while todo or self.open:
            while todo and len(self.open) < streams:
                self.begin(todo.pop(0))
            self.turn()
        self.sock.sendall(self.h2.data_to_send())
        return [self.results[q["path"]] for q in plan]


def main():
    plan, client = [], None
    for line in sys.stdin:
        if not line.strip():
            break
        plan.append(json.loads(line))
    for line in sys.stdin:
        client = client or Client(int(sys.argv[1]))
        if line == "go\n":
            break
        n = int(line)
        client.all(plan[:n], int(sys.argv[2]))
        plan = plan[n:]
        print(json.dumps({"sent": n}), flush=True)
    results = client.all(plan, int(sys.argv[2]))
    client.h2.close_connection()
    client.sock.sendall(client.h2.data_to_send())
    for r in results:
        print(json.dumps(r))


main()
