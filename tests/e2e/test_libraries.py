# SPDX-License-Identifier: Apache-2.0
"""Whose calls of libraries are seen: programs older than plumb and younger, whose file is in a mount namespace of its own or is not there any more, children; when probes go; what they may cost."""
import contextlib
import json
import mmap
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from harness.driver import Driver
from harness.libraries import watched
from harness.process import APPS, BUILD, free_port, wait_until
from harness.spans import describe
from test_privileges import ALL, reduced
from test_restart import children, metric

pytestmark = pytest.mark.live

# The library is mapped before the line is awaited.
ASK = """
import os, sqlite3, sys
db = sqlite3.connect(":memory:")
{before}
print("ready", flush=True)
assert sys.stdin.readline() == "go\\n"
for i in range({count}):
    assert db.execute("SELECT ?", (i,)).fetchall() == [(i,)]
"""


def ask(start, count=101, before=""):
    driver = Driver(start.folder(), "asks", ["/usr/bin/python3", "-c", ASK.format(count=count, before=before)])
    wait_until(lambda: "ready" in driver.out.read_text(), "it to be ready")
    return driver


def go(driver):
    driver.write("go\n")
    driver.popen.stdin.close()
    assert driver.wait(60) == 0, driver.tail()


def of(spans, pid):
    """But for what sqlite_app does before it is told to go, which may have been seen or not."""
    return [s for s in spans if s.pid == pid and s["db.system.name"] == "sqlite" and not (s["db.query.text"] or "").startswith(("DROP", "CREATE", "WITH"))]


@pytest.fixture(scope="module")
def sqlite_app(tmp_path_factory):
    path = tmp_path_factory.mktemp("sqlite") / "sqlite_app"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", path, APPS / "sqlite_app.c", "-l:libsqlite3.a", "-lm", "-lpthread"], check=True)
    return path


def test_programs_that_start_later(start, plumb):
    """The first has its file read and probes attached; for those behind it they are there already."""
    p = plumb(args=[*watched(), "--comm", "python3"])
    first = ask(start)
    p.wait_watching("sqlite")
    seconds = [ask(start, before="assert db.execute('SELECT 4711').fetchall()") for _ in range(7)]
    for driver in (first, *seconds):
        go(driver)
    p.wait_spans(101 + 7 * 102)
    spans = p.finish()
    assert len(of(spans, first.pid)) == 101, describe(spans)
    for driver in seconds:
        assert len(of(spans, driver.pid)) == 102
        assert not any(s["plumb.incomplete"] for s in of(spans, driver.pid))


def test_another_file_where_a_library_was_mapped(start, plumb):
    """Who maps a library, and puts another file there before it can be looked at, hides it from nobody."""
    own = start.folder()
    subprocess.run(["cc", "-O2", "-o", own / "swap", APPS / "swap.c"], check=True)
    maps = subprocess.run(["/usr/bin/python3", "-c", "import sqlite3; print(open('/proc/self/maps').read())"], capture_output=True, text=True, check=True).stdout
    shutil.copy(next(line.split()[-1] for line in maps.splitlines() if "/libsqlite3.so" in line), own / "libsqlite3.so.0")
    shutil.copy("/bin/true", own / "other")
    p = plumb(args=[*watched(), "--comm", "swap", "--comm", "python3"])
    swapper = start.process("swap", [own / "swap", own / "libsqlite3.so.0", own / "other"])
    wait_until(lambda: "100\n" in swapper.out.read_text(), "files to be swapped", alive=swapper)
    driver = Driver(start.folder(), "asks", ["/usr/bin/python3", "-c", ASK.format(count=101, before="")], env={**os.environ, "LD_LIBRARY_PATH": str(own)})
    wait_until(lambda: "ready" in driver.out.read_text(), "it to be ready")
    is_watched = lambda: f"watching sqlite in {own}/" in p.err.read_text()
    wait_until(lambda: is_watched() or "\n1500\n" in swapper.out.read_text(), "probes, or so many more files to be swapped", alive=swapper)
    assert is_watched(), p.tail()
    go(driver)
    p.wait_spans(101)
    assert len(of(p.finish(), driver.pid)) == 101


