# SPDX-License-Identifier: Apache-2.0
"""`make new-proto` in a copy of the sources: what it makes compiles, stands in the table, and is not overwritten."""
import shutil
import subprocess

import pytest

from harness.process import REPO


@pytest.fixture
def sources(folder):
    for part in ("bpf/abi", "user/lib", "user/model", "user/proto", "tests/proto"):
        shutil.copytree(REPO / part, folder / part)
    return folder


def new_proto(sources, *args):
    return subprocess.run([sources / "tests/proto/new.sh", *args], capture_output=True, text=True, timeout=60)


def test_the_skeleton_compiles(sources):
    before = (sources / "bpf/abi/protocols.def").read_text()
    done = new_proto(sources, "mqtt5")
    assert done.returncode == 0 and "docs/adding-a-protocol.md" in done.stdout, done
    after = (sources / "bpf/abi/protocols.def").read_text()
    assert after.startswith(before) and after[len(before):] == 'PROTOCOL(MQTT5, mqtt5, "mqtt5", DB, SECRET, BLANK, T, 0, "mqtt5")\n'
    for source in ("mqtt5.c", "registry.c"):
        argv = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{sources}/user", sources / "user/proto" / source]
        built = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert built.returncode == 0, built.stderr
    fixture = (sources / "tests/proto/mqtt5/first.fix").read_text()
    assert "=> request\n" in fixture and "=< response\n" in fixture


@pytest.mark.parametrize("name", ["", "Mqtt", "5mqtt", "mqtt-5", "../mqtt", "redis", "a" * 25])
def test_what_it_refuses_changes_nothing(sources, name):
    before = sorted(p for p in sources.rglob("*")), (sources / "bpf/abi/protocols.def").read_text()
    done = new_proto(sources, name)
    assert done.returncode == 2 and done.stderr.startswith("new-proto: ") and not done.stdout
    assert before == (sorted(p for p in sources.rglob("*")), (sources / "bpf/abi/protocols.def").read_text())
