# SPDX-License-Identifier: Apache-2.0
"""Sessions of TLS that are older than plumb: what they do from then on is seen, and both ends of a call are one trace, as their places in the socket's stream are the same."""
import os
import re
import shutil
import subprocess

import pytest

from harness import servers
from harness.driver import Driver
from harness.libraries import watched
from harness.process import APPS, BUILD, free_port, wait_until
from harness.servers import go_program
from harness.spans import CLIENT, SERVER, describe
from test_restart import metric
from test_truth_https import SERVERS, check_one_trace, requests_of, wait_for_libraries
from test_truth_runtimes import LIBRARIES

pytestmark = pytest.mark.live

FIRST, COUNT = 100_001, 101


@pytest.mark.parametrize("server,client", [("nginx", "blocking"), ("nginx", "asyncio"), ("python", "blocking"), ("node", "blocking"), ("node", "asyncio"), ("go", "blocking"), ("go", "asyncio")])
def test_both_ends_are_older(start, plumb, localhost_certificate, server, client):
    app = start(SERVERS[server], localhost_certificate)
    driver = Driver(start.folder(), client, [BUILD / "venv/bin/python", "-u", APPS / "old_session.py", app.port, localhost_certificate, client, FIRST, COUNT])
    wait_until(lambda: "ready" in driver.out.read_text(), "its first request", alive=driver)
    p = plumb(pids=[app.pid, driver.pid], args=watched())
    wait_for_libraries(p, (server, app), (client, driver))
    driver.write("go\n")
    driver.popen.stdin.close()
    assert driver.wait(60) == 0, driver.tail()
    # A server that waited in a call of its library was not seen to begin this: it misses the request. Where the next one begins is not known then, either.
    early = {"/items/2", "/items/3", ""}
    p.wait_spans(2 * COUNT, match=lambda s: s.path not in early and s.name != "TLS handshake")
    spans = requests_of(p.finish())
    by_id = {s.span_id: s for s in spans}
    wrong = [s for s in spans if s.path in early and s.parent_id in by_id and by_id[s.parent_id].path != s.path]
    assert not wrong, describe(wrong)
    spans = [s for s in spans if s.path not in early]
    for kind in (SERVER, CLIENT):
        assert sorted(s.path for s in spans if s.kind == kind) == [f"/items/{FIRST + i}" for i in range(COUNT)], describe(spans)
    assert {(s["server.port"], s["plumb.incomplete"]) for s in spans} == {(app.port, None)}, describe(spans)
    check_one_trace(spans)


def reader(start, port, certificate, way):
    if way == "go":
        argv = [go_program("readerdriver"), port, certificate / "cert.pem"]
    else:
        path = start.folder() / "reader_thread"
        subprocess.run(["cc", "-O2", "-o", path, APPS / "reader_thread.c", "-lssl", "-lcrypto", "-lpthread"], check=True)
        argv = [path, port]
    return Driver(start.folder(), way, [*argv, FIRST, COUNT])


@pytest.mark.parametrize("side,way", [("client", "go"), ("client", "c"), ("server", "go")])
def test_a_reader_that_waited_in_the_library(start, plumb, localhost_certificate, side, way):
    """What it waited for was read unseen, as nobody saw it begin to wait: the next answer is not that one. A server in Go begins to read the next request before it has answered the one before."""
    app = start(SERVERS["go"], localhost_certificate) if side == "server" else start(servers.start_nginx, tls=localhost_certificate)
    driver = reader(start, app.port, localhost_certificate, way)
    wait_until(lambda: "ready" in driver.out.read_text(), "its first request", alive=driver)
    p = plumb(pids=[driver.pid if side == "client" else app.pid], args=watched())
    wait_for_libraries(p, (way, driver) if side == "client" else (way, app))
    driver.write("go\n")
    driver.popen.stdin.close()
    assert driver.wait(60) == 0, driver.tail()
    told = lambda s: s.name != "TLS handshake" and not s["plumb.incomplete"]
    p.wait_spans(COUNT - 3, match=told)
    spans = [s for s in p.finish() if told(s)]
    said = {(s.path, s["http.response.status_code"]) for s in spans}
    truth = {(f"/missing/{n}", 404) if n % 2 else (f"/items/{n}", 200) for n in range(FIRST, FIRST + COUNT)}
    assert len(spans) >= COUNT - 3 and said <= truth and len(said) == len(spans), describe([s for s in spans if (s.path, s["http.response.status_code"]) not in truth])


