# SPDX-License-Identifier: Apache-2.0
"""Runs a fixed series of steps through nats-py: nats_driver.py PORT < "go". Prints {"what","ns","error"} for each step that is timed.
DRIVER_TLS=FOLDER: over TLS, with the certificate there."""
import asyncio
import json
import os
import ssl
import sys
import time

import nats
from nats.errors import NoRespondersError
from nats.js.errors import APIError

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
port = int(sys.argv[1])
TLS = os.environ.get("DRIVER_TLS")
tls = {"tls": ssl.create_default_context(cafile=TLS + "/cert.pem")} if TLS else {}
got = asyncio.Queue()
errors = asyncio.Queue()


async def timed(what, make):
    start = time.perf_counter_ns()
    error = ""
    try:
        await make()
    except NoRespondersError:
        error = "no_responders"
    except APIError as e:
        error = str(e.err_code)
    print(json.dumps({"what": what, "ns": time.perf_counter_ns() - start, "error": error}))


async def failed(e):
    await errors.put(str(e))


async def connect(name, password="sesame", **more):
    return await nats.connect(f"nats://127.0.0.1:{port}", user="plumb", password=password, name=name, error_cb=failed, allow_reconnect=False, **tls, **more)


async def core(shop, worker):
    async def order(msg):
        await got.put(msg.data)

    async def double(msg):
        await msg.respond(b"secret" + msg.data * 2)

    async def slow(msg):
        await asyncio.sleep(0.1)
        await msg.respond(b"")

    async def crumbs(msg):
        for i in range(3):
            await msg.respond(b"%d" % i)

    await worker.subscribe("orders.*", queue="packers", cb=order)
    await worker.subscribe("svc.double", cb=double)
    await worker.subscribe("svc.slow", cb=slow)
    await worker.subscribe("svc.crumbs", cb=crumbs)
    await worker.flush()
    for i in range(11):
        await shop.publish("orders.new", b"secret %d" % i)
    for i in range(5):
        await shop.publish("orders.paid", b"secret %d" % i, headers={"traceparent": TRACE, "Nats-Msg-Id": f"m{i}"})
    await shop.publish("orders.big", b"x" * 300_000)
    for i in range(17):
        await got.get()
    for i in range(7):
        await timed("double", lambda: shop.request("svc.double", b"7", timeout=10))
    for i in range(3):
        await timed("nobody", lambda: shop.request("svc.nobody", b"7", timeout=10))
    await timed("slow", lambda: shop.request("svc.slow", b"", timeout=10))
    await asyncio.gather(*(shop.request("svc.double", b"secret %d" % i, timeout=30) for i in range(101)))
    inbox = shop.new_inbox()
    sub = await shop.subscribe(inbox)
    await shop.publish("svc.crumbs", b"", reply=inbox)
    for i in range(3):
        await sub.next_msg(timeout=10)
    await sub.unsubscribe()
    for i in range(2):
        await shop.publish("forbidden.x", b"secret")
        assert "violation for publish" in (await errors.get()).lower()
    await shop.subscribe("forbidden.y")
    await shop.flush()
    assert "violation for subscription" in (await errors.get()).lower()


async def jetstream(shop):
    js = shop.jetstream()
    await timed("create", lambda: js.add_stream(name="ORDERS", subjects=["js.*"]))
    for i in range(13):
        await timed("store", lambda: js.publish("js.in", b"secret %d" % i))
    for i in range(3):
        await timed("wrong sequence", lambda: js.publish("js.in", b"secret", headers={"Nats-Expected-Last-Sequence": "4711"}))
    for i in range(2):
        await timed("no stream", lambda: js.stream_info("NONE"))
    sub = await js.pull_subscribe("js.in", durable="packer")
    for batch in (6, 7):
        for msg in await sub.fetch(batch, timeout=10):
            await (msg.ack() if batch == 6 else msg.ack_sync())
    kv = await js.create_key_value(bucket="stock")
    for i in range(5):
        await kv.put(f"apple.{i}", b"secret")
        await kv.get(f"apple.{i}")
    await timed("delete", lambda: js.delete_stream("ORDERS"))


async def main():
    shop, worker = await connect("shop"), await connect("worker", verbose=True)
    await core(shop, worker)
    await jetstream(shop)
    for i in range(2):
        try:
            await connect("intruder", password="wrong", max_reconnect_attempts=0)
        except Exception as e:
            assert "authorization" in str(e).lower(), e
    await worker.close()
    await shop.close()


assert sys.stdin.readline() == "go\n"
asyncio.run(main())
