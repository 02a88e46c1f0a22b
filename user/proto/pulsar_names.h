/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a Pulsar connection: producers and consumers by the number that their client gave them. Clients count from 0 or 1, so a number is its place, and the latest of those
 * that share one has it. All of it is of the budget of parsers.
 */
#ifndef PLUMB_PROTO_PULSAR_NAMES_H
#define PLUMB_PROTO_PULSAR_NAMES_H

#include "lib/slice.h"
#include "proto/memory.h"

enum { PULSAR_PLACES_MIN = 8, PULSAR_PLACES_MAX = 1024, PULSAR_TOPIC_MAX = 512, PULSAR_SUBSCRIPTION_MAX = 128, PULSAR_ID_TEXT = 72 };

struct pulsar_end {
	uint64_t id;
	bool closed;
	bool named;         /* it was seen to begin */
	bool any;           /* keys of what was delivered to it: */
	uint64_t low, high; /* the first and the last of them */
	uint64_t floor;     /* what is below is settled, by an acknowledgement of all up to it */
	uint64_t base;      /* the ledger that keys count from */
	uint64_t early;     /* of an acknowledgement of what was not seen to be delivered; 0 = none */
	uint16_t topic_len, subscription_len;
	uint8_t text[];
};

struct pulsar_places {
	struct pulsar_end **place;
	uint32_t n; /* a power of two, or 0 */
};

struct pulsar_names {
	struct proto_memory *budget; /* not owned */
	struct pulsar_places producers, consumers;
	char id_text[PULSAR_ID_TEXT];
	uint8_t error_text[24];
};

/* proto_ops.open and close. */
void *pulsar_names_new(struct proto_memory *budget);
void pulsar_names_free(void *names);

/* NULL: not known. */
struct pulsar_end *pulsar_end_find(const struct pulsar_places *p, uint64_t id);
/* Another one that has the place of this one, and was not seen to end: whoever is put there ends it. NULL: nobody. */
struct pulsar_end *pulsar_end_in_the_way(struct pulsar_names *n, struct pulsar_places *p, uint64_t id);
/* Begins anew. NULL without memory. */
struct pulsar_end *pulsar_end_put(struct pulsar_names *n, struct pulsar_places *p, uint64_t id, struct slice topic, struct slice subscription);

static inline struct slice pulsar_end_topic(const struct pulsar_end *e) { return e ? slice_make(e->text, e->topic_len) : SLICE_NONE; }
static inline struct slice pulsar_end_subscription(const struct pulsar_end *e) { return e ? slice_make(e->text + e->topic_len, e->subscription_len) : SLICE_NONE; }

#endif
