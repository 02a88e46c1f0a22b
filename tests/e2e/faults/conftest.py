# SPDX-License-Identifier: Apache-2.0
import pytest

from harness.backends import Collector
from harness.load import Agent, Load
from harness.plumb import missing_rights


def pytest_collection_modifyitems(items):
    reason = missing_rights()
    for item in items if reason else ():
        if "/faults/" in str(item.path):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def load(start):
    return start(Load)


@pytest.fixture
def collector():
    c = Collector()
    yield c
    c.away()


@pytest.fixture
def agent(start, load):
    """agent(url, …): a plumb that watches the load. Ended after the test if the test has not ended it."""
    return lambda url, **named: start(Agent, load, url, **named)
