# SPDX-License-Identifier: Apache-2.0
"""TLS handshakes between two libraries each: what was agreed upon, and why what was not."""
import json
import subprocess

import pytest

from harness import servers
from harness.driver import Driver
from harness.process import APPS, BUILD
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe

pytestmark = pytest.mark.live

OPENSSL_NAMES = {"ECDHE-RSA-AES256-GCM-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}
# Why a client refuses a certificate: OpenSSL says it before it uses its keys, Go behind them in 1.3.
REFUSED = {("python", "1.2"): "unknown_ca", ("python", "1.3"): "unknown_ca", ("go", "1.2"): "bad_certificate", ("go", "1.3"): "encrypted_alert"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    folder.chmod(0o755)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/O=plumb/CN=shop.example",
                    "-addext", "subjectAltName=DNS:shop.example", "-days", "73"], check=True, stderr=subprocess.DEVNULL)
    end = subprocess.run(["openssl", "x509", "-in", folder / "cert.pem", "-noout", "-enddate", "-dateopt", "iso_8601"], check=True, capture_output=True, text=True).stdout
    return folder, end.strip().removeprefix("notAfter=").replace(" ", "T", 1)


def plan_of(version, count, **more):
    return [{"version": version, "name": "shop.example", "trust": True, "resume": False, "offers": [], **more}] * count


PLAN = (plan_of("1.3", 11) + plan_of("1.2", 7) + plan_of("1.3", 5, offers=["h2", "http/1.1"]) + plan_of("1.2", 3, offers=["http/1.1"]) + plan_of("1.3", 3, trust=False)
        + plan_of("1.2", 5, trust=False))
RESUMED = plan_of("1.2", 3, resume=True, offers=["http/1.1"]) + plan_of("1.3", 2, resume=True, offers=["h2", "http/1.1"])  # as those that they resume


def drive(start, language, server, folder, plan):
    argv = {"go": lambda: [servers.go_program("tlsdriver")], "python": lambda: [BUILD / "venv/bin/python", "-u", APPS / "tls_driver.py"]}[language]()
    d = Driver(start.folder(), f"tls-{language}", [*argv, server.port, folder])
    d.write("".join(json.dumps(p) + "\n" for p in plan))
    return d


def check(spans, plan, results, language, not_after, pid, kind, port):
    mine = sorted((s for s in spans if s.kind == kind and s.pid == pid), key=lambda s: s.start_ns)
    assert len(mine) == len(plan), describe(spans, 100)
    for s, p, r in zip(mine, plan, results):
        assert s.name == "TLS handshake" and (s["server.address"], s["server.port"]) == (p["name"], port), describe([s])
        assert s["tls.protocol.version"] == p["version"] and s["plumb.tls.client.next_protocols"] == (",".join(p["offers"]) or None), describe([s])
        assert s["plumb.incomplete"] is None, describe([s])
        if not p["trust"]:
            assert (s["tls.established"], s["error.type"], s.status) == (False, REFUSED[language, p["version"]], STATUS_ERROR), describe([s])
            continue
        assert (s["tls.established"], s["error.type"], s.status) == (True, None, STATUS_UNSET), describe([s])
        assert s["tls.cipher"] == OPENSSL_NAMES.get(r["cipher"], r["cipher"]), describe([s])
        assert bool(s["tls.resumed"]) == r["resumed"], describe([s])
        if p["version"] == "1.2":  # 1.3 encrypts both
            assert s["tls.next_protocol"] == r["chosen"], describe([s])
            assert s["tls.server.not_after"] == (None if r["resumed"] else not_after), describe([s])
        if kind == CLIENT:
            assert s.duration_ns <= r["ns"], describe([s])
    return mine


@pytest.mark.parametrize("client,server", [("python", "go"), ("go", "python"), ("python", "python"), ("go", "go")])
def test_handshakes(start, plumb, certificate, client, server):
    folder, not_after = certificate
    tlsd = start(servers.start_go, folder, app="tlsd") if server == "go" else start(servers.start_python, folder, app="tlsd.py")
    plan = PLAN + (RESUMED if client == "python" else [])
    driver = drive(start, client, tlsd, folder, plan)
    p = plumb(pids=[tlsd.pid, driver.pid])
    results = driver.go()
    assert [r["error"] is None for r in results] == [q["trust"] for q in plan]
    assert client == "go" or sum(r["resumed"] for r in results) == len(RESUMED)
    p.wait_spans(2 * len(plan))
    spans = p.finish()
    ours = check(spans, plan, results, client, not_after, driver.pid, CLIENT, tlsd.port)
    theirs = check(spans, plan, results, client, not_after, tlsd.pid, SERVER, tlsd.port)
    assert [(s.trace_id, s.parent_id) for s in theirs] == [(s.trace_id, s.span_id) for s in ours]
    assert len(spans) == 2 * len(plan)


def test_no_version_in_common(start, plumb, certificate):
    folder, _ = certificate
    tlsd = start(servers.start_python, folder, "1.3", app="tlsd.py")
    plan = plan_of("1.2", 7)
    driver = drive(start, "python", tlsd, folder, plan)
    p = plumb(pids=[tlsd.pid, driver.pid])
    assert [r["error"] for r in driver.go()] == ["TLSV1_ALERT_PROTOCOL_VERSION"] * 7
    p.wait_spans(14)
    spans = p.finish()
    assert [(s["error.type"], s["tls.established"], s.status) for s in spans] == [("protocol_version", False, STATUS_ERROR)] * 14, describe(spans)