@pytest.mark.parametrize("comes", ["before plumb", "behind it"])
def test_a_file_in_a_mount_namespace_of_its_own(start, plumb, sqlite_app, comes):
    """Nobody else has a name for it."""
    own = start.folder()
    script = f"mount -t tmpfs none {own}/hidden && cp {sqlite_app} {own}/hidden/app && exec {own}/hidden/app {own}/numbers.db"
    (own / "hidden").mkdir()

    def begin():
        return Driver(own, "hidden", ["unshare", "-m", "sh", "-c", script])

    driver = begin() if comes == "before plumb" else None
    if driver:
        wait_until(lambda: os.readlink(f"/proc/{driver.pid}/exe").endswith("/hidden/app"), "the hidden program", alive=driver)
    p = plumb(args=[*watched(), "--comm", "app"])
    driver = driver or begin()
    p.wait_watching("sqlite")
    assert not (own / "hidden/app").exists()
    driver.go()
    p.wait_spans(10_428, timeout_s=30)
    assert len(of(p.finish(), driver.pid)) == 10_428


def test_a_file_that_was_replaced_while_it_ran(start, plumb, sqlite_app):
    """The old one has no name any more, the new one has the old one's."""
    own = start.folder()
    shutil.copy(sqlite_app, own / "app")
    old = Driver(own, "old", [own / "app", own / "old.db"])
    wait_until(lambda: os.readlink(f"/proc/{old.pid}/exe").endswith("/app"), "the old program", alive=old)
    shutil.copy(sqlite_app, own / "new")
    os.rename(own / "new", own / "app")
    p = plumb(args=[*watched(), "--comm", "app"])
    p.wait_watching("sqlite")
    new = Driver(start.folder(), "new", [own / "app", own / "new.db"])
    p.wait_watching("sqlite", times=2)
    old.go()
    new.go()
    p.wait_spans(2 * 10_428, timeout_s=30)
    spans = p.finish()
    assert (len(of(spans, old.pid)), len(of(spans, new.pid))) == (10_428, 10_428)


def test_a_file_that_was_written_to(start, plumb, sqlite_app):
    """Its functions lie elsewhere now: the probes go, and come back where they belong."""
    own = start.folder()
    shutil.copy(sqlite_app, own / "app")
    subprocess.run(["cc", "-O0", "-D_GNU_SOURCE", "-o", own / "other", APPS / "sqlite_app.c", "-l:libsqlite3.a", "-lm", "-lpthread"], check=True)
    p = plumb(args=[*watched(), "--comm", "app"])
    old = Driver(own, "old", [own / "app", own / "old.db"])
    p.wait_watching("sqlite")
    old.go()
    with open(own / "other", "rb") as new, open(own / "app", "r+b") as place: # the same file
        place.truncate(0)
        shutil.copyfileobj(new, place)
    assert "is to be written to" in p.err.read_text()
    new = Driver(start.folder(), "new", [own / "app", own / "new.db"])
    p.wait_watching("sqlite", times=2)
    new.go()
    p.wait_spans(2 * 10_428, timeout_s=30)
    spans = p.finish()
    assert (len(of(spans, old.pid)), len(of(spans, new.pid))) == (10_428, 10_428)


def overwrite(path, new):
    """In place, and how long it had to wait before it might."""
    begin = time.monotonic()
    with open(path, "r+b") as place:
        held_s = time.monotonic() - begin
        place.truncate(0)
        place.write(new)
    return held_s


@pytest.fixture(params=["on disk", "in memory", "on an overlay"])
def place(request, start):
    """A folder on such a file system."""
    own = start.folder()
    if request.param == "on disk":
        yield own
        return
    options = {"in memory": ["-t", "tmpfs", "none"], "on an overlay": ["-t", "overlay", "none", "-o", f"lowerdir={own}/lower,upperdir={own}/upper,workdir={own}/work"]}
    for name in ("lower", "upper", "work", "place"):
        (own / name).mkdir()
    subprocess.run(["mount", *options[request.param], own / "place"], check=True)
    yield own / "place"
    subprocess.run(["umount", "-l", own / "place"], check=True)


