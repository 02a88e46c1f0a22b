# SPDX-License-Identifier: Apache-2.0
"""Between plumb and its collector: the collector is away, its name is unknown, the disk is full, what lies on it is damaged."""
import os
import random
import socket

import pytest

from harness.load import Seen, spooled
from harness.process import wait_until

# A view of the machine's files for plumb alone, so that the machine keeps its own.
OWN_MOUNTS = ["unshare", "--mount", "sh", "-ec"]


def all_exported(p):
    return wait_until(lambda: (lambda b: b if b["queued"] + b["spooled"] == 0 else None)(p.books()), "empty books", alive=p)


def test_away_for_a_whole_run(agent, load, collector, folder):
    spool = folder / "spool"
    for count in (1009, 503):  # the second run adds to what the first one left
        p = agent(collector.url, spool=spool)
        load.do(f"load {count} 3 0")
        p.wait_sum("plumb_otlp_spans_accepted_total", 2 * count)
        assert p.stop() == 0, p.tail()
    assert spooled(spool) == 2 * 1512
    p = agent(collector.here().url, spool=spool)
    last = load.do("load 307 3 0")
    p.wait_sum("plumb_otlp_spans_accepted_total", 2 * 307)
    books = all_exported(p)
    assert (books["found"], books["exported"], books["dropped"]) == (2 * 1512, 2 * 1819, 0)
    assert p.stop() == 0, p.tail()
    Seen(collector).once(1, last["first"] + 306)
    assert set(collector.seen.values()) == {1} and collector.spans == 2 * 1819
    assert spooled(spool) == 0


# A file system that is full, and a limit on the size of files, which a shell may have set.
FULL = {"disk": 'mount -t tmpfs -o size=96k none "$SPOOL"; exec "$@"', "limit": 'ulimit -f 16; exec "$@"'}


@pytest.mark.parametrize("how", FULL)
def test_full(agent, load, collector, folder, how):
    spool = folder / "spool"
    spool.mkdir()
    args = [x for s in ("queue_spans=2048", "batch_spans=1024", "compression=none") for x in ("--set", f"sinks.otlp.{s}")]
    args += ["--record", folder / "r.plumb"] if how == "limit" else []
    p = agent(collector.url, spool=spool, args=args, prefix=[*OWN_MOUNTS, FULL[how], "sh"], env={"SPOOL": str(spool)})
    engine = p.engine
    load.do("load 5003 3 4001")
    p.wait_sum("plumb_otlp_spans_accepted_total", 2 * 5003)
    wait_until(lambda: p.books()["reasons"], "drops that are counted", alive=p)
    books = p.books()
    assert p.sum("plumb_otlp_spool_write_errors_total") > 0 and books["exported"] == 0
    assert set(books["reasons"]) == {"queue_full"}
    collector.here()
    books = all_exported(p)
    assert p.engine == engine, "the engine is another one"
    if how == "limit":
        assert "recording: File too large; tracing goes on without it" in p.err.read_text(), p.tail()
    assert p.stop() == 0, p.tail()
    seen = Seen(collector)
    seen.not_twice()
    assert books["accepted"] == 2 * 5003
    assert books["exported"] == collector.spans == 2 * 5003 - books["reasons"]["queue_full"]
    assert "disk" != how or not list(spool.glob("*")), "the full disk was another one"


def test_damaged_spool(agent, load, collector, folder):
    spool = folder / "spool"
    p = agent(collector.url, spool=spool, args=["--set", "sinks.otlp.batch_spans=101"])
    load.do("load 1009 3 0")
    p.wait_sum("plumb_otlp_spans_accepted_total", 2018)
    assert p.stop() == 0, p.tail()
    files = sorted(spool.glob("otlp/*.batch"))
    assert len(files) >= 20 and spooled(spool) == 2018

    chance = random.Random(23)
    damaged = chance.sample(files, 7)
    size = [f.stat().st_size for f in damaged]
    for f, at in ((damaged[0], 9), (damaged[1], size[1] - 1), (damaged[2], chance.randrange(36, size[2]))):  # header, end, somewhere
        data = bytearray(f.read_bytes())
        data[at] ^= 0x10
        f.write_bytes(data)
    os.truncate(damaged[3], size[3] // 2)
    os.truncate(damaged[4], 0)
    with open(damaged[5], "ab") as f:
        f.write(b"more")
    damaged[6].unlink()
    damaged[6].symlink_to("/etc/passwd")
    lost = sum(int(f.name.split("-")[1].split(".")[0]) for f in damaged)
    # Not ours: never read, never sent, never deleted.
    foreign = {"notes.txt": b"keep", "1-2.batch": b"x", "00000000000000000007-x.batch": b"y", "00000000000000000009-3.batch.old": b"z"}
    for name, data in foreign.items():
        (spool / "otlp" / name).write_bytes(data)
    (spool / "otlp/00000000000000099999-5.batch").mkdir()
    (spool / "otlp/tmp-half").write_bytes(b"half a batch")

    p = agent(collector.here().url, spool=spool)
    last = load.do("load 103 3 0")
    p.wait_sum("plumb_otlp_spans_accepted_total", 206)
    books = all_exported(p)
    symlink = int(damaged[6].name.split("-")[1].split(".")[0])
    assert books["found"] == 2018 - symlink, "a link is no batch"
    assert books["reasons"] == {"spool_corrupt": lost - symlink}
    assert books["exported"] == collector.spans == 2018 - lost + 206
    assert p.stop() == 0, p.tail()
    Seen(collector).once(last["first"], last["first"] + 102)
    assert set(collector.seen.values()) == {1}
    for name, data in foreign.items():
        assert (spool / "otlp" / name).read_bytes() == data
    assert not (spool / "otlp/tmp-half").exists()
    assert len(list(spool.glob("otlp/corrupt-*"))) == 4, "a few are kept to be looked at"


def test_unknown_name(agent, load, collector, folder):
    """The collector's name does not resolve: its name server takes questions and is silent. Then the name is there."""
    spool = folder / "spool"
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    address = "127.%d.%d.53" % (os.getpid() >> 8 & 255, os.getpid() & 255)
    server.bind((address, 53))
    (folder / "hosts").write_text("127.0.0.1 localhost\n")
    (folder / "resolv.conf").write_text(f"nameserver {address}\n")
    for name in ("hosts", "resolv.conf"):
        (folder / name).chmod(0o644)
    mounts = f'mount --bind {folder}/hosts /etc/hosts; mount --bind {folder}/resolv.conf /etc/resolv.conf; exec "$@"'
    with server:
        url = f"http://collector.plumb.test:{collector.port}"
        p = agent(url, spool=spool, prefix=[*OWN_MOUNTS, mounts, "sh"], args=["--set", "sinks.otlp.timeout=1s"])
        load.do("load 1009 3 0")
        p.wait_sum("plumb_otlp_spans_accepted_total", 2018)
        wait_until(lambda: p.books()["spooled"] == 2018, "all of it on disk", alive=p)
        assert b"collector\x05plumb" in server.recv(512), "nobody was asked"
        collector.here()
        with open(folder / "hosts", "a") as f:
            f.write("127.0.0.1 collector.plumb.test\n")
        assert all_exported(p)["exported"] == 2018
        assert p.stop(timeout_s=5) == 0, p.tail()
    Seen(collector).once(1, 1009)
    assert set(collector.seen.values()) == {1}
