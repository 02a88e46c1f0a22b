/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rocketmq_body.h"

enum {
	MAGIC = 0xdaa320a7, MAGIC_V2 = 0xdaa320ab, /* with two bytes for the length of the topic */
	SENT_HEAD = 20,      /* total 4, magic 4, crc 4, flag 4, length of the body 4 */
	STORED_HEAD = 88,    /* with addresses of IPv4 */
	SYSFLAG_AT = 36, BORN_V6 = 16, STORE_V6 = 32, V6_MORE = 12,
};

void rocketmq_body_begin(struct rocketmq_body *b, uint32_t bytes, bool stored)
{
	b->left = bytes;
	b->stored = stored;
	b->phase = ROCKETMQ_MESSAGE;
	b->message = b->count = 0;
	b->nlinks = 0;
	b->uncounted = b->long_topic = false;
}

static bool took(struct rocketmq_body *b, size_t used, uint32_t skip, size_t *ret_consumed, uint32_t *ret_skip)
{
	b->left -= (uint32_t)used + skip;
	b->message -= (uint32_t)used + skip;
	*ret_consumed = used;
	*ret_skip = skip;
	return true;
}

static bool rest_of_all(struct rocketmq_body *b, size_t *ret_consumed, uint32_t *ret_skip)
{
	b->uncounted = true;
	*ret_consumed = 0;
	*ret_skip = b->left;
	b->left = 0;
	return true;
}

static bool rest_of_message(struct rocketmq_body *b, size_t *ret_consumed, uint32_t *ret_skip)
{
	b->phase = ROCKETMQ_MESSAGE;
	return took(b, 0, b->message, ret_consumed, ret_skip);
}

static bool message(struct rocketmq_body *b, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	uint32_t head = b->stored ? STORED_HEAD : SENT_HEAD;

	if (b->left < head)
		return rest_of_all(b, ret_consumed, ret_skip);
	*ret_need = head;
	if (in.len < head)
		return false;
	uint32_t total = load_be32(in.ptr), magic = load_be32(in.ptr + 4);
	if (b->stored) {
		uint32_t flags = load_be32(in.ptr + SYSFLAG_AT);
		head += (flags & BORN_V6 ? V6_MORE : 0u) + (flags & STORE_V6 ? V6_MORE : 0u);
	}
	if (total > b->left || total < head || (b->stored && magic != MAGIC && magic != MAGIC_V2))
		return rest_of_all(b, ret_consumed, ret_skip);
	*ret_need = head;
	if (in.len < head)
		return false;
	uint32_t body = load_be32(in.ptr + head - 4);
	if (body > total - head)
		return rest_of_all(b, ret_consumed, ret_skip);
	b->count++;
	b->message = total;
	b->long_topic = magic == MAGIC_V2;
	b->phase = b->nlinks == ROCKETMQ_LINKS ? ROCKETMQ_MESSAGE_REST : b->stored ? ROCKETMQ_TOPIC : ROCKETMQ_PROPS_LEN;
	return took(b, head, body, ret_consumed, ret_skip);
}

static bool topic(struct rocketmq_body *b, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	size_t bytes = b->long_topic ? 2 : 1;

	if (b->message < bytes)
		return rest_of_message(b, ret_consumed, ret_skip);
	*ret_need = bytes;
	if (in.len < bytes)
		return false;
	uint32_t len = b->long_topic ? load_be16(in.ptr) : in.ptr[0];
	if (len > b->message - bytes)
		return rest_of_message(b, ret_consumed, ret_skip);
	b->phase = ROCKETMQ_PROPS_LEN;
	return took(b, bytes, len, ret_consumed, ret_skip);
}

static bool props_len(struct rocketmq_body *b, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	if (b->message < 2)
		return rest_of_message(b, ret_consumed, ret_skip);
	*ret_need = 2;
	if (in.len < 2)
		return false;
	b->props_left = load_be16(in.ptr);
	if (b->props_left > b->message - 2)
		return rest_of_message(b, ret_consumed, ret_skip);
	b->phase = ROCKETMQ_PROPS;
	rocketmq_props_begin(&b->props);
	return took(b, 2, 0, ret_consumed, ret_skip);
}

static bool props(struct rocketmq_body *b, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	in = slice_head(in, b->props_left);
	*ret_need = 1;
	if (b->props_left && in.len == 0)
		return false;
	rocketmq_props_feed(&b->props, in);
	b->props_left -= (uint32_t)in.len;
	if (b->props_left)
		return took(b, in.len, 0, ret_consumed, ret_skip);
	rocketmq_props_end(&b->props);
	if (b->props.traceparent.len)
		memcpy(b->links[b->nlinks++], b->props.traceparent.text, ROCKETMQ_TRACEPARENT);
	b->phase = ROCKETMQ_MESSAGE_REST;
	return took(b, in.len, 0, ret_consumed, ret_skip);
}

bool rocketmq_body_step(struct rocketmq_body *b, struct slice in, size_t *ret_consumed, uint32_t *ret_skip, size_t *ret_need)
{
	in = slice_head(in, b->left);
	if (b->uncounted)
		return rest_of_all(b, ret_consumed, ret_skip);
	switch ((enum rocketmq_phase)b->phase) {
	case ROCKETMQ_MESSAGE: return message(b, in, ret_consumed, ret_skip, ret_need);
	case ROCKETMQ_TOPIC: return topic(b, in, ret_consumed, ret_skip, ret_need);
	case ROCKETMQ_PROPS_LEN: return props_len(b, in, ret_consumed, ret_skip, ret_need);
	case ROCKETMQ_PROPS: return props(b, in, ret_consumed, ret_skip, ret_need);
	case ROCKETMQ_MESSAGE_REST: break;
	}
	return rest_of_message(b, ret_consumed, ret_skip);
}

void rocketmq_body_missing(struct rocketmq_body *b, uint32_t n)
{
	b->left -= n;
	b->uncounted |= n > b->message || b->phase == ROCKETMQ_MESSAGE;
	b->message -= n < b->message ? n : b->message;
	b->phase = ROCKETMQ_MESSAGE_REST;
}
