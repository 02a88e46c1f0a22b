# SPDX-License-Identifier: Apache-2.0
"""
What FerretDB lacks of a MongoDB server, for real drivers: mongo_server.py PORT. Compresses by zlib, answers a monitor's hello again and again, and sends all batches of an
exhaust cursor unasked. Holds no data: every find has 101 documents.
"""
import socketserver
import struct
import sys
import time
import zlib

import bson

MSG, QUERY, REPLY, COMPRESSED = 2013, 2004, 1, 2012
MORE_TO_COME, EXHAUST_ALLOWED = 2, 1 << 16
ZLIB, DOCUMENTS, AGAIN_S = 2, 101, 0.5
HELLO = {"ismaster": True, "helloOk": True, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "minWireVersion": 0,
         "maxWireVersion": 21, "connectionId": 1, "topologyVersion": {"processId": bson.ObjectId("0123456789abcdef01234567"), "counter": bson.Int64(0)}, "ok": 1.0}


class Client(socketserver.BaseRequestHandler):
    def receive(self, n):
        got = b""
        while len(got) < n:
            more = self.request.recv(n - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def send(self, to, document, opcode=MSG, flags=0, packed=False):
        """Returns the id of the message."""
        self.ids += 1
        data = bson.encode(document)
        body = struct.pack("<I", flags) + b"\0" + data if opcode == MSG else struct.pack("<IQII", 8, 0, 0, 1) + data
        if packed:
            body = struct.pack("<IIB", opcode, len(body), ZLIB) + zlib.compress(body)
            opcode = COMPRESSED
        self.request.sendall(struct.pack("<IIII", len(body) + 16, self.ids, to, opcode) + body)
        return self.ids

    def batches(self, to, packed, ahead):
        """The rest of a cursor's documents, 30 at a time: all at once, or the next ones."""
        while True:
            n = min(30, DOCUMENTS - self.given)
            self.given += n
            left = self.given < DOCUMENTS
            document = {"cursor": {"nextBatch": [{"_id": i, "body": "secret"} for i in range(n)], "id": bson.Int64(77 if left else 0), "ns": "shop.notes"}, "ok": 1.0}
            to = self.send(to, document, flags=MORE_TO_COME if ahead and left else 0, packed=packed)
            if not (ahead and left):
                return

    def answer(self, number, flags, command, packed):
        name = next(iter(command))
        if name in ("hello", "ismaster") and command.get("maxAwaitTimeMS"):
            while True:
                time.sleep(AGAIN_S)
                number = self.send(number, HELLO, flags=MORE_TO_COME)
        elif name in ("hello", "ismaster"):
            self.send(number, {**HELLO, "compression": command.get("compression", [])}, packed=packed)
        elif name == "find":
            self.given = 30
            first = [{"_id": i, "body": "secret"} for i in range(30)]
            self.send(number, {"cursor": {"firstBatch": first, "id": bson.Int64(77), "ns": "shop.notes"}, "ok": 1.0}, packed=packed)
        elif name == "getMore":
            self.batches(number, packed, flags & EXHAUST_ALLOWED)
        elif name == "insert":
            documents = {"n": 0, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "E11000 duplicate key error"}], "ok": 1.0}
            self.send(number, documents, packed=packed)
        else:
            self.send(number, {"ok": 1.0}, packed=packed)

    def handle(self):
        self.ids, self.given = 5000, 0
        try:
            while True:
                length, number, _, opcode = struct.unpack("<IIII", self.receive(16))
                body = self.receive(length - 16)
                packed = opcode == COMPRESSED
                if packed:
                    opcode = struct.unpack("<I", body[:4])[0]
                    assert body[8] == ZLIB
                    body = zlib.decompress(body[9:])
                if opcode == QUERY:
                    command = bson.decode(body[body.index(b"\0", 4) + 9:])
                    self.send(number, {**HELLO, "compression": command.get("compression", [])}, REPLY)
                    continue
                assert body[4] == 0
                size = struct.unpack("<I", body[5:9])[0]
                self.answer(number, struct.unpack("<I", body[:4])[0], bson.decode(body[5:5 + size]), packed)
        except (EOFError, ConnectionError):
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Client).serve_forever()
