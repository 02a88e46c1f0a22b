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
	uint64_t lost_at;   /* requests at the latest loss */
	uint64_t latest_ns; /* when the latest request or answer came; 0 = not known */
};

void *zeromq_memory_new(struct proto_memory *budget);
void zeromq_memory_free(void *memory);

/* May a name be shown? Not if it is bytes. */
bool zeromq_topic_plausible(struct slice topic);
void zeromq_topic_add(struct zeromq_memory *m, struct slice topic);
void zeromq_topic_remove(struct zeromq_memory *m, struct slice topic);
struct slice zeromq_topic_of(const struct zeromq_memory *m, struct slice first_frame);

/*
 * The number of a request. *ret_full: so many are not answered that one had to go for this, and all of the same envelope with it, as nobody knows any more which of them an answer is
 * for.
 */
uint64_t zeromq_call(struct zeromq_memory *m, struct slice envelope, uint64_t time_ns, bool *ret_full);
/* That of the one that an answer is for: the oldest with this envelope. False: it was not seen; without a loss it may still come, and then has the number already. */
bool zeromq_answer(struct zeromq_memory *m, struct slice envelope, bool loss, uint64_t time_ns, uint64_t *ret_number);
/* Answers to those with this envelope are not waited for any more. */
void zeromq_calls_forget(struct zeromq_memory *m, struct slice envelope);
/* Something was lost here. */
void zeromq_calls_lost(struct zeromq_memory *m);
bool zeromq_calls_answered(const struct zeromq_memory *m);
/* All that were asked before the loss are answered, each by itself: nothing has been asked since. */
bool zeromq_calls_whole(const struct zeromq_memory *m);
/* Nobody has asked or answered for a minute, as long as an answer is waited for unless limits say otherwise: what was asked is forgotten then. */
bool zeromq_calls_silent(struct zeromq_memory *m, uint64_t time_ns);

#endif
