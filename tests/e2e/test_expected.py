# SPDX-License-Identifier: Apache-2.0
"""Programs that call a library as soon as they have it: their first call is seen if their files were expected, those of a command and, where everybody is watched, those of this machine."""
import json
import shutil
import subprocess

import pytest

from harness import servers
from harness.libraries import watched
from harness.plumb import PLUMB
from harness.spans import CLIENT, describe, parse
from harness.tls import Authority

pytestmark = pytest.mark.live

CLIENTS = {
    "OpenSSL": lambda url: [servers.need("curl", "curl"), "-sk", "-o", "/dev/null", url],
    "GnuTLS": lambda url: [servers.need("wget", "wget"), "-q", "--no-check-certificate", "-O", "/dev/null", url],
    # What the shell will run is not known, but the library is.
    "shell": lambda url: ["sh", "-c", f"exec curl -sk -o /dev/null {url}"],
}


@pytest.fixture
def nginx(start, tmp_path):
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("DNS:localhost")
    tls = tmp_path / "tls"
    tls.mkdir()
    shutil.copy(certificate, tls / "cert.pem")
    shutil.copy(key, tls / "key.pem")
    return start(lambda folder: servers.start_nginx(folder, tls=tls))


def requests_of(spans):
    return [(s.kind, s["http.request.method"], s.path, s["http.response.status_code"]) for s in spans if s.name != "TLS handshake"]


def trace(*command, env=None):
    done = subprocess.run([PLUMB, "trace", "-o", "otlp-json", *watched(), "--", *command], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    return parse(done.stdout)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_command_is_seen_from_its_first_request_on(nginx, client):
    spans = trace(*CLIENTS[client](f"https://127.0.0.1:{nginx.port}/items/1"))
    assert requests_of(spans) == [(CLIENT, "GET", "/items/1", 200)], describe(spans)


def test_a_command_with_the_library_linked_in(start, tmp_path):
    """Its own file is found in PATH, through a link."""
    source = tmp_path / "at_once.c"
    source.write_text('#include <sqlite3.h>\nint main(void) { sqlite3 *db; if (sqlite3_open(":memory:", &db)) return 1;\n'
                      'for (int i = 0; i < 101; i++) if (sqlite3_exec(db, "SELECT 1", 0, 0, 0)) return 1;\nreturn sqlite3_close(db); }\n')
    folder = tmp_path / "bin"
    folder.mkdir()
    subprocess.run(["cc", "-O2", "-o", tmp_path / "at_once", source, "-l:libsqlite3.a", "-lm", "-lpthread", "-ldl"], check=True)
    (folder / "linked").symlink_to(tmp_path / "at_once")
    spans = trace("linked", env={"PATH": f"{folder}:/usr/bin:/bin"})
    assert [s["db.query.text"] for s in spans] == ["SELECT ?"] * 101, (len(spans), describe(spans[:3]))


def test_where_everybody_is_watched_a_short_program_is_seen(nginx, plumb):
    """Nobody else has this library: its probes wait for the first who runs it."""
    p = plumb(args=[*watched(), "--port", nginx.port])
    p.wait_watching("gnutls")
    assert subprocess.run(CLIENTS["GnuTLS"](f"https://127.0.0.1:{nginx.port}/items/1"), timeout=30).returncode == 0
    p.wait_spans(1, lambda s: s.kind == CLIENT and s.path == "/items/1")
    spans = [s for s in p.finish() if s.kind == CLIENT]
    assert requests_of(spans) == [(CLIENT, "GET", "/items/1", 200)], describe(spans)


def test_a_hint_at_what_is_not_read(nginx):
    """Who sees handshakes only is told that there is more."""
    command = CLIENTS["OpenSSL"](f"https://127.0.0.1:{nginx.port}/items/1")
    done = subprocess.run([PLUMB, "trace", "-o", "json", "--", *command], capture_output=True, text=True, timeout=60)
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["TLS handshake"], done.stdout
    assert "--libraries auto" in done.stderr, done.stderr
    done = subprocess.run([PLUMB, "trace", "-o", "json", "--libraries", "auto", "--", *command], capture_output=True, text=True, timeout=60)
    assert len(done.stdout.splitlines()) == 2 and "--libraries auto" not in done.stderr, (done.stdout, done.stderr)
