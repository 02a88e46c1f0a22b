# SPDX-License-Identifier: Apache-2.0
"""MongoDB's protocol by PyMongo, the Go driver and raw sockets, spoken with FerretDB."""
import pytest

from harness import servers
from harness.driver import go_driver, python_driver
from harness.spans import CLIENT, SERVER, describe
from test_truth_db import check_measured, check_series

pytestmark = pytest.mark.live


def test_by_pymongo(start, plumb):
    server = start(servers.start_ferretdb)
    driver = python_driver(start.folder(), "mongo_driver.py", server.port)
    p = plumb(pids=[server.pid, driver.pid])
    steps = driver.go()
    import time; time.sleep(2)
    spans=p.finish()
    print([s["error"] for s in steps])
    for s in sorted(spans, key=lambda s: s.start_ns):
        if s.kind == CLIENT: print(s.name, {k:v for k,v in s.attrs.items() if k.startswith("db.") or k.startswith("plumb") or k=="error.type"}, s.message)
    assert 0
