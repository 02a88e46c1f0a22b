/* SPDX-License-Identifier: Apache-2.0 */
/* The inboxes of a NATS connection that were asked to answer to, and those that were: a table of fixed size, in which the oldest of a set gives way. */
#ifndef PLUMB_PROTO_NATS_MEMORY_H
#define PLUMB_PROTO_NATS_MEMORY_H

#include <stdbool.h>

#include "proto/memory.h"

enum { NATS_SET = 8, NATS_SETS = 32, NATS_TEMPLATE_MAX = 128 };

struct nats_inbox {
	uint64_t key; /* 0 = free */
	uint8_t open; /* requests that await an answer there */
	bool early;   /* an answer came before its request */
};

struct nats_memory {
	struct proto_memory *budget; /* not owned */
	struct nats_inbox inbox[NATS_SETS][NATS_SET];
	uint8_t next[NATS_SETS];
	char template[NATS_TEMPLATE_MAX]; /* of the latest message */
};

/* proto_ops.open and close. */
void *nats_memory_new(struct proto_memory *budget);
void nats_memory_free(void *memory);

/* NULL if it is not known, or no longer. */
struct nats_inbox *nats_inbox_find(struct nats_memory *m, uint64_t key);
/* Somebody asks for an answer there. */
void nats_inbox_ask(struct nats_memory *m, uint64_t key);
/* Is a message to this inbox an answer? `early`: also if nobody is known to have asked. */
bool nats_inbox_answer(struct nats_memory *m, uint64_t key, bool early);

#endif
