# SPDX-License-Identifier: Apache-2.0
"""A call that moves more than two GiB at once: where the stream goes on behind it is known, to both ends."""
import json
import subprocess

import pytest

from harness.driver import Driver
from harness.libraries import watched
from harness.process import APPS, wait_until
from harness.spans import CLIENT, SERVER, describe
from harness.tls import Authority

pytestmark = pytest.mark.live

BYTES, COUNT = (1 << 31) + 1009, 7


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "tls_big"
    done = subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", path, APPS / "tls_big.c", "-lssl", "-lcrypto"], capture_output=True, text=True)
    if "openssl/ssl.h" in done.stderr:
        pytest.skip("OpenSSL's headers are not installed (package libssl-dev)")
    assert done.returncode == 0, done.stderr
    return path


def test_more_than_two_gib_by_one_call(start, plumb, program, tmp_path):
    certificate, key = Authority(tmp_path, "authority").issue("DNS:localhost")
    driver = Driver(start.folder(), "tls_big", [program, certificate, key, BYTES, COUNT])
    wait_until(lambda: driver.out.read_text().endswith("\n"), "it to be ready", alive=driver)
    server = json.loads(driver.out.read_text())["server"]
    p = plumb(pids=[driver.pid], args=watched())
    p.wait_watching("openssl")
    driver.begin()
    assert driver.wait(120) == 0, driver.tail()
    p.wait_spans(2 * (1 + COUNT), lambda s: s["http.request.method"] is not None)
    spans = sorted((s for s in p.finish() if s["http.request.method"]), key=lambda s: s.start_ns)
    for kind, pid in ((CLIENT, driver.pid), (SERVER, server)):
        mine = [s for s in spans if s.kind == kind and s.pid == pid]
        said = [(s["http.request.method"], s.path, s["http.response.status_code"], s["http.request.body.size"], s["plumb.incomplete"]) for s in mine]
        assert said == [("PUT", "/big", 200, BYTES, None)] + [("GET", f"/small/{i}", 200, None, None) for i in range(COUNT)], describe(mine)
    client, serving = ({s.path: s for s in spans if s.kind == kind} for kind in (CLIENT, SERVER))
    for path, s in serving.items():
        assert (s.trace_id, s.parent_id) == (client[path].trace_id, client[path].span_id), describe([s, client[path]])
