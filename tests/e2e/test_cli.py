# SPDX-License-Identifier: Apache-2.0
"""The command line: exit statuses, one clear line for each error, and filters that select exactly what they say."""
import collections
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import urllib.request
import zlib

import pytest

from harness import docs, servers
from harness.capture import CLIENT as PEER, SERVER as HOST, Conversation
from harness.driver import go_driver, python_driver
from harness.plumb import PLUMB, Plumb, replay
from harness.process import REPO, accepts, free_port, wait_until
from harness.servers import go_program
from harness.spans import SERVER, describe, parse

NOBODY = 65534
COMMANDS = ("run", "trace", "record", "replay")


def call(*args, timeout_s=60, **named):
    """Runs it to its end; text."""
    return subprocess.run([str(a) for a in (PLUMB, *args)], capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, **named)


def lines(done):
    return done.stderr.splitlines()


# Wrong calls

WRONG = [
    (["tarce"], "plumb: no command 'tarce'; did you mean 'trace'?"),
    (["elephant"], "plumb: no command 'elephant'"),
    (["trace", "--potr", "80"], "plumb trace: unknown option '--potr'; did you mean '--port'?"),
    (["trace", "-z"], "plumb trace: unknown option '-z'"),
    (["replay", "--port", "80", "x"], "plumb replay: unknown option '--port'"),
    (["trace", "--port", "65536"], "plumb trace: --port wants a number from 1 to 65535, not '65536'"),
    (["trace", "-p", "0"], "plumb trace: --pid wants a number from 1 to 4194304, not '0'"),
    (["trace", "-pself"], "plumb trace: --pid wants a number from 1 to 4194304, not 'self'"),
    (["trace", "-n", "-3"], "plumb trace: --count wants a number from 0 to 9007199254740992, not '-3'"),
    (["trace", "-d", "1d"], "plumb trace: --duration wants a duration with its unit, from 0ms to 8760h (ms, s, m, h), not '1d'"),
    (["trace", "--output=xml"], "plumb trace: --output wants console, json or otlp-json, not 'xml'"),
    (["trace", "--errors=maybe"], "plumb trace: --errors wants true or false, not 'maybe'"),
    (["trace", "-d"], "plumb trace: -d wants a value"),
    (["trace", "--port"], "plumb trace: --port wants a value"),
    (["trace", "curl"], "plumb trace: unexpected 'curl'; a command to run stands behind --"),
    (["trace", "--"], "plumb trace: a command is missing behind --"),
    (["trace", "--set", "filter"], "plumb trace: --set wants KEY=VALUE"),
    (["trace", "--set", "filter.erors_only=true"], "plumb trace: unknown key 'filter.erors_only'; did you mean 'filter.errors_only'?"),
    (["trace", "--set", "limits.connections=1"], "plumb trace: limits.connections wants a number from 16 to 16777216, not '1'"),
    (["replay"], "plumb replay: a word is missing: plumb replay [OPTIONS] FILE"),
    (["replay", "a", "b"], "plumb replay: unexpected 'b'"),
    (["help", "trce"], "plumb: no command 'trce'; did you mean 'trace'?"),
    (["config", "chck"], "plumb config: unknown word 'chck'; did you mean 'check'?"),
    (["config", "elephant"], "plumb config: unknown word 'elephant'"),
    (["config", "check"], "plumb config: a word is missing: plumb config check FILE"),
    (["config", "defaults", "x"], "plumb config: too many words"),
    (["trace", "--help", "--nothing-like-it"], "plumb trace: unknown option '--nothing-like-it'"),
]


