# SPDX-License-Identifier: Apache-2.0
"""What is spoken inside HTTP/1.1: JSON-RPC, GraphQL, server-sent events. Each exchange has its span at both ends, with its name, its error, and nothing of its body."""
from collections import Counter

import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.spans import CLIENT, SERVER, STATUS_ERROR, describe
from harness.truth import TOLERANCE_NS, sample

pytestmark = pytest.mark.live

# Name, error, method, GraphQL's type and name, calls in a batch, events: how often.
PYTHON = {
    ("add", None, "add", None, None, None, None): 23 + 1 + 5 + 7, ("fail", "-32000", "fail", None, None, None, None): 6 + 1,
    ("jsonrpc", "-32601", "_OTHER", None, None, None, None): 3, ("slow", None, "slow", None, None, None, None): 1, ("big", None, "big", None, None, None, None): 1,
    ("add", None, "add", None, None, 11, None): 1, ("jsonrpc", "-32000", None, None, None, 3, None): 1,
    ("POST /orders", None, None, None, None, None, None): 13,
    ("query Hero", None, None, "query", "Hero", None, None): 11, ("mutation Rename", None, None, "mutation", "Rename", None, None): 5,
    ("query", None, None, "query", None, None, None): 2, ("query Broken", "graphql_error", None, "query", "Broken", None, None): 2,
    ("query Wrong", "BAD_USER_INPUT", None, "query", "Wrong", None, None): 2,
    **{("GET /events", None, None, None, None, None, n): 1 for n in (7, 101, 3)},
}
GO = {
    ("add", None, "add", None, None, None, None): 4 * 29, ("fail", "-32000", "fail", None, None, None, None): 4, ("jsonrpc", "-32601", "_OTHER", None, None, None, None): 4,
    ("query Hero", None, None, "query", "Hero", None, None): 28, ("query Broken", "graphql_error", None, "query", "Broken", None, None): 4,
    **{("GET /events", None, None, None, None, None, n): 1 for n in (7, 101, 3)},
}


def said(span):
    name = span.name
    if span.kind == CLIENT and name in ("GET", "POST"):
        name += " " + span.path.split("?")[0]
    return (name, span["error.type"], span["rpc.method"], span["graphql.operation.type"], span["graphql.operation.name"], span["plumb.rpc.batch.size"], span["plumb.sse.events"])


def check(spans, truth, steps):
    for kind in (SERVER, CLIENT):
        mine = [s for s in spans if s.kind == kind]
        got, want = Counter(map(said, mine)), Counter(truth)
        assert got == want, f"missing: {sample(want - got)}\ntoo much: {sample(got - want)}"
        for s in mine:
            assert (s.status == STATUS_ERROR) == (s["error.type"] is not None)
            assert s["plumb.incomplete"] is None, describe([s])
            if s["rpc.system.name"]:
                assert (s["rpc.system.name"], s["jsonrpc.protocol.version"], s["http.request.method"]) == ("jsonrpc", "2.0", "POST")
                assert s["rpc.response.status_code"] == s["error.type"]
        for step in steps:
            s = next(s for s in mine if s["plumb.sse.events"] == step["n"])
            # What the server has sent may lie in its socket for a while.
            late = step["first_ns"] - s["plumb.sse.time_to_first_event"]
            assert -TOLERANCE_NS < late and (kind == SERVER or late < 10 * TOLERANCE_NS), (step, describe([s]))
            assert s["plumb.sse.time_to_first_event"] >= s["plumb.time_to_first_byte"]
    client = {s.span_id: s for s in spans if s.kind == CLIENT}
    for s in spans:
        if s.kind == SERVER:
            assert s.parent_id in client and s["jsonrpc.request.id"] == client[s.parent_id]["jsonrpc.request.id"]
    assert "secret" not in str([s.raw for s in spans])


