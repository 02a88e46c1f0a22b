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
	uint64_t ahead;   /* answers that came before their requests */
};

void *zeromq_memory_new(struct proto_memory *budget);
void zeromq_memory_free(void *memory);

/* May a name be shown? Not if it is bytes. */
bool zeromq_topic_plausible(struct slice topic);
void zeromq_topic_add(struct zeromq_memory *m, struct slice topic);
void zeromq_topic_remove(struct zeromq_memory *m, struct slice topic);
struct slice zeromq_topic_of(const struct zeromq_memory *m, struct slice first_frame);

/*
 * The number of a request, and of the one that an answer is for: the oldest with this envelope. After a loss an older one of the same envelope is taken for answered, and *ret_unsure says
 * so. False: the request was not seen.
 */
uint64_t zeromq_call(struct zeromq_memory *m, struct slice envelope, bool loss, bool *ret_unsure);
bool zeromq_answer(struct zeromq_memory *m, struct slice envelope, bool loss, uint64_t *ret_number);

#endif
