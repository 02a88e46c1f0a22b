/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/amqp_call.h"

#include <stdio.h>

enum {
	GAP_MAX = 256, /* numbers that Get took, or that were lost: a larger step begins a series afresh */
	NUMBER_BITS = 46,
	SERIES_BIT = 62,
	SIDE_BIT = 63,
};

void amqp_consume_bytes(struct parse_result *ret, struct slice in, uint64_t n)
{
	ret->consumed = n < in.len ? (size_t)n : in.len;
	ret->skip = n - ret->consumed;
	if (ret->skip && ret->message.flags & MESSAGE_END)
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
}

/* `n` bytes that are of no message. */
enum parse_status amqp_pass(struct parse_result *ret, struct slice in, uint64_t n)
{
	amqp_consume_bytes(ret, in, n);
	ret->apart = true;
	return PARSE_SKIP;
}

/* The event in *ret, and the frame is done. */
enum parse_status amqp_done(const struct amqp_call *k)
{
	amqp_consume_bytes(k->ret, k->in, k->whole);
	return PARSE_MESSAGE;
}

/* The event in *ret, and the same frame again. */
enum parse_status amqp_again(const struct amqp_call *k)
{
	k->ret->consumed = 0;
	return PARSE_MESSAGE;
}

uint64_t amqp_key(enum proto_side asker, bool series, const struct amqp_channel *ch, uint64_t number)
{
	return (uint64_t)asker << SIDE_BIT | (uint64_t)series << SERIES_BIT | (uint64_t)ch->id << NUMBER_BITS |
	       (number & ((UINT64_C(1) << NUMBER_BITS) - 1));
}

struct message *amqp_event(const struct amqp_call *k, enum message_kind kind, uint64_t key, uint32_t flags)
{
	return message_keyed(&k->ret->message, kind, key, flags);
}

struct message *amqp_range(const struct amqp_call *k, uint64_t first, uint64_t last, uint32_t flags)
{
	struct message *m = amqp_event(k, MESSAGE_RESPONSE, last, flags | MESSAGE_RANGE);

	m->first = first;
	return m;
}

enum parse_status amqp_oneway(const struct amqp_call *k)
{
	k->ret->message.kind = MESSAGE_ONEWAY;
	k->ret->message.flags = MESSAGE_BEGIN | MESSAGE_END;
	return amqp_done(k);
}

void amqp_fail(struct message *m, const char *error)
{
	m->flags |= MESSAGE_ERROR;
	snprintf(m->error_type, sizeof(m->error_type), "%s", error);
}

/* What a reply code says, if it says of a failure. */
void amqp_add_code(const struct amqp_call *k, struct message *m, bool failed)
{
	snprintf(k->c->code, sizeof(k->c->code), "%u", k->f.code);
	message_add_str(m, ATTR_MESSAGING_RESPONSE_CODE, slice_str(k->c->code));
	if (k->f.code == AMQP_REPLY_SUCCESS)
		return;
	if (k->f.text.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, k->f.text);
	if (failed)
		amqp_fail(m, k->c->code);
}

void amqp_add_operation(struct message *m, const char *name, const char *type)
{
	message_add_str(m, ATTR_MESSAGING_SYSTEM, SLICE_LIT("rabbitmq"));
	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, slice_str(name));
	if (type)
		message_add_str(m, ATTR_MESSAGING_OPERATION_TYPE, slice_str(type));
}

void amqp_add_destination(const struct amqp_call *k, struct message *m, struct slice queue)
{
	message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, amqp_destination(k->c, k->f.exchange, k->f.key, queue));
	if (k->f.key.len)
		message_add_str(m, ATTR_MESSAGING_RABBITMQ_ROUTING_KEY, k->f.key);
}

void amqp_expect_body(const struct amqp_call *k, uint8_t what, uint64_t key)
{
	k->ch->body[k->side] = (struct amqp_body){ .key = key, .what = what, .losses = k->c->losses[k->side] };
}

/* All of them that are open end without an answer. */
enum parse_status amqp_end_series(const struct amqp_call *k, enum proto_side asker, struct amqp_series *s, uint32_t flags, const char *error)
{
	struct message *m = amqp_range(k, amqp_key(asker, true, k->ch, s->first), amqp_key(asker, true, k->ch, s->newest), MESSAGE_ABORT | flags);

	if (error)
		amqp_fail(m, error);
	s->first = s->newest + 1;
	return amqp_again(k);
}

/* The broker uses this delivery tag. True: the event in *ret comes first. */
bool amqp_use_tag(const struct amqp_call *k)
{
	struct amqp_series *s = &k->ch->delivered;
	uint64_t tag = k->f.tag;
	bool goes_on = s->newest && tag > s->newest && tag - s->newest <= GAP_MAX;

	if (!goes_on && amqp_series_open(s)) {
		amqp_end_series(k, PROTO_TO_CLIENT, s, MESSAGE_UNSURE, NULL);
		return true;
	}
	if (!goes_on && (s->newest || tag > s->ahead))
		*s = (struct amqp_series){ .first = tag };
	if (!s->first)
		s->first = tag;
	s->newest = tag;
	return false;
}

void amqp_forget_asks(struct amqp_asks *a, uint32_t n)
{
	a->len -= n;
	memmove(a->at, a->at + n, a->len * sizeof(a->at[0]));
}

/* The oldest n will not be answered. */
enum parse_status amqp_end_asks(const struct amqp_call *k, enum proto_side asker, uint32_t n, uint32_t flags, const char *error)
{
	struct amqp_asks *a = &k->ch->asks[asker];
	struct message *m = amqp_range(k, amqp_ask_key(k, asker, a->at[0].number), amqp_ask_key(k, asker, a->at[n - 1].number), MESSAGE_ABORT | flags);

	if (error)
		amqp_fail(m, error);
	amqp_forget_asks(a, n);
	return amqp_again(k);
}

/* The number of a request that is not kept. */
uint32_t amqp_next_number(struct amqp_asks *a)
{
	a->number += a->early != 0;
	a->early = 0;
	return a->number++;
}
