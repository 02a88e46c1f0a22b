# SPDX-License-Identifier: Apache-2.0
"""
What a capture of the wire tells is what plumb saw at the sockets: tcpdump beside the drivers of the truth tests, its file replayed, exchange by exchange the same;
and in the counts of tshark, where it has a dissector.
"""
from collections import Counter

import pytest

from harness import docs, recording, servers
from harness.driver import Driver, go_driver, http_driver, plan_23, python_driver
from harness.plumb import replay
from harness.process import APPS, BUILD
from harness.spans import describe, parse
from harness.wire import Capture, cut, tshark
from test_truth_http2 import driver as http2_driver
from test_truth_http2 import grpc_plan, h2_driver
from test_truth_rocketmq import BACKGROUND
from test_truth_tls import PLAN, certificate, drive  # noqa: F401  a fixture
from test_upgrades import start_socks

pytestmark = pytest.mark.live

def python(app):
    return lambda folder, server: python_driver(folder, app, server.port)


def go(app):
    return lambda folder, server: go_driver(folder, app, server.port)


AT_SOCKETS = {"thread.id", "plumb.join", "plumb.time_to_first_byte", "plumb.sse.time_to_first_event"}  # what only a socket call tells, or the moment


def said(s):
    return s.name, s.kind, s.status, tuple(sorted((k, str(v)) for k, v in s.attrs.items() if k not in AT_SOCKETS))


def both(start, plumb, server, driver, name):
    """The spans of the driver's end, live, and those of its packets."""
    capture = Capture(start.folder(), server.port)
    recorded = start.folder() / "run.plumb"
    p = plumb(pids=[driver.pid], args=["--record", recorded])
    driver.go()
    path = capture.finish()
    live = [s for s in p.finish() if s["network.peer.port"] == server.port]
    check_volume(name, len(live), *recording.volume(recorded))
    done = replay(path)
    assert done.returncode == 0, done.stderr.decode()
    return live, parse(done.stdout.decode()), path


def check_volume(name, exchanges, records, moved, copied):
    """docs/protocols.md says what is copied for an exchange."""
    def row():
        return f"| {name.replace('_', ' ')} | {exchanges} | {records / exchanges:.1f} | {moved / exchanges:,.0f} | {copied / exchanges:,.0f} |"

    def with_row(lines):
        head, rows = lines[:2], {line.split("|")[1].strip(): line for line in lines[2:]}
        rows[name.replace("_", " ")] = row()
        return (head or ["| traffic | exchanges | records an exchange | moved | copied |", "|---|---|---|---|---|"]) + [rows[n] for n in sorted(rows)]

    said = [line for line in docs.part("protocols.md", "volumes", with_row) if line.startswith(f"| {name.replace('_', ' ')} |")]
    assert len(said) == 1, f"docs/protocols.md needs a row: {row()}"
    copied_before = float(said[0].split("|")[5].replace(",", ""))
    # How messages are cut into I/O calls, and how soon the kernel side hears of what is not needed, is chance: until it does it copies. That it does makes the difference to all that is moved.
    most = max(copied_before * 2, (copied_before + moved / exchanges) / 2)
    assert copied / exchanges <= most, f"docs/protocols.md says {said[0]}, now it is {row()}"


SYSTEMS = "network.protocol.name", "db.system.name", "messaging.system", "rpc.system.name"


def check_joined_late(spans, path):
    """Whichever packet is the first that is seen: what is recognised is what it is."""
    systems = {tuple(s[key] for key in SYSTEMS) for s in spans}
    if any(s["messaging.system"] == "rabbitmq" for s in spans):  # which product it is, its handshake tells
        systems |= {(None, None, "amqp", None), (None, None, "amqp1", None)}
    for late in cut(path, 11):
        done = replay(late)
        assert done.returncode == 0, done.stderr.decode()
        wrong = [s for s in parse(done.stdout.decode()) if not any(all(s[key] in (None, value) for key, value in zip(SYSTEMS, system)) for system in systems)]
        assert not wrong, f"{late}: {describe(wrong)}"


TELLING = {"url.full", "db.query.text", "messaging.destination.name", "rpc.method"}  # by which two of one exchange come side by side


def check(live, wire):
    a, b = Counter(map(said, live)), Counter(map(said, wire))
    only = sorted([*((x, "live") for x in (a - b).elements()), *((x, "wire") for x in (b - a).elements())], key=lambda x: str(sorted(x[0][3], key=lambda kv: kv[0] not in TELLING)))
    assert live and not only, f"{len(live)} live, {len(wire)} of the wire, {len(only)} differ:\n" + "\n".join(f"{end}: {x}" for x, end in only[:20])


