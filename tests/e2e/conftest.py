# SPDX-License-Identifier: Apache-2.0
import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import servers
from harness.plumb import PLUMB, Plumb, missing_rights
from harness.process import Process, connections, wait_until


def pytest_configure(config):
    config.addinivalue_line("markers", "live: traces this machine: skipped without root or BPF rights")


def pytest_sessionfinish(session):
    """No process that a test started outlives the tests."""
    left = [p for p in Process.started if p.popen.poll() is None]
    for p in left:
        print(f"\n{p.name} (pid {p.pid}) was left running: {' '.join(p.popen.args)[:200]}")
        p.popen.kill()
        p.popen.wait()
    if left and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_collection_modifyitems(items):
    live = [i for i in items if i.get_closest_marker("live") or "plumb" in getattr(i, "fixturenames", ())]
    reason = missing_rights() if live else None
    for item in live:
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def folder():
    """A temporary folder with a short name (Unix sockets allow 108 bytes) that other users may enter."""
    path = Path(tempfile.mkdtemp(prefix="plumb-e2e-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(folder):
    """start(function, *args): starts a server in a folder of its own; all are ended after the test. start.process(...) starts any other program."""
    with contextlib.ExitStack() as stack:
        count = 0

        def own_folder():
            nonlocal count
            count += 1
            own = folder / f"{count}"
            own.mkdir()
            return own

        def start_server(function, *args, **named):
            process = function(own_folder(), *args, **named)
            stack.callback(process.stop)
            return process

        def start_process(name, argv, **named):
            process = Process(name, argv, own_folder(), **named)
            stack.callback(process.stop)
            return process

        start_server.process = start_process
        start_server.folder = own_folder
        yield start_server


@pytest.fixture(scope="session")
def localhost_certificate():
    """A folder with cert.pem and key.pem, of localhost and 127.0.0.1; it guards nothing."""
    folder = Path(tempfile.mkdtemp(prefix="plumb-e2e-"))
    folder.chmod(0o755)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "73"], check=True, stderr=subprocess.DEVNULL)
    (folder / "key.pem").chmod(0o644)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


# Servers that take long to start: one of each for all tests, and a fixture of the name here.
OF_SESSION = {
    "postgres": servers.Postgres,
    "mariadb": servers.Mariadb,
    "cassandra": servers.Cassandra,
    "clickhouse": servers.Clickhouse,
    "rabbitmq": servers.Rabbitmq,
    "rabbitmq_stomp": lambda folder: servers.Rabbitmq(folder, stomp=True),
    "kafka": servers.Kafka,
    "rocketmq": servers.Rocketmq,
    "pulsar": servers.start_pulsar,
    "tds": servers.Tds,
}


def fixtures_of(name, kind):
    """The server, and it once it is done with the clients of earlier tests: what one has left with it is read and answered after it is gone."""

    @pytest.fixture(scope="session")
    def of_session():
        path = Path(tempfile.mkdtemp(prefix="plumb-e2e-"))
        path.chmod(0o755)
        try:
            process = kind(path)
            yield process
            process.stop()
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @pytest.fixture
    def resting(request):
        server = request.getfixturevalue(f"{name}_of_session")
        wait_until(lambda: not connections(server.port), "end of earlier clients' connections", alive=server)
        return server

    return of_session, resting


for name, kind in OF_SESSION.items():
    globals()[f"{name}_of_session"], globals()[name] = fixtures_of(name, kind)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that fails shows what its plumbs have said: above all, what they have lost."""
    report = yield
    if report.failed:
        for p in item.stash.get(PLUMBS, []):
            with contextlib.suppress(OSError):
                report.sections.append((f"{p.name} (pid {p.pid}), the end of what it said", p.err.read_text(errors="replace")[-2000:]))
    return report


PLUMBS = pytest.StashKey()


@pytest.fixture
def plumb(folder, request):
    """plumb(pids=…, args=…): a Plumb that is attached; ended after the test if the test has not done so with finish()."""
    assert PLUMB.exists(), "build/plumb is missing: run make build"
    running = request.node.stash[PLUMBS] = []

    def begin(**named):
        own = folder / f"plumb{len(running)}"
        own.mkdir()
        running.append(Plumb(own, **named))
        return running[-1]

    yield begin
    for p in running:
        if p.popen.poll() is None:
            p.stop()
