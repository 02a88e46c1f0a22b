# SPDX-License-Identifier: Apache-2.0
"""WebSocket connections, as the programs at their ends count them: one span each, beside the one of the handshake."""
import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe

pytestmark = pytest.mark.live

# How each one ends.
CODES = {"/chat/1": 1000, "/chat/2": 1000, "/chat/3": 1000, "/chat/4": 1011, "/chat/5": 3007, "/chat/6": 1006, "/chat/7": 1000}


def of(spans, protocol, kind):
    return {s.path: s for s in spans if s["network.protocol.name"] == protocol and s.kind == kind}


@pytest.mark.parametrize("make_driver,app", [(python_driver, "websocket_driver.py"), (go_driver, "wsdriver")])
def test_messages_are_counted(start, plumb, make_driver, app):
    server = start(servers.start_python, app="websocketd.py")
    driver = make_driver(start.folder(), app, server.port)
    p = plumb(pids=[server.pid, driver.pid])
    truth = {r["path"]: r for r in driver.go()}
    assert truth.keys() == CODES.keys()
    p.wait_spans(4 * len(CODES))
    spans = p.finish()
    assert len(spans) == 4 * len(CODES), describe(spans, 40)
    assert all("secret" not in str(s.raw) for s in spans)
    for kind in (CLIENT, SERVER):
        talks, shakes = of(spans, "websocket", kind), of(spans, "http", kind)
        for path, code in CODES.items():
            full = f"{path}?token=REDACTED"
            talk, shake = talks[full], shakes[full]
            assert (talk["plumb.websocket.client.messages"], talk["plumb.websocket.server.messages"]) == (truth[path]["sent"], truth[path]["received"]), describe([talk])
            assert talk["plumb.websocket.close_code"] == code and talk["error.type"] == (None if code == 1000 else str(code)), describe([talk])
            assert talk.status == (STATUS_UNSET if code == 1000 else STATUS_ERROR)
            assert talk["plumb.incomplete"] is None and talk["server.port"] == server.port, describe([talk])
            assert shake["http.response.status_code"] == 101 and shake.start_ns < talk.start_ns <= shake.end_ns <= talk.end_ns, describe([talk, shake])
    ends = of(spans, "websocket", CLIENT)
    for path, s in of(spans, "websocket", SERVER).items():
        assert (s.trace_id, s.parent_id) == (ends[path].trace_id, ends[path].span_id), describe([s, ends[path]])
        assert s.name == "websocket /chat/{id}"
