# SPDX-License-Identifier: Apache-2.0
"""
Records that are lost: whatever is missing, no request is given another one's answer without being marked, nor a failure that it did not have. Real traffic is
recorded, records of its bytes are taken out, and the rest is replayed. What each request led to can be told from the request.
"""
import random
import re

import pytest

from harness import recording, servers
from harness.driver import Driver, http_driver, plan_10007, python_driver
from harness.plumb import replay
from harness.process import APPS, BUILD
from harness.spans import parse

pytestmark = pytest.mark.live

HTTP = {r.path: r for r in plan_10007()[:1009]}
REDIS = {"GET": None, "LPUSH": "WRONGTYPE", "SET": "ERR"}


def http_truth(span):
    """(what the span says, what is so), or None for a span that does not say which request it is."""
    r = HTTP.get(span.path)
    return r and (span["http.response.status_code"], r.status)


def redis_truth(span):
    operation = span["db.operation.name"]
    return (span["error.type"], REDIS[operation]) if operation in REDIS else None


def postgres_truth(span):
    query = re.fullmatch(r"SELECT (s|nothing) FROM generate_series\(1,(\d+)\) s", span["db.query.text"] or "")
    if not query:
        return None
    return (span["error.type"], span["db.response.returned_rows"]), ("42703", None) if query[1] == "nothing" else (None, int(query[2]))


def mysql_truth(span):
    query = re.fullmatch(r"SELECT (seq|nothing) FROM seq_1_to_(\d+)", span["db.query.text"] or "")
    if not query:
        return None
    return (span["error.type"], span["db.response.returned_rows"]), ("42S22", None) if query[1] == "nothing" else (None, int(query[2]))


def cassandra_truth(span):
    query = re.fullmatch(r"SELECT (s|nothing) FROM loss\d\.t WHERE k = 1 LIMIT (\d+)", span["db.query.text"] or "")
    if not query:
        return None
    return (span["error.type"], span["db.response.returned_rows"]), ("0x2200", None) if query[1] == "nothing" else (None, int(query[2]))


def single(records, rnd):
    """One in a hundred."""
    return set(rnd.sample(records, len(records) // 100))


def bursts(records, rnd, by_cpu):
    """What a full ring does: some in a row, of one CPU."""
    lost = set()
    for _ in range(len(records) // 500):
        one = by_cpu[rnd.choice(list(by_cpu))]
        at = rnd.randrange(len(one))
        lost |= set(one[at : at + rnd.randrange(2, 60)])
    return lost


def judge(path, truth):
    """(right, marked as incomplete, wrong and not marked)"""
    done = replay(path, "--show-statements")
    assert done.returncode == 0, done.stderr.decode()
    right, marked, wrong = 0, 0, []
    for span in parse(done.stdout.decode()):
        pair = truth(span)
        if not pair:
            continue
        if span["plumb.incomplete"]:
            marked += 1
        elif pair[0] == pair[1]:
            right += 1
        else:
            wrong.append((span.name, span.kind, *pair))
    return right, marked, wrong


def check(folder, whole, truth, count):
    head, records = recording.read(whole)
    assert judge(whole, truth) == (count, 0, [])
    data = [i for i, r in enumerate(records) if r.type == recording.DATA]
    by_cpu = {}
    for i in data:
        by_cpu.setdefault(records[i].cpu, []).append(i)
    said = []
    for seed in range(4):
        rnd = random.Random(seed)
        lost = bursts(data, rnd, by_cpu) if seed % 2 else single(data, rnd)
        assert lost
        recording.write(folder / "lossy.plumb", head, [r for i, r in enumerate(records) if i not in lost])
        right, marked, wrong = judge(folder / "lossy.plumb", truth)
        said.append(f"{len(lost)} of {len(data)} records lost: {right} right, {marked} marked, {len(wrong)} wrong: {wrong[:5]}")
        # Where many records go at once there may be nothing left that tells. A lone one is always told.
        assert len(wrong) <= (right // 200 if seed % 2 else 0), "\n".join(said)
        assert right + marked >= count - count // (5 if seed % 2 else 8) and right >= count // 2, "\n".join(said)


def record(plumb, folder, driver, server):
    path = folder / "whole.plumb"
    p = plumb(pids=[server.pid, driver.pid], command="record", args=["-o", path], output=None)
    driver.go()
    assert p.stop() == 0, p.tail()
    return path


def test_http(start, plumb, folder):
    server = start(servers.start_go)
    driver = http_driver(start.folder(), server, 8, list(HTTP.values()), rate=500)  # nothing is to be lost yet
    check(folder, record(plumb, folder, driver, server), http_truth, 2 * len(HTTP))


def test_redis_pipelined(start, plumb, folder):
    server = start(servers.start_redis)
    driver = python_driver(start.folder(), "loss_redis_driver.py", server.port)
    check(folder, record(plumb, folder, driver, server), redis_truth, 2 * 3 * 53 * 16)


def test_postgres(start, plumb, folder, postgres):
    driver = python_driver(start.folder(), "loss_pg_driver.py", postgres.port)
    check(folder, record(plumb, folder, driver, postgres), postgres_truth, 2 * 3 * 307)


def test_mysql(start, plumb, folder, mariadb):
    driver = python_driver(start.folder(), "loss_mysql_driver.py", mariadb.port)
    check(folder, record(plumb, folder, driver, mariadb), mysql_truth, 2 * 3 * 307)


@pytest.mark.parametrize("version", [4, 5])
def test_cassandra_multiplexed(start, plumb, folder, cassandra, version):
    driver = Driver(start.folder(), "loss-cassandra", [BUILD / "venv/bin/python", "-u", APPS / "loss_cassandra_driver.py", cassandra.port, version])
    check(folder, record(plumb, folder, driver, cassandra), cassandra_truth, 2 * 1009)
