/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of Kafka's topics by their ids. Newer requests say the id alone; Metadata responses tell whose it is, often on the connection to another broker. So all
 * connections share one table, which lives as long as any of them. Bounded: of four that share a place in it the one unused for longest goes.
 */
#ifndef PLUMB_PROTO_KAFKA_TOPICS_H
#define PLUMB_PROTO_KAFKA_TOPICS_H

#include "lib/slice.h"
#include "proto/memory.h"

struct kafka_topics;

/* NULL without memory. Each get needs its put. */
struct kafka_topics *kafka_topics_get(struct proto_memory *budget);
void kafka_topics_put(struct kafka_topics *t);
/* id: KAFKA_ID_LEN bytes. */
void kafka_topics_learn(struct kafka_topics *t, const uint8_t *id, struct slice name);
/* Empty if it is not known. Valid until the next call. */
struct slice kafka_topics_find(struct kafka_topics *t, const uint8_t *id);

#endif
