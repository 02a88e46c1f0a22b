# SPDX-License-Identifier: Apache-2.0
"""
A server of AMQP 1.0 by Qpid Proton, with an answer of each kind: amqp10_peer.py PORT. The address says which: to "accept", "reject", "release", "modify" one sends, "refuse" is
not there, "leave" leaves at the fourth message; from "give" come eleven messages of 30,011 bytes each, the fourth sent settled.
"""
import sys
from collections import Counter

from proton import Condition, Delivery, Endpoint, Message, Terminus
from proton.handlers import MessagingHandler
from proton.reactor import Container

OUTCOMES = {"accept": Delivery.ACCEPTED, "reject": Delivery.REJECTED, "release": Delivery.RELEASED, "modify": Delivery.MODIFIED, "leave": Delivery.ACCEPTED}


class Peer(MessagingHandler):
    def __init__(self):
        super().__init__(prefetch=0, auto_accept=False)
        self.taken, self.given = 0, Counter()

    def on_start(self, event):
        event.container.listen(f"127.0.0.1:{sys.argv[1]}")

    def on_link_opening(self, event):
        link = event.link
        address = link.remote_source.address if link.is_sender else link.remote_target.address
        if address == "refuse":  # its own end is none
            link.source.type = link.target.type = Terminus.UNSPECIFIED
            return
        link.source.address, link.target.address = link.remote_source.address, link.remote_target.address

    def on_link_local_open(self, event):
        if Terminus.UNSPECIFIED in (event.link.source.type, event.link.target.type):
            event.link.condition = Condition("amqp:not-allowed", "this one never")
            event.link.close()
        elif event.link.is_receiver:
            event.link.flow(50)

    def on_sendable(self, event):
        link = event.link
        while link.state & Endpoint.LOCAL_ACTIVE and link.credit and self.given[link.name] < 11:
            n = self.given[link.name]
            self.given[link.name] += 1
            delivery = link.send(Message(b"x" * 30_011, inferred=True, id=n))
            if n == 3:
                delivery.settle()

    def on_message(self, event):
        address, delivery = event.link.target.address, event.delivery
        self.taken += address == "leave"
        if address == "leave" and self.taken % 4 == 0:
            event.link.condition = Condition("amqp:resource-limit-exceeded", "no more of them")
            event.link.close()
            return
        if address == "reject":
            delivery.local.condition = Condition("plumb:bad-taste", "not this one")
        if not delivery.settled:
            delivery.update(OUTCOMES[address])
        delivery.settle()


Container(Peer()).run()
