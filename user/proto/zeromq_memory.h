/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection of ZeroMQ remembers: subscriptions, and whose requests a REP has not answered.
 *
 * A published message has no topic but the first bytes of its first frame, which may be the message itself: it is named by the longest subscription that it begins with, as long as
 * there are few and short ones.
 */
#ifndef PLUMB_PROTO_ZEROMQ_MEMORY_H
#define PLUMB_PROTO_ZEROMQ_MEMORY_H

#include "proto/memory.h"
#include "proto/zeromq_wire.h"

enum { ZEROMQ_TOPICS = 32, ZEROMQ_CALLS = 256 };

struct zeromq_memory {
	struct proto_memory *budget;
	uint8_t count, longest;
	uint8_t len[ZEROMQ_TOPICS];
	uint8_t (*text)[ZEROMQ_NAME_MAX]; /* NULL before the first */
	uint32_t *calls;  /* hashes of the latest requests' envelopes, by number, 0 = answered; NULL before the first */
	uint64_t asked;   /* requests so far */
	uint64_t ahead;   /* answers that came before their requests, the latest at ahead_ns */
	uint64_t ahead_ns;
};

void *zeromq_memory_new(struct proto_memory *budget);
void zeromq_memory_free(void *memory);

/* May a name be shown? Not if it is bytes. */
bool zeromq_topic_plausible(struct slice topic);
void zeromq_topic_add(struct zeromq_memory *m, struct slice topic);
void zeromq_topic_remove(struct zeromq_memory *m, struct slice topic);
struct slice zeromq_topic_of(const struct zeromq_memory *m, struct slice first_frame);

/* The number of a request. */
uint64_t zeromq_call(struct zeromq_memory *m, struct slice envelope, uint64_t time_ns);
/* That of the one that an answer is for: the oldest with this envelope. False: it was not seen; without a loss it may still come, and then has the number already. */
bool zeromq_answer(struct zeromq_memory *m, struct slice envelope, bool loss, uint64_t time_ns, uint64_t *ret_number);
/* Is one with this envelope not answered? forget: its answer is not waited for any more. */
bool zeromq_call_open(struct zeromq_memory *m, struct slice envelope, bool forget);
bool zeromq_calls_answered(const struct zeromq_memory *m);

#endif
