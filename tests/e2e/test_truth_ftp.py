# SPDX-License-Identifier: Apache-2.0
"""FTP by clients of two languages: every command has its span at both ends, with its code, transfers last as long as they do, and nobody's name or password is shown."""
from collections import Counter

import pytest

from harness import servers
from harness.dialog import check_dialog
from harness.driver import go_driver, python_driver
from harness.plumb import Plumb, replay
from harness.process import wait_until
from harness.spans import describe, parse
from harness.tls import Authority
from harness.truth import TOLERANCE_NS
from test_cli import raw

pytestmark = pytest.mark.live

ATTRIBUTES = ["plumb.ftp.response.status_code", "file.path"]


def ok(name, code, path=None):
    return (name, None, code, path)


def no(name, code, path=None):
    return (name, str(code), code, path)


USER, PASS, QUIT, BINARY, PASV, EPSV = ok("USER", 331), ok("PASS", 230), ok("QUIT", 221), ok("TYPE", 200), ok("PASV", 227), ok("EPSV", 229)


def store(name, ways=(BINARY, PASV), verb="STOR"):
    return [*ways, ok(verb, 226, name)]


FTPLIB = ([no("USER", 530), USER, PASS, ok("CWD", 250, "in")] + [x for i in range(11) for x in store(f"file{i}.txt")] + store("big.bin")
          + [x for i in range(7) for x in store(f"file{i}.txt", verb="RETR")] + [BINARY, PASV, no("RETR", 550, "none.txt")] * 3
          + [BINARY, PASV, ok("NLST", 226), BINARY, PASV, ok("LIST", 226, "/in"), ok("SIZE", 213, "big.bin"), ok("FEAT", 211), ok("PWD", 257)]
          + [ok("RNFR", 350, "file0.txt"), ok("RNTO", 250, "first.txt"), no("RNFR", 550, "none.txt"), ok("DELE", 250, "first.txt"), ok("MKD", 257, "new"), ok("RMD", 250, "new"),
             no("RMD", 550, "new"), no("_OTHER", 500), ok("NOOP", 200), ok("PWD", 257), ok("SYST", 215), ok("NOOP", 200), QUIT])
GO = ([USER, PASS, ok("FEAT", 211), BINARY, ok("CWD", 250, "in")] + [x for i in range(13) for x in store(f"file{i}.txt", [EPSV])] + store("big.bin", [EPSV])
      + [x for i in range(5) for x in store(f"file{i}.txt", [EPSV], "RETR")] + [EPSV, no("RETR", 550, "none.txt")] * 3 + [ok("SIZE", 213, "big.bin")] * 7
      + [no("CWD", 550, "none"), ok("NOOP", 200), ok("DELE", 250, "file0.txt"), QUIT])


def trace(plumb, server, driver, truth, client_truth=None):
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    p.wait_spans(2 * len(truth))
    return *check_dialog("ftp", p.finish(), truth, driver.pid, server.port, ATTRIBUTES, client_truth), steps


def test_ftplib(start, plumb):
    server = start(servers.start_vsftpd)
    trace(plumb, server, python_driver(start.folder(), "ftp_driver.py", server.port), FTPLIB)


def test_go(start, plumb):
    server = start(servers.start_vsftpd)
    # It does not wait for an answer to its QUIT.
    client, _, steps = trace(plumb, server, go_driver(start.folder(), "ftpdriver", server.port), GO, GO[:-1] + [("QUIT", None, None, None)])
    assert [s["error"] for s in steps if s["error"]] == ["550"] * 4
    for what, name in (("store", "STOR"), ("size", "SIZE"), ("no folder", "CWD")):
        spans = [s for s in client if s.name == name and (what != "no folder" or s["error.type"])]
        for s, t in zip(spans, [t for t in steps if t["what"] == what]):
            assert s.duration_ns <= t["ns"] + TOLERANCE_NS, describe([s])


def test_tls(start, plumb):
    """Behind AUTH a handshake follows, and nothing that is said by it is taken for a command."""
    certificate, key = Authority(start.folder(), "ca").issue("IP:127.0.0.1")
    server = start(servers.start_vsftpd, certificate, key)
    driver = python_driver(start.folder(), "ftp_tls_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    driver.go()
    p.wait_spans(2 * 2)
    spans = p.finish()
    for at_client in (True, False):
        side = sorted((s for s in spans if (s.pid == driver.pid) == at_client), key=lambda s: s.start_ns)
        assert [(s.name, s["plumb.ftp.security_mechanism"]) for s in side] == [("AUTH", "TLS"), ("TLS handshake", None)], describe(side)


def test_a_connection_older_than_plumb(start, plumb):
    server = start(servers.start_vsftpd)
    driver = python_driver(start.folder(), "ftp_old_driver.py", server.port)
    wait_until(lambda: "ready" in driver.err.read_text(), "old connection", alive=driver)
    trace(plumb, server, driver, store("file.txt") + store("file.txt", verb="APPE") * 12 + [QUIT])


def test_a_redacted_recording_keeps_the_spans(start, folder):
    server = start(servers.start_vsftpd)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[server.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    python_driver(start.folder(), "ftp_driver.py", server.port).go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (Counter((s.name, s["error.type"]) for s in parse(replay(path).stdout.decode())) for path in (plain, masked))
    assert kept == spans == Counter(t[:2] for t in FTPLIB)
    for secret in (b"secret", b"sesame", b"first.txt"):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret
