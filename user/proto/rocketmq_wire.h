/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RocketMQ's remoting protocol (https://github.com/apache/rocketmq, RemotingCommand and RocketMQSerializable): a frame is the length of what follows, the length of its
 * header with the header's form in the high byte, header and body. Headers are JSON, or binary.
 */
#ifndef PLUMB_PROTO_ROCKETMQ_WIRE_H
#define PLUMB_PROTO_ROCKETMQ_WIRE_H

#include "lib/slice.h"
#include "proto/proto.h"

enum {
	ROCKETMQ_PREFIX = 8,
	ROCKETMQ_FRAME_MAX = 1 << 28,
	ROCKETMQ_HEADER_MAX = (1 << 16) - 1, /* the properties of a message have 32,767 bytes at most */
	ROCKETMQ_START = 29,      /* so much tells where a frame begins */
	ROCKETMQ_BINARY_MIN = 21, /* header without remark and fields */
	ROCKETMQ_JSON_MIN = 24,
	ROCKETMQ_TRACEPARENT = 55,
	ROCKETMQ_NAME_MAX = 255,
	ROCKETMQ_ID_MAX = 64,
};
enum { ROCKETMQ_RESPONSE = 1, ROCKETMQ_ONEWAY = 2 }; /* flag */

struct rocketmq_text {
	uint8_t len, max;
	char *text;
};

/* Properties of a message: name, 1, value, 2 and so on. */
struct rocketmq_props {
	bool in_value;
	uint8_t which, name_len;
	bool transaction, ordered, delayed;
	struct rocketmq_text id, tag, delay, traceparent;
	char name[24];
	char id_text[ROCKETMQ_ID_MAX], tag_text[ROCKETMQ_ID_MAX], delay_text[4], traceparent_text[ROCKETMQ_TRACEPARENT + 1];
};

struct rocketmq_head {
	uint32_t len, body;       /* len: with the prefix */
	int32_t code;
	uint32_t flag, opaque;
	uint8_t seen;             /* of these three */
	bool found;               /* it is the answer to who wants messages */
	bool batch;
	bool short_names;         /* of the fields */
	struct rocketmq_text topic, short_topic, group, client, queue, short_queue, word;
	struct rocketmq_props props;
	char topic_text[ROCKETMQ_NAME_MAX], short_topic_text[ROCKETMQ_NAME_MAX], group_text[ROCKETMQ_NAME_MAX], client_text[ROCKETMQ_NAME_MAX];
	char queue_text[12], short_queue_text[12], word_text[6];
};

enum rocketmq_read { ROCKETMQ_OK, ROCKETMQ_SHORT, ROCKETMQ_BAD };

/* A frame's head. SHORT: *ret_need bytes are wanted. */
enum rocketmq_read rocketmq_head_read(struct slice in, struct rocketmq_head *h, size_t *ret_need);
/* May a frame begin here? For ROCKETMQ_START bytes and more; fewer may be any. Looks at no more than these. */
bool rocketmq_starts(struct slice in);
/* Behind the length of a frame, may this be the length of its header, which Kafka's requests do not have there? */
bool rocketmq_goes_on(uint32_t frame, struct slice in);
int rocketmq_detect(struct slice in, enum proto_side side);

void rocketmq_props_begin(struct rocketmq_props *p);
void rocketmq_props_feed(struct rocketmq_props *p, struct slice in);
void rocketmq_props_end(struct rocketmq_props *p);
static inline struct rocketmq_text rocketmq_text_in(char *text, size_t max) { return (struct rocketmq_text){ .max = (uint8_t)max, .text = text }; }
/* As much as fits. */
static inline void rocketmq_text_add(struct rocketmq_text *t, struct slice s)
{
	s = slice_head(s, (size_t)(t->max - t->len));
	if (s.len)
		memcpy(t->text + t->len, s.ptr, s.len);
	t->len = (uint8_t)(t->len + s.len);
}
static inline struct slice rocketmq_text_slice(const struct rocketmq_text *t) { return slice_make(t->text, t->len); }

/* --- rocketmq_codes.c --- */

enum {
	ROCKETMQ_SEND = 10, ROCKETMQ_SEND_V2 = 310, ROCKETMQ_SEND_BATCH = 320, ROCKETMQ_SEND_REPLY = 324, ROCKETMQ_SEND_REPLY_V2 = 325, ROCKETMQ_QUERY_NOT_FOUND = 22 /* answer */,
};

struct rocketmq_code {
	int32_t code;
	const char *name;
	const char *type;  /* messaging.operation.type or NULL */
	bool of_server;    /* brokers and name servers ask it of who is connected to them */
};

/* NULL if it is not known. */
const struct rocketmq_code *rocketmq_request(int32_t code);
const char *rocketmq_response(int32_t code);
/* Answers that say what there is, which is no failure. */
bool rocketmq_is_answer(int32_t code);
static inline bool rocketmq_sends(int32_t code)
{
	return code == ROCKETMQ_SEND || code == ROCKETMQ_SEND_V2 || code == ROCKETMQ_SEND_BATCH || code == ROCKETMQ_SEND_REPLY || code == ROCKETMQ_SEND_REPLY_V2;
}

#endif