@pytest.mark.parametrize("args, message", WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_wrong_calls(args, message):
    done = call(*args)
    assert (done.returncode, done.stdout) == (2, "")
    name = f"{args[0]} " if args[0] in (*COMMANDS, "config") else ""
    assert lines(done) == [message, f"Try `plumb {name}--help`."]


def test_record_without_a_file():
    done = call("record")
    assert (done.returncode, lines(done)) == (2, ["plumb: error: record: name the file to write: plumb record -o FILE"])


@pytest.mark.parametrize("command", [(), *[(c,) for c in (*COMMANDS, "config")]])
def test_help(command):
    done = call(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: plumb")
    assert all(len(line) <= 100 and line == line.rstrip() for line in done.stdout.splitlines()), done.stdout


def test_help_of_a_command():
    assert call("help").stdout == call("--help").stdout
    for words in (("help", "trace"), ("help", "config"), ("help", "doctor"), ("config", "check", "--help")):
        done = call(*words)
        command = words[1] if words[0] == "help" else words[0]
        assert (done.returncode, done.stdout, done.stderr) == (0, call(command, "--help").stdout, "")


SENSELESS = [
    (["run", "--metrics", "foo"], '"foo" is not an address to listen on: write address:port, for example 127.0.0.1:9464 or [::1]:9464'),
    (["run", "--otlp", "ftp://x"], "sink otlp: endpoint: want http://host:port or https://host:port"),
    (["trace", "--otlp", "ftp://x"], "sink otlp: endpoint: want http://host:port or https://host:port"),
    (["record", "-o", "/dev/null", "--metrics", "1.2.3.4.5:6"], '"1.2.3.4.5:6" is not an address to listen on: write address:port, for example 127.0.0.1:9464 or [::1]:9464'),
    (["trace", "--redact"], "--redact masks a recording, and there is none: name its file with --record FILE"),
    (["run", "--redact"], "--redact masks a recording, and there is none: name its file with --record FILE"),
]


@pytest.mark.parametrize("args, message", SENSELESS, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_what_makes_no_sense_is_said_before_anything_starts(args, message):
    done = call(*args, "--set", "agent.spool=") if args[0] == "run" else call(*args)
    assert (done.returncode, done.stdout, lines(done)) == (2, "", ["plumb: error: " + message])


@pytest.mark.parametrize("address", ["1.2.3", "localhost", "h:x", "h:0", "ftp://h:1", "http://h:1/metrics", "u:p@h:1", ":9464", "[::1]"])
def test_an_address_that_no_agent_has(address):
    done = call("doctor", "--agent", address)
    assert (done.returncode, done.stdout) == (2, "")
    assert lines(done) == [f"plumb doctor: --agent wants HOST:PORT or https://HOST:PORT, such as 127.0.0.1:9464, not '{address}'"]


def test_configuration_files(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("targets:\n  prots: [80]\nspans: {hold: 1y}\n")
    wanted = [f"{bad}:2: unknown key 'targets.prots'; did you mean 'targets.ports'?", f"{bad}:3: spans.hold wants a duration with its unit, from 1ms to 1m (ms, s, m, h), not '1y'"]
    done = call("config", "check", bad)
    assert (done.returncode, done.stdout, lines(done)) == (2, "", wanted)
    done = call("replay", "--config", bad, "/dev/null")
    assert (done.returncode, done.stdout, lines(done)) == (2, "", ["plumb: error: " + w for w in wanted])
    done = call("trace", "--config", tmp_path / "none")
    assert (done.returncode, lines(done)) == (2, [f"plumb: error: {tmp_path / 'none'}: No such file or directory"])


def test_defaults_pass_the_check():
    defaults = call("config", "defaults").stdout
    assert defaults.count("\n") > 100
    done = subprocess.run([PLUMB, "config", "check", "/dev/stdin"], input=defaults, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "/dev/stdin: ok\n", "")


# Documentation

def test_the_reference_has_not_drifted():
    text = (REPO / "docs/configuration.md").read_text()
    made = call("config", "reference").stdout
    assert made.count("\n") > 40
    assert text.endswith("\n\n" + made), "docs/configuration.md is old: replace its table with the output of `plumb config reference`"


def man_text():
    return (REPO / "docs/man/plumb.1").read_text().replace("\\-", "-")


def options_of(command):
    return set(re.findall(r"(?:^|\s)(--[a-z-]+)", call(command, "--help").stdout, re.M))


def test_the_man_page_names_all_commands_and_options():
    commands = re.findall(r"^  ([a-z]+) +\S", call("--help").stdout, re.M)
    assert len(commands) >= 6
    # At the head of a paragraph: .TP, then the word in bold.
    headed = re.findall(r"^\.TP\n\.BR? (.*)$", man_text(), re.M)
    missing = [c for c in commands if c not in headed]
    known = {word for h in headed for word in re.findall(r"--[a-z-]+", h)}
    for c in COMMANDS:
        options = options_of(c)
        assert len(options) >= 8
        missing += sorted(options - known - {"--cpus"})
    assert not missing, f"not in docs/man/plumb.1: {missing}"
    real = set().union(*map(options_of, COMMANDS))
    assert known <= real, f"in docs/man/plumb.1, but no option: {sorted(known - real)}"


def test_the_man_page_can_be_read():
    groff = shutil.which("groff")
    if not groff:
        pytest.skip("groff is not installed")
    done = subprocess.run([groff, "-man", "-ww", "-Tutf8", "-z", REPO / "docs/man/plumb.1"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# Rights

def check_says_what_is_missing(done):
    assert done.returncode == 1 and done.stdout == ""
    assert len(lines(done)) == 1, done.stderr
    assert re.search(r"run as root|CAP_BPF", done.stderr), done.stderr


@pytest.mark.parametrize("command", [["trace"], ["run"], ["record", "-o", "/dev/null"]], ids=lambda c: c[0])
def test_without_root(command):
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    check_says_what_is_missing(call(*command, **as_nobody))


def test_root_without_capabilities():
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    done = subprocess.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all", str(PLUMB), "trace"], capture_output=True, text=True, timeout=60)
    check_says_what_is_missing(done)


def test_root_of_a_user_namespace():
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    done = subprocess.run(["unshare", "-Ur", str(PLUMB), "trace"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    assert len(lines(done)) == 1 and "plumb" in done.stderr, done.stderr


def test_a_kernel_without_btf():
    if os.path.exists("/sys/kernel/btf/vmlinux"):
        pytest.skip("this kernel has BTF, and its absence cannot be simulated")
    done = call("trace")
    assert done.returncode == 1 and len(lines(done)) == 1 and "BTF" in done.stderr


@pytest.mark.live
@pytest.mark.parametrize("output", ["text", "json"])
def test_doctor_sends_no_foreign_bytes_to_the_terminal(output):
    """Any user may listen at the agent's address while no agent runs."""
    body = b'plumb_lost_total{reason="\x1b]0;owned\x07\x1b[2J\xc3\xa9\x9b\r\x7f"} 1\nplumb_lost_total{reason="plain"} 2\n'
    body += b'plumb_process_library_trap_seconds_total{service_name="\x1b[2J"} 3\nplumb_library_traps_total 1e999\nplumb_process_library_trap_seconds_total\n'
    body += b'plumb_gpu_call_errors_total{error_type="\x1b[2J"} 7\nplumb_gpu_spans_suppressed_total{process_pid="7"} 3\n'

    class Impostor(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Impostor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run([PLUMB, "doctor", "--output", output, "--agent", f"127.0.0.1:{server.server_port}"], capture_output=True, timeout=60)
        server.shutdown()
    losses = ['plumb_lost_total{reason="?]0;owned??[2J?????"} 1', 'plumb_lost_total{reason="plain"} 2']
    losses.append('plumb_gpu_spans_suppressed_total{process_pid="7"} 3')
    failed = ['plumb_gpu_call_errors_total{error_type="?[2J"} 7']  # its program's errors, and no loss
    if output == "json":
        said = json.loads(done.stdout)
        assert (said["losses"], said["gpu_call_errors"]) == (losses, failed)
    else:
        gpus, agent = done.stdout.decode("ascii").split("\nrunning agent ")
        assert [line.strip() for line in gpus.splitlines() if "plumb_gpu" in line] == failed and failed[0] not in agent
        assert [line.strip() for line in done.stdout.decode("ascii").splitlines() if "plumb_lost" in line or "suppressed" in line] == losses
        assert set(done.stdout) <= {10, *range(32, 127)}


# Live: servers with names of their own, so that nobody else's traffic on this machine is selected

def unique(name):
    return f"{name}-{os.getpid() % 100_000}"


def start_http(start, name):
    """The Go server under its own name, as comm and as executable."""
    folder, port = start.folder(), free_port()
    program = folder / unique(name)
    shutil.copy(go_program("httpd"), program)
    process = start.process(unique(name), [program, port])
    return servers.listening(process, port)


def get(port, paths):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    statuses = []
    for path in paths:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    return statuses


def items(first, count, kind="items"):
    return [f"/{kind}/{first + i}" for i in range(count)]


def paths_of(spans):
    return sorted(s.path for s in spans)


@pytest.mark.live
@pytest.mark.parametrize("option", ["--comm", "--exe", "--port", "-p"])
def test_a_target_option_selects_one_server(start, plumb, option):
    wanted, other = start_http(start, "wanted"), start_http(start, "other")
    value = {"--comm": unique("wanted"), "--exe": unique("wanted"), "--port": wanted.port, "-p": wanted.pid}[option]
    args = [option, value] if option != "--port" else ["-p", wanted.pid, "-p", other.pid, option, value]
    p = plumb(args=args)
    get(other.port, items(2000, 17))
    get(wanted.port, items(1000, 13))
    get(other.port, items(3000, 11))
    p.wait_spans(13)
    spans = p.finish()
    assert paths_of(spans) == sorted(items(1000, 13)), describe(spans)
    assert {(s.kind, s.pid, s["server.port"]) for s in spans} == {(SERVER, wanted.pid, wanted.port)}


@pytest.mark.live
@pytest.mark.parametrize("option", ["--comm", "--exe"])
def test_a_server_that_starts_later_is_selected_by_its_name(start, plumb, option):
    p = plumb(args=[option, unique("late")])
    late, other = start_http(start, "late"), start_http(start, "other")
    get(other.port, items(2000, 17))
    get(late.port, items(1000, 13))
    p.wait_spans(13)
    spans = p.finish()
    assert paths_of(spans) == sorted(items(1000, 13)), describe(spans)


@pytest.mark.live
@pytest.mark.parametrize("option", ["--comm", "--exe", "--container", "--cgroup"])
def test_a_name_that_no_process_has(option):
    done = call("trace", option, "nosuch-4711", "-d", "100ms")
    assert done.returncode == 0, done.stderr
    assert sum("no process that runs now is named by --comm, --exe, --container or --cgroup" in line for line in lines(done)) == 1, done.stderr


@pytest.mark.live
def test_options_add_up(start, plumb):
    a, b, c = (start_http(start, name) for name in "abc")
    p = plumb(args=["--comm", unique("a"), "--exe", unique("b")])
    for server, first in ((a, 1000), (b, 2000), (c, 3000)):
        get(server.port, items(first, 7))
    p.wait_spans(14)
    spans = p.finish()
    assert paths_of(spans) == sorted(items(1000, 7) + items(2000, 7)), describe(spans)


@pytest.mark.live
@pytest.mark.parametrize("before", [True, False], ids=["children that run already", "children that start later"])
def test_a_pid_with_its_children(start, plumb, before):
    port = free_port()
    child = [go_program("httpd"), port]
    parent = start.process("parent", ["bash", "-c", 'trap "kill %1; exit 0" TERM; read -r line; "$@" & wait', "parent", *child], stdin=subprocess.PIPE)
    other = start_http(start, "other")

    def go():
        parent.popen.stdin.write(b"go\n")
        parent.popen.stdin.flush()
        wait_until(lambda: accepts(port), "server of the child", alive=parent)

    if before:
        go()
    p = plumb(pids=[parent.pid])
    if not before:
        go()
    get(other.port, items(2000, 17))
    get(port, items(1000, 13))
    p.wait_spans(13)
    spans = p.finish()
    assert paths_of(spans) == sorted(items(1000, 13)), describe(spans)
    assert parent.pid not in {s.pid for s in spans}


def ticks(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M)[1])


@pytest.mark.live
@pytest.mark.parametrize("command, more, ends", [("trace", [], True), ("record", ["-o", "/dev/null"], True), ("trace", ["-d", "1h"], False), ("run", ["--metrics", "off", "--spool", ""], False)],
                         ids=["trace", "record", "trace -d", "run"])
def test_the_end_of_the_processes_that_are_named(start, command, more, ends):
    # The first ends before its child, which is still one of those named.
    parent = start.process("parent", ["bash", "-c", "sleep 4711 & echo $!; read -r line"], stdin=subprocess.PIPE)
    child = int(wait_until(lambda: parent.out.read_text(), "number of the child", alive=parent))
    p = start.process("plumb", [PLUMB, command, "-p", parent.pid, *more])
    wait_until(lambda: "attached" in p.err.read_text(), "line 'attached'", alive=p)
    parent.popen.stdin.close()
    parent.popen.wait(10)
    before = ticks(p.pid)
    wait_until(lambda: ticks(p.pid) > before + 40, "the probe's looks at its targets, one in ten ticks", alive=p)
    assert "have ended" not in p.err.read_text()
    os.kill(child, signal.SIGKILL)
    said = "plumb: the processes that were named have ended, and their children" + ("" if ends else ": nothing is watched any more")
    wait_until(lambda: said in p.err.read_text().splitlines(), "line of the end")
    assert (p.popen.wait(10) if ends else p.stop()) == 0
    assert p.err.read_text().count("have ended") == 1


@pytest.mark.live
def test_exclude_pid(start, plumb):
    kept, excluded = start_http(start, "twin"), start_http(start, "twin")
    p = plumb(args=["--comm", unique("twin"), "--exclude-pid", excluded.pid])
    get(excluded.port, items(2000, 17))
    get(kept.port, items(1000, 13))
    p.wait_spans(13)
    spans = p.finish()
    assert paths_of(spans) == sorted(items(1000, 13)), describe(spans)


MIXED = [path for i in range(7) for path in (f"/items/{1000 + i}", f"/fail/{2000 + i}")] + items(3000, 3, "slow")


def failed(path):
    return path.startswith("/fail")


FILTERS = [(["--errors"], failed), (["--min-duration", "30ms"], lambda p: p.startswith("/slow")), (["--protocol", "http"], lambda p: True), (["--protocol", "dns"], lambda p: False),
           (["--errors", "--min-duration", "30ms"], lambda p: False), (["--set", "filter.errors_only=true"], failed), (["--errors=false"], lambda p: True),
           (["--protocol", "dns", "--protocol", "http", "--errors"], failed)]


@pytest.mark.live
def test_filters_of_spans(start, plumb, folder):
    """Live for one, and for all on a recording: the filter is the same code behind another source."""
    server, recording = start_http(start, "mixed"), folder / "run.plumb"
    p = plumb(pids=[server.pid], args=["--errors", "--record", recording])
    assert get(server.port, MIXED).count(500) == 7
    p.wait_spans(7)
    spans = p.finish()
    assert paths_of(spans) == sorted(filter(failed, MIXED)), describe(spans)
    whole = parse(replay(recording).stdout.decode())
    assert paths_of(whole) == sorted(MIXED), describe(whole)
    for args, wanted in FILTERS:
        done = replay(recording, *args)
        assert done.returncode == 0, done.stderr
        found = parse(done.stdout.decode())
        assert paths_of(found) == sorted(filter(wanted, MIXED)), f"{args}: {describe(found)}"


@pytest.mark.live
def test_protocol_among_two(start, plumb):
    web, cache = start_http(start, "web"), start(servers.start_redis)
    driver = python_driver(start.folder(), "redis_driver.py", cache.port)
    p = plumb(pids=[web.pid, cache.pid], args=["--protocol", "http"])
    driver.go()
    get(web.port, items(1000, 13))
    p.wait_spans(13)
    spans = p.finish()
    assert paths_of(spans) == sorted(items(1000, 13)), describe(spans)


# Live: how it ends

@pytest.mark.live
def test_count_ends_it(start, plumb):
    server = start_http(start, "counted")
    p = plumb(pids=[server.pid], args=["-n", "3"])
    get(server.port, items(1000, 13))
    assert p.wait(20) == 0, p.tail()
    assert len(p.spans()) == 3, describe(p.spans())


@pytest.mark.live
def test_duration_ends_it(start, plumb):
    server = start_http(start, "timed")
    p = plumb(pids=[server.pid], args=["-d", "1s"])
    get(server.port, items(1000, 7))
    assert p.wait(20) == 0, p.tail()
    assert paths_of(p.spans()) == items(1000, 7)


@pytest.mark.live
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_it(start, plumb, how):
    server = start_http(start, "signalled")
    p = plumb(pids=[server.pid])
    get(server.port, items(1000, 7))
    assert p.stop(how) == 0, p.tail()
    assert paths_of(p.spans()) == items(1000, 7)


@pytest.mark.live
def test_a_command_is_watched_from_its_first_instruction(start):
    server = start_http(start, "asked")
    code = "import sys,http.client\nfor i in range(7):\n c=http.client.HTTPConnection('127.0.0.1',int(sys.argv[1]))\n c.request('GET','/items/%d'%(1000+i))\n c.getresponse().read()\n"
    done = call("trace", "-o", "otlp-json", "--", "/usr/bin/python3", "-c", code, server.port)
    assert done.returncode == 0, done.stderr
    spans = parse(done.stdout)
    assert paths_of(spans) == items(1000, 7), describe(spans)


@pytest.mark.live
@pytest.mark.parametrize("command", ["trace", "record"])
@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 7", 7), ("exit 127", 127), ("kill -TERM $$", 128 + signal.SIGTERM), ("kill -KILL $$", 128 + signal.SIGKILL)])
def test_the_status_is_the_command_s(command, script, status, tmp_path):
    done = call(command, "-o", "json" if command == "trace" else tmp_path / "r.plumb", "--", "/bin/sh", "-c", script)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr


@pytest.mark.live
@pytest.mark.parametrize("argv, status, why", [("/nonexistent/program", 127, "No such file or directory"), ("/etc/passwd", 126, "Permission denied")], ids=["127", "126"])
def test_a_command_that_cannot_be_run(argv, status, why):
    done = call("trace", "-o", "otlp-json", "--", argv, "x")
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert f"plumb: cannot run {argv}: {why}" in lines(done)


@pytest.mark.live
def test_the_status_is_plumb_s_where_it_failed():
    done = call("record", "-o", "/dev/full", "--", "/bin/sh", "-c", "exit 7")
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "No space left on device" in done.stderr


@pytest.mark.live
@pytest.mark.parametrize("how", ["signal", "duration"])
def test_a_command_that_goes_on_has_no_status(start, tmp_path, how):
    """Its end is not waited for, and what it ends with later is its own affair."""
    pid, told = tmp_path / "pid", tmp_path / "told"
    os.mkfifo(told)
    p = start.process("plumb", [PLUMB, "trace", *(["-d", "1s"] if how == "duration" else []), "--", "/bin/sh", "-c", f"echo $$ > {pid}; read x < {told}; exit 7"])
    wait_until(lambda: pid.exists() and pid.read_text().strip(), "the command", alive=p)
    if how == "signal":
        p.popen.terminate()
    assert p.popen.wait(20) == 0, p.tail()
    os.kill(int(pid.read_text()), 0)
    told.write_text("go\n")


@pytest.mark.live
def test_output_that_nobody_reads_any_more(start):
    server = start_http(start, "piped")
    with subprocess.Popen([PLUMB, "trace", "-p", str(server.pid), "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as p:
        try:
            assert "attached" in p.stderr.readline()
            get(server.port, items(1000, 7))
            assert p.stdout.readline().startswith("{")
            p.stdout.close()
            get(server.port, items(2000, 101))
            assert p.wait(20) == 0
            assert p.stderr.read() == ""
        finally:
            if p.poll() is None:
                p.kill()


@pytest.mark.live
def test_a_terminal_that_nobody_reads(start):
    """The engine goes on: it counts every request, and what the terminal did not take."""
    server, port, count = start_http(start, "shown"), free_port(), 12007
    master, slave = os.openpty()

    def metrics():
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        values = [line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#"]
        return lambda name: sum(float(v) for k, v in values if k.startswith(name))

    with subprocess.Popen([PLUMB, "trace", "-p", str(server.pid), "--metrics", f"127.0.0.1:{port}"], stdout=slave, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          text=True) as p:
        try:
            assert "attached" in p.stderr.readline()
            get(server.port, items(1000, count))
            wait_until(lambda: metrics()("http_server_request_duration_seconds_count") == count, "all requests counted")
            wait_until(lambda: sum(map(metrics(), ("plumb_output_spans_written", "plumb_output_spans_dropped", "plumb_output_spans_pending"))) == count, "all accounted for")
            assert metrics()("plumb_output_spans_dropped") > 0
            p.terminate()
            assert p.wait(10) == 0
        finally:
            if p.poll() is None:
                p.kill()
            os.close(slave)
            os.close(master)


def test_replay_that_nobody_reads_any_more(tmp_path):
    conversation = Conversation()
    for i in range(5003):
        conversation.send(PEER, b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n").send(HOST, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    path = conversation.close().write(tmp_path / "c.pcap")
    done = subprocess.run(["bash", "-c", '"$0" replay "$1" -o json | head -1; exit ${PIPESTATUS[0]}', PLUMB, path], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done.stderr
    assert "error" not in done.stderr


@pytest.mark.live
@pytest.mark.parametrize("command", [["run", "-d", "20s"], ["trace", "-d", "20s"]], ids=lambda c: c[0])
def test_an_address_that_is_in_use(command):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        address = "127.0.0.1:%d" % s.getsockname()[1]
        done = call(*command, "--metrics", address, "-p", os.getpid())
    assert done.returncode == 1
    errors = [line for line in lines(done) if "error" in line]
    assert len(errors) == 1 and address in errors[0] and "another program listens there" in errors[0], done.stderr


# Recordings that are safe to share

SECRETS = ["hunter2-4711", "c0okie-4711", "t0ken-4711", "pa55word-4711", "v4lue-4711"]


def get_with_secrets(port, count):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for i in range(count):
        connection.request("POST" if i % 2 else "GET", f"/{'upload' if i % 2 else 'fail' if i % 4 else 'items'}/{1000 + i}?password={SECRETS[0]}", body=SECRETS[3] * 9 if i % 2 else None,
                           headers={"Cookie": f"sid={SECRETS[1]}", "Authorization": f"Bearer {SECRETS[2]}"})
        connection.getresponse().read()
    connection.close()


def ask_redis(port, count):
    """Twice as many commands, every second of which fails."""
    def command(*words):
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)

    with socket.create_connection(("127.0.0.1", port), timeout=20) as s, s.makefile("rb") as answers:
        for i in range(count):
            s.sendall(command("SET", "user:7", SECRETS[4]))
            assert answers.readline() == b"+OK\r\n"
            s.sendall(command("LPUSH", "user:7", SECRETS[4]))
            assert answers.readline().startswith(b"-WRONGTYPE")


def shape(spans):
    """Without times: each of two recorders has read the clock itself."""
    return sorted((s.kind, s.status, str(s["http.response.status_code"] or s["db.system.name"]), str(s["error.type"])) for s in spans)


def raw(path):
    """All blocks of a recording, inflated (docs/records.md)."""
    data, out = path.read_bytes(), []
    for m in re.finditer(re.escape(b"\x89PLBLK\r\n"), data):
        _, records, size, stored, *_ = struct.unpack_from("<QIIIIII", data, m.end())
        begin = m.start() + 40
        out.append(zlib.decompress(data[begin:begin + stored], -15))
        assert len(out[-1]) == size and records
    assert out
    return b"".join(out)


@pytest.mark.live
def test_a_redacted_recording_keeps_the_spans_and_no_secret(start, plumb, folder):
    web, cache = start_http(start, "kept"), start(servers.start_redis)
    plain, masked = folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[web.pid, cache.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    get_with_secrets(web.port, 23)
    ask_redis(cache.port, 11)
    python_driver(start.folder(), "redis_driver.py", cache.port).go()  # with values that are not captured whole
    for r in recorder:
        assert r.stop() == 0, r.tail()
        assert r.out.read_bytes() == b""
    spans, kept = (parse(replay(path).stdout.decode()) for path in (plain, masked))
    assert sum(s["http.response.status_code"] is not None for s in spans) == 23
    more, less = collections.Counter(shape(kept)) - collections.Counter(shape(spans)), collections.Counter(shape(spans)) - collections.Counter(shape(kept))
    assert (more, less) == ({}, {}), f"only in the masked one: {more}; only in the plain one: {less}"
    assert sum(s["error.type"] == "WRONGTYPE" for s in spans) == 11 + 3
    for secret in map(str.encode, SECRETS):
        assert secret in raw(plain), f"{secret}: the test would not see it"
        assert secret not in raw(masked), secret


def mysql_shape(spans):
    names = ("db.operation.name", "error.type", "db.response.status_code", "db.response.returned_rows", "plumb.db.rows_affected", "plumb.incomplete")
    return sorted((s.kind, *(str(s[name]) for name in names)) for s in spans)


@pytest.mark.live
@pytest.mark.parametrize("kind, name", [(python_driver, "mysql_driver.py"), (go_driver, "mysqldriver")])
def test_a_redacted_recording_of_mysql_keeps_what_spans_count(start, folder, mariadb, kind, name):
    driver, plain, masked = kind(start.folder(), name, mariadb.port), folder / "plain.plumb", folder / "masked.plumb"
    recorder = [Plumb(start.folder(), command="record", output=None, pids=[mariadb.pid, driver.pid], args=["-o", path, *more]) for path, more in ((plain, []), (masked, ["--redact"]))]
    driver.go()
    for r in recorder:
        assert r.stop() == 0, r.tail()
    spans, kept = (mysql_shape(parse(replay(path).stdout.decode())) for path in (plain, masked))
    assert len(spans) >= 56 and kept == spans
    for secret in (b"secret", b"no_such_table"):
        assert secret in raw(plain) and secret not in raw(masked)


def test_the_table_of_protocols_in_the_docs():
    said = call("doctor", "--protocols").stdout.splitlines()
    table = said[: said.index("")]
    assert docs.part("protocols.md", "protocols", lambda _: ["```", *table, "```"]) == ["```", *table, "```"], "run this test with PLUMB_UPDATE=1"
