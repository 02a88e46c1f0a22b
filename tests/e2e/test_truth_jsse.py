# SPDX-License-Identifier: Apache-2.0
"""TLS in Java by the JDK's own JSSE, where the operator has allowed plumb to have JVMs load its agent: SSLSocket and SSLEngine, of several Javas, and of programs that do not let themselves be asked."""
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness import servers
from harness.driver import Driver, plan_23, plan_10007, python_driver
from harness.libraries import watched
from harness.plumb import PLUMB
from harness.process import BUILD, Process, descendants, free_port, wait_until
from harness.servers import listening
from harness.spans import CLIENT, SERVER, describe
from harness.truth import check_http, check_order
from test_restart import metric
from test_truth_https import check_one_trace, check_pair, driver_of, requests_of
from test_truth_kafka import PYTHON, check_measured, ends, said
from test_truth_java_tls import drive as drive_netty, serve as serve_netty

pytestmark = pytest.mark.live

AGENT = "libplumb-jsse.so"


@pytest.fixture(autouse=True)
def agent():
    if not (PLUMB.parent / AGENT).exists():
        pytest.skip(f"{AGENT} was not built: there were no headers of a JDK (package openjdk-17-jdk-headless)")


def java(version):
    """17 is the system's; others are fetched by setup.sh."""
    if version == "17":
        return servers.need("java", "default-jre-headless")
    program = BUILD / f"e2e/jre-{version}/bin/java"
    if not program.exists():
        pytest.skip(f"Java {version} was not fetched: run tests/e2e/setup.sh")
    return program


def jdk_tls(version, *args, options=()):
    classes = BUILD / "e2e/jsse/classes"
    if not classes.exists():
        pytest.skip("there was no javac (package openjdk-17-jdk-headless): run tests/e2e/setup.sh")
    return [java(version), "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *options, "-cp", classes, "JdkTls", *args]


# Also what the JVM takes on trust of its own classes is verified.
VERIFIED = ("-XX:+UnlockDiagnosticVMOptions", "-XX:+BytecodeVerificationLocal")


def serve(folder, version, tls, how, options=VERIFIED, prefix=(), **more):
    port = free_port()
    return listening(Process(f"java-{version}-{how}", [*prefix, *jdk_tls(version, "serve", port, tls, how, options=options)], folder, **more), port)


def drive(folder, version, server, tls, tls_version, how, plan, options=VERIFIED, connections=3):
    d = Driver(folder, f"java-{version}-{how}", jdk_tls(version, "drive", server.port, tls, tls_version, connections, how, options=options))
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan))
    wait_until(lambda: "ready" in d.err.read_text(), "its plan to be read", alive=d)
    return d


ALLOWED = [*watched(), "--set", "capture.java=attach"]


def log(p):
    return p.err.read_text(errors="replace")


def wait_loaded(p, *processes):
    """Until these have the agent, and probes lie on its functions."""
    for process in processes:
        wait_until(lambda: f"the JVM of process {process.pid} has loaded the agent" in log(p), f"the agent in {process.name}", alive=p)
    p.wait_watching("jsse")


def maps_agent(pid):
    return AGENT in Path(f"/proc/{pid}/maps").read_text()


