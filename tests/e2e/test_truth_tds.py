import pytest
from harness.driver import Driver
from harness.process import APPS, BUILD, wait_until
from harness.servers import go_program
from harness.spans import describe
from test_truth_clickhouse import check_order
pytestmark = pytest.mark.live

@pytest.mark.parametrize("what", ["TDS74", "mars", "TDS71", "go"])
def test_dump(start, plumb, tds, what):
    if what == "go":
        driver = Driver(start.folder(), "tdsdriver", [go_program("tdsdriver"), tds.port])
    else:
        driver = Driver(start.folder(), "pytds", [BUILD / "venv/bin/python", "-u", APPS / "tds_driver.py", tds.port, "TDS74" if what == "mars" else what, what])
    p = plumb(pids=[tds.pid, driver.pid])
    try:
        print(driver.go())
    except Exception as e:
        print("DRIVER", e)
    import time; time.sleep(1)
    for s in p.finish():
        print(s.kind, s.name, "|", s["db.operation.name"], "|", (s["db.query.text"] or "")[:100], "|", s["db.stored_procedure.name"], s["error.type"], s["db.response.returned_rows"], s["plumb.db.rows_affected"], s["db.namespace"], s["plumb.incomplete"], s.duration_ns//1000)
    assert 0
