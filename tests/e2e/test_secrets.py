# SPDX-License-Identifier: Apache-2.0
"""Secrets that plumb is given (tokens in headers, passwords in URLs) appear nowhere: not in what it prints and serves, not in /proc, not in a core dump."""
import http.server
import os
import re
import resource
import signal
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest

from harness import servers
from harness.plumb import PLUMB
from harness.process import free_port, wait_until
from test_privileges import reduced
from test_restart import children

SECRET = "s3cr3t-0123456789-CANARY"
HEADERS = f"authorization=Bearer%20{SECRET},x-team=shop"


@pytest.fixture
def collector():
    """Refuses everything, and repeats the token that it was sent, as careless servers do."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.headers.get("Authorization"))
            message = f"no such token: {self.headers.get('Authorization')}".encode()
            body = b"\x08\x10\x12" + bytes([len(message)]) + message  # google.rpc.Status { code 16, message }
            self.send_response(401)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = seen
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def of_process(pid, name):
    return Path(f"/proc/{pid}/{name}").read_bytes()


@pytest.mark.live
@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_token_appears_nowhere(start, folder, collector, place):
    server, port = start(servers.start_python), free_port()
    endpoint = f"http://plumb:{SECRET}@127.0.0.1:{collector.server_port}"
    env, args = dict(os.environ), []
    if place == "environment":
        env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_HEADERS": HEADERS, "OTEL_EXPORTER_OTLP_TRACES_HEADERS": HEADERS, "KEPT": "as it is"}
    else:
        config = folder / "plumb.yaml"
        config.write_text(f'sinks:\n  otlp:\n    endpoint: "{endpoint}"\n    headers: "{HEADERS}"\n')
        config.chmod(0o600)
        args = ["--config", config]
        done = subprocess.run([PLUMB, "config", "check", config], capture_output=True, text=True)
        assert done.returncode == 0 and SECRET not in done.stdout + done.stderr
    p = start.process("plumb", [PLUMB, "run", "--metrics", f"127.0.0.1:{port}", "--spool", folder / "spool", "--log-level", "debug", "-p", server.pid, "--set", "sinks.otlp.interval=50ms", *args],
                      env=env)
    wait_until(lambda: "attached" in p.err.read_text(), "line 'attached'", alive=p)
    urllib.request.urlopen(f"http://127.0.0.1:{server.port}/items/1").read()
    wait_until(lambda: collector.seen, "a request to the collector", alive=p)
    assert set(collector.seen) == {f"Bearer {SECRET}"}

    def metrics():
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()

    text = wait_until(lambda: metrics() if "plumb_otlp_last_error_info" in metrics() else None, "the collector's complaint", alive=p)
    assert 'plumb_otlp_last_error_info{sink="otlp",message="HTTP status 401: no such token: REDACTED"} 1' in text
    engine, = children(p.pid)
    for pid in (p.pid, engine):
        for name in ("cmdline", "environ", "status"):
            assert SECRET.encode() not in of_process(pid, name), (pid, name)
        if place == "environment":
            assert b"KEPT=as it is\0" in of_process(pid, "environ")
    doctor = subprocess.run([PLUMB, "doctor", "--agent", f"127.0.0.1:{port}"], capture_output=True, text=True, env=env)
    assert p.stop() == 0, p.tail()
    assert f"spans go to http://127.0.0.1:{collector.server_port}" in p.err.read_text()
    printed = text + doctor.stdout + doctor.stderr + p.out.read_text() + p.err.read_text()
    assert "CANARY" not in printed and "s3cr3t" not in printed
    for file in (folder / "spool").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


@pytest.mark.live
def test_the_operators_command_gets_its_environment(start):
    """What is hidden from others is not taken from the command."""
    p = start.process("plumb", [PLUMB, "trace", "--", "/bin/sh", "-c", 'echo "has $OTEL_EXPORTER_OTLP_HEADERS"'], env={**os.environ, "OTEL_EXPORTER_OTLP_HEADERS": HEADERS})
    assert p.wait() == 0
    assert f"has {HEADERS}\n" in p.err.read_text()


@pytest.mark.parametrize("text", [
    "sinks: {{otlp: {{headers: [{s}]}}}}", "sinks: {{otlp: {{headers: {{authorization: {s}}}}}}}", "sinks: {{otlp: {s}}}", "sinks:\n  otlp:\n    headers: {s}\n    headers: {s}\n",
    "sinks:\n  otlp:\n    headers: \"{s}\n", "sinks:\n  otlp:\n   headers: {s}\n  batch: 1\n", "sinks:\n  otlp:\n    heders: {s}\n", "sinks:\n\totlp: {s}\n",
    "metrics: {{token_file: [{s}]}}", "sinks: {{otlp: {{headers: *{s}}}}}"])
def test_a_wrong_file_does_not_show_it(folder, text):
    path = folder / "plumb.yaml"
    path.write_text(text.format(s=SECRET))
    done = subprocess.run([PLUMB, "config", "check", path], capture_output=True, text=True)
    assert done.returncode == 2 and f"{path}:" in done.stderr
    assert "CANARY" not in done.stdout + done.stderr


def test_configuration_texts_show_none():
    env = {**os.environ, "OTEL_EXPORTER_OTLP_HEADERS": HEADERS}
    for verb in ("defaults", "reference"):
        done = subprocess.run([PLUMB, "config", verb], capture_output=True, text=True, env=env)
        assert done.returncode == 0 and "CANARY" not in done.stdout + done.stderr


@pytest.mark.parametrize("args, key, variable", [
    (["--set", f"sinks.otlp.headers={HEADERS}"], "sinks.otlp.headers", "OTEL_EXPORTER_OTLP_HEADERS"),
    (["--otlp", f"https://plumb:{SECRET}@collector:4318"], "sinks.otlp.endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    (["--set", f"sinks.otlp.endpoint=plumb:{SECRET}@collector:4318"], "sinks.otlp.endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    (["--set", f"sinks.otlp.traces_endpoint=https://{SECRET}@collector/v1/traces"], "sinks.otlp.traces_endpoint", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")])
def test_the_command_line_takes_no_secret(args, key, variable):
    done = subprocess.run([PLUMB, "run", *args], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"plumb run: {key} may hold a secret, and everybody can read a command line: set it in the file or by {variable}\n"
                           "Try `plumb run --help`.\n")


@pytest.mark.live
def test_neither_process_leaves_a_core_or_lets_itself_be_read(start, folder):
    """As a user of its own, so that the owner of /proc/PID/environ shows who may read it: root, although plumb is not root's."""
    server = start(servers.start_python)
    few = {"BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_ADMIN", "SETPCAP", "SYS_NICE", "NET_ADMIN"}

    def cores():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def dies_with_core(pid):
        os.kill(pid, signal.SIGSEGV)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV
        return os.WCOREDUMP(status)

    p = start.process("plumb", [*reduced(few, "daemon"), PLUMB, "run", "--metrics", "off", "--spool", "", "-p", server.pid], preexec_fn=cores, cwd=folder)
    wait_until(lambda: "attached" in p.err.read_text(), "line 'attached'", alive=p)
    engine, = children(p.pid)
    for pid in (p.pid, engine):
        owner = re.search(r"^Uid:\t(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M).group(1)
        assert int(owner) != 0 and os.stat(f"/proc/{pid}/environ").st_uid == 0
    for limit in ("Max core file size",):
        assert re.search(rf"^{limit} +0 +0 ", of_process(engine, "limits").decode(), re.M)
    control = start.process("sleep", ["/bin/sleep", "100"], preexec_fn=cores, cwd=folder)
    wait_until(lambda: of_process(control.pid, "comm") == b"sleep\n", "a program that dumps core")
    control_dumps = dies_with_core(control.pid)
    assert dies_with_core(p.pid) is False
    wait_until(lambda: not os.path.exists(f"/proc/{engine}"), "the end of an engine without a probe")
    if not control_dumps:
        pytest.skip("no program dumps core here (kernel.core_pattern): that plumb does not was not shown")
