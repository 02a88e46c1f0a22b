# SPDX-License-Identifier: Apache-2.0
"""TLS whose file is in a mount namespace of its own, or is replaced while it runs, as upgrades do: spans equal the truth of the old process and of the new one, at both ends."""
import json
import os
import shutil
import subprocess

import pytest

from harness import servers
from harness.driver import Driver
from harness.libraries import watched
from harness.process import APPS, Process, free_port, wait_until
from harness.spans import describe
from test_truth_https import check_pair, requests_of
from test_truth_runtimes import by_name, plan_of

pytestmark = pytest.mark.live


class Shared:
    """A program in C with a libssl of its own folder."""

    replaced, names = ("libssl.so.3",), ("http",)
    library, linked = "openssl", ("-lssl", "-lcrypto", "-lpthread")
    sources = [APPS / "tls/http.c", APPS / "tls/openssl.c"]

    def install(self, folder):
        done = subprocess.run(["cc", "-O2", "-s", "-D_GNU_SOURCE", "-o", folder / "http", *self.sources, *self.linked], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"OpenSSL's headers or libraries are not installed (package libssl-dev): {done.stderr[-300:]}")
        if self.library == "openssl":
            told = dict(line.split()[0:3:2] for line in subprocess.run(["ldd", folder / "http"], capture_output=True, text=True, check=True).stdout.splitlines() if "=> /" in line)
            for name in ("libssl.so.3", "libcrypto.so.3"):
                shutil.copy(told[name], folder / name)

    def environment(self, folder, tls):
        return {"LD_LIBRARY_PATH": str(folder)}

    def serve(self, folder, port, tls):
        return [folder / "http", "serve", port, tls]

    def ask(self, folder, port, tls):
        return [folder / "http", "ask", port, tls, "1.3", 3]

    def end_of_plan(self):
        return ""


class Linked(Shared):
    """OpenSSL in the program, which is stripped."""

    replaced, names = ("http",), ("http",)
    library, linked = "openssl, found by its code,", ("-l:libssl.a", "-l:libcrypto.a", "-ldl", "-lpthread")
    sources = [APPS / "tls_static.c"]

    def ask(self, folder, port, tls):
        return [folder / "http", "ask", port, tls, 3]


class Go:
    """Two programs, stripped."""

    replaced, names = ("httpd", "driver"), ("httpd", "driver")
    library = "crypto/tls"

    def install(self, folder):
        for name in self.names:
            shutil.copy(servers.old_go_program("1.22.12", name), folder / name)

    def environment(self, folder, tls):
        return {"HTTPD_TLS": str(tls), "DRIVER_TLS": str(tls), "DRIVER_TLS_VERSION": "1.3"}

    def serve(self, folder, port, tls):
        return [folder / "httpd", port]

    def ask(self, folder, port, tls):
        return [folder / "driver", port, 3, 0]

    def end_of_plan(self):
        return "\n"


PROGRAMS = {"a shared libssl": Shared(), "OpenSSL linked in": Linked(), "Go": Go()}


def serving(folder, argv, port, env):
    return servers.listening(Process("serves", argv, folder, env=env), port)


def asking(start, kind, argv, env, plan):
    """It has its libraries, and its plan, and waits for go()."""
    d = Driver(start.folder(), "asks", argv, env=env)
    d.write("".join(json.dumps({"method": r.method, "path": r.path, "body": r.body}) + "\n" for r in plan) + kind.end_of_plan())
    wait_until(lambda: is_running(d, kind), "its program", alive=d)
    return d


def is_running(d, kind):
    """Behind the shell that made room for it, and with what it is dynamically linked with."""
    maps = open(f"/proc/{d.pid}/maps").read()
    return any(f"/{name}\n" in maps or f"/{name} (deleted)\n" in maps for name in kind.replaced)


def upgrade(kind, folder):
    for name in kind.replaced:
        shutil.copy(folder / name, folder / "upgrade")
        os.rename(folder / "upgrade", folder / name)


