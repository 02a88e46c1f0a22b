# SPDX-License-Identifier: Apache-2.0
"""Spans to collectors behind TLS, and metrics from a listener with TLS and a token. Who cannot prove who it is gets nothing, and it is said."""
import os
import re
import select
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

from harness import servers
from harness.plumb import PLUMB
from harness.process import Process, free_port, wait_until
from harness.tls import Authority, GrpcCollector, TlsCollector
from test_restart import children

pytestmark = pytest.mark.live

REQUESTS = 7
HERE = "IP:127.0.0.1"


class Exporter(Process):
    """`plumb run` that sends to a collector, told by OpenTelemetry's variables: those for all signals with HTTP, those for traces with gRPC."""

    def __init__(self, folder, name, server, collector, variables, inside=(), args=()):
        grpc = isinstance(collector, GrpcCollector)
        prefix = "OTEL_EXPORTER_OTLP_TRACES_" if grpc else "OTEL_EXPORTER_OTLP_"
        env = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
        env |= {prefix + k: str(v) for k, v in variables.items()}
        env[prefix + "PROTOCOL"] = "grpc" if grpc else "http/protobuf"
        # An endpoint of traces is used as it is.
        env[prefix + "ENDPOINT"] = collector.url
        self.spool, self.collector = folder / f"spool-{name}", collector
        fast = [x for s in ("interval=50ms", "retry_initial=50ms", "retry_max=200ms") for x in ("--set", f"sinks.otlp.{s}")]
        super().__init__(name, [*inside, PLUMB, "run", "--metrics", "off", "--spool", self.spool, "-p", server.pid, *fast, *args], folder, env=env)

    def said(self):
        return self.err.read_text(errors="replace")

    def spooled(self):
        return sum(int(f.stem.split("-")[1]) for f in self.spool.rglob("*.batch"))


@pytest.fixture
def make(folder):
    """make(name, …): an Exporter, ended after the test."""
    running = []

    def begin(*args, **named):
        running.append(Exporter(folder, *args, **named))
        return running[-1]

    yield begin
    for p in running:
        p.stop()
        p.collector.away()


def cases(folder):
    """{name: (what the server shows, what it asks of its client, variables, what plumb says about it or None)}"""
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    good, client, stranger = ours.issue(HERE), ours.issue("DNS:agent"), theirs.issue("DNS:agent")
    trust = {"CERTIFICATE": ours.certificate}
    proof = {"CLIENT_CERTIFICATE": client[0], "CLIENT_KEY": client[1]}
    return {
        "right": (good, None, trust, None),
        "proven": (good, ours, trust | proof, None),
        "unknown-authority": (good, None, {}, r"SSL certificate problem: unable to get local issuer certificate"),
        "wrong-authority": (good, None, {"CERTIFICATE": theirs.certificate}, r"SSL certificate problem: unable to get local issuer certificate"),
        "expired": (ours.issue(HERE, expired=True), None, trust, r"SSL certificate problem: certificate has expired"),
        "other-host": (ours.issue("DNS:elsewhere.example,IP:127.0.0.2"), None, trust, r"SSL: no alternative certificate subject name matches target host name '127.0.0.1'"),
        # With TLS 1.3 the client learns that its certificate is missed only after the handshake.
        "unproven": (good, ours, trust, r"(?i)alert certificate required|handshake failure|reset by peer|SSL_ERROR_SYSCALL|Broken pipe|Failed sending data|is not connected"),
        "wrong-proof": (good, ours, trust | {"CLIENT_CERTIFICATE": stranger[0], "CLIENT_KEY": stranger[1]}, r"(?i)alert unknown ca|handshake failure|reset by peer|SSL_ERROR_SYSCALL|Broken pipe|Failed sending data|is not connected"),
    }


