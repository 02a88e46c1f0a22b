# SPDX-License-Identifier: Apache-2.0
"""
A fixed series of questions through dnspython: dns_driver.py PORT [old] < "go". Prints {"what","ns","code"} for each step. old: only over a stream, on a connection
made before "go".
"""
import json
import socket
import sys
import time

import dns.message
import dns.query
import dns.rcode

HOST, PORT = "127.0.0.1", int(sys.argv[1])


def timed(what, run):
    start = time.perf_counter_ns()
    code = run()
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "code": code}))


def ask(name, kind="A"):
    return dns.rcode.to_text(dns.query.udp(dns.message.make_query(name, kind), HOST, timeout=10, port=PORT).rcode())


def ask_again(name):
    answer, by_stream = dns.query.udp_with_fallback(dns.message.make_query(name, "A"), HOST, timeout=10, port=PORT)
    assert by_stream
    return f"{dns.rcode.to_text(answer.rcode())} {len(answer.answer[0])}"


def pipelined(s, names):
    questions = [dns.message.make_query(n, "A", id=1 + i) for i, n in enumerate(names)]
    for q in questions:
        dns.query.send_tcp(s, q)
    left = {q.id for q in questions}
    for _ in questions:
        left.remove(dns.query.receive_tcp(s)[0].id)


def connection():
    s = socket.create_connection((HOST, PORT))
    s.setblocking(False)  # dnspython waits by itself
    return s


old = connection() if "old" in sys.argv else None
if old:
    pipelined(old, ["shop.test"])
    print("ready", file=sys.stderr)
assert sys.stdin.readline() == "go\n"
if not old:
    for i in range(11):
        timed("a", lambda: ask("shop.test"))
    for i in range(5):
        timed("aaaa", lambda: ask("shop.test", "AAAA"))
    for i in range(3):
        timed("none", lambda: ask("none.test"))
    for i in range(2):
        timed("other", lambda: ask("elsewhere.example"))
    timed("txt", lambda: ask("shop.test", "TXT"))
    timed("nothing", lambda: ask("shop.test", "MX"))
    timed("many", lambda: ask_again("many.test"))
with old or connection() as s:
    for i in range(7):
        timed("one", lambda: pipelined(s, ["shop.test"]))
    timed("pipelined", lambda: pipelined(s, [f"none{i}.test" if i % 7 == 0 else "shop.test" for i in range(53)]))
