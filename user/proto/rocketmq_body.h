/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages in a body, one behind the other: as brokers store them (the answer to a pull) or as a batch is sent (MessageDecoder). Counted are all; bodies and names are skipped, and of
 * the first ones' properties the trace context is found.
 */
#ifndef PLUMB_PROTO_ROCKETMQ_BODY_H
#define PLUMB_PROTO_ROCKETMQ_BODY_H

#include "proto/rocketmq_wire.h"

enum { ROCKETMQ_LINKS = 8 };

enum rocketmq_phase { ROCKETMQ_MESSAGE, ROCKETMQ_TOPIC, ROCKETMQ_PROPS_LEN, ROCKETMQ_PROPS, ROCKETMQ_MESSAGE_REST };

struct rocketmq_body {
	uint32_t left;    /* of the body */
	uint32_t message; /* of this one */
	uint32_t props_left;
	uint32_t count;
	uint8_t phase, nlinks;
	bool stored;      /* as brokers store them */
	bool long_topic;
	bool uncounted;   /* the number is not known; the rest is skipped */
	struct rocketmq_props props;
	char links[ROCKETMQ_LINKS][ROCKETMQ_TRACEPARENT];
};

void rocketmq_body_begin(struct rocketmq_body *b, uint32_t bytes, bool stored);
/* One step at the start of `in`: *ret_consumed bytes are done, and then *ret_skip more. False: *ret_need bytes are wanted. */
bool rocketmq_body_step(struct rocketmq_body *b, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need);
/* n bytes, no more than are left, were not captured. */
void rocketmq_body_missing(struct rocketmq_body *b, uint32_t n);

#endif
