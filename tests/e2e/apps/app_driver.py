# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC, GraphQL and server-sent events of appd.py by Python's http.client, on one connection: app_driver.py PORT"""
import gzip
import http.client
import json
import sys
import time

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))


def post(path, value, packed=False):
    body = json.dumps(value).encode()
    headers = {"Content-Type": "application/json"}
    if packed:
        body = gzip.compress(body)
        headers |= {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse().read()
    if packed:
        answer = gzip.decompress(answer)
    return json.loads(answer) if answer else None


def call(method, params, number=None, packed=False):
    request = {"jsonrpc": "2.0", "method": method, "params": params}
    if number is not None:
        request["id"] = number
    return post("/rpc", request, packed)


def events(n, wait, size):
    """Reads as they come; when the first one was whole."""
    start = time.monotonic_ns()
    connection.request("GET", f"/events?n={n}&wait={wait}&size={size}")
    response = connection.getresponse()
    first, got = None, 0
    while line := response.readline():
        got += line.startswith(b"data:")
        if line == b"\n" and got and first is None:
            first = time.monotonic_ns() - start
    assert got == n
    print(json.dumps({"what": "events", "n": n, "first_ns": first, "ns": time.monotonic_ns() - start}), flush=True)


sys.stdin.readline()
for i in range(23):
    assert call("add", [i, 1], i)["result"] == i + 1
    if i % 4 == 0:
        assert call("fail", ["secret-parameter"], f"f{i}")["error"]["code"] == -32000
for i in range(3):
    assert call("nobody", [], 100 + i)["error"]["code"] == -32601
assert call("slow", [], 200)["result"] == "at last"
assert len(call("big", [50_021], 201)["result"]) == 50_021
assert call("add", [1] * 9001, 202)["result"] == 9001
for i in range(5):
    assert call("add", [i]) is None
for i in range(7):
    assert call("add", [i, i], 300 + i, packed=True)["result"] == 2 * i
assert call("fail", [], 310, packed=True)["error"]["code"] == -32000
assert len(post("/rpc", [{"jsonrpc": "2.0", "method": "add", "params": [1, i], "id": i} for i in range(11)])) == 11
assert len(post("/rpc", [{"jsonrpc": "2.0", "method": m, "id": 1} for m in ("add", "fail", "fail")])) == 3
for i in range(13):
    assert post("/orders", {"id": i, "method": "visa", "query": "red shoes"})["stored"]["id"] == i

QUERIES = "query Hero($id: Int) { hero(id: $id) } mutation Rename { rename(id: 1, name: \"secret-literal\") }"
for i in range(11):
    assert post("/graphql", {"query": QUERIES, "operationName": "Hero", "variables": {"id": i}})["data"]["hero"] == f"hero {i}"
for i in range(5):
    assert post("/graphql", {"operationName": "Rename", "query": QUERIES})["data"]["rename"] == "secret-literal"
for i in range(2):
    assert post("/graphql", {"query": "{ hero }"})["data"]["hero"] == "hero 0"
    assert post("/graphql", {"query": "query Broken { broken }"})["errors"]
    assert post("/graphql", {"query": "query Wrong { nothing }"})["errors"]

for n, wait, size in ((7, 101, 10), (101, 0, 500), (3, 53, 9001)):
    events(n, wait, size)
connection.close()