@pytest.mark.parametrize("make, app, truth", [(python_driver, "app_driver.py", PYTHON), (go_driver, "appdriver", GO)], ids=["python", "go"])
def test_named_by_what_is_spoken(start, plumb, make, app, truth):
    server = start(servers.start_app)
    driver = make(start.folder(), app, server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * sum(truth.values()))
    check(p.finish(), truth, steps)


# Of MCP: name, error, what is called, how often. The rest (its streams, the end of its session) is HTTP.
MCP = {
    ("initialize", None, None): 1, ("notifications/initialized", None, None): 1, ("tools/list", None, None): 1, ("tools/call add", None, "add"): 23, ("tools/call slow", None, "slow"): 1,
    ("tools/call fail", "tool_error", "fail"): 3, ("prompts/get greet", None, "greet"): 5, ("prompts/get nobody", "0", "nobody"): 2, ("ping", None, None): 1,
}


@pytest.mark.parametrize("way", ["events", "json"])
def test_mcp(start, plumb, way):
    server = start(servers.start_mcp, way)
    driver = python_driver(start.folder(), "mcp_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * sum(MCP.values()) + 2)
    spans = p.finish()
    for kind in (SERVER, CLIENT):
        mine = [s for s in spans if s.kind == kind and s["mcp.method.name"]]
        got, want = Counter((s.name, s["error.type"], s["gen_ai.tool.name"] or s["gen_ai.prompt.name"]) for s in mine), Counter(MCP)
        assert got == want, f"missing: {sample(want - got)}\ntoo much: {sample(got - want)}"
        for s in mine:
            assert s["rpc.method"] == s["mcp.method.name"] == s.name.split()[0] and s["rpc.system.name"] == "jsonrpc"
            assert (s["gen_ai.operation.name"] == "execute_tool") == (s["gen_ai.tool.name"] is not None)
            assert (s["jsonrpc.request.id"] is None) == s.name.startswith("notifications/")
            if way == "events" and s["jsonrpc.request.id"]:
                assert s["plumb.sse.events"] >= 1 and s["plumb.sse.time_to_first_event"] >= 0, describe([s])
        slow = next(s for s in mine if s.name == "tools/call slow")
        assert slow.duration_ns >= 103_000_000
        assert all(s["mcp.protocol.version"] for s in mine if s.name == "initialize")
    assert "secret" not in str([s.raw for s in spans])


# Of AWS's APIs: name, error, bucket or queue: how often.
AWS_PYTHON = {
    ("S3.CreateBucket", None, "photos"): 1, ("S3.PutObject", None, "photos"): 11, ("S3.GetObject", None, "photos"): 7, ("S3.GetObject", "404", "photos"): 3,
    ("S3.HeadObject", None, "photos"): 1, ("S3.CopyObject", None, "photos"): 1, ("S3.ListObjectsV2", None, "photos"): 1, ("S3.ListBuckets", None, None): 1,
    ("S3.PutObjectTagging", None, "photos"): 1, ("S3.CreateMultipartUpload", None, "photos"): 1, ("S3.UploadPart", None, "photos"): 2,
    ("S3.CompleteMultipartUpload", None, "photos"): 1, ("S3.DeleteObjects", None, "photos"): 1, ("S3.DeleteObject", None, "photos"): 1,
    ("SQS.CreateQueue", None, None): 1, ("SQS.SendMessage", None, "orders"): 13, ("SQS.SendMessageBatch", None, "orders"): 1, ("SQS.ReceiveMessage", None, "orders"): 1,
    ("SQS.DeleteMessage", None, "orders"): 3, ("SQS.SendMessage", "400", "orders-none"): 1,
}
AWS_GO = {
    ("S3.CreateBucket", None, "photos"): 1, ("S3.PutObject", None, "photos"): 17, ("S3.GetObject", None, "photos"): 13, ("S3.GetObject", "404", "photos"): 1,
    ("S3.ListObjectsV2", None, "photos"): 1, ("S3.DeleteObject", None, "photos"): 1, ("SQS.CreateQueue", None, None): 1, ("SQS.SendMessage", None, "letters"): 11,
    ("SQS.ReceiveMessage", None, "letters"): 1, ("SQS.DeleteMessage", None, "letters"): 2, ("SQS.SendMessageBatch", None, "letters"): 1,
}


@pytest.mark.parametrize("make, app, region, truth", [(python_driver, "aws_driver.py", "eu-west-1", AWS_PYTHON), (go_driver, "awsdriver", "us-east-1", AWS_GO)], ids=["python", "go"])
def test_aws(start, plumb, make, app, region, truth):
    server = start(servers.start_moto)
    driver = make(start.folder(), app, server.port)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * sum(truth.values()))
    spans = p.finish()
    for kind in (SERVER, CLIENT):
        mine = [s for s in spans if s.kind == kind]
        want = Counter()
        for (name, error, what), n in truth.items():
            want[name, error if kind == CLIENT else None, what] += n
        got = Counter((s.name, s["error.type"], s["aws.s3.bucket"] or s["messaging.destination.name"]) for s in mine)
        assert got == want, f"missing: {sample(want - got)}\ntoo much: {sample(got - want)}"
        for s in mine:
            assert (s["rpc.system.name"], s["rpc.service"] + "." + s["rpc.method"], s["cloud.region"]) == ("aws-api", s.name, region)
            assert s["aws.request_id"], describe([s])
        keys = {s["aws.s3.key"] for s in mine if s.name == "S3.PutObject"}
        assert len(keys) == sum(n for (name, _, _), n in truth.items() if name == "S3.PutObject")
        assert {s["aws.s3.part_number"] for s in mine if s.name == "S3.UploadPart"} in ({1, 2}, set())
        batch = next(s for s in mine if s.name == "SQS.SendMessageBatch")
        assert (batch["messaging.system"], batch["messaging.operation.type"]) == ("aws_sqs", "send") and batch["messaging.batch.message_count"] in (5, None)
    assert "secret" not in str([s.raw for s in spans]).lower()


