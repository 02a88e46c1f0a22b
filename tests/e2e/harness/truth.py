# SPDX-License-Identifier: Apache-2.0
"""Spans compared with what is known to have happened."""
from collections import Counter

from .spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe

TOLERANCE_NS, TOLERANCE_PART = 1_000_000, 0.05


def close(span_ns, truth_ns, waited_ns=0):
    """waited_ns: what the programs spent waiting for a CPU on a busy machine. It may fall on either side of a system call, so it is not known to be in the span."""
    return abs(span_ns - truth_ns) <= max(TOLERANCE_NS, truth_ns * TOLERANCE_PART) + waited_ns


def http_expectation(request, kind):
    """What a span must say of a request: method, status, status code, error.type, route (servers), path."""
    failed = request.status >= (500 if kind == SERVER else 400)
    return (request.method, request.status, STATUS_ERROR if failed else STATUS_UNSET, str(request.status) if failed else None,
            request.route if kind == SERVER else None, request.path)


def http_statement(span):
    return (span["http.request.method"], span["http.response.status_code"], span.status, span["error.type"], span["http.route"], span.path)


def check_http(spans, plan, kind):
    """Each request has exactly one span of this kind, and it says what is true."""
    mine = [s for s in spans if s.kind == kind]
    truth, said = Counter(http_expectation(r, kind) for r in plan), Counter(map(http_statement, mine))
    assert said == truth, f"missing: {sample(truth - said)}\ntoo much: {sample(said - truth)}\n{len(mine)} spans for {len(plan)} requests"
    for s in mine:
        route = s["http.route"] if kind == SERVER else None
        assert s.name == (f"{s['http.request.method']} {route}" if route else s["http.request.method"])
    return {s.path: s for s in mine}


def sample(counter, most=8):
    return f"{sum(counter.values())}, such as {list(counter.items())[:most]}"


# Of so many spans the duration must be what the client measured. The rest: on a busy machine a program may lose its CPU between taking the time and making the call (client),
# or a request may lie in a socket until the server runs (server); then the span is shorter than the measure, never longer.
EXACT_SHARE = {CLIENT: 0.85, SERVER: 0.7}


def check_durations(spans_by_path, results, kind):
    """Spans lasted as long as the client measured, and no span longer than that."""
    side = "client" if kind == CLIENT else "server"
    off = []
    for r in results:
        s = spans_by_path[r["path"]]
        text = f"{side} {r['path']}: span {s.duration_ns / 1e6:.3f} ms, measured {r['ns'] / 1e6:.3f} ms, {r['waited_ns'] / 1e6:.3f} of it without a CPU"
        assert s.duration_ns <= r["ns"] + max(TOLERANCE_NS, r["ns"] * TOLERANCE_PART) + r["waited_ns"], text
        if not close(s.duration_ns, r["ns"], r["waited_ns"]):
            off.append(text)
    assert len(off) <= len(results) * (1 - EXACT_SHARE[kind]), "\n".join(off)


def check_steps(measured):
    """(What, span, its driver's measure): none is longer, and of most the rest is little: the driver's language runs between its clock and the system calls, and on a busy machine it waits in there."""
    off = []
    for what, span, ns in measured:
        text = f"{what}: span {span.duration_ns / 1e6:.3f} ms, measured {ns / 1e6:.3f} ms"
        assert span.duration_ns <= ns + max(TOLERANCE_NS, ns * TOLERANCE_PART), text
        if not close(span.duration_ns, ns):
            off.append(text)
    assert len(off) <= len(measured) // 3, "\n".join(off)


def check_order(spans):
    for s in spans:
        assert s.end_ns >= s.start_ns, describe([s])
