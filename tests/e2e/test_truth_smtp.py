# SPDX-License-Identifier: Apache-2.0
"""SMTP and LMTP by clients of several languages: every command has its span at both ends, with its code, and neither mailboxes nor mails."""
from collections import Counter

import pytest

from harness import servers
from harness.dialog import check_dialog
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import CLIENT, describe, parse
from harness.tls import Authority
from harness.truth import TOLERANCE_NS
from test_cli import raw

pytestmark = pytest.mark.live

ATTRIBUTES = ["plumb.smtp.response.status_code", "plumb.smtp.response.enhanced_status_code", "plumb.smtp.mailbox", "plumb.smtp.recipients"]
EHLO, QUIT, NOOP, RSET = (("EHLO", None, 250, None, None, None), ("QUIT", None, 221, "2.0.0", None, None), ("NOOP", None, 250, "2.0.0", None, None),
                          ("RSET", None, 250, "2.0.0", None, None))
MAIL = ("MAIL", None, 250, "2.1.0", "?@sender.example", None)


def rcpt(domain="ok.example"):
    code, enhanced = {"refused.example": (550, "5.1.1"), "later.example": (450, "4.2.0")}.get(domain, (250, "2.1.5"))
    return ("RCPT", str(code) if code >= 400 else None, code, enhanced, f"?@{domain}", None)


def data(recipients=1, name="DATA"):
    return (name, None, 250, "2.0.0", None, recipients)


NO_RCPT = ("DATA", "503", 503, "5.5.1", None, None)
SMTPLIB = ([EHLO] + [MAIL, rcpt(), data()] * 11 + [MAIL, rcpt("refused.example"), rcpt(), rcpt("later.example"), rcpt("ok2.example"), data(2)] * 3 + [MAIL, rcpt(), data()]
           + [("VRFY", "502", 502, "5.5.1", None, None), ("_OTHER", "500", 500, "5.5.2", None, None), ("MAIL", "552", 552, "5.3.4", "?@sender.example", None), RSET, NOOP, NO_RCPT,
              NOOP, QUIT])
GROUPS = ([EHLO] + ([MAIL] + [rcpt("refused.example" if k == 5 else "ok.example") for k in range(31)] + [data(30)]) * 7
          + [MAIL, rcpt(), ("BDAT", None, 250, "2.0.0", None, None), data(1, "BDAT"), QUIT])
GO = ([EHLO] + [MAIL, rcpt(), data()] * 13 + [MAIL] + [rcpt("refused.example")] * 3 + [rcpt(), data(), NO_RCPT, RSET, NOOP, QUIT])


def trace(start, plumb, server, driver, truth):
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(truth))
    return *check_dialog("smtp", p.finish(), truth, driver.pid, server.port, ATTRIBUTES), steps


def test_smtplib_and_groups(start, plumb):
    server = start(servers.start_postfix)
    client, _, _ = trace(start, plumb, server, python_driver(start.folder(), "smtp_driver.py", server.port), SMTPLIB + GROUPS)
    assert [s["plumb.smtp.message.size"] for s in client if s.name == "BDAT"] == [22019, 6]
    assert [s["plumb.smtp.message.size"] for s in client if s.name == "MAIL" and s["error.type"]] == [5000000]


def test_go(start, plumb):
    server = start(servers.start_postfix)
    client, _, steps = trace(start, plumb, server, go_driver(start.folder(), "smtpdriver", server.port), GO)
    assert [s["error"] for s in steps if s["error"]] == ["550"] * 3 + ["503"]
    timed = {"mail": [s for s in client if s.name == "MAIL"], "refused": [s for s in client if s["error.type"] == "550"], "data": [s for s in client if s.name == "DATA"]}
    for what, spans in timed.items():
        for s, t in zip(spans, [t for t in steps if t["what"] == what]):
            assert s.duration_ns <= t["ns"] + TOLERANCE_NS, describe([s])


LOGIN, FAILED = ("AUTH", None, 235, "2.7.0", None, None), ("AUTH", "535", 535, "5.7.8", None, None)
SLOW = [EHLO, LOGIN] + [("MAIL", None, 250, None, "?@sender.example", None), ("RCPT", None, 250, None, "?@ok.example", None),
                        ("RCPT", None, 250, None, "?@slow.example", None), data(2)] * 5 + [("QUIT", None, 221, None, None, None)]
AUTH = SLOW + [EHLO, FAILED, ("QUIT", None, 221, None, None, None)] * 2


def test_logins_and_a_slow_server(start, plumb):
    server = start(servers.start_python, app="smtpd.py")
    client, _, _ = trace(start, plumb, server, python_driver(start.folder(), "smtp_auth_driver.py", server.port), AUTH)
    assert [s["plumb.smtp.auth.mechanism"] for s in client if s.name == "AUTH"] == ["LOGIN", "PLAIN", "LOGIN"]
    assert all(s.duration_ns >= 95_000_000 for s in client if s.name == "DATA"), describe(client)


def lmtp(*to):
    failed = any(t.startswith("full") for t in to)
    return ([("MAIL", None, 250, None, "?@sender.example", None)] + [("RCPT", None, 250, None, "?@ok.example", None)] * len(to)
            + [("DATA", "552", 552, "5.2.2", None, len(to)) if failed else ("DATA", None, 250, "2.1.5", None, len(to))])


LMTP = [("LHLO", None, 250, None, None, None)] + lmtp("secret") * 5 + lmtp("ok", "full", "ok2") * 3 + [("QUIT", None, 221, None, None, None)]


def test_lmtp(start, plumb):
    server = start(servers.start_python, "lmtp", app="smtpd.py")
    trace(start, plumb, server, python_driver(start.folder(), "lmtp_driver.py", server.port), LMTP)


def test_tls(start, plumb):
    """Behind STARTTLS a handshake follows, and nothing that is said by it is taken for a command."""
    certificate, key = Authority(start.folder(), "ca").issue("IP:127.0.0.1")
    server = start(servers.start_python, "smtp", str(certificate), str(key), app="smtpd.py")
    driver = python_driver(start.folder(), "smtp_tls_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * 3)
    spans = p.finish()
    for at_client in (True, False):
        said = [s.name for s in sorted((s for s in spans if (s.pid == driver.pid) == at_client), key=lambda s: s.start_ns)]
        assert said == ["EHLO", "STARTTLS", "TLS handshake"], said


def test_a_connection_older_than_plumb(start, plumb):
    server = start(servers.start_postfix)
    driver = python_driver(start.folder(), "smtp_old_driver.py", server.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    trace(start, plumb, server, driver, [MAIL, rcpt(), data()] * 13 + [QUIT])


def test_a_redacted_recording_keeps_the_spans(start, folder):
    server = start(servers.start_postfix)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "smtp_driver.py", server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (Counter((s.name, s["error.type"]) for s in parse(replay(path).stdout.decode())) for path in (plain, masked))
    assert kept == spans == Counter(t[:2] for t in SMTPLIB + GROUPS)
    for secret in (b"secret", b"sender", b"refused"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
