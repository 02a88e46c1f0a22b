# SPDX-License-Identifier: Apache-2.0
"""Spans of remote calls compared with what is known to have been called, in order."""
from .spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe
from .truth import check_order, check_steps


def check_calls(system, spans, truth, driver_pid, port, clients_own=()):
    """truth: (method, error or None) in the order in which the driver called. clients_own: errors that are none of the server. Client spans, server spans."""
    client = sorted((s for s in spans if s.kind == CLIENT), key=lambda s: s.start_ns)
    served = {s.parent_id: s for s in spans if s.kind == SERVER}
    # A server may read several requests at once: they begin at the same time.
    ends = client, [served[c.span_id] for c in client if c.span_id in served]
    check_order(spans)
    ids = {c.span_id for c in client}
    odd = [s for s in spans if s.kind == SERVER and s.parent_id not in ids] + [s for s in spans if s.kind == SERVER and served[s.parent_id] is not s]
    assert len(spans) == len(client) + len(served) and not odd, f"{len(client)} asked, {len(served)} served, not one each:\n{describe(odd)}"
    for side in ends:
        said = [(s["rpc.method"], s["error.type"]) for s in side]
        expected = truth if side is client else [(method, None if error in clients_own else error) for method, error in truth]
        for i, (a, b) in enumerate(zip(said, expected)):
            assert a == b, f"number {i} of {len(truth)}: {a} for {b}\n{describe(side)}"
        assert len(said) == len(truth), f"{len(said)} spans for {len(truth)}:\n{describe(side)}"
        for s in side:
            assert s["rpc.system.name"] == system and s["server.address"] == "127.0.0.1" and s["server.port"] == port, describe([s])
            assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET) and s["plumb.incomplete"] is None, describe([s])
            assert s.name == (s["rpc.method"] if s["rpc.method"] != "_OTHER" else system)
            assert (s.pid == driver_pid) == (s.kind == CLIENT)
            assert "secret" not in s.text and "4929123" not in s.text, describe([s])
    for c, s in zip(*ends):
        assert s.trace_id == c.trace_id, describe([c, s])
    return ends


def check_measured(client, steps, names):
    """names: of the driver's steps, one for each client span, None for a span that is no step of its own."""
    left = {}
    for step in steps:
        left.setdefault(step["what"], []).append(step)
    check_steps([(what, span, left[what].pop(0)["ns"]) for span, what in zip(client, names) if what])
    assert not any(left.values()), f"steps without a span: {left}"