SEARCH_PYTHON = {
    ("info", None, None): 1, ("indices.create", None, "shop"): 1, ("indices.exists", None, "shop"): 1, ("index", None, "shop"): 13, ("bulk", None, None): 1,
    ("search", None, "shop"): 12, ("get", None, "shop"): 5, ("count", None, "shop"): 1, ("search", "404", "none"): 3, ("delete", None, "shop"): 1,
    ("cluster.health", None, None): 1, ("indices.delete", None, "shop"): 1,
}
SEARCH_GO = {("info", None, None): 1, ("index", None, "shop"): 23, ("search", None, "shop"): 23, ("bulk", None, None): 1, ("search", "404", "none"): 5}


@pytest.mark.parametrize("make, app, truth", [(python_driver, "search_driver.py", SEARCH_PYTHON), (go_driver, "searchdriver", SEARCH_GO)], ids=["python", "go"])
def test_elasticsearch(start, plumb, make, app, truth):
    server = start(servers.start_search)
    driver = make(start.folder(), app, server.port)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * sum(truth.values()))
    spans = p.finish()
    for kind in (SERVER, CLIENT):
        mine = [s for s in spans if s.kind == kind]
        want = Counter()
        for (name, error, index), n in truth.items():
            want[name, error if kind == CLIENT else None, index] += n
        # Go's client looks at the head of the answer to info alone, and may close the connection on its body.
        got = Counter((s.name, s["error.type"] if s.name != "info" or s["error.type"] != "connection_closed" else None, s["db.collection.name"]) for s in mine)
        assert got == want, f"missing: {sample(want - got)}\ntoo much: {sample(got - want)}"
        for s in mine:
            assert (s["db.system.name"], s["db.operation.name"]) == ("elasticsearch", s.name) and s["http.request.method"]
            assert s["db.response.status_code"] == ("404" if s["db.collection.name"] == "none" else None)
    assert "secret" not in str([s.raw for s in spans])
