# SPDX-License-Identifier: Apache-2.0
"""Spans of a broker and its clients compared with what is known to have happened."""
from collections import Counter

from .spans import CLIENT, CONSUMER, PRODUCER, SERVER, STATUS_ERROR, STATUS_UNSET, describe
from .truth import TOLERANCE_NS, check_order, close, sample

SENT = ("publish", "request")


def said(spans):
    """What they are called, how they failed, what is not known of them."""
    return Counter((s.name, s["error.type"], s["plumb.incomplete"]) for s in spans)


def check_broker(system, spans, truth, delivered, driver_pid, port):
    """
    Each end has its spans, and the two of an exchange are one trace. truth: of what clients asked how often (name, error, what is not known); delivered: how often each name. Returns the
    spans by (are they of the clients' process, kind).
    """
    check_order(spans)
    ends = {(at_client, kind): [s for s in spans if (s.pid == driver_pid) == at_client and s.kind == kind] for at_client in (True, False) for kind in (CLIENT, SERVER, PRODUCER, CONSUMER)}
    asked = ends[True, CLIENT] + ends[True, PRODUCER]
    for side in (asked, ends[False, SERVER]):
        assert said(side) == Counter(truth), f"missing: {sample(Counter(truth) - said(side))}\ntoo much: {sample(said(side) - Counter(truth))}"
    for side in (ends[True, CONSUMER], ends[False, PRODUCER]):
        assert Counter(s.name for s in side) == Counter(delivered), describe(side)
        assert not [s for s in side if s["error.type"] or s["plumb.incomplete"]], describe(side)
    assert len(spans) == 2 * (sum(truth.values()) + sum(delivered.values()))
    for s in spans:
        assert s["messaging.system"] == system and s["server.address"] == "127.0.0.1" and s["server.port"] == port, describe([s])
        assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET)
        assert "secret" not in str(s.raw) and "sesame" not in str(s.raw)
    for s in asked:
        assert (s.kind == PRODUCER) == (s.name.split()[0] in SENT and s["plumb.incomplete"] is None), describe([s])
    by_id = {s.span_id: s for s in spans}
    joined = {SERVER: ends[False, SERVER], CONSUMER: ends[True, CONSUMER]}
    for kind, side in joined.items():
        for s in side:
            other = by_id.get(s.parent_id)
            assert other or s["plumb.incomplete"], describe([s])
            assert not other or (other.name, other.trace_id, other["error.type"]) == (s.name, s.trace_id, s["error.type"]), describe([s, other])
    return ends


def check_measured(ends, steps, names):
    """
    names: of steps, and of the spans that they make, in order. No span is longer than what its client measured, and most are as long: between the two lie the threads of the client,
    which on a busy machine wait for a CPU.
    """
    short = 0
    for what, name, error in names:
        took = [s for s in steps if s["what"] == what]
        assert {s["error"] for s in took} == {error or ""}, what
        # Those that are measured one by one come first.
        spans = sorted((s for s in ends[True, PRODUCER] if s.name == name and s["error.type"] == error), key=lambda s: s.start_ns)
        for s, t in zip(spans, took):
            text = f"{what}: span {s.duration_ns / 1e6:.3f} ms, measured {t['ns'] / 1e6:.3f} ms"
            assert s.duration_ns <= t["ns"] + TOLERANCE_NS, text
            short += not close(s.duration_ns, t["ns"])
    assert short <= len(steps) // 2