@pytest.mark.parametrize("kind", [TlsCollector, GrpcCollector], ids=["http", "grpc"])
def test_spans_go_to_whom_is_trusted_and_to_nobody_else(start, folder, make, kind):
    server = start(servers.start_python)
    # All at once: each failure is said after 5 s at the latest.
    runs = {}
    for name, (pair, client_authority, variables, why) in cases(folder).items():
        runs[name] = (make(name, server, kind(pair, client_authority).here(), variables), why)
    for p, _ in runs.values():
        wait_until(lambda: "attached" in p.said(), "line 'attached'", alive=p)
    for i in range(REQUESTS):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/items/{i}").read()
    for name, (p, why) in runs.items():
        if why is None:
            wait_until(lambda: p.collector.spans == REQUESTS, f"{REQUESTS} spans at {name}", alive=p)
            continue
        wait_until(lambda: p.spooled() == REQUESTS, f"{REQUESTS} spans in the spool of {name}", alive=p)
        wait_until(lambda: "takes no spans" in p.said(), f"a complaint about {name}", alive=p)
        reason, = re.findall(r"warning: sink otlp: the collector takes no spans \((.*)\); \d+ wait$", p.said(), re.M)
        assert re.search(why, reason), f"{name}: {reason}"
    for name, (p, why) in runs.items():
        assert p.stop() == 0, p.tail()
        assert p.collector.spans == (0 if why else REQUESTS), name
        assert set(p.collector.seen.values()) <= {1}
        assert p.spooled() == (REQUESTS if why else 0), name
        assert (f"{REQUESTS} spans wait in the spool for the next run" in p.said()) == (why is not None)


def test_a_named_authority_is_the_only_one(start, folder, make):
    """What the system trusts does not count beside OTEL_EXPORTER_OTLP_CERTIFICATE; without it, it does."""
    server, ours, systems = start(servers.start_python), Authority(folder, "ours"), Authority(folder, "systems")
    store = folder / "store"
    store.mkdir()
    shutil.copy(systems.certificate, store / "systems.pem")
    # As a file and as a directory: libcurl may look at both.
    shutil.copy(systems.certificate, store / "ca-certificates.crt")
    subprocess.run([servers.need("openssl", "openssl"), "rehash", store], check=True)
    # A mount namespace in which the system trusts nobody but `systems`.
    inside = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none /etc/ssl && cp -a {store} /etc/ssl/certs && exec "$@"', "sh"]
    pair = systems.issue(HERE)
    by_system = make("by-system", server, TlsCollector(pair).here(), {}, inside=inside)
    by_name = make("by-name", server, TlsCollector(pair).here(), {"CERTIFICATE": ours.certificate}, inside=inside)
    for p in (by_system, by_name):
        wait_until(lambda: "attached" in p.said(), "line 'attached'", alive=p)
    for i in range(REQUESTS):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/items/{i}").read()
    wait_until(lambda: by_system.collector.spans == REQUESTS, f"{REQUESTS} spans", alive=by_system)
    wait_until(lambda: by_name.spooled() == REQUESTS, f"{REQUESTS} spans in the spool", alive=by_name)
    assert by_name.collector.spans == 0


