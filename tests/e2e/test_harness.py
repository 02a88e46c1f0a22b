# SPDX-License-Identifier: Apache-2.0
"""The harness itself: what every other test takes for granted."""
import pytest

from harness import servers
from harness.process import accepts, descendants
from harness.spans import SERVER, parse

LINE = ('{"resourceSpans":[{"resource":{"attributes":[{"key":"process.pid","value":{"intValue":"7"}}]},"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b",'
        '"name":"GET /x","kind":2,"startTimeUnixNano":"5","endTimeUnixNano":"12","attributes":[{"key":"http.route","value":{"stringValue":"/x"}},'
        '{"key":"http.response.status_code","value":{"intValue":"200"}}],"status":{}}]}]}]}\n')


def test_spans_are_read_from_lines():
    spans = parse(LINE * 3)
    assert len(spans) == 3
    assert (spans[0].kind, spans[0].duration_ns, spans[0].pid, spans[0]["http.response.status_code"], spans[0].parent_id) == (SERVER, 7, 7, 200, "")


def test_a_repeated_attribute_is_refused():
    twice = LINE.replace('"attributes":[{"key":"http.route"', '"attributes":[{"key":"http.response.status_code","value":{"intValue":"1"}},{"key":"http.route"')
    with pytest.raises(AssertionError):
        parse(twice)


@pytest.mark.parametrize("server", [servers.start_nginx, servers.start_redis, servers.start_memcached])
def test_servers_start_and_end(start, server):
    process = start(server)
    assert accepts(process.port)
    assert process.pid in descendants(process.pid)
    process.stop()
    assert not accepts(process.port)


def test_postgres_starts(postgres):
    assert accepts(postgres.port)


def test_mariadb_starts(mariadb):
    assert accepts(mariadb.port)