# A driver of the truth tests, in the language that does more, on a server of its own or of the session.
CASES = {
    "redis": (servers.start_redis, python("redis_driver.py")),
    "memcached": (servers.start_memcached, python("memcached_driver.py")),
    "memcached_binary": (servers.start_memcached, python("memcached_binary_driver.py")),
    "memcached_udp": (servers.start_memcached, python("memcached_udp_driver.py")),
    "dns": (servers.start_dnsmasq, python("dns_driver.py")),
    "postgres": ("postgres", python("pg_driver.py")),
    "mysql": ("mariadb", python("mysql_driver.py")),
    "mongodb": (servers.start_ferretdb, python("mongo_driver.py")),
    "cassandra": ("cassandra", lambda folder, server: Driver(folder, "cassandra-driver", [BUILD / "venv/bin/python", "-u", APPS / "cassandra_driver.py", server.port, 4, "none", "wire"])),
    "kafka": ("kafka", go("kafkadriver")),
    "rocketmq": ("rocketmq", lambda folder, server: go_driver(folder, "rocketmqdriver", server.namesrv.port)),
    "amqp": ("rabbitmq", python("amqp_driver.py")),
    "amqp10": ("rabbitmq", python("amqp10_driver.py")),
    "clickhouse": ("clickhouse", lambda folder, server: Driver(folder, "clickhouse-driver", [BUILD / "venv/bin/python", "-u", APPS / "ch_driver.py", server.port, "none", "wire"])),
    "zookeeper": (servers.start_zookeeper, python("zookeeper_driver.py")),
    "ldap": (servers.start_slapd, python("ldap_driver.py")),
    "smtp": (servers.start_postfix, python("smtp_driver.py")),
    "stomp": ("rabbitmq_stomp", python("stomp_driver.py")),
    "pulsar": ("pulsar", python("pulsar_driver.py")),
    "ftp": (servers.start_vsftpd, python("ftp_driver.py")),
    "thrift": (lambda folder: servers.start_python(folder, "buffered", app="thriftd.py"), lambda folder, server: python_driver(folder, "thrift_driver.py", server.port, "buffered")),
    "fastcgi": (lambda folder: servers.start_go(folder, app="fcgid"), python("fcgi_driver.py")),
    "json-rpc, graphql, events": (servers.start_app, python("app_driver.py")),
    "mcp": (lambda folder: servers.start_mcp(folder, "json"), python("mcp_driver.py")),
    "aws": (servers.start_moto, python("aws_driver.py")),
    "elasticsearch": (servers.start_search, python("search_driver.py")),
    "brpc": (servers.start_brpc, lambda folder, server: Driver(folder, "brpc-driver", [*servers.brpc_java("BrpcDriver"), server.port, 1, "SINGLE"])),
    "tds": ("tds", lambda folder, server: Driver(folder, "tds-driver", [BUILD / "venv/bin/python", "-u", APPS / "tds_driver.py", server.port, "TDS74", "one"])),
    "oracle": (lambda folder: servers.start_python(folder, "19", app="oracled.py"), python("oracle_driver.py")),
    "couchbase": (servers.start_couchbase, python("couchbase_driver.py")),
    "aerospike": (lambda folder: servers.start_python(folder, app="aerospiked.py"), python("aerospike_driver.py")),
    "zeromq": (lambda folder: servers.start_python(folder, app="zmqd.py"), lambda folder, server: python_driver(folder, "zmq_driver.py", server.out.read_text().strip(), "requests", "pipelined")),
    "dubbo": (lambda folder: servers.start_dubbo(folder, "hessian2"), lambda folder, server: go_driver(folder, "dubbodriver", server.port)),
    "nats": (servers.start_nats, python("nats_driver.py")),
    "mqtt": (servers.start_mosquitto, python("mqtt_driver.py")),
    "websocket": (lambda folder: servers.start_python(folder, app="websocketd.py"), python("websocket_driver.py")),
    "http": (servers.start_nginx, lambda folder, server: http_driver(folder, server, 1, plan_23())),
    "http2": (lambda folder: servers.start_go(folder, app="h2d"), lambda folder, server: h2_driver(folder, "python", server, 11, plan_23())),
    "grpc": (lambda folder: servers.start_go(folder, app="grpcd"), lambda folder, server: http2_driver(folder, "go", "grpc", server, 11, [q for q, *_ in grpc_plan()])),
}


