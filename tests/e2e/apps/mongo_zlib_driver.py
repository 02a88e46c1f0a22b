# SPDX-License-Identifier: Apache-2.0
"""Compressed commands and an exhaust cursor through PyMongo: mongo_zlib_driver.py PORT < "go". Prints {"what","ns","error"} for each step."""
import json
import sys
import threading
import time

import pymongo
from pymongo import monitoring
from pymongo.errors import OperationFailure

HEARTBEATS = 3  # of the monitor's stream
enough = threading.Event()


class Heartbeats(monitoring.ServerHeartbeatListener):
    seen = 0

    def started(self, event):
        pass

    def succeeded(self, event):
        self.seen += event.awaited
        if self.seen >= HEARTBEATS:
            enough.set()

    def failed(self, event):
        pass


assert sys.stdin.readline() == "go\n"
client = pymongo.MongoClient("127.0.0.1", int(sys.argv[1]), directConnection=True, maxPoolSize=1, compressors="zlib", event_listeners=[Heartbeats()])
notes = client.shop.notes


def timed(what, run, expect=None):
    start = time.perf_counter_ns()
    error = ""
    try:
        got = run()
        assert expect is None or got == expect, (what, got)
    except OperationFailure as e:
        error = str(e.code)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


timed("first", lambda: client.admin.command("ping"), {"ok": 1.0})  # connects
for i in range(11):
    timed("ping", lambda: client.admin.command("ping"), {"ok": 1.0})
timed("batches", lambda: len(list(notes.find({"owner": "secret"}))), 101)
timed("duplicate", lambda: notes.insert_one({"_id": 1, "body": "secret"}))
timed("exhaust", lambda: len(list(notes.find({"owner": "secret"}, cursor_type=pymongo.CursorType.EXHAUST))), 101)
assert enough.wait(20)
timed("last", lambda: client.admin.command("ping"), {"ok": 1.0})
client.close()