@pytest.mark.parametrize("option, content, said", [
    ("certificate", None, "sink otlp: certificate /nowhere.pem: No such file or directory"),
    ("certificate", "", "sink otlp: certificate {path}: it holds no PEM"),
    ("certificate", "no PEM\n", "sink otlp: certificate {path}: it holds no PEM"),
    ("client_certificate", None, "sink otlp: client_certificate /nowhere.pem: No such file or directory"),
    ("client_key", "", "sink otlp: client_key {path}: it holds no PEM"),
    ("client_key", "-----BEGIN EC PRIVATE KEY-----\n", "sink otlp: client_certificate and client_key: one is nothing without the other"),
])
def test_a_file_that_cannot_be_used_is_named(folder, option, content, said):
    path = folder / "given.pem"
    if content is not None:
        path.write_text(content)
    named = path if content is not None else "/nowhere.pem"
    done = subprocess.run([PLUMB, "run", "--metrics", "off", "--spool", "", "--otlp", "https://127.0.0.1:1", "--set", f"sinks.otlp.{option}={named}", "-p", str(os.getpid())],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert f"plumb engine: error: {said.format(path=path)}\n" in done.stderr, done.stderr


TOKEN = "correct-horse-battery-staple-23"


class Listener:
    def __init__(self, start, folder, server, token=True, tls=True, address="127.0.0.1", pair=None, args=()):
        self.port, self.authority = free_port(), Authority(folder, "metrics")
        self.token = folder / "token"
        self.token.write_text(TOKEN + "\n")
        self.token.chmod(0o600)
        certificate, key = pair or self.authority.issue(HERE)
        sets = {"token_file": self.token} if token else {}
        sets |= {"certificate": certificate, "key": key} if tls else {}
        self.process = start.process("plumb", [PLUMB, "run", "--metrics", f"{address}:{self.port}", "--spool", "", "-p", server.pid, *args,
                                               *[x for k, v in sets.items() for x in ("--set", f"metrics.{k}={v}")]])

    def attached(self):
        wait_until(lambda: "attached" in self.said(), "line 'attached'", alive=self.process)
        return self

    def said(self):
        return self.process.err.read_text()

    def curl(self, path, *args, scheme="https", authority=True):
        """(exit status of curl, HTTP status, body)"""
        trust = ["--cacert", self.authority.certificate] if authority else []
        done = subprocess.run(list(map(str, [servers.need("curl", "curl"), "-sS", "-w", "\n%{http_code}", "--max-time", "20", *trust, *args, f"{scheme}://127.0.0.1:{self.port}{path}"])),
                              capture_output=True, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return done.returncode, int(status), body


def bearer(token):
    return "-H", f"Authorization: Bearer {token}"


def test_metrics_over_tls_for_who_has_the_token(start, folder):
    l = Listener(start, folder, start(servers.start_python)).attached()
    assert f"metrics: https://127.0.0.1:{l.port}/metrics" in l.said() and "warning" not in l.said()
    code, status, body = l.curl("/metrics", *bearer(TOKEN))
    assert (code, status) == (0, 200) and "# TYPE plumb_engine_restarts_total counter" in body
    assert l.curl("/metrics", "-H", f"authorization: bearer  {TOKEN}")[:2] == (0, 200)
    for args in ([], bearer(TOKEN[:-1]), bearer(TOKEN + "x"), bearer(TOKEN.upper()), bearer("x" * 5000), bearer(""), ["-H", f"Authorization: Basic {TOKEN}"], ["-u", f"plumb:{TOKEN}"],
                 ["-H", f"Authorization: {TOKEN}"]):
        code, status, body = l.curl("/metrics", *args)
        assert (code, status) == (0, 401) and "plumb_" not in body, args
    assert "WWW-Authenticate: Bearer realm=\"plumb\"" in l.curl("/metrics", "-i")[2]
    assert l.curl("/")[1] == 401 and l.curl("/nothing")[1] == 401
    assert l.curl("/healthz")[::2] == (0, "ok\n")
    # Who does not know the authority does not trust, and old versions of TLS are not spoken.
    assert l.curl("/metrics", *bearer(TOKEN), authority=False)[:2] == (60, 0)
    assert l.curl("/metrics", *bearer(TOKEN), "--tls-max", "1.1", "--tlsv1.0", "--ciphers", "DEFAULT@SECLEVEL=0")[0] == 35
    assert l.curl("/metrics", *bearer(TOKEN), "--tls-max", "1.2")[:2] == (0, 200)
    # Plain HTTP is neither answered nor waited for.
    before = time.monotonic()
    code, status, body = l.curl("/metrics", *bearer(TOKEN), scheme="http")
    assert status == 0 and body == "" and code in (1, 52, 56) and time.monotonic() - before < 5
    assert l.curl("/metrics", *bearer(TOKEN))[:2] == (0, 200)
    assert l.process.stop() == 0, l.said()
    assert TOKEN not in l.said()


def test_half_a_handshake_costs_nothing_and_keeps_nobody_out(start, folder):
    l = Listener(start, folder, start(servers.start_python)).attached()
    engine, = children(l.process.pid)

    def cpu_s():
        fields = open(f"/proc/{engine}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    idle = [socket.create_connection(("127.0.0.1", l.port)) for _ in range(23)]
    for s in idle:
        s.sendall(b"\x16\x03\x01")
    before, since = cpu_s(), time.monotonic()
    assert l.curl("/metrics", *bearer(TOKEN))[:2] == (0, 200)
    # The time is what is measured here: it waits for no condition.
    while time.monotonic() - since < 2:
        select.select(idle, [], [], 2)
    assert cpu_s() - before < 0.3, "of 2 s"
    for s in idle:
        s.close()
    assert l.process.stop() == 0, l.said()


def test_doctor_asks_an_agent_that_is_guarded(start, folder):
    l = Listener(start, folder, start(servers.start_python)).attached()

    def doctor(*args):
        return subprocess.run(list(map(str, [PLUMB, "doctor", "--agent", f"https://127.0.0.1:{l.port}", *args])), capture_output=True, text=True).stdout

    trust = ["--certificate", l.authority.certificate]
    assert f"running agent (https://127.0.0.1:{l.port}/metrics): " in doctor(*trust, "--token-file", l.token)
    assert "running agent: it does not say what it lost: it wants its token (--token-file)" in doctor(*trust)
    assert "running agent: it does not say what it lost: SSL peer certificate" in doctor("--token-file", l.token)
    assert l.process.stop() == 0


@pytest.mark.parametrize("token, tls, warning", [
    (False, False, " by everybody, in plain text"), (True, False, " in plain text"), (False, True, " by everybody"), (True, True, None)])
def test_a_listener_that_others_reach_is_warned_of(start, folder, token, tls, warning):
    server = start(servers.start_python)
    l = Listener(start, folder, server, token, tls, address="0.0.0.0").attached()
    lines = re.findall(r"warning: (metrics on .*)$", l.said(), re.M)
    assert lines == ([f"metrics on 0.0.0.0:{l.port} can be read from other machines{warning}: set metrics.token_file, metrics.certificate and metrics.key, or listen on 127.0.0.1"]
                     if warning else [])
    assert l.process.stop() == 0


def test_files_that_everybody_can_read_are_warned_of(start, folder):
    server = start(servers.start_python)
    l = Listener(start, folder, server, tls=False).attached()
    assert "warning" not in l.said()
    l.process.stop()
    l.token.chmod(0o644)
    p = start.process("plumb", [PLUMB, "run", "--metrics", f"127.0.0.1:{l.port}", "--spool", "", "-p", server.pid, "--set", f"metrics.token_file={l.token}"])
    wait_until(lambda: "attached" in p.err.read_text(), "line 'attached'", alive=p)
    assert "warning: metrics.key or metrics.token_file can be read by every user of this machine: chmod 0600" in p.err.read_text()


@pytest.mark.parametrize("sets, said", [
    ({"token_file": "/nowhere"}, "metrics.token_file: cannot read /nowhere: No such file or directory"),
    ({"token_file": "empty"}, "metrics.token_file: cannot read {folder}/empty: it is empty"),
    ({"token_file": "words"}, "metrics.token_file: {folder}/words does not hold one line of letters, digits and -._~+/= (openssl rand -hex 32 makes one)"),
    ({"certificate": "words"}, "metrics.certificate and metrics.key: one is nothing without the other"),
    ({"certificate": "words", "key": "/nowhere"}, "metrics.key: cannot read /nowhere: No such file or directory"),
    ({"certificate": "words", "key": "words"}, "cannot serve /metrics over TLS: metrics.certificate or metrics.key is not PEM, wants a password, or is not the other's"),
    ({"certificate": "a.pem", "key": "b.key"}, "cannot serve /metrics over TLS: metrics.certificate or metrics.key is not PEM, wants a password, or is not the other's"),
])
def test_a_guard_that_cannot_be_set_up_stops_the_start(folder, sets, said):
    (folder / "empty").write_text("")
    (folder / "words").write_text("two words\n")
    ours = Authority(folder, "ours")
    for name in ("a", "b"):
        certificate, key = ours.issue(HERE)
        shutil.copy(certificate, folder / f"{name}.pem")
        shutil.copy(key, folder / f"{name}.key")
    args = [x for k, v in sets.items() for x in ("--set", f"metrics.{k}={v if v.startswith('/') else folder / v}")]
    done = subprocess.run(list(map(str, [PLUMB, "run", "--metrics", f"127.0.0.1:{free_port()}", "--spool", "", "-p", os.getpid(), *args])), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "plumb engine: error: " + said.format(folder=folder)
