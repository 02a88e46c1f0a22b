# SPDX-License-Identifier: Apache-2.0
"""Spans of protocols of commands and replies (SMTP, FTP) compared with what is known to have happened."""
from .spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe
from .truth import check_order


def check_dialog(protocol, spans, truth, driver_pid, port, attributes, client_truth=None):
    """
    Each command has its span at both ends, in order, and the two are one trace. truth: (name, error, and the values of `attributes`). client_truth: where it is not the same at the client. Returns the client's and the server's spans.
    """
    check_order(spans)
    ends = []
    for kind in (CLIENT, SERVER):
        side = sorted((s for s in spans if s.kind == kind), key=lambda s: s.start_ns)
        known = client_truth if client_truth and kind == CLIENT else truth
        said = [(s.name, s["error.type"], *(s[a] for a in attributes)) for s in side]
        for i, (got, want) in enumerate(zip(said, known)):
            assert got == want, f"{i}: {got}, not {want}\n{describe(side[max(i - 3, 0):i + 4])}"
        assert len(said) == len(truth), describe(side[len(truth) - 2:])
        for s in side:
            assert (s.pid == driver_pid) == (kind == CLIENT) and s["plumb.incomplete"] is None, describe([s])
            assert s["network.protocol.name"] == protocol and s["server.address"] == "127.0.0.1" and s["server.port"] == port, describe([s])
            assert s.status == (STATUS_ERROR if s["error.type"] else STATUS_UNSET)
            assert "secret" not in str(s.raw) and "sesame" not in str(s.raw), describe([s])
        ends.append(side)
    asked = {s.span_id: s for s in ends[0]}
    # What a client does not wait for is over at once, and joined only with what comes soon.
    waited = {i for i, want in enumerate(truth) if not client_truth or client_truth[i] == want}
    for i, s in enumerate(ends[1]):
        parent = asked.get(s.parent_id)
        assert (parent or i not in waited) and (not parent or (parent.name, parent.trace_id) == (s.name, s.trace_id)), describe([s])
    return ends