def check_all(p, apps, plans, results):
    """plans[i] was asked of apps[i]."""
    p.wait_spans(46 * len(plans), match=lambda s: s.name != "TLS handshake")
    spans = requests_of(p.finish())
    for app, plan, result in zip(apps, plans, results):
        check_pair(spans, plan, app, "1.1", result)
    assert len(spans) == 46 * len(plans), describe(spans, 60)


def go(driver):
    return {r["path"]: r for r in driver.go()}


@pytest.mark.parametrize("comes", ["before plumb", "behind it"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_in_mount_namespaces_of_their_own(start, plumb, localhost_certificate, program, comes):
    """Server and client each have theirs, and nobody else has a name for what they run."""
    kind, port = PROGRAMS[program], free_port()

    def hidden(argv_of):
        own = start.folder()
        for name in ("visible", "hidden"):
            (own / name).mkdir()
        kind.install(own / "visible")
        env = [f"{k}={v}" for k, v in kind.environment(own / "hidden", localhost_certificate).items()]
        script = f'mount -t tmpfs none {own}/hidden && cp {own}/visible/* {own}/hidden && exec env "$@"'
        return own / "hidden", ["unshare", "-m", "sh", "-c", script, "sh", *env, *argv_of(own / "hidden", port, localhost_certificate)]

    def begin():
        (folder, serve), (other, ask) = hidden(kind.serve), hidden(kind.ask)
        app = start(lambda own: serving(own, serve, port, None))
        return (folder, other), app, asking(start, kind, ask, None, plan_of(0))

    if comes == "before plumb":
        folders, app, driver = begin()
        p = plumb(pids=[app.pid, driver.pid], args=watched())
    else:
        p = plumb(args=[*watched(), *by_name(*kind.names)])
        folders, app, driver = begin()
    p.wait_watching_in(kind.library, app, driver)
    assert not any(os.listdir(folder) for folder in folders)
    check_all(p, [app], [plan_of(0)], [go(driver)])


@pytest.mark.parametrize("program", PROGRAMS)
def test_replaced_while_it_runs(start, plumb, localhost_certificate, program):
    """The old one has no name any more and goes on, at either end; the new one has the old one's, and its probes."""
    kind, own, port, new_port = PROGRAMS[program], start.folder(), free_port(), free_port()
    kind.install(own)
    env = {**os.environ, **kind.environment(own, localhost_certificate)}

    def ask(port, i):
        return asking(start, kind, kind.ask(own, port, localhost_certificate), env, plan_of(i))

    def serve(port):
        return start(lambda folder: serving(folder, kind.serve(own, port, localhost_certificate), port, env))

    old = serve(port)
    p = plumb(args=[*watched(), *by_name(*kind.names)])
    first, older = ask(port, 0), ask(port, 1)
    p.wait_watching_in(kind.library, old, first, older)
    results = [go(first)]
    upgrade(kind, own)
    assert "(deleted)" in open(f"/proc/{old.pid}/maps").read()
    new, newer, newest = serve(new_port), ask(port, 2), ask(new_port, 3)
    p.wait_watching(kind.library, 2 * len(kind.replaced), file=f"{own}/")
    results += [go(driver) for driver in (older, newer, newest)]
    check_all(p, [old, old, old, new], [plan_of(i) for i in range(4)], results)


@pytest.mark.parametrize("program", PROGRAMS)
def test_replaced_before_plumb_came(start, plumb, localhost_certificate, program):
    kind, own, port = PROGRAMS[program], start.folder(), free_port()
    kind.install(own)
    env = {**os.environ, **kind.environment(own, localhost_certificate)}
    app = start(lambda folder: serving(folder, kind.serve(own, port, localhost_certificate), port, env))
    older = asking(start, kind, kind.ask(own, port, localhost_certificate), env, plan_of(0))
    upgrade(kind, own)
    newer = asking(start, kind, kind.ask(own, port, localhost_certificate), env, plan_of(1))
    p = plumb(pids=[app.pid, older.pid, newer.pid], args=watched())
    p.wait_watching(kind.library, 3 if program == "Go" else 2, file=f"{own}/")
    check_all(p, [app, app], [plan_of(0), plan_of(1)], [go(older), go(newer)])
