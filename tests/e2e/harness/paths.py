# SPDX-License-Identifier: Apache-2.0
"""What plumb must show of the program paths.c: its truth, span by span."""
from .spans import CLIENT, SERVER, describe

# Payload out of the page cache or a pipe: only lengths are seen. (client sees, server sees); what is not named is whole on both ends. A response whose request
# was not seen has its status and nothing that the request said.
NOTHING, HALF, ANSWER = "no span", "request without response", "response without request"
LENGTHS_ONLY = {
    "sendfile-whole": (ANSWER, HALF),
    "splice-out": (ANSWER, HALF),
    "vmsplice": (ANSWER, HALF),
    "splice-in": (HALF, ANSWER),
    "io_uring-send-recv": (NOTHING, NOTHING),
    "io_uring-write-read": (NOTHING, NOTHING),
    "io_uring-sendmsg-recvmsg": (NOTHING, NOTHING),
}


def lengths_only(rung):
    """The part of it that holds on a rung: where the kernel's own list of buffers is at hand, io_uring is like any other way."""
    return {case: sees for case, sees in LENGTHS_ONLY.items() if not (rung == "sock_msg" and case.startswith("io_uring"))}


def complaints_http(t, s, pid, shape):
    """What differs between an exchange's truth and its span."""
    wanted = {"http.request.method": "POST", "http.response.status_code": t["status"] or None, "http.request.body.size": t["request_body"]}
    name = t["case"]
    if name == "unread":
        if shape == "client":
            wanted |= {"error.type": "connection_closed"}
    elif name == "reset":
        wanted |= {"error.type": "connection_reset"}  # at both ends a RST ended the connection, whoever sent it
    elif name != "close-delimited":
        wanted |= {"http.response.body.size": t["response_body"]}
    if name not in ("unread", "reset"):
        failed = t["status"] >= (400 if shape == "client" else 500)
        wanted |= {"error.type": str(t["status"]) if failed else None, "plumb.incomplete": None}
    out = [f"{k} is {s[k]!r}, not {v!r}" for k, v in wanted.items() if s[k] != v]
    if s.pid != pid:
        out.append(f"pid is {s.pid}, not {pid}")
    return out


def complaints_half(s):
    """It was answered, as far as anybody can tell: no error."""
    wanted = {"http.response.status_code": None, "error.type": None, "plumb.incomplete": "bytes_lost"}
    return [f"{k} is {s[k]!r}, not {v!r}" for k, v in wanted.items() if s[k] != v]


def is_answer(s, t, end):
    return (s.path == "" and s["plumb.incomplete"] == "request_not_seen" and s.kind == (CLIENT if end == "client" else SERVER) and s.pid == t[f"{end}_pid"]
            and s["http.response.status_code"] == t["status"] and s["http.response.body.size"] == t["response_body"])


def check_exchange(rung, t, spans):
    mine = [s for s in spans if s.path == t["path"]]
    ends = {"client": [s for s in mine if s.kind == CLIENT], "server": [s for s in mine if s.kind == SERVER]}
    expected = dict(zip(ends, lengths_only(rung).get(t["case"], ("whole", "whole"))))
    out = []
    for end, found in ends.items():
        if expected[end] == ANSWER:
            found = [s for s in spans if is_answer(s, t, end)]
            if len(found) != 1:
                out.append(f"{end}: {len(found)} responses without request")
            found = []
        elif len(found) != (0 if expected[end] == NOTHING else 1):
            out.append(f"{end}: {len(found)} spans, expected {expected[end]}")
        elif expected[end] == HALF:
            out += [f"{end}: {c}" for c in complaints_half(found[0])]
        elif found:
            out += [f"{end}: {c}" for c in complaints_http(t, found[0], t[f"{end}_pid"], end)]
    if not out and ends["client"] and ends["server"]:
        if ends["server"][0].parent_id != ends["client"][0].span_id:
            out.append("not joined")
    return out


def check_dns(t, spans):
    out = []
    for end, kind in (("client", CLIENT), ("server", SERVER)):
        mine = [s for s in spans if s["dns.question.name"] == t["name"] and s.kind == kind]
        if len(mine) != t["questions"]:
            out.append(f"{end}: {len(mine)} spans, not {t['questions']}")
        out += [f"{end}: {s['plumb.dns.response_code']}" for s in mine if s["plumb.dns.response_code"] != t["rcode"]]
        out += [f"{end}: pid {s.pid}" for s in mine if s.pid != t[f"{end}_pid"]]
    return out


def metric(text, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def check_run(rung, listed, truth, spans, metrics):
    """One run on one rung: every case that the program lists has its spans, whole or as the table above says, and nothing else has."""
    assert {t["case"] for t in truth} == set(listed)
    wrong = []
    for t in truth:
        if "skipped" in t:
            print(f"SKIPPED {t['case']}: {t['skipped']}")
        elif t["case"] == "refused":
            pass  # no exchange; counted below
        else:
            wrong += [f"{t.get('path', t['case'])}: {c}" for c in (check_dns(t, spans) if "questions" in t else check_exchange(rung, t, spans))]
    counted = [m for m in metrics.splitlines() if m.startswith(("plumb_lost", "plumb_stream", "plumb_records", "plumb_parse", "plumb_resync")) and not m.endswith(" 0")]
    assert not wrong, f"on {rung}:\n" + "\n".join(wrong + counted) + "\n" + describe(spans, 12)
    assert metric(metrics, "plumb_tcp_connect_failures_total") == 1
    for nothing in ("ring_full", "nested", "storage", "fault", "truncated"):
        assert metric(metrics, f'plumb_lost_total{{reason="{nothing}"}}') == 0, nothing
    for nothing in ("plumb_parse_errors_total", "plumb_resyncs_total"):
        assert metric(metrics, nothing) == 0, nothing
    # No span that the truth does not know.
    known = {t["path"] for t in truth if "path" in t}
    names = {t["name"] for t in truth if "name" in t}
    answers = [(t, end) for t in truth for end, sees in zip(("client", "server"), lengths_only(rung).get(t["case"], ())) if sees == ANSWER]
    strange = [s for s in spans if s.path not in known and s["dns.question.name"] not in names and not any(is_answer(s, *a) for a in answers)]
    assert not strange, describe(strange)
