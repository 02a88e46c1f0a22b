# SPDX-License-Identifier: Apache-2.0
"""Opens two connections, says "ready" on standard error, and works on them after "go": nats_old_driver.py PORT < "go"."""
import asyncio
import sys

import nats
from nats.errors import NoRespondersError


async def main():
    async def connect():
        return await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}", user="plumb", password="sesame")

    async def answer(msg):
        await msg.respond(b"secret" + msg.data)

    shop, worker = await connect(), await connect()
    for c in shop, worker:  # the inbox for answers is subscribed to with the first request
        await c.flush()
    try:
        await shop.request("svc.nobody", b"")
    except NoRespondersError:
        pass
    print("ready", file=sys.stderr, flush=True)
    assert await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline) == "go\n"
    await worker.subscribe("svc.late", cb=answer)
    await worker.flush()
    for i in range(11):
        await shop.publish("orders.new", b"secret")
    await asyncio.gather(*(shop.request("svc.late", b"%d" % i, timeout=30) for i in range(53)))
    for i in range(3):
        try:
            await shop.request("svc.nobody", b"", timeout=30)
        except NoRespondersError:
            pass
    await shop.close()
    await worker.close()


asyncio.run(main())
