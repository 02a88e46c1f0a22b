# SPDX-License-Identifier: Apache-2.0
"""ClickHouse by clickhouse-driver and by clickhouse-go: every request has its two spans, in order, redacted, with its error and its rows, with and without compression."""
from collections import defaultdict

import pytest

from harness.driver import Driver
from harness.process import APPS, BUILD
from harness.spans import CLIENT, SERVER, STATUS_ERROR, STATUS_UNSET, describe
from harness.truth import check_order

pytestmark = pytest.mark.live


def test_look(start, plumb, clickhouse):
    driver = Driver(start.folder(), "clickhouse-driver", [BUILD / "venv/bin/python", "-u", APPS / "ch_driver.py", clickhouse.port, "none", "shop"])
    p = plumb(pids=[clickhouse.pid, driver.pid])
    driver.go()
    spans = p.finish()
    for s in sorted(spans, key=lambda s: s.start_ns):
        print(s.kind, s.name, {k: v for k, v in s.attrs.items() if k.startswith(("db", "error", "plumb"))})
    assert 0
