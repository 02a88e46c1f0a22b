/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMQP 0-9-1 with RabbitMQ's extensions: frames to messages. Synchronous methods are answered in order on their channel. A publish is answered where its channel
 * confirms (Confirm.Select was seen, and every publish since), else nobody answers it. What the broker delivers is its request, answered by the client's
 * acknowledgement; where no Consume was seen that may never come. What Get fetched is its answer, and a later acknowledgement of that is no exchange. A
 * Close by the broker is the error of the request that it blames. Content is known by its header; of bodies only the frames' heads are read.
 */
#include "model/record.h"
#include "proto/amqp_call.h"

enum {
	PREDICT_MIN = 4000, /* bytes of a frame that may be as long as was agreed on: 4,096 at least */
	PREDICT_MAX = 1 << 30,
};

struct amqp_state {
	struct amqp_conn *conn; /* what amqp_open() gave */
};

static enum parse_status need(struct parse_result *ret, size_t n)
{
	ret->need = n;
	return PARSE_NEED_MORE;
}

static enum parse_status dispatch(const struct amqp_call *k)
{
	if (k->m->asked)
		return amqp_reply(k);
	switch (k->m->id) {
	case AMQP_PUBLISH: return amqp_publish(k);
	case AMQP_DELIVER: return amqp_deliver(k);
	case AMQP_ACK:
	case AMQP_NACK:
	case AMQP_REJECT: return amqp_settle(k);
	case AMQP_RETURN: return amqp_returned(k);
	case AMQP_CHANNEL_CLOSE: return k->side == PROTO_TO_CLIENT ? amqp_channel_closed(k) : amqp_ask(k);
	case AMQP_CONNECTION_CLOSE: return k->side == PROTO_TO_CLIENT ? amqp_connection_closed(k) : amqp_ask(k);
	default: return amqp_ask(k);
	}
}

/* A frame of a method or a header: its payload as far as it is waited for. */
static enum parse_status wait_for(struct slice in, const struct amqp_frame *f, size_t least, struct parse_result *ret, struct slice *ret_payload)
{
	size_t whole = AMQP_HEAD_BYTES + (size_t)f->size + 1, head = whole < AMQP_WHOLE_MAX ? whole : AMQP_WHOLE_MAX;

	if (f->size < least || f->size > AMQP_METHOD_MAX)
		return PARSE_BAD;
	if (in.len < head)
		return need(ret, head);
	if (head == whole && in.ptr[whole - 1] != AMQP_END)
		return PARSE_BAD;
	*ret_payload = slice_make(in.ptr + AMQP_HEAD_BYTES, head == whole ? f->size : head - AMQP_HEAD_BYTES);
	return PARSE_MESSAGE;
}

/* The content of the message before was lost, or some of it. True: the event in *ret. */
static bool end_content(const struct amqp_call *k)
{
	struct amqp_body *b = &k->ch->body[k->side];
	uint8_t what = b->what;

	if (what == AMQP_NONE || (what == AMQP_ANNOUNCED && k->m->id == AMQP_GET_OK))
		return false;
	b->what = AMQP_NONE;
	if (what == AMQP_OF_NOBODY)
		return false;
	amqp_event(k, what == AMQP_OF_REQUEST ? MESSAGE_REQUEST : MESSAGE_RESPONSE, b->key, MESSAGE_END | MESSAGE_UNSURE);
	amqp_again(k);
	return true;
}

static enum parse_status parse_method(struct amqp_conn *c, enum proto_side side, const struct amqp_frame *f, struct slice in, struct parse_result *ret)
{
	uint32_t id;
	struct amqp_call k = { .c = c, .side = side, .whole = AMQP_HEAD_BYTES + (uint64_t)f->size + 1, .in = in, .ret = ret };
	struct slice payload;
	enum parse_status status = wait_for(in, f, sizeof(id), ret, &payload);

	if (status != PARSE_MESSAGE)
		return status;
	id = load_be32(payload.ptr);
	k.m = amqp_method_find(id, side);
	if (!k.m || (id >> 16 == 10) != (f->channel == 0) || !amqp_method_read(payload, f->size, k.m, &k.f))
		return PARSE_BAD;
	if (side == PROTO_TO_CLIENT)
		c->predicted = false;
	k.ch = amqp_channel_get(c, f->channel);
	if (!k.ch)
		return amqp_pass(ret, in, k.whole);
	return end_content(&k) ? PARSE_MESSAGE : dispatch(&k);
}

/* Is content of this message due? */
static bool due(const struct amqp_conn *c, const struct amqp_body *b, enum proto_side side, bool headed)
{
	return b->what != AMQP_NONE && b->what != AMQP_ANNOUNCED && b->headed == headed && b->losses == c->losses[side];
}

static void add_properties(struct message *m, const struct amqp_properties *p, bool response)
{
	message_add_int(m, ATTR_MESSAGING_MESSAGE_BODY_SIZE, (int64_t)p->size);
	if (p->message_id.len)
		message_add_str(m, ATTR_MESSAGING_MESSAGE_ID, p->message_id);
	if (p->correlation_id.len)
		message_add_str(m, ATTR_MESSAGING_MESSAGE_CONVERSATION_ID, p->correlation_id);
	if (p->traceparent.len)
		message_add_str(m, response ? ATTR_RAW_LINK : ATTR_RAW_TRACEPARENT, p->traceparent);
	if (p->tracestate.len && !response)
		message_add_str(m, ATTR_RAW_TRACESTATE, p->tracestate);
}

/* A frame of content is done: of a message, its event. */
static enum parse_status content(enum proto_side side, struct amqp_channel *ch, struct slice in, uint64_t whole, struct parse_result *ret)
{
	struct amqp_body *b = &ch->body[side];
	bool end = b->left == 0, nobody = b->what == AMQP_OF_NOBODY;