def finish(p, plan, server, http, results):
    p.wait_spans(46, match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    assert len(spans) == 46, describe(spans, 60)
    check_pair(spans, plan, server, http, results)


def check_undisturbed(*processes):
    """What they print is what they print without."""
    warnings = ("A JVM TI agent has been loaded dynamically", "If a serviceability tool is in use", "Dynamic loading of agents will be disallowed")
    for process in processes:
        lines = [line for line in process.err.read_text().splitlines() if not any(w in line for w in warnings)]
        assert lines in ([], ["ready"]), lines


@pytest.mark.parametrize("server_java,server,client_java,client,version", [
    ("17", "engine", "17", "http1", "1.3"), ("17", "engine", "17", "urlconnection", "1.2"), ("17", "socket", "17", "socket", "1.3"), ("17", "socket", "17", "http1", "1.2"),
    ("11", "socket", "11", "http1", "1.3"), ("11", "socket", "11", "socket", "1.2"), ("21", "virtual", "21", "virtual", "1.3"), ("21", "engine", "21", "http1", "1.2"),
    ("25", "virtual", "25", "virtual", "1.2"), ("25", "engine", "25", "http1", "1.3"), ("25", "socket", "11", "urlconnection", "1.3"),
])
def test_both_ends(start, plumb, localhost_certificate, server_java, server, client_java, client, version):
    app = start(serve, server_java, localhost_certificate, server)
    plan = plan_23()
    driver = start(drive, client_java, app, localhost_certificate, version, client, plan)
    p = plumb(pids=[app.pid, driver.pid], args=ALLOWED)
    wait_loaded(p, app, driver)
    results = {r["path"]: r for r in driver.go()}
    assert {r["bytes"] for path, r in results.items() if path.startswith("/big/")} == {200_003}
    finish(p, plan, app, "1.1", results)
    check_undisturbed(app, driver)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("client_java", ["11", "17", "25"])
def test_http2(start, plumb, localhost_certificate, client_java, version):
    app = start(servers.start_nginx, tls=localhost_certificate)
    plan = plan_23()
    driver = start(drive, client_java, app, localhost_certificate, version, "http2", plan)
    p = plumb(pids=[app.pid, driver.pid], args=ALLOWED)
    p.wait_watching("openssl")
    wait_loaded(p, driver)
    results = {r["path"]: r for r in driver.go()}
    finish(p, plan, app, "2", results)


SENT = [("send", "orders", "0", 1, "MESSAGE_TOO_LARGE" if i % 3 == 1 and i < 21 else None) for i in range(23)]


def test_kafka(start, plumb, localhost_certificate):
    """Broker and client are Java."""
    broker = start(servers.Kafka, tls=localhost_certificate)
    jars = BUILD / "e2e/kafka"
    if not (jars / "classes/KafkaTls.class").exists():
        pytest.skip("Kafka's Java driver was not compiled (package openjdk-17-jdk-headless): run tests/e2e/setup.sh")
    argv = [java("17"), "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/classes:{jars}/*", "KafkaTls", broker.port, localhost_certificate / "cert.pem"]
    driver = Driver(start.folder(), "kafka-driver", argv)
    wait_until(lambda: "ready" in driver.err.read_text(), "its start", alive=driver)
    p = plumb(pids=[broker.pid, driver.pid], args=ALLOWED)
    wait_loaded(p, broker, driver)
    steps = driver.go()
    assert [s["error"] for s in steps if s["what"] == "send"] == ["RecordTooLargeException" if error else "" for *_, error in SENT]
    p.wait_spans(2, lambda s: s["messaging.operation.name"] == "poll" and s["messaging.batch.message_count"] == 0)
    client, server = ends(requests_of(p.finish()), driver.pid, broker.port)
    for side in (client, server):
        assert [said(s) for s in side if s["messaging.operation.name"] == "send"] == SENT
        polls = [s for s in side if s["messaging.operation.name"] == "poll"]
        assert sum(s["messaging.batch.message_count"] for s in polls) == 16
        waited = [s.duration_ns for s in polls if s["messaging.batch.message_count"] == 0]
        assert waited and all(ns >= 503_000_000 for ns in waited[:1]), waited
    check_measured([s for s in client if s["messaging.operation.name"] == "send"], [s for s in steps if s["what"] == "send"])


def test_kafka_of_librdkafka(start, plumb, localhost_certificate):
    """Its client has OpenSSL."""
    broker = start(servers.Kafka, tls=localhost_certificate)
    driver = python_driver(start.folder(), "kafka_driver.py", broker.port, env={**os.environ, "DRIVER_TLS": str(localhost_certificate)})
    p = plumb(pids=[broker.pid, driver.pid], args=ALLOWED)
    wait_loaded(p, broker)
    p.wait_watching("openssl")
    driver.go()
    p.wait_spans(2, lambda s: s["messaging.operation.name"] == "leave_group")
    client, server = ends(requests_of(p.finish()), driver.pid, broker.port)
    for side in (client, server):
        assert [said(s) for s in side if s["messaging.operation.name"] in ("create_topics", "send", "commit")] == PYTHON


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_netty(start, plumb, localhost_certificate, version):
    """With the JDK's provider."""
    app = start(serve_netty, localhost_certificate, "JDK")
    plan = plan_23()
    driver = drive_netty(start, app, localhost_certificate, version, "JDK", plan)
    p = plumb(pids=[app.pid, driver.pid], args=ALLOWED)
    wait_loaded(p, app, driver)
    results = {r["path"]: r for r in driver.go()}
    finish(p, plan, app, "1.1", results)


def test_younger_than_plumb(start, plumb, localhost_certificate):
    """A JVM is asked as soon as it takes commands."""
    p = plumb(args=[*ALLOWED, "--comm", "java"])
    app = start(serve, "17", localhost_certificate, "engine")
    plan = plan_23()
    driver = start(drive, "21", app, localhost_certificate, "1.3", "socket", plan)
    wait_loaded(p, app, driver)
    results = {r["path"]: r for r in driver.go()}
    finish(p, plan, app, "1.1", results)
    check_undisturbed(app, driver)


@pytest.mark.parametrize("way", ["uprobe_multi", "uprobe_perf"])
def test_by_hand(start, plumb, localhost_certificate, way):
    """The agent as an option of the JVM's, with no right of plumb's to have it loaded. It tells nothing unless the kernel says that somebody listens, which it does by either way."""
    options = [f"-agentpath:{PLUMB.parent / AGENT}", *VERIFIED]
    app = start(serve, "17", localhost_certificate, "socket", options)
    plan = plan_23()
    driver = start(drive, "17", app, localhost_certificate, "1.3", "urlconnection", plan, options)
    p = plumb(pids=[app.pid, driver.pid], args=watched(way))
    p.wait_watching("jsse")
    results = {r["path"]: r for r in driver.go()}
    finish(p, plan, app, "1.1", results)
    check_undisturbed(app, driver)


def test_once(start, plumb, localhost_certificate):
    """The next plumb finds the agent that the first one's has had loaded."""
    app = start(serve, "17", localhost_certificate, "engine")
    p = plumb(pids=[app.pid], args=ALLOWED)
    wait_loaded(p, app)
    p.finish()
    plan = plan_23()
    port = free_port()
    driver = start(drive, "17", app, localhost_certificate, "1.3", "socket", plan)
    p = plumb(pids=[app.pid, driver.pid], args=[*ALLOWED, "--metrics", f"127.0.0.1:{port}"])
    wait_loaded(p, driver)
    wait_until(lambda: metric(port, 'plumb_jvms_total{result="loaded"}') == 1 and metric(port, 'plumb_jvms_total{result="had_it"}') == 1, "the count of both", alive=p)
    results = {r["path"]: r for r in driver.go()}
    finish(p, plan, app, "1.1", results)
    assert f"JVM of process {app.pid}" not in log(p)
    assert app.err.read_text() == ""


@pytest.mark.parametrize("server,client", [("engine", "http1"), ("virtual", "virtual")])
def test_10007_requests(start, plumb, localhost_certificate, server, client):
    app = start(serve, "21", localhost_certificate, server)
    plan = [r for r in plan_10007() if r.kind != "slow"]
    driver = start(drive, "21", app, localhost_certificate, "1.3", client, plan, connections=17)
    # Bodies of 17 connections at once, at both ends, until the kernel side knows that nobody needs them.
    p = plumb(pids=[app.pid, driver.pid], args=ALLOWED)
    wait_loaded(p, app, driver)
    results = {r["path"]: r for r in driver.go(300)}
    assert {path: r["status"] for path, r in results.items()} == {r.path: r.status for r in plan}, "the client itself saw something else"
    p.wait_spans(2 * len(plan), match=lambda s: s.name != "TLS handshake", timeout_s=60)
    spans = requests_of(p.finish())
    check_order(spans)
    for kind in (SERVER, CLIENT):
        check_http(spans, plan, kind)
    check_one_trace(spans)


@pytest.mark.parametrize("how", ["engine", "socket"])
def test_plumb_comes_and_goes(start, plumb, localhost_certificate, how):
    """Under load: the program does what it does without. Classes change once, and probes come and go, in the middle of calls."""
    app = start(serve, "17", localhost_certificate, how)
    plan = [r for r in plan_10007() if r.kind != "slow"]
    driver = driver_of(start, "go", app, localhost_certificate, "1.3", 17, plan)
    driver.begin()
    runs = 0
    while driver.popen.poll() is None:
        p = plumb(pids=[app.pid], args=ALLOWED)
        p.wait_watching("jsse")
        p.wait_spans(23, match=lambda s: s.kind == SERVER)
        p.finish()
        runs += 1
    assert {r["path"]: r["status"] for r in driver.end()} == {r.path: r.status for r in plan}
    assert runs and maps_agent(app.pid)
    check_undisturbed(app)


@pytest.mark.parametrize("numbered", [False, True], ids=["mounts", "mounts and numbers"])
def test_another_user_in_a_place_of_its_own(start, plumb, localhost_certificate, numbered):
    """Of a JVM that sees another /tmp and does not see plumb's files, as in a container: it gets a copy, of which nothing stays. And one that has another number there."""
    its = start.folder()
    jdk_tls("17")
    shutil.copytree(BUILD / "e2e/jsse/classes", its / "classes")
    for name in ("cert.pem", "key.pem"):
        shutil.copy(localhost_certificate / name, its)
    (its / "tmp").mkdir()
    (its / "tmp").chmod(0o1777)
    script = f"""mount --bind "$0" /mnt && mount -t tmpfs tmpfs "{PLUMB.parent.resolve()}" && mount --bind /mnt/tmp /tmp && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@" """
    port = free_port()
    prefix = ["unshare", *(["--pid", "--fork", "--kill-child"] if numbered else []), "--mount", "--propagation", "private", "sh", "-c", script, its]
    argv = [java("17"), "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "/mnt/classes", "JdkTls", "serve", port, "/mnt", "engine"]
    app = start(lambda folder: listening(Process("java-elsewhere", [*prefix, *argv], folder), port))
    plan = plan_23()
    driver = start(drive, "17", app, localhost_certificate, "1.3", "socket", plan)
    pid = descendants(app.pid)[-1] if numbered else app.pid
    p = plumb(pids=[pid, driver.pid], args=ALLOWED)
    wait_loaded(p, driver)
    wait_until(lambda: f"the JVM of process {pid} has loaded the agent" in log(p), "the agent there", alive=p)
    p.wait_watching("jsse", times=2)
    assert os.stat(f"/proc/{pid}").st_uid == 65534
    assert "/tmp/.plumb-" in Path(f"/proc/{pid}/maps").read_text()
    assert {e.name for e in (its / "tmp").iterdir() if not e.name.startswith("hsperfdata_")} == {f".java_pid{1 if numbered else pid}"}
    results = {r["path"]: r for r in driver.go()}
    finish(p, plan, app, "1.1", results)
    os.kill(pid, signal.SIGTERM)  # unshare waits for it, and listens to nothing meanwhile


def test_not_allowed(start, plumb, localhost_certificate):
    """Handshakes alone, and nobody has been at the JVM."""
    app = start(serve, "17", localhost_certificate, "engine")
    driver = start(drive, "17", app, localhost_certificate, "1.3", "http1", plan_23())
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    assert len(driver.go()) == 23
    p.wait_spans(6)
    spans = p.finish()
    assert {s.name for s in spans} == {"TLS handshake"} and len(spans) == 6, describe(spans)
    assert not maps_agent(app.pid)
    assert not Path(f"/tmp/.java_pid{app.pid}").exists() and not Path(f"/tmp/.attach_pid{app.pid}").exists()
    check_undisturbed(app, driver)


def test_who_is_not_watched(start, plumb, localhost_certificate):
    app, other = (start(serve, "17", localhost_certificate, "engine") for _ in range(2))
    p = plumb(pids=[app.pid], args=ALLOWED)
    wait_loaded(p, app)
    p.finish()
    assert maps_agent(app.pid) and not maps_agent(other.pid)
    assert not Path(f"/tmp/.java_pid{other.pid}").exists()


@pytest.mark.parametrize("options,env", [(["-XX:+DisableAttachMechanism"], {}), ([], {"JAVA_TOOL_OPTIONS": "-XX:+DisableAttachMechanism"}), (["-XX:Flags={folder}/flags"], {})])
def test_a_jvm_that_takes_no_commands(start, plumb, localhost_certificate, options, env):
    """SIGQUIT would have it print all its threads."""
    folder = start.folder()
    (folder / "flags").write_text("+DisableAttachMechanism\n")
    app = start(serve, "17", localhost_certificate, "engine", [o.format(folder=folder) for o in options], env={**os.environ, **env})
    p = plumb(pids=[app.pid], args=ALLOWED)
    wait_until(lambda: f"Java's TLS in process {app.pid} is not seen: it was started with -XX:+DisableAttachMechanism" in log(p), "the reason", alive=p)
    p.finish()
    assert "Full thread dump" not in app.out.read_text() + app.err.read_text()
    assert not maps_agent(app.pid)


def test_a_jvm_that_takes_no_agents(start, plumb, localhost_certificate):
    app = start(serve, "21", localhost_certificate, "engine", ["-XX:-EnableDynamicAgentLoading"])
    p = plumb(pids=[app.pid], args=ALLOWED)
    wait_until(lambda: f"Java's TLS in process {app.pid} is not seen: the JVM said: Dynamic agent loading is not enabled." in log(p), "the reason", alive=p)
    p.finish()
    assert not maps_agent(app.pid)


def test_a_jvm_that_hangs(start, plumb, localhost_certificate):
    """It holds up nobody, and is told of once."""
    app, hung = (start(serve, "17", localhost_certificate, "engine") for _ in range(2))
    os.kill(hung.pid, signal.SIGSTOP)
    try:
        p = plumb(pids=[hung.pid, app.pid], args=ALLOWED)
        wait_loaded(p, app)
        wait_until(lambda: f"Java's TLS in process {hung.pid} is not seen: it did not answer within 10 s" in log(p), "the reason", 30, alive=p)
        assert not Path(f"/tmp/.attach_pid{hung.pid}").exists()
    finally:
        os.kill(hung.pid, signal.SIGCONT)
    p.finish()
    assert log(p).count(f"process {hung.pid} is not seen") == 1


# What runs it says of itself that it is a JVM: it maps a file of that name, catches SIGQUIT and listens. The answer has what a terminal would obey.
IMPOSTOR = """
import ctypes, os, signal, socket, sys
folder, trick = sys.argv[1:]
signal.signal(signal.SIGQUIT, lambda *_: print("quit", flush=True))
path = f"/tmp/.java_pid{os.getpid()}"
s = socket.socket(socket.AF_UNIX)
if trick == "link":
    s.bind(folder + "/elsewhere")
    os.symlink(folder + "/elsewhere", path)
else:
    s.bind(path)
s.listen()
lib = ctypes.CDLL(folder + "/libjvm.so")
print("ready", flush=True)
c, _ = s.accept()
c.recv(4096)
print("asked", flush=True)
try:
    c.sendall(b"7\\n\\x1b[31mred\\nplumb: error: x" + b"y" * 100000)
except OSError:
    pass
c.close()
signal.pause()
"""


@pytest.mark.parametrize("trick", ["answer", "link"])
def test_an_impostor(start, plumb, trick):
    folder = start.folder()
    shutil.copy(next(Path("/usr/lib").glob("*-linux-gnu/libz.so.1")).resolve(), folder / "libjvm.so")
    impostor = start.process("impostor", [BUILD / "venv/bin/python", "-u", "-c", IMPOSTOR, folder, trick])
    try:
        wait_until(lambda: "ready" in impostor.out.read_text(), "its library", alive=impostor)
        p = plumb(pids=[impostor.pid], args=ALLOWED)
        wait_until(lambda: f"process {impostor.pid} is not seen" in log(p), "the reason", 30, alive=p)
        p.finish()
        line = next(line for line in log(p).splitlines() if f"process {impostor.pid} is not seen" in line)
        if trick == "link":
            assert "did not answer" in line and "asked" not in impostor.out.read_text()
        else:
            assert "the JVM said:  [31mred plumb: error: xyy" in line and "\x1b" not in log(p) and len(line) < 300
        assert not Path(f"/tmp/.attach_pid{impostor.pid}").exists()
    finally:
        Path(f"/tmp/.java_pid{impostor.pid}").unlink(missing_ok=True)


def test_what_cannot_be(start):
    """The setting is refused where it could do nothing."""
    folder = start.folder()
    shutil.copy(PLUMB, folder / "plumb")
    done = subprocess.run([folder / "plumb", "trace", *watched(), "--set", "capture.java=attach", "-d", "1s"], capture_output=True, text=True)
    assert done.returncode == 2 and f"there is no {AGENT} beside this program" in done.stderr
    done = subprocess.run([PLUMB, "trace", "--set", "capture.java=attach", "-d", "1s"], capture_output=True, text=True)
    assert done.returncode == 2 and "set capture.libraries to auto, too" in done.stderr
