/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RocketMQ's remoting protocol, as clients, brokers and name servers speak it. Frames and headers are rocketmq_wire.c, messages in bodies rocketmq_body.c, names
 * rocketmq_codes.c.
 *
 * Either side asks, and answers are found by `opaque`, which each side counts for itself. A header is read when it is whole. Of bodies only the messages in the answer to a pull
 * and in a batch are walked through; what is not captured of these is stepped over, and then they are not counted.
 *
 * Remarks of answers are not shown: they quote what was sent.
 */
#include "proto/rocketmq_wire.h"

#include "proto/memory.h"
#include "proto/rocketmq_body.h"

enum { WRONG_MAX = 8 };

/* The message under way in a direction whose body is walked through. */
struct current {
	bool walking, response;
	bool cut; /* by a loss, while it was walked through: its end is still to be told */
	uint64_t key;
	struct rocketmq_body body;
};

struct rocketmq_memory {
	struct proto_memory *budget;
	struct current current[2];
	struct rocketmq_head head;
	char number[12];
	uint8_t wrong; /* headers that were read whole, and were none */
};

struct rocketmq_state {
	struct rocketmq_memory *memory;
};

static void add_text(struct message *m, enum attr_id id, const struct rocketmq_text *t)
{
	if (t->len)
		message_add_str(m, id, rocketmq_text_slice(t));
}

static bool is_number(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return s.len > 0;
}

/* --- requests --- */

static void add_sent(const struct rocketmq_head *h, bool several, struct message *m)
{
	const struct rocketmq_props *p = &h->props;
	int64_t delay = 0;

	if (several)
		return;
	add_text(m, ATTR_MESSAGING_MESSAGE_ID, &p->id);
	message_add_int(m, ATTR_MESSAGING_MESSAGE_BODY_SIZE, h->body);
	message_add_str(m, ATTR_MESSAGING_ROCKETMQ_MESSAGE_TYPE, p->transaction ? SLICE_LIT("transaction") : p->delayed ? SLICE_LIT("delay") : p->ordered ? SLICE_LIT("fifo") : SLICE_LIT("normal"));
	add_text(m, ATTR_MESSAGING_ROCKETMQ_MESSAGE_TAG, &p->tag);
	for (unsigned i = 0; i < p->delay.len; i++)
		delay = delay * 10 + (p->delay.text[i] - '0');
	if (is_number(rocketmq_text_slice(&p->delay)))
		message_add_int(m, ATTR_MESSAGING_ROCKETMQ_MESSAGE_DELAY_TIME_LEVEL, delay);
	add_text(m, ATTR_RAW_TRACEPARENT, &p->traceparent);
}

static void add_request(const struct rocketmq_head *h, bool several, struct message *m)
{
	const struct rocketmq_code *code = rocketmq_request(h->code);
	const struct rocketmq_text *topic = h->short_names ? &h->short_topic : &h->topic, *queue = h->short_names ? &h->short_queue : &h->queue;

	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, code ? slice_str(code->name) : SLICE_LIT("_OTHER"));
	if (code && code->type)
		message_add_str(m, ATTR_MESSAGING_OPERATION_TYPE, slice_str(code->type));
	add_text(m, ATTR_MESSAGING_DESTINATION_NAME, topic);
	if (is_number(rocketmq_text_slice(queue)))
		add_text(m, ATTR_MESSAGING_DESTINATION_PARTITION_ID, queue);
	add_text(m, ATTR_MESSAGING_CONSUMER_GROUP_NAME, &h->group);
	add_text(m, ATTR_MESSAGING_CLIENT_ID, &h->client);
	if (rocketmq_sends(h->code))
		add_sent(h, several, m);
	if (h->flag & ROCKETMQ_ONEWAY)
		m->flags |= MESSAGE_NO_RESPONSE;
}

/* --- responses --- */

static void add_response(struct rocketmq_memory *mem, const struct rocketmq_head *h, struct message *m)
{
	if (h->code == 0)
		return;
	struct slice number = slice_i32(h->code, mem->number);
	const char *name = rocketmq_response(h->code);
	message_add_str(m, ATTR_MESSAGING_RESPONSE_CODE, number);
	if (rocketmq_is_answer(h->code))
		return;
	struct slice text = name ? slice_str(name) : number;
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, text.ptr, text.len);
	m->error_type[text.len] = '\0';
}

/* Who asked for messages is told that there are none. */
static bool nothing_found(const struct rocketmq_head *h)
{
	return rocketmq_is_answer(h->code) && (h->found || h->code) && h->code != ROCKETMQ_QUERY_NOT_FOUND;
}

/* --- messages --- */

static void identify(const struct current *c, struct message *m)
{
	m->kind = c->response ? MESSAGE_RESPONSE : MESSAGE_REQUEST;
	m->keyed = true;
	m->key = c->key;
}

/* The messages in its body have been walked through. */
static void walked(struct current *c, struct message *m)
{
	const struct rocketmq_body *b = &c->body;

	c->walking = false;
	m->flags |= MESSAGE_END;
	if (b->uncounted)
		return;
	message_add_int(m, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, (int64_t)b->count);
	for (unsigned i = 0; i < b->nlinks; i++)
		message_add_str(m, ATTR_RAW_LINK, slice_make(b->links[i], ROCKETMQ_TRACEPARENT));
}

/* From in[at] on. */
static enum parse_status walk(struct current *c, struct slice in, size_t at, struct parse_result *ret)
{
	struct rocketmq_body *b = &c->body;
	size_t start = at, used = 0, need = 0;
	uint32_t skip = 0;

