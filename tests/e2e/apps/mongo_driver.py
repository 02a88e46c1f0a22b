# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of commands through PyMongo: mongo_driver.py PORT < "go". Prints {"what","ns","error"} for each step.
DRIVER_TLS=FOLDER: over TLS, with the certificate there."""
import json
import os
import sys
import time

import pymongo
from pymongo.errors import BulkWriteError, OperationFailure

TLS = os.environ.get("DRIVER_TLS")
assert sys.stdin.readline() == "go\n"
# One connection for the commands; that of the monitor asks once.
client = pymongo.MongoClient("127.0.0.1", int(sys.argv[1]), directConnection=True, maxPoolSize=1, heartbeatFrequencyMS=600_000,
                             **({"tls": True, "tlsCAFile": TLS + "/cert.pem"} if TLS else {}))
shop = client.shop
notes = shop.notes


def timed(what, run, expect=None):
    start = time.perf_counter_ns()
    error = ""
    try:
        got = run()
        assert expect is None or got == expect, (what, got)
    except BulkWriteError as e:
        error = str(e.details["writeErrors"][0]["code"])
    except OperationFailure as e:
        error = str(e.code)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


timed("ping", lambda: client.admin.command("ping"), {"ok": 1.0})
for i in range(7):
    timed("insert", lambda: notes.insert_one({"_id": i, "body": f"secret {i}"}).inserted_id, i)
timed("insert many", lambda: len(notes.insert_many([{"_id": i, "body": f"secret {i}"} for i in range(7, 101)]).inserted_ids), 94)
timed("insert large", lambda: len(notes.insert_many([{"_id": 1000 + i, "body": "secret" * 100} for i in range(211)]).inserted_ids), 211)
for i in range(5):
    timed("find one", lambda: notes.find_one({"_id": 7})["body"], "secret 7")
timed("batches", lambda: len(list(notes.find({"_id": {"$lt": 50}}, {"body": 1}, batch_size=17).sort("_id", 1))), 50)
timed("large answer", lambda: len(list(notes.find({"_id": {"$gte": 1000}}))), 211)
timed("update", lambda: notes.update_many({"_id": {"$lt": 13}}, {"$set": {"body": "secret"}}).modified_count, 13)
timed("replace", lambda: notes.replace_one({"_id": 3, "body": "secret"}, {"body": "secret again"}).modified_count, 1)
timed("delete", lambda: notes.delete_many({"_id": {"$in": [1, 2, 5, 7, 11]}}).deleted_count, 5)
timed("aggregate", lambda: list(notes.aggregate([{"$match": {"_id": {"$lt": 101}}}, {"$group": {"_id": None, "n": {"$sum": 1}}}])), [{"_id": None, "n": 96}])
timed("count", notes.estimated_document_count, 307)
timed("distinct", lambda: len(notes.distinct("body", {"_id": {"$lt": 11}})), 2)
timed("find and modify", lambda: notes.find_one_and_update({"_id": 17}, {"$set": {"body": "secret 18"}})["body"], "secret 17")
timed("several", lambda: notes.bulk_write([pymongo.UpdateOne({"_id": i}, {"$set": {"body": "secret"}}) for i in range(20, 23)]).modified_count, 3)
timed("unknown", lambda: shop.command("noSuchCommand"))
for i in range(3):
    timed("duplicate", lambda: notes.insert_one({"_id": 23, "body": "secret"}))
timed("duplicates", lambda: notes.insert_many([{"_id": 5000}, {"_id": 23}]))
timed("bad filter", lambda: notes.find_one({"$nope": "secret"}))
timed("last", lambda: client.admin.command("ping"), {"ok": 1.0})
client.close()