	if (nobody) {
		b->what = end ? AMQP_NONE : b->what;
		return amqp_pass(ret, in, whole);
	}
	ret->message.kind = b->what == AMQP_OF_REQUEST ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	ret->message.keyed = true;
	ret->message.key = b->key;
	ret->message.flags = end ? MESSAGE_END : 0;
	b->what = end ? AMQP_NONE : b->what;
	amqp_consume_bytes(ret, in, whole);
	return PARSE_MESSAGE;
}

static enum parse_status parse_header(struct amqp_conn *c, enum proto_side side, const struct amqp_frame *f, struct slice in, struct parse_result *ret)
{
	uint64_t whole = AMQP_HEAD_BYTES + (uint64_t)f->size + 1;
	struct amqp_properties p;
	struct slice payload;
	enum parse_status status = f->channel ? wait_for(in, f, AMQP_HEADER_FIXED, ret, &payload) : PARSE_BAD;

	if (status != PARSE_MESSAGE)
		return status;
	if (!amqp_properties_read(payload, f->size, &p) || p.size > INT64_MAX)
		return PARSE_BAD;
	struct amqp_channel *ch = amqp_channel_find(c, f->channel);
	if (!ch || !due(c, &ch->body[side], side, false))
		return amqp_pass(ret, in, whole);
	struct amqp_body *b = &ch->body[side];
	b->headed = true;
	b->left = p.size;
	if (b->what != AMQP_OF_NOBODY)
		add_properties(&ret->message, &p, b->what == AMQP_OF_RESPONSE);
	return content(side, ch, in, whole, ret);
}

/*
 * Bytes of the frames that follow this one of a body: a broker writes them together, all but the last one as long as this, and in one long I/O their heads may not be
 * captured. Clients write frame by frame, and those of other channels come in between.
 */
static uint64_t rest_of_body(struct amqp_conn *c, enum proto_side side, const struct amqp_frame *f, struct amqp_body *b)
{
	uint64_t left = b->left;

	if (side == PROTO_TO_SERVER || c->interleaves || !left || f->size < PREDICT_MIN || left > PREDICT_MAX)
		return 0;
	b->left = 0;
	c->predicted = true;
	return left + (left + f->size - 1) / f->size * (AMQP_HEAD_BYTES + 1);
}

static enum parse_status parse_body(struct amqp_conn *c, enum proto_side side, const struct amqp_frame *f, struct slice in, struct parse_result *ret)
{
	uint64_t whole = AMQP_HEAD_BYTES + (uint64_t)f->size + 1;

	if (!f->channel || f->size > AMQP_BODY_MAX)
		return PARSE_BAD;
	struct amqp_channel *ch = amqp_channel_find(c, f->channel);
	if (!ch || !due(c, &ch->body[side], side, true))
		return amqp_pass(ret, in, whole);
	struct amqp_body *b = &ch->body[side];
	if (f->size > b->left)
		return PARSE_BAD;
	b->left -= f->size;
	whole += rest_of_body(c, side, f, b);
	return content(side, ch, in, whole, ret);
}

static enum parse_status parse_heartbeat(const struct amqp_frame *f, struct slice in, struct parse_result *ret)
{
	if (f->size || f->channel)
		return PARSE_BAD;
	if (in.len <= AMQP_HEAD_BYTES)
		return need(ret, AMQP_HEAD_BYTES + 1);
	return in.ptr[AMQP_HEAD_BYTES] == AMQP_END ? amqp_pass(ret, in, AMQP_HEAD_BYTES + 1) : PARSE_BAD;
}

static enum parse_status amqp_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct amqp_conn *c = ((struct amqp_state *)state)->conn;
	struct slice preface = amqp_preface();

	/* The client's first bytes, or the broker's to one that speaks another version. */
	if (!c->begun[side] && in.ptr[0] == preface.ptr[0]) {
		if (in.len < preface.len)
			return need(ret, preface.len);
		c->begun[side] = true;
		return slice_starts(in, preface) ? amqp_pass(ret, in, preface.len) : PARSE_BAD;
	}
	if (in.len < AMQP_HEAD_BYTES)
		return need(ret, AMQP_HEAD_BYTES);
	struct amqp_frame f = amqp_frame_head(in);
	c->begun[side] = true;
	switch (f.type) {
	case AMQP_METHOD: return parse_method(c, side, &f, in, ret);
	case AMQP_HEADER: return parse_header(c, side, &f, in, ret);
	case AMQP_BODY: return parse_body(c, side, &f, in, ret);
	case AMQP_HEARTBEAT: return parse_heartbeat(&f, in, ret);
	default: return PARSE_BAD;
	}
}

static void amqp_lost(void *state, enum proto_side side)
{
	struct amqp_conn *c = ((struct amqp_state *)state)->conn;

	c->losses[side]++;
	c->begun[side] = true;
	if (side == PROTO_TO_SERVER)
		return;
	c->interleaves |= c->predicted;
	c->predicted = false;
}

static size_t amqp_resync(void *state, enum proto_side side, struct slice in)
{
	(void)state;
	return amqp_find(in, side);
}

static void *amqp_open(struct proto_memory *memory) { return amqp_conn_new(memory); }
static void amqp_close(void *external) { amqp_conn_free(external); }

const struct proto_ops proto_amqp = {
	.name = "amqp",
	.id = PLUMB_PROTO_AMQP,
	.state_size = sizeof(struct amqp_state),
	.detect = amqp_detect,
	.parse = amqp_parse,
	.resync = amqp_resync,
	.lost = amqp_lost,
	.resync_keep = AMQP_KEEP,
	.open = amqp_open,
	.close = amqp_close,
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL },
};
