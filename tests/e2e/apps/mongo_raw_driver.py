# SPDX-License-Identifier: Apache-2.0
"""
MongoDB's protocol by hand, so that requests go ahead of their answers, which no driver does: mongo_raw_driver.py PORT < "go". Connects at once, and says
so, before it waits for "go". Prints {"what","ns","error"} for each step; the error is that of the last answer.
"""
import json
import socket
import struct
import sys
import time

import bson

MSG, MORE_TO_COME = 2013, 2
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
ids = 1000


def message(document, flags=0, **sequence):
    """sequence: a section of documents, by its name."""
    global ids
    ids += 1
    body = struct.pack("<I", flags) + b"\0" + bson.encode({**document, "$db": "shop"})
    for name, documents in sequence.items():
        section = name.encode() + b"\0" + b"".join(map(bson.encode, documents))
        body += b"\1" + struct.pack("<I", len(section) + 4) + section
    return struct.pack("<IIII", len(body) + 16, ids, 0, MSG) + body


def receive(n):
    got = b""
    while len(got) < n:
        more = s.recv(n - len(got))
        assert more, "the server has closed the connection"
        got += more
    return got


def answer():
    length, _, to, opcode = struct.unpack("<IIII", receive(16))
    body = receive(length - 16)
    assert opcode == MSG and body[4] == 0
    return to, bson.decode(body[5:])


def timed(what, requests):
    """Sends all, then reads as many answers: each must be to its request."""
    start = time.perf_counter_ns()
    first = ids - len(requests) + 1
    s.sendall(b"".join(requests))
    for i in range(len(requests)):
        to, document = answer()
        assert to == first + i, (what, to, first + i)
    errors = document.get("writeErrors", [document])
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": str(errors[0].get("code", ""))}), flush=True)


timed("connected", [message({"ping": 1})])
assert sys.stdin.readline() == "go\n"
for i in range(7):
    timed("insert", [message({"insert": "raw"}, documents=[{"_id": i, "body": f"secret {i}"}])])
timed("pipeline", [message({"find": "raw", "filter": {"_id": i % 11}, "batchSize": 3}) if i % 10 else message({"noSuchCommand": "secret"}) for i in range(101)])
timed("batches", [message({"insert": "raw"}, documents=[{"_id": 100 + i, "body": "secret"} for i in range(13)]),
                  message({"update": "raw"}, updates=[{"q": {"_id": 3}, "u": {"$set": {"body": "secret"}}}])])
# A write that asks for no answer: FerretDB gives one all the same.
timed("unasked", [message({"insert": "raw", "writeConcern": {"w": 0}}, MORE_TO_COME, documents=[{"_id": 500, "body": "secret"}])])
timed("ping", [message({"ping": 1})])
timed("duplicate", [message({"insert": "raw"}, documents=[{"_id": 500, "body": "secret"}])])
timed("last", [message({"ping": 1})])