def values(key, but=()):
    """Each value of the attribute, as often as spans have it."""
    return lambda spans: Counter(str(s[key]) for s in spans if s[key] is not None and s[key] not in but)


def valued(key, names):
    """{a dissector's value: value of the attribute}"""
    return lambda spans: {value: sum(s[key] == name for s in spans) for value, name in names.items()}


def operations(names):
    """{a dissector's value: name of the operation}"""
    return lambda spans: {value: sum(name in (s["db.operation.name"], s["messaging.operation.name"]) for s in spans) for value, name in names.items()}


def named(names):
    """{a dissector's value: first word of the span's name}"""
    return lambda spans: {value: sum(s.name.split()[0] == name for s in spans) for value, name in names.items()}


def number(value, count):
    return lambda spans: {value: count(spans)}


def failed(spans):
    return sum(s["error.type"] is not None for s in spans)


def hexed(*commands):
    return {c.encode().hex(): c for c in commands}


ASKS, ANSWERS = "tcp.dstport=={}", "tcp.srcport=={}"
ALL = "any value"
MEMCACHED = {"get": "GET", "incr": "INCR", "delete": "DELETE", "cas": "CAS", "gets": "GETS", "add": "ADD", "version": "VERSION"}
BINARY = {"0": "GET", "1": "SET", "2": "ADD", "4": "DELETE", "5": "INCR", "10": "NOOP", "12": "GETK", "13": "GETKQ", "16": "STAT", "17": "SETQ"}
CQL = {"1": "STARTUP", "5": "OPTIONS", "11": "REGISTER", "15": "AUTH_RESPONSE"}
RCODES = {"0": "NOERROR", "3": "NXDOMAIN", "5": "REFUSED"}
KAFKA = {"0": "send", "1": "poll", "2": "list_offsets", "3": "metadata", "12": "heartbeat", "18": "api_versions", "19": "create_topics"}
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
HTTP = [("http", ASKS, "http.request.method", values("http.request.method")), ("http", ANSWERS, "http.response.code", values("http.response.status_code"))]
LDAP = {"0": "bind", "2": "unbind", "3": "search", "6": "modify", "8": "add", "10": "delete", "12": "modifyDN", "14": "compare", "16": "abandon", "23": "whoAmI"}
COUCHBASE = {
    "0x00": "get", "0x01": "upsert", "0x02": "insert", "0x03": "replace", "0x04": "remove", "0x05": "increment", "0x0e": "append", "0x1c": "touch", "0x1d": "get_and_touch",
    "0x1f": "hello", "0x20": "sasl_list_mechs", "0x21": "sasl_auth", "0x22": "sasl_step", "0x89": "select_bucket", "0x94": "get_and_lock", "0x95": "unlock", "0xa0": "get_meta",
    "0xb5": "get_cluster_config", "0xbb": "get_collection_id", "0xd0": "lookup_in", "0xd1": "mutate_in", "0xfe": "get_error_map"}
COUCHBASE_STATUS = {"0x0001": "KEY_ENOENT", "0x0002": "KEY_EEXISTS", "0x0007": "NOT_MY_VBUCKET", "0x0021": "AUTH_CONTINUE", "0x0084": "EINTERNAL", "0x00cc": "SUBDOC_MULTI_PATH_FAILURE"}
AMQP = {
    "10 40": "connection.open", "10 50": "connection.close", "20 10": "channel.open", "40 10": "exchange.declare", "40 20": "exchange.delete", "50 10": "queue.declare",
    "50 20": "queue.bind", "50 30": "queue.purge", "50 40": "queue.delete", "60 10": "qos", "60 20": "consume", "60 30": "cancel", "60 40": "publish", "60 70": "get",
    "85 10": "confirm.select", "90 10": "tx.select", "90 20": "tx.commit"}