def test_who_starts_what_was_just_overwritten(start, plumb, sqlite_app, place):
    """The kernel would set its probes into what stands there now, and the program would crash: whoever writes waits until they are gone."""
    other = start.folder() / "other"
    subprocess.run(["cc", "-O0", "-D_GNU_SOURCE", "-o", other, APPS / "sqlite_app.c", "-l:libsqlite3.a", "-lm", "-lpthread"], check=True)
    texts = other.read_bytes(), sqlite_app.read_bytes()
    app_path = place / f"app{os.getpid()}" # of no other plumb on this machine, which might not hold who writes to it
    shutil.copy(sqlite_app, app_path)
    p = plumb(args=[*watched(), "--comm", app_path.name])
    held_s = []

    def begin(name):
        return Driver(start.folder(), name, [app_path, place / "numbers.db"])

    app = begin("first")
    for i in range(23):
        wait_until(lambda: p.err.read_text().count("watching sqlite in") > i, "its probes", alive=app)
        app.popen.stdin.close()
        assert app.wait(10) == 1, f"{i} times overwritten: {app.popen.returncode}\n{app.tail()}"
        held_s.append(overwrite(app_path, texts[i % 2]))
        app = begin(f"next{i}")
    app.popen.stdin.close()
    assert app.wait(10) == 1
    print(f"held for {min(held_s) * 1e3:.1f} to {max(held_s) * 1e3:.1f} ms, {sum(held_s) / len(held_s) * 1e3:.1f} on average")
    assert max(held_s) < 5, held_s
    assert p.err.read_text().count("is to be written to") == 23


def test_children_go_on_with_what_their_parent_had(start, plumb):
    """Probes stay as long as a child lives whose parent has mapped the file, and go when it has ended."""
    port = free_port()
    p = plumb(args=[*watched(), "--comm", "python3", "--metrics", f"127.0.0.1:{port}"])
    driver = ask(start, before="if os.fork(): os._exit(0)\ndb = sqlite3.connect(':memory:')")
    assert driver.wait(10) == 0
    p.wait_watching("sqlite")

    def files():
        return metric(port, "plumb_library_files")

    wait_until(lambda: files() == 1 and metric(port, "plumb_library_processes") == 1, "the child alone to have probes", alive=p)
    driver.write("go\n")
    driver.popen.stdin.close()
    p.wait_spans(101)
    wait_until(lambda: files() == 0, "no file with probes", alive=p)
    spans = p.finish()
    assert len(spans) == 101 and {s.pid for s in spans} != {driver.pid}, describe(spans)
    assert "watching sqlite in" in p.err.read_text()


def test_who_is_not_watched_is_not_seen(start, plumb, sqlite_app):
    """Nor does a probe lie on a file that only such programs run: it would cost them for nothing."""
    one, other, alone = ask(start), ask(start), Driver(start.folder(), "alone", [sqlite_app, start.folder() / "numbers.db"])
    p = plumb(args=watched(), pids=[one.pid])
    p.wait_watching("sqlite")
    go(other)
    alone.go()
    go(one)
    p.wait_spans(101)
    spans = p.finish()
    assert len(spans) == len(of(spans, one.pid)) == 101
    assert "sqlite_app" not in p.err.read_text()


def test_off_is_off(start, plumb):
    driver = ask(start)
    p = plumb(args=watched("off"), pids=[driver.pid])
    go(driver)
    assert p.finish() == [] and "watching" not in p.err.read_text()


def test_what_is_called_too_often_is_let_go(start, plumb):
    """A program that does nothing but tiny statements meets millions of probes: they may take a third of the budget. It says so, by log and metric, and what is not shed goes on."""
    port = free_port()
    busy = Driver(start.folder(), "busy", ["/usr/bin/python3", "-c", ASK.format(count=10 ** 9, before="")])
    p = plumb(args=[*watched(), "--max-overhead", "3%", "--metrics", f"127.0.0.1:{port}"], pids=[busy.pid])
    p.wait_watching("sqlite")
    busy.write("go\n")
    wait_until(lambda: metric(port, "plumb_library_shed") == 1, "executions to be let go", 30, alive=p)

    def still():
        before, records = metric(port, "plumb_library_traps_total"), metric(port, "plumb_records_total")
        wait_until(lambda: metric(port, "plumb_records_total") > records + 20, "a second's reports", alive=p)
        return metric(port, "plumb_library_traps_total") == before

    wait_until(still, "an end of the traps", 30, alive=p)
    share, = re.findall(r"calls of libraries takes ([0-9.]+) % of a CPU, .*: the functions that are called most of sqlite in .*libsqlite3.*, which take [0-9.]+, are not looked at", p.err.read_text())
    assert 2 < float(share) <= 110, "one thread does nothing else, and has one CPU"
    assert busy.popen.poll() is None
    busy.stop()


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    path = tmp_path_factory.mktemp("steps") / "steps"
    subprocess.run(["cc", "-O2", "-o", path, APPS / "steps.c"], check=True)
    return path


