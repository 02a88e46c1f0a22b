/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of a STOMP connection: how its subscriptions acknowledge, and in which order was delivered what is acknowledged together. */
#ifndef PLUMB_PROTO_STOMP_MEMORY_H
#define PLUMB_PROTO_STOMP_MEMORY_H

#include "lib/slice.h"
#include "proto/memory.h"

enum { STOMP_SUBSCRIPTIONS = 64, STOMP_DELIVERIES = 256 };

enum stomp_ack { STOMP_ACK_UNKNOWN, STOMP_ACK_AUTO, STOMP_ACK_CLIENT, STOMP_ACK_EACH };

struct stomp_subscription {
	uint64_t id;        /* hash; 0 = free */
	uint32_t delivered; /* of those that are acknowledged together */
	uint32_t settled;
	uint8_t ack;        /* enum stomp_ack */
};

struct stomp_delivery {
	uint64_t id;     /* hash of what acknowledges it */
	uint32_t serial; /* of its subscription */
	uint8_t slot;
};

struct stomp_memory {
	struct proto_memory *budget; /* not owned */
	struct stomp_subscription subscription[STOMP_SUBSCRIPTIONS];
	struct stomp_delivery delivery[STOMP_DELIVERIES]; /* a ring */
	uint32_t next_delivery;
	uint8_t next_subscription;
	uint64_t early; /* the latest acknowledgement of what is not known to have been delivered */
};

/* proto_ops.open and close. */
void *stomp_memory_new(struct proto_memory *budget);
void stomp_memory_free(void *memory);

/* NULL if it is not known, or no longer. */
struct stomp_subscription *stomp_subscription_find(struct stomp_memory *m, uint64_t id);
void stomp_subscribe(struct stomp_memory *m, uint64_t id, enum stomp_ack ack);
void stomp_unsubscribe(struct stomp_memory *m, uint64_t id);
uint8_t stomp_slot(const struct stomp_memory *m, const struct stomp_subscription *s);
/* Delivered to a subscription that acknowledges several at once; its serial number there. */
uint32_t stomp_deliver(struct stomp_memory *m, struct stomp_subscription *s, uint64_t id);
struct stomp_delivery *stomp_delivery_find(struct stomp_memory *m, uint64_t id);

#endif
