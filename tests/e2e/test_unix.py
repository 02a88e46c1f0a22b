# SPDX-License-Identifier: Apache-2.0
"""Unix sockets: every server span is the child of its client span, on connections that plumb saw begin and on those that are older."""
import signal
import socket
import subprocess

import pytest

from harness import servers
from harness.driver import python_driver
from harness.process import APPS, Process, descendants, wait_until
from harness.spans import CLIENT, SERVER, describe

pytestmark = pytest.mark.live
RUNGS = ("sock_length", "sys_exit")


def listens(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(str(path)) == 0


def start_python(folder):
    path = folder / "http.sock"
    process = Process("httpd-py", ["/usr/bin/python3", APPS / "httpd.py", path], folder)
    process.path = path
    wait_until(lambda: listens(path), "listening server", alive=process)
    return process


def start_nginx(folder):
    process = servers.start_nginx(folder)
    process.path = folder / "nginx.sock"
    return process


def ready(driver):
    wait_until(lambda: "ready" in driver.err.read_text(), "old connections", alive=driver)
    return driver


def check_joined(spans, names, name_of, driver, server_pids):
    """Each name once at both ends, and the server's span below the client's."""
    client, server = ([s for s in spans if s.kind == kind] for kind in (CLIENT, SERVER))
    for side in (client, server):
        assert sorted(map(name_of, side)) == sorted(names), describe(side, 200)
    assert {s.pid for s in client} == {driver.pid}
    assert {s.pid for s in server} <= server_pids
    parents = {name_of(s): s for s in client}
    wrong = [s for s in server if (s.parent_id, s.trace_id) != (parents[name_of(s)].span_id, parents[name_of(s)].trace_id) or s["plumb.join"] != "socket"]
    assert not wrong, f"{len(wrong)} of {len(server)} are not below their client's span: {describe(wrong)}"


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("start_server", [start_python, start_nginx])
def test_http(start, plumb, start_server, rung):
    server = start(start_server)
    driver = ready(python_driver(start.folder(), "unix_driver.py", server.path))
    p = plumb(pids=[server.pid, driver.pid], args=["--set", f"capture.socket_data={rung}"])
    truth = driver.go()
    assert len(truth) == 54 and all(t["status"] == 200 for t in truth)
    p.wait_spans(2 * len(truth))
    workers = {server.pid} | set(descendants(server.pid))
    check_joined(p.finish(), [t["path"] for t in truth], lambda s: s.path, driver, workers)


@pytest.mark.parametrize("rung", RUNGS)
def test_postgres(start, plumb, postgres, rung):
    driver = ready(python_driver(start.folder(), "pg_unix_driver.py", f"{postgres.socket_folder}:{postgres.port}"))
    p = plumb(pids=[postgres.pid, driver.pid], args=["--set", f"capture.socket_data={rung}"])
    truth = [t["statement"] for t in driver.go()]
    assert len(truth) == 30
    p.wait_spans(2 * len(truth), lambda s: s["db.query.text"] in truth)
    spans = [s for s in p.finish() if s["db.query.text"]]
    backends = {s.pid for s in spans if s.kind == SERVER}
    assert len(backends) == 2 and driver.pid not in backends
    check_joined(spans, truth, lambda s: s["db.query.text"], driver, backends)


@pytest.mark.parametrize("unread", ["request", "answer"])
def test_what_was_under_way_joins_nothing(start, plumb, unread):
    """plumb comes while a request or its answer waits to be read: the ends may not count alike from then on. Not joined, and never wrongly; a new connection is."""
    server = start(start_python)
    if unread == "request":
        server.popen.send_signal(signal.SIGSTOP)
    driver = start.process("busy", ["/usr/bin/python3", APPS / "unix_busy.py", server.path], stdin=subprocess.PIPE)
    wait_until(lambda: "asked" in driver.err.read_text(), "request under way", alive=driver)
    p = plumb(pids=[server.pid, driver.pid])
    server.popen.send_signal(signal.SIGCONT)
    driver.popen.stdin.write(b"go\n")
    driver.popen.stdin.close()
    assert driver.wait() == 0, driver.tail()
    old, new = [f"/items/{1000 + i}" for i in range(7)], [f"/items/{2000 + i}" for i in range(11)]
    p.wait_spans(2 * len(old + new), lambda s: s.path in old + new)
    spans = p.finish()
    clients = {s.path: s for s in spans if s.kind == CLIENT and s.path}
    served = {s.path: s for s in spans if s.kind == SERVER and s.path}
    assert sorted(clients) == sorted(old + new), describe(spans)
    assert sorted(served) == sorted(old + new + (["/slow/1"] if unread == "request" else [])), describe(spans)
    for path, s in served.items():
        assert s.parent_id == (clients[path].span_id if path in new else ""), describe([s])
