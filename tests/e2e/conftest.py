# SPDX-License-Identifier: Apache-2.0
import contextlib
import shutil
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


def session_server(kind):
    path = Path(tempfile.mkdtemp(prefix="plumb-e2e-"))
    path.chmod(0o755)
    try:
        process = kind(path)
        yield process
        process.stop()
    finally:
        shutil.rmtree(path, ignore_errors=True)


def resting(server):
    """A server of the session, once it is done with the clients of earlier tests: what one has left with it is read and answered after it is gone."""
    wait_until(lambda: not connections(server.port), "end of earlier clients' connections", alive=server)
    return server


@pytest.fixture(scope="session")
def postgres_of_session():
    yield from session_server(servers.Postgres)


@pytest.fixture
def postgres(postgres_of_session):
    return resting(postgres_of_session)


@pytest.fixture(scope="session")
def mariadb_of_session():
    yield from session_server(servers.Mariadb)


@pytest.fixture
def mariadb(mariadb_of_session):
    return resting(mariadb_of_session)


@pytest.fixture(scope="session")
def cassandra_of_session():
    yield from session_server(servers.Cassandra)


@pytest.fixture
def cassandra(cassandra_of_session):
    return resting(cassandra_of_session)


@pytest.fixture(scope="session")
def rabbitmq_of_session():
    yield from session_server(servers.Rabbitmq)


@pytest.fixture
def rabbitmq(rabbitmq_of_session):
    return resting(rabbitmq_of_session)


@pytest.fixture(scope="session")
def rabbitmq_stomp_of_session():
    yield from session_server(lambda folder: servers.Rabbitmq(folder, stomp=True))


@pytest.fixture
def rabbitmq_stomp(rabbitmq_stomp_of_session):
    return resting(rabbitmq_stomp_of_session)


@pytest.fixture(scope="session")
def kafka_of_session():
    yield from session_server(servers.Kafka)


@pytest.fixture
def kafka(kafka_of_session):
    return resting(kafka_of_session)


@pytest.fixture(scope="session")
def rocketmq_of_session():
    yield from session_server(servers.Rocketmq)


@pytest.fixture
def rocketmq(rocketmq_of_session):
    return resting(rocketmq_of_session)


@pytest.fixture(scope="session")
def clickhouse_of_session():
    yield from session_server(servers.Clickhouse)


@pytest.fixture
def clickhouse(clickhouse_of_session):
    return resting(clickhouse_of_session)


@pytest.fixture(scope="session")
def pulsar_of_session():
    yield from session_server(servers.start_pulsar)


@pytest.fixture
def pulsar(pulsar_of_session):
    return resting(pulsar_of_session)


@pytest.fixture(scope="session")
def tds_of_session():
    yield from session_server(servers.Tds)


@pytest.fixture
def tds(tds_of_session):
    return resting(tds_of_session)


@pytest.fixture
def plumb(folder):
    """plumb(pids=…, args=…): a Plumb that is attached; ended after the test if the test has not done so with finish()."""
    assert PLUMB.exists(), "build/plumb is missing: run make build"
    running = []

    def begin(**named):
        own = folder / f"plumb{len(running)}"
        own.mkdir()
        running.append(Plumb(own, **named))
        return running[-1]

    yield begin
    for p in running:
        if p.popen.poll() is None:
            p.stop()
