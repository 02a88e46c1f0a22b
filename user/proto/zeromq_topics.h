/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the subscriber of a connection has asked for. A published message has no topic but the first bytes of its first frame, which may be the message itself: it is named by the
 * longest subscription that it begins with, as long as there are few and short ones.
 */
#ifndef PLUMB_PROTO_ZEROMQ_TOPICS_H
#define PLUMB_PROTO_ZEROMQ_TOPICS_H

#include "proto/memory.h"
#include "proto/zeromq_wire.h"

enum { ZEROMQ_TOPICS = 32 };

struct zeromq_topics {
	struct proto_memory *budget;
	uint8_t count, longest;
	uint8_t len[ZEROMQ_TOPICS];
	uint8_t (*text)[ZEROMQ_NAME_MAX]; /* NULL before the first */
};

void *zeromq_topics_new(struct proto_memory *budget);
void zeromq_topics_free(void *topics);
/* May a name be shown? Not if it is bytes. */
bool zeromq_topic_plausible(struct slice topic);
void zeromq_topic_add(struct zeromq_topics *t, struct slice topic);
void zeromq_topic_remove(struct zeromq_topics *t, struct slice topic);
struct slice zeromq_topic_of(const struct zeromq_topics *t, struct slice first_frame);

#endif