def take_steps(start, program):
    driver = Driver(start.folder(), program.name, [program])
    wait_until(lambda: "ready" in driver.out.read_text(), "it to be ready")
    return driver


def stop_stepping(driver):
    driver.popen.stdin.close()
    assert driver.wait(10) == 0


def step(driver, n):
    driver.write(f"{n}\n")
    wait_until(lambda: f"done {n}\n" in driver.out.read_text(), "the steps to be done", alive=driver)


def traps_of(port, driver, unit="traps_total"):
    return metric(port, f"plumb_process_library_{unit}", f'process_pid="{driver.pid}"')


def test_the_costliest_file_is_let_go(start, plumb, steps):
    """Who else is watched goes on."""
    port, calm_one = free_port(), steps.with_name("calm")
    shutil.copy(steps, calm_one)
    busy, calm = take_steps(start, steps), take_steps(start, calm_one)
    p = plumb(args=[*watched(), "--max-overhead", "3%", "--metrics", f"127.0.0.1:{port}"], pids=[busy.pid, calm.pid])
    wait_until(lambda: metric(port, "plumb_library_files") == 2, "their probes", alive=p)
    busy.write(f"{10 ** 9}\n")
    wait_until(lambda: metric(port, "plumb_library_shed") == 1, "executions to be let go", 30, alive=p)
    step(calm, 1009)
    assert metric(port, "plumb_library_shed") == 1 and f"most of sqlite in {calm_one}" not in p.err.read_text()
    busy.stop()
    stop_stepping(calm)
    p.wait_spans(1009)
    assert texts_of(p.finish(), calm.pid) == [("SELECT ?", None)] * 1009


def test_a_file_without_a_name_is_taken_up_again(start, plumb, steps):
    """As after an upgrade, which has its old programs run on. Its time of change is another one then, its functions are where they were."""
    port, upgraded = free_port(), steps.with_name("upgraded")
    shutil.copy(steps, upgraded)
    app = take_steps(start, upgraded)
    p = plumb(args=[*watched(), "--max-overhead", "3%", "--set", "capture.library_pause=2s", "--metrics", f"127.0.0.1:{port}"], pids=[app.pid])
    p.wait_watching("sqlite")
    step(app, 500009)
    wait_until(lambda: metric(port, "plumb_library_shed") == 1, "executions to be let go", alive=p)
    upgraded.unlink()
    wait_until(lambda: metric(port, "plumb_library_shed") == 0 and metric(port, "plumb_library_files") == 1, "the probes to be back", alive=p)
    before = len(texts_of(p.spans(), app.pid))
    step(app, 101)
    stop_stepping(app)
    p.wait_spans(before + 101)
    assert len(texts_of(p.finish(), app.pid)) == before + 101


def test_what_it_costs_each_process(start, plumb, steps):
    """A step meets two probes, and so does the preparation of its statement. Who is not watched pays as well, and is in the sum."""
    port = free_port()
    one, other, unwatched, ends = (take_steps(start, steps) for _ in range(4))
    p = plumb(args=[*watched(), "--set", "capture.stat_interval=1s", "--metrics", f"127.0.0.1:{port}"], pids=[one.pid, other.pid, ends.pid])
    p.wait_watching("sqlite")
    for driver, n in (one, 10007), (other, 1009), (unwatched, 211), (ends, 101):
        step(driver, n)
    wait_until(lambda: traps_of(port, one) and traps_of(port, ends), "a report of them", alive=p)
    step(ends, 3)
    stop_stepping(ends)
    expected = [2 * 10007 + 2, 2 * 1009 + 2, 2 * 101 + 2 + 2 * 3 + 2]
    wait_until(lambda: [traps_of(port, d) for d in (one, other, ends)] == expected, f"{expected}", alive=p)
    wait_until(lambda: metric(port, "plumb_library_traps_total") == sum(expected) + 2 * 211 + 2, "the sum", alive=p)
    assert traps_of(port, unwatched) == 0
    a_trap = [traps_of(port, d, "trap_seconds_total") / n for d, n in zip((one, other, ends), expected)]
    doctor = json.loads(subprocess.run([BUILD / "plumb", "doctor", "--output", "json", "--agent", f"127.0.0.1:{port}"], capture_output=True, check=True).stdout)
    assert doctor["library_traps"] == sum(expected) + 2 * 211 + 2
    costliest = [f'process_pid="{d.pid}"' in row["labels"] for d, row in zip((one, other, ends), doctor["library_trap_seconds_by_process"])]
    assert costliest == [True] * 3, doctor["library_trap_seconds_by_process"]
    for driver in one, other, unwatched:
        stop_stepping(driver)
    assert min(a_trap) > 0 and max(a_trap) - min(a_trap) < 1e-9, a_trap


