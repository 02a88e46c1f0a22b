# SPDX-License-Identifier: Apache-2.0
"""
Publishes and consumes through pika on a connection with channels that are there, and were used, before "ready": amqp_old_driver.py PORT < "go". Prints
{"what","error"} for each step after "go".
"""
import json
import sys

import pika
import pika.exceptions

conn = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1])))
ch, taker, quick = conn.channel(), conn.channel(), conn.channel()
ch.confirm_delivery()
ch.queue_declare("plumb.old")
ch.basic_publish("", "plumb.old", "secret")
quick.queue_declare("plumb.quick")
taken, quickly = [], []
tag = taker.basic_consume("plumb.old", lambda c, method, _, body: taken.append(method.delivery_tag))
quick.basic_consume("plumb.quick", lambda c, method, _, body: quickly.append(method.delivery_tag), auto_ack=True)
while not taken:
    conn.process_data_events(1)
taker.basic_ack(taken[0])
ch.queue_declare("plumb.old", passive=True)  # the broker has it by now
print("ready", file=sys.stderr, flush=True)
assert sys.stdin.readline() == "go\n"


def step(what, run):
    error = ""
    try:
        run()
    except pika.exceptions.ChannelClosedByBroker as e:
        error = str(e.reply_code)
    print(json.dumps({"what": what, "error": error}))


def wait_for(tags, n):
    while len(tags) < n:
        conn.process_data_events(1)


step("there", lambda: ch.queue_declare("plumb.old", passive=True))
for i in range(13):
    step("publish", lambda: ch.basic_publish("", "plumb.old", "secret"))
wait_for(taken, 1 + 13)
taker.basic_ack(taken[-1], multiple=True)
new = conn.channel()
new.confirm_delivery()
for i in range(11):
    step("confirmed", lambda: new.basic_publish("", "plumb.old", "secret"))
for i in range(7):
    step("confirmed", lambda: new.basic_publish("", "plumb.quick", "secret"))
wait_for(taken, 1 + 13 + 11)
wait_for(quickly, 7)
taker.basic_ack(taken[-1], multiple=True)
step("cancel", lambda: taker.basic_cancel(tag))
for i in range(3):
    step("get nothing", lambda: taker.basic_get("plumb.old"))
step("no queue", lambda: new.queue_declare("plumb.none", passive=True))
step("delete", lambda: ch.queue_delete("plumb.old"))
step("delete", lambda: ch.queue_delete("plumb.quick"))
conn.close()