	while (b->left && ret->skip == 0) {
		if (!rocketmq_body_step(b, slice_from(in, at), &used, &skip, &need))
			break;
		at += used;
		ret->skip = skip > in.len - at ? skip - (in.len - at) : 0;
		at += skip - ret->skip;
	}
	ret->consumed = at;
	identify(c, &ret->message);
	if (b->left == 0) {
		walked(c, &ret->message);
		ret->message.flags |= ret->skip ? MESSAGE_END_AFTER_SKIP : 0;
		return PARSE_MESSAGE;
	}
	if (ret->message.flags & MESSAGE_BEGIN)
		return PARSE_MESSAGE;
	if (at > start || ret->skip)
		return PARSE_SKIP;
	ret->need = need;
	return PARSE_NEED_MORE;
}

static enum parse_status begin(struct rocketmq_memory *mem, enum proto_side side, struct slice in, struct parse_result *ret)
{
	const struct rocketmq_head *h = &mem->head;
	struct current *c = &mem->current[side];
	struct message *m = &ret->message;
	bool response = h->flag & ROCKETMQ_RESPONSE, asked_by_server = response == (side == PROTO_TO_SERVER);
	bool several = !response && (h->code == ROCKETMQ_SEND_BATCH || (rocketmq_sends(h->code) && h->batch));

	c->response = response;
	c->key = (uint64_t)asked_by_server << 32 | h->opaque;
	identify(c, m);
	m->flags = MESSAGE_BEGIN;
	if (response)
		add_response(mem, h, m);
	else
		add_request(h, several, m);
	if (h->body && (several || (response && h->found && h->code == 0))) {
		c->walking = true;
		rocketmq_body_begin(&c->body, h->body, response);
		return walk(c, in, h->len, ret);
	}
	if (response && nothing_found(h))
		message_add_int(m, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, 0);
	ret->consumed = h->len;
	ret->skip = h->body;
	m->flags |= MESSAGE_END | (h->body ? MESSAGE_END_AFTER_SKIP : 0);
	return PARSE_MESSAGE;
}

/* A peer must not make us read long headers that overlap over and over: from some number on, one that was read and is none is left behind whole. */
static enum parse_status wrong(struct rocketmq_memory *mem, struct parse_result *ret)
{
	if (ret->need == ROCKETMQ_START)
		return PARSE_BAD;
	if (mem->wrong < WRONG_MAX) {
		mem->wrong++;
		return PARSE_BAD;
	}
	ret->consumed = ret->need;
	return PARSE_SKIP;
}

static enum parse_status rocketmq_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct rocketmq_memory *mem = ((struct rocketmq_state *)state)->memory;

	if (!mem)
		return PARSE_BAD;
	if (mem->current[side].cut) {
		mem->current[side].cut = false;
		identify(&mem->current[side], &ret->message);
		ret->message.flags = MESSAGE_END | MESSAGE_UNSURE;
		return PARSE_MESSAGE;
	}
	if (mem->current[side].walking)
		return walk(&mem->current[side], in, 0, ret);
	switch (rocketmq_head_read(in, &mem->head, &ret->need)) {
	case ROCKETMQ_BAD: return wrong(mem, ret);
	case ROCKETMQ_SHORT: return PARSE_NEED_MORE;
	case ROCKETMQ_OK: break;
	}
	return begin(mem, side, in, ret);
}

/* --- loss --- */

static size_t rocketmq_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	(void)side;
	for (size_t at = 0; at + ROCKETMQ_START <= in.len; at++)
		if (rocketmq_starts(slice_from(in, at)))
			return at;
	return in.len;
}

static void rocketmq_lost(void *state, enum proto_side side)
{
	struct rocketmq_memory *mem = ((struct rocketmq_state *)state)->memory;

	if (!mem)
		return;
	mem->current[side].cut |= mem->current[side].walking;
	mem->current[side].walking = false;
}

static bool rocketmq_missing(void *state, enum proto_side side, uint64_t n, struct message *ret_message)
{
	struct rocketmq_memory *mem = ((struct rocketmq_state *)state)->memory;
	struct current *c = mem ? &mem->current[side] : NULL;

	if (!c || !c->walking || n > c->body.left)
		return false;
	rocketmq_body_missing(&c->body, (uint32_t)n);
	identify(c, ret_message);
	if (c->body.left == 0)
		walked(c, ret_message);
	return true;
}

static void *rocketmq_open(struct proto_memory *budget)
{
	struct rocketmq_memory *m = proto_memory_get_zeroed(budget, sizeof(*m));

	if (m)
		m->budget = budget;
	return m;
}

static void rocketmq_close(void *external)
{
	struct rocketmq_memory *m = external;

	if (m)
		proto_memory_put(m->budget, m);
}

const struct proto_ops proto_rocketmq = {
	.name = "rocketmq",
	.id = PLUMB_PROTO_ROCKETMQ,
	.state_size = sizeof(struct rocketmq_state),
	.detect = rocketmq_detect,
	.parse = rocketmq_parse,
	.resync = rocketmq_resync,
	.lost = rocketmq_lost,
	.missing = rocketmq_missing,
	.resync_keep = ROCKETMQ_START - 1,
	.open = rocketmq_open,
	.close = rocketmq_close,
	.want = { 65536, 65536 }, /* many small frames are written and read at once */
};