GRPC = ["OK", None, "UNKNOWN", "INVALID_ARGUMENT", None, "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
        "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]  # but those that a client may give itself
SMTP, SMTP_CODES = ["EHLO", "MAIL", "RCPT", "DATA", "VRFY", "RSET"], "plumb.smtp.response.status_code"
FTP = ["USER", "PASS", "CWD", "TYPE", "PASV", "STOR", "RETR", "NLST", "LIST", "SIZE", "FEAT", "RNFR", "RNTO", "DELE", "MKD", "RMD", "QUIT"]
THRIFT = ["add", "list", "buy", "fail", "slow", "ping", "note"]
TNS = {"0x05": "FETCH", "0x09": "LOGOFF", "0x0e": "COMMIT", "0x0f": "ROLLBACK"}


def deliveries(name):
    """A message may need several transfers, of which all but the last say that more come."""
    return lambda spans, count: (count("amqp.performative")["20"] - count("amqp.performative.arguments.more")["1"], sum(s["messaging.operation.name"] == name for s in spans))


# By case: dissector, which packets, field, and how often which of its values stand there according to the spans; or, with no field, what counts fields and spans. Left out is what a
# dissector reads wrongly: all but the first command of a packet (text of memcached, FTP), what comes in several packets a second time (Redis, Thrift), what follows a DATA
# that was refused and BDAT (SMTP), functions of Oracle behind a piggyback.
COUNTS = {
    **dict.fromkeys(["http", "json-rpc, graphql, events", "aws", "elasticsearch"], HTTP),
    "mcp": HTTP[:1],  # an answer that its client leaves in its middle is none for it
    "fastcgi": [("fcgi", ASKS, "fcgi.type", number("1", len)), ("fcgi", ANSWERS, "fcgi.type", number("3", len))],
    "http2": [("http2", ASKS, "http2.headers.method", values("http.request.method")), ("http2", ANSWERS, "http2.headers.status", values("http.response.status_code"))],
    "dns": [("dns", "dns.flags.response==1", "dns.flags.rcode", lambda spans: {code: sum(s["plumb.dns.response_code"] == name for s in spans) for code, name in RCODES.items()})],
    "postgres": [("pgsql", ASKS, "pgsql.type", number("Simple query", lambda spans: len(spans) - 1)), ("pgsql", ANSWERS, "pgsql.type", number("Error", failed)),
                 ("pgsql", ANSWERS, "pgsql.type", number("Data row", lambda spans: sum(s["db.response.returned_rows"] or 0 for s in spans)))],
    "mysql": [("mysql", ASKS, "mysql.command", number("3", lambda spans: sum(s["db.query.text"] is not None for s in spans))), ("mysql", ANSWERS, "mysql.error_code", values("db.response.status_code"))],
    "mongodb": [("mongo", ASKS, "mongo.response_to", number("0x00000000", len))],
    "cassandra": [("cql", ASKS, "cql.opcode", operations(CQL)), ("cql", ASKS, "cql.opcode", number(ALL, len))],
    "kafka": [("kafka", ASKS, "kafka.api_key", operations(KAFKA))],
    "redis": [("resp", ASKS, "resp.bulk_string.value", operations(hexed("GET", "INCRBY", "LPUSH", "BLPOP", "MULTI", "EXEC", "ECHO"))), ("resp", ANSWERS, "resp.error", number(WRONG_TYPE, failed))],
    "memcached": [("memcache", ASKS, "memcache.command", operations(MEMCACHED))],
    "memcached_binary": [("memcache", ASKS, "memcache.opcode", operations(BINARY))],
    "amqp": [("amqp", ASKS, "amqp.method.class amqp.method.method", operations(AMQP)),
             ("amqp", ANSWERS, "amqp.method.class amqp.method.method", operations({"10 10": "connection.start", "10 30": "connection.tune", "60 60": "deliver"})),
             ("amqp", "tcp.port=={}", "amqp.method.class amqp.method.method", operations({"20 40": "channel.close"}))],  # the broker's as well
    "amqp10": [("amqp", ASKS, "amqp.performative", operations({"18": "attach"})), ("amqp", ASKS, "amqp.performative", number("16", lambda spans: sum(s.name == "open" and s["error.type"] != "auth" for s in spans))),
               ("amqp", ASKS, None, deliveries("send")), ("amqp", ANSWERS, None, deliveries("deliver"))],
    "grpc": [("http2", ASKS, "http2.headers.method", number("POST", len)),
             ("http2", ANSWERS, "http2.header.name http2.header.value", valued("rpc.response.status_code", {f"grpc-status {i}": name for i, name in enumerate(GRPC) if name}))],
    "ldap": [("ldap", ASKS, "ldap.protocolOp", named(LDAP)), ("ldap", ANSWERS, "ldap.resultCode", values("db.response.status_code"))],
    "smtp": [("smtp", ASKS, "smtp.req.command", named({c: c for c in SMTP})), ("smtp", ANSWERS, "smtp.response.code", values(SMTP_CODES))],
    "ftp": [("ftp", ASKS, "ftp.request.command", named({c: c for c in FTP})),
            ("ftp", ANSWERS, "ftp.response.code", values("plumb.ftp.response.status_code", but={211}))],  # of several lines, each of which it counts
    "thrift": [("thrift", ASKS, "thrift.method", named({m: m for m in THRIFT})), ("thrift", ANSWERS, "thrift.mtype", number("0x03", lambda spans: sum(s["error.type"] in ("INTERNAL_ERROR", "UNKNOWN_METHOD") for s in spans)))],
    "tds": [("tds", ASKS + " && tds.type != 6 && tds.type != 18", "tds.status", number("0x01", len)), ("tds", ANSWERS, "tds.error.number", values("db.response.status_code")),
            ("tds", ASKS, "tds.type", number("16", lambda spans: sum(s.name.startswith("CONNECT") for s in spans)))],
    "oracle": [("tns", ASKS, "tns.data_oci.id", operations(TNS)), ("tns", ASKS, "tns.type", operations({"1": "CONNECT"})),
               ("tns", ANSWERS, "tns.type", number("4", lambda spans: sum(s["db.response.status_code"] == "ORA-12514" for s in spans)))],
    "couchbase": [("couchbase", ASKS, "couchbase.opcode", operations(COUCHBASE)), ("couchbase", ASKS, "couchbase.opcode", number(ALL, len)),
                  ("couchbase", ANSWERS, "couchbase.status", valued("db.response.status_code", COUCHBASE_STATUS))],
    "mqtt": [("mqtt", ASKS, "mqtt.msgtype", named({"1": "connect", "3": "publish", "8": "subscribe", "10": "unsubscribe"})), ("mqtt", ANSWERS, "mqtt.msgtype", named({"3": "deliver"}))],
}


# What there is nothing to count with.
UNCOUNTED = {
    **dict.fromkeys(["rocketmq", "clickhouse", "zookeeper", "stomp", "pulsar", "brpc", "aerospike", "zeromq", "dubbo", "nats"], "tshark 4.0 has no dissector"),
    "memcached_udp": "its dissector does not know the header in front of each datagram",
    "websocket": "its dissector loses its place in frames that go across packets",
}


def test_every_case_is_counted_or_says_why_not():
    assert not COUNTS.keys() & UNCOUNTED.keys() and COUNTS.keys() | UNCOUNTED.keys() == CASES.keys()


# What a client leaves before it is over: what is still on the way then is on the wire, and nobody reads it at the socket.
LEFT = {
    "amqp10": lambda s: s["error.type"] == "amqp:internal-error",  # RabbitMQ, of a client that is gone
    "mcp": lambda s: s.name == "GET",  # the stream of notifications
    "rocketmq": lambda s: s["messaging.operation.name"] in BACKGROUND | {"pull"},
}


def check_counts(counts, spans, path, port):
    for dissector, packets, field, expected in counts:
        def count(field):
            return tshark(path, dissector, port, field, packets.format(port))

        if not field:
            found, said = expected(spans, count)
            assert found and found == said, packets
            continue
        found, said = count(field), {v.casefold(): n for v, n in expected(spans).items()}
        found[ALL] = found.total()
        assert any(said.values()) and {v: found[v] for v in said} == said, (field, said, found)


@pytest.mark.parametrize("case", CASES)
def test_same_exchanges(start, plumb, request, case):
    make_server, make_driver = CASES[case]
    server = request.getfixturevalue(make_server) if isinstance(make_server, str) else start(make_server)
    live, wire, path = both(start, plumb, server, make_driver(start.folder(), server), case)
    check(*([s for s in spans if not LEFT.get(case, lambda s: False)(s)] for spans in (live, wire)))
    check_counts(COUNTS.get(case, []), live, path, server.port)
    check_joined_late(live, path)


def test_same_handshakes(start, plumb, certificate):  # noqa: F811
    folder, _ = certificate
    server = start(servers.start_go, folder, app="tlsd")
    live, wire, path = both(start, plumb, server, drive(start, "python", server, folder, PLAN), "tls")
    check(live, wire)
    assert len(live) == tshark(path, "tls", server.port, "tls.handshake.type", ASKS.format(server.port))["1"]


def test_same_through_a_proxy(start, plumb):
    server, proxy = start(servers.start_python), start(start_socks, "-u", "alice", "-P", "secret")
    driver = Driver(start.folder(), "socks-driver", [BUILD / "venv/bin/python", "-u", APPS / "socks_driver.py", proxy.port, server.port, 11])
    live, wire, path = both(start, plumb, proxy, driver, "socks5")
    check(live, wire)
    asked = number("0", lambda spans: sum(s.name.startswith("socks5") and not s["error.type"] for s in spans)), number("5", lambda spans: sum(s["error.type"] == "connection_refused" for s in spans))
    check_counts([("socks", ANSWERS, "socks.results", a) for a in asked], live, path, proxy.port)