@pytest.fixture(scope="module")
def like_sqlite(tmp_path_factory):
    path = tmp_path_factory.mktemp("like") / "like_sqlite"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", path, APPS / "like_sqlite.c", "-lpthread"], check=True)
    return path


def said(driver, word):
    wait_until(lambda: f"waits for {word}" in driver.out.read_text(), f"it to wait for {word}", alive=driver)


def texts_of(spans, pid):
    return [(s["db.query.text"], s["plumb.incomplete"]) for s in of(spans, pid)]


def test_what_replaced_a_statement_while_nobody_looked(start, plumb, like_sqlite):
    """Of a step under way when its probes went the end is not told: what is deeper on the stack from then on is no part of it. Nor is the next statement at the address of the old one taken for that one."""
    port = free_port()
    app = Driver(start.folder(), "app", [like_sqlite, "shed"])
    p = plumb(args=[*watched(), "--max-overhead", "3%", "--set", "capture.library_pause=4s", "--metrics", f"127.0.0.1:{port}"], pids=[app.pid])
    p.wait_watching("sqlite")
    said(app, "go")
    app.write("go\n")
    said(app, "return")
    wait_until(lambda: metric(port, "plumb_library_shed") == 1, "executions to be let go", alive=p)
    wait_until(lambda: len(children(p.pid)) == 1, "their probes to be gone", alive=p)
    app.write("return\n")
    said(app, "again")
    assert metric(port, "plumb_library_shed") == 1
    wait_until(lambda: "are looked at again" in p.err.read_text(), "an end of the pause", alive=p)
    wait_until(lambda: metric(port, "plumb_library_shed") == 0 and metric(port, "plumb_library_files") == 1, "the probes to be back", alive=p)
    app.write("again\n")
    assert app.wait(10) == 0
    p.wait_spans(7)
    assert texts_of(p.finish(), app.pid) == [("SELECT ? AS the_new_one", None)] * 7


MADV_GUARD_INSTALL = 102


