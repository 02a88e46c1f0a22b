# SPDX-License-Identifier: Apache-2.0
"""MongoDB's protocol, AMQP, Kafka, NATS and MQTT over TLS: what their drivers do in clear, at the ends whose library can be seen."""
import os

import pytest

from harness import servers
from harness.broker import check_broker, check_measured as check_broker_measured
from harness.driver import Driver
from harness.libraries import watched
from harness.process import APPS, BUILD
from harness.servers import go_program
from harness.spans import describe
from harness.truth import check_order
import test_truth_amqp as amqp
import test_truth_kafka as kafka
import test_truth_mongodb as mongodb
import test_truth_mqtt as mqtt
import test_truth_nats as nats
from test_truth_db import check_measured, check_series

pytestmark = pytest.mark.live

# What the drivers' TLS is in: Go's in themselves, Python's in the system's library.
PYTHON, GO, LIBRDKAFKA = ("openssl", "/libssl"), ("crypto/tls", ""), ("openssl", "librdkafka")


def driver_of(start, app, port, tls):
    argv = [BUILD / "venv/bin/python", "-u", APPS / app] if app.endswith(".py") else [go_program(app)]
    return Driver(start.folder(), app.replace(".", "-"), [*argv, port], env={**os.environ, "DRIVER_TLS": str(tls)})


def begin(plumb, pids, *libraries):
    """Of Go each program has its own, the system's is one file."""
    p = plumb(pids=pids, args=watched())
    for library, file in set(libraries):
        p.wait_watching(library, libraries.count(GO) if library == GO[0] else 1, file)
    return p


def of(spans):
    return [s for s in spans if s.name != "TLS handshake"]


@pytest.mark.parametrize("app,library,truth,alone,errors", [
    ("mongo_driver.py", PYTHON, mongodb.PYMONGO, mongodb.PYMONGO_STEPS, mongodb.PYMONGO_ERRORS),
    ("mongodriver", GO, mongodb.GO, mongodb.GO_STEPS, ["11000"] * 3 + ["59"]),
], ids=["PyMongo", "Go"])
def test_mongodb(start, plumb, localhost_certificate, app, library, truth, alone, errors):
    server = start(servers.start_ferretdb, localhost_certificate)
    driver = driver_of(start, app, server.port, localhost_certificate)
    p = begin(plumb, [server.pid, driver.pid], GO, library)
    steps = driver.go()
    assert [s["error"] for s in steps if s["error"]] == errors
    p.wait_spans(2 * len(truth), match=lambda s: s.name != "TLS handshake")
    client, server_side = check_series(of(p.finish()), truth, driver.pid, server.port)
    check_measured(client, truth, steps, alone)
    for s in client + server_side:
        assert "secret" not in str(s.raw) and s["network.peer.address"] == "127.0.0.1", describe([s])


@pytest.mark.parametrize("app,library,truth", [("amqp_driver.py", PYTHON, amqp.PIKA), ("amqpdriver", GO, amqp.GO)], ids=["pika", "Go"])
def test_amqp(start, plumb, localhost_certificate, app, library, truth):
    """RabbitMQ's own end is Erlang's ssl, which is not seen."""
    server = start(servers.Rabbitmq, tls=localhost_certificate)
    driver = driver_of(start, app, server.port, localhost_certificate)
    p = begin(plumb, [*server.pids, driver.pid], library)
    steps = driver.go()
    p.wait_spans(truth.total(), match=lambda s: s.name != "TLS handshake")
    spans = of(p.finish())
    amqp.check_end(spans, truth, driver.pid, server.port)
    assert {s.pid for s in spans} == {driver.pid}
    check_order(spans)


@pytest.mark.parametrize("system,make_server,server_library,app,library,truth,delivered,steps_of", [
    ("nats", servers.start_nats, GO, "nats_driver.py", PYTHON, nats.PYTHON, nats.PYTHON_DELIVERED, nats.STEPS),
    ("nats", servers.start_nats, GO, "natsdriver", GO, nats.GO, nats.GO_DELIVERED, nats.STEPS),
    ("mqtt", servers.start_mosquitto, PYTHON, "mqtt_driver.py", PYTHON, mqtt.PYTHON, mqtt.delivered(mqtt.PYTHON), mqtt.STEPS),
    ("mqtt", servers.start_mosquitto, PYTHON, "mqttdriver", GO, mqtt.GO, mqtt.delivered(mqtt.GO), mqtt.STEPS),
], ids=["NATS, Python", "NATS, Go", "MQTT, Python", "MQTT, Go"])
def test_nats_and_mqtt(start, plumb, localhost_certificate, system, make_server, server_library, app, library, truth, delivered, steps_of):
    server = start(make_server, localhost_certificate)
    driver = driver_of(start, app, server.port, localhost_certificate)
    p = begin(plumb, [server.pid, driver.pid], server_library, library)
    steps = driver.go()
    p.wait_spans(2 * (sum(truth.values()) + sum(delivered.values())), match=lambda s: s.name != "TLS handshake")
    ends = check_broker(system, of(p.finish()), truth, delivered, driver.pid, server.port)
    check_broker_measured(ends, steps, steps_of)


@pytest.mark.parametrize("app,library,truth", [("kafka_driver.py", LIBRDKAFKA, kafka.PYTHON), ("kafkadriver", GO, kafka.GO)], ids=["librdkafka", "Go"])
def test_kafka(start, plumb, localhost_certificate, app, library, truth):
    """The client's end: the broker's is Java's own."""
    server = start(servers.Kafka, tls=localhost_certificate)
    driver = driver_of(start, app, server.port, localhost_certificate)
    p = begin(plumb, [driver.pid], library)
    steps = driver.go()
    shown = {name for name, *_ in truth}
    p.wait_spans(len(truth), match=lambda s: s["messaging.operation.name"] in shown)
    spans = sorted(of(p.finish()), key=lambda s: s.start_ns)
    check_order(spans)
    if app == "kafkadriver":
        truth = [*truth[:-1], (*truth[-1][:-1], [s["error"] for s in steps if s["error"]][-1])]  # whether the broker has begun to coordinate
    assert [kafka.said(s) for s in spans if s["messaging.operation.name"] in shown] == truth, describe(spans, 200)
    for s in spans:
        assert s.pid == driver.pid and s["server.port"] == server.port and s["messaging.system"] == "kafka" and "secret" not in str(s.raw), describe([s])
        assert s["plumb.incomplete"] in (None, "unanswered") and (s["plumb.incomplete"] is None or s["messaging.operation.name"] not in shown), describe([s])
    kafka.check_measured([s for s in spans if s["messaging.operation.name"] == "send"][:7], [s for s in steps if s["what"] == "one"])
    if app == "kafka_driver.py":
        assert sum(s["messaging.batch.message_count"] or 0 for s in spans if s["messaging.operation.name"] == "poll") == 77, describe(spans, 200)