def test_sessions_that_begin_while_probes_come_back(start, plumb, localhost_certificate):
    """Some functions have probes before others, so of these sessions the first bytes pass unseen, although their beginning is seen: they count as older ones. But one, at most, begins at its client's before and at its server's
    behind the moment at which all have: these two count differently."""
    app, port = start(SERVERS["python"], localhost_certificate), free_port()
    driver = Driver(start.folder(), "many", [BUILD / "venv/bin/python", "-u", APPS / "many_sessions.py", app.port, localhost_certificate])
    wait_until(lambda: "ready" in driver.out.read_text(), "it to be ready", alive=driver)
    p = plumb(pids=[app.pid, driver.pid], args=[*watched(), "--max-overhead", "6%", "--set", "capture.library_pause=1s", "--metrics", f"127.0.0.1:{port}"])
    wait_until(lambda: metric(port, "plumb_library_shed") == 1, "reading and writing to be let go", alive=p)
    driver.write("open\n")
    wait_until(lambda: metric(port, "plumb_library_shed") == 0 and metric(port, "plumb_library_files") == 1, "the probes to be back", alive=p)
    driver.write("ask\n")
    driver.popen.stdin.close()
    assert driver.wait(60) == 0, driver.tail()
    count = int(driver.out.read_text().split()[-1])
    thirds = {f"/items/{n:05}3" for n in range(count)}
    assert count > 50
    p.wait_spans(2 * count, match=lambda s: s.path in thirds)
    spans = [s for s in requests_of(p.finish()) if s.path in thirds]
    assert len(spans) == 2 * count and "looked at again" in p.err.read_text()
    client, server = ({s.path: s for s in spans if s.kind == kind} for kind in (CLIENT, SERVER))
    apart = [path for path, s in server.items() if (s.trace_id, s.parent_id) != (client[path].trace_id, client[path].span_id)]
    assert len(apart) <= 1, apart


def test_a_session_of_nss_before_nspr_has_probes(start, plumb, localhost_certificate):
    """Its beginning is seen in NSS' file, and what it does after that in NSPR's. Probes came there later, as somebody had the file open for writing: the session may have been used before, so its offsets are not those of its other end."""
    folder = start.folder()
    program = folder / "old-nss"
    done = subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", program, APPS / "tls/old_session.c", APPS / "tls/nss.c", *LIBRARIES["nss"]], capture_output=True, text=True)
    if done.returncode and "nss.c" in done.stderr and "No such file" in done.stderr:
        pytest.skip("the headers of NSS are not installed")
    assert done.returncode == 0, done.stderr
    nspr = re.search(r"libnspr4\.so => (\S+)", subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout)[1]
    shutil.copy(nspr, folder / "libnspr4.so")
    app = start(servers.start_nginx, tls=localhost_certificate)
    with open(folder / "libnspr4.so", "r+b"):
        driver = Driver(folder, "asks", [program, app.port, localhost_certificate, FIRST, COUNT], env={**os.environ, "LD_LIBRARY_PATH": str(folder)})
        wait_until(lambda: "loaded" in driver.out.read_text(), "its libraries", alive=driver)
        p = plumb(pids=[app.pid, driver.pid], args=watched())
        p.wait_watching("openssl")
        p.wait_watching("nss")
        driver.write("go\n")
        wait_until(lambda: "done" in driver.out.read_text(), "its first request", alive=driver)
        assert "nspr in" not in p.err.read_text()
    p.wait_watching("nspr")
    driver.write("go\n")
    wait_until(lambda: driver.out.read_text().count("done") == 2, "its requests", alive=driver)
    driver.popen.stdin.close()
    truth = [f"/items/{FIRST + 1 + i}" for i in range(COUNT)]
    p.wait_spans(2 * COUNT + 1, match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    by_id = {s.span_id: s for s in spans}
    wrong = [s for s in spans if s.parent_id in by_id and by_id[s.parent_id].path != s.path]
    assert not wrong, describe(wrong)
    assert sorted(s.path for s in spans if s.kind == CLIENT) == truth, describe(spans)
    assert sorted(s.path for s in spans if s.kind == SERVER) == [f"/items/{FIRST}", *truth], describe(spans)