def test_a_mapping_that_refuses_probes(start, plumb, like_sqlite):
    """The kernel sets probes in every private mapping of a file or in none, and pages with guards refuse. What was let go comes back when that one is gone, and not before is it said to."""
    port = free_port()
    app = Driver(start.folder(), "app", [like_sqlite, "shed"])
    p = plumb(args=[*watched(), "--max-overhead", "3%", "--set", "capture.library_pause=4s", "--metrics", f"127.0.0.1:{port}"], pids=[app.pid])
    p.wait_watching("sqlite")
    with open(like_sqlite, "rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as refuses:
        said(app, "go")
        app.write("go\n")
        said(app, "return")
        wait_until(lambda: "are not looked at for 4 s" in p.err.read_text(), "executions to be let go", alive=p)
        wait_until(lambda: len(children(p.pid)) == 1, "their probes to be gone", alive=p)
        app.write("return\n")
        said(app, "again")
        try:
            refuses.madvise(MADV_GUARD_INSTALL)
        except OSError as e:
            pytest.skip(f"this kernel has no guards in mappings of files: {e.strerror}")
        wait_until(lambda: "are not looked at again" in p.err.read_text(), "a refusal", alive=p)
        wait_until(lambda: metric(port, 'plumb_library_unseen_total{reason="attach"}') == 1, "its count", alive=p)
    wait_until(lambda: "are looked at again" in p.err.read_text(), "the probes to be back", alive=p)
    app.write("again\n")
    assert app.wait(10) == 0
    p.wait_spans(7)
    assert texts_of(p.finish(), app.pid) == [(None, "statement_not_seen")] * 7  # who refuses takes all probes away, so that of its statements no more is known


def test_a_call_that_never_returns(start, plumb, like_sqlite):
    """Who leaves a step by longjmp() is in it no more. Where the return address lies in a register nobody knows for a while; but no statement is taken for another."""
    app = Driver(start.folder(), "app", [like_sqlite, "jump"])
    p = plumb(args=watched(), pids=[app.pid])
    p.wait_watching("sqlite")
    said(app, "go")
    app.write("go\n")
    said(app, "again")
    app.write("again\n")
    assert app.wait(10) == 0
    p.wait_spans(7)
    told = ("SELECT ? AS the_new_one", None) if os.uname().machine == "x86_64" else (None, "statement_not_seen")
    assert texts_of(p.finish(), app.pid) == [told] * 7


def test_texts_as_long_as_they_may_be(start, plumb, like_sqlite):
    app = Driver(start.folder(), "app", [like_sqlite, "long"])
    p = plumb(args=watched(), pids=[app.pid])
    p.wait_watching("sqlite")
    app.write("go\n")
    assert app.wait(10) == 0
    p.wait_spans(4)
    spans = of(p.finish(), app.pid)
    assert [s["plumb.incomplete"] for s in spans] == [None, None, "attributes_cut", "attributes_cut"], describe(spans)


def test_a_file_whose_mapping_may_not_be_opened(start, plumb, sqlite_app):
    """Without CAP_SYS_ADMIN its name leads to it."""
    app = Driver(start.folder(), "app", [sqlite_app, start.folder() / "numbers.db"])
    p = plumb(args=watched(), pids=[app.pid], prefix=reduced(ALL - {"SYS_ADMIN"}))
    p.wait_watching("sqlite")
    app.go()
    p.wait_spans(10_428, timeout_s=30)
    assert len(of(p.finish(), app.pid)) == 10_428


def test_a_file_that_may_not_be_held(start, plumb, sqlite_app):
    """Without CAP_LEASE nobody waits who overwrites another user's file: its probes go afterwards."""
    own = start.folder()
    shutil.copy(sqlite_app, own / "app")
    os.chown(own / "app", 65534, -1)
    app = Driver(own, "app", [own / "app", own / "numbers.db"])
    p = plumb(args=watched(), pids=[app.pid], prefix=reduced(ALL - {"LEASE"}))
    p.wait_watching("sqlite")
    app.go()
    overwrite(own / "app", sqlite_app.read_bytes())
    wait_until(lambda: "was written to: its probes go" in p.err.read_text(), "an end of the probes", alive=p)


def test_memory_of_maps_is_counted_once(plumb):
    """Three objects share maps, each two of them others: the kernel says which map a descriptor is of."""
    port = free_port()
    p = plumb(command="run", output=None, args=[*watched(), "--metrics", f"127.0.0.1:{port}", "--spool", ""])

    def held():
        maps = {}
        for fd in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # others come and go
                fields = dict(line.split(":\t", 1) for line in fd.read_text().splitlines() if ":\t" in line)
                if "map_id" in fields:
                    maps[fields["map_id"]] = int(fields["memlock"])
        return sum(maps.values())

    folder = Path(f"/proc/{p.pid}/fdinfo")
    wait_until(lambda: held() == metric(port, "plumb_map_memory_bytes") > 0, "the same sum", alive=p)


@pytest.mark.parametrize("reads", [[], ["reads"]])
def test_file_systems_that_do_not_answer(start, plumb, reads):
    """Whoever maps files of which no byte can be read, or that nobody can close, has nobody wait: neither other files, nor the end of plumb."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("there is no FUSE here (/dev/fuse)")
    own = start.folder()
    subprocess.run(["cc", "-O2", "-o", own / "stalling_fs", APPS / "stalling_fs.c"], check=True)
    (own / "mounts").mkdir()
    p = plumb(args=[*watched(), "--comm", "stalling_fs", "--comm", "python3", "--log-level", "debug"])
    stalling = start.process("stalling", ["unshare", "-m", own / "stalling_fs", own / "mounts", "3", *reads])
    wait_until(lambda: "mapped" in stalling.out.read_text(), "files to be mapped", alive=stalling)
    driver = ask(start)
    p.wait_watching("sqlite")
    assert "takes too long" not in p.err.read_text()
    go(driver)
    p.wait_spans(101)
    if not reads:
        wait_until(lambda: "calls of libraries in " in p.err.read_text(), "plumb to give up", timeout_s=30)
        assert re.search(rf"calls of libraries in {own}/mounts/[0-2]/[0-9] \(process {stalling.pid}\) are not seen: it takes too long to be looked at", p.err.read_text()), p.tail()
    assert len(of(p.finish(), driver.pid)) == 101
