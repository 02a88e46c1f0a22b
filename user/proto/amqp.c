/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMQP 0-9-1 with RabbitMQ's extensions: frames to messages. Synchronous methods are answered in order on their channel. A publish is answered where its channel
 * confirms (Confirm.Select was seen, and every publish since), else nobody answers it. What the broker delivers is its request, answered by the client's
 * acknowledgement; where no Consume was seen that may never come. What Get fetched is its answer, and a later acknowledgement of that is no exchange. A
 * Close by the broker is the error of the request that it blames. Content is known by its header; of bodies only the frames' heads are read.
 *
 * Keys: who asks, whether it is one of a series (publishes, deliveries) or any other request, the channel, the number.
 */
#include <stdio.h>

#include "model/record.h"
#include "proto/amqp_state.h"

enum {
	REPLY_SUCCESS = 200,
	EARLY_MS = 2,        /* how much later than its answer a request may be told */
	AHEAD_MAX = 8,       /* and so many numbers further on: what is beyond was never sent, or not seen */
	REST_MS = 5000,      /* a channel that stood still for so long has all its confirmations */
	GAP_MAX = 256,       /* numbers that Get took, or that were lost: a larger step begins a series afresh */
	UNKNOWN_MAX = 64,    /* deliveries that may be confirmed; none was, so nobody does */
	KEY_NUMBER_BITS = 46,
	KEY_SERIES_BIT = 62,
	KEY_SIDE_BIT = 63,
	MANDATORY = 1,
	PREDICT_MIN = 4000,  /* bytes of a frame that may be as long as was agreed on: 4,096 at least */
	PREDICT_MAX = 1 << 30,
	NO_ACK = 2,
	MULTIPLE = 1,
	ANNOUNCED = AMQP_OF_NOBODY + 1, /* the first half of a GetOk was told */
};

struct amqp_state {
	struct amqp_conn *conn; /* what amqp_open() gave */
};

/* One frame of a method. */
struct call {
	struct amqp_conn *c;
	struct amqp_channel *ch;
	const struct amqp_method *m;
	struct amqp_fields f;
	enum proto_side side;
	uint64_t whole; /* bytes of the frame */
	struct slice in;
	struct parse_result *ret;
};

static enum proto_side other(enum proto_side side) { return side == PROTO_TO_SERVER ? PROTO_TO_CLIENT : PROTO_TO_SERVER; }

static enum parse_status need(struct parse_result *ret, size_t n)
{
	ret->need = n;
	return PARSE_NEED_MORE;
}

static void consume(struct parse_result *ret, struct slice in, uint64_t n)
{
	ret->consumed = n < in.len ? (size_t)n : in.len;
	ret->skip = n - ret->consumed;
	if (ret->skip && ret->message.flags & MESSAGE_END)
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
}

/* `n` bytes that are of no message. */
static enum parse_status pass(struct parse_result *ret, struct slice in, uint64_t n)
{
	consume(ret, in, n);
	ret->apart = true;
	return PARSE_SKIP;
}

/* The event in *ret, and the frame is done. */
static enum parse_status done(const struct call *k)
{
	consume(k->ret, k->in, k->whole);
	return PARSE_MESSAGE;
}

/* The event in *ret, and the same frame again. */
static enum parse_status again(const struct call *k)
{
	k->ret->consumed = 0;
	return PARSE_MESSAGE;
}

static uint64_t key_of(enum proto_side asker, bool series, const struct amqp_channel *ch, uint64_t number)
{
	return (uint64_t)asker << KEY_SIDE_BIT | (uint64_t)series << KEY_SERIES_BIT | (uint64_t)ch->id << KEY_NUMBER_BITS |
	       (number & ((UINT64_C(1) << KEY_NUMBER_BITS) - 1));
}

static struct message *event(const struct call *k, enum message_kind kind, uint64_t key, uint32_t flags)
{
	struct message *m = &k->ret->message;

	m->kind = kind;
	m->keyed = true;
	m->key = key;
	m->flags = flags;
	return m;
}

static struct message *range(const struct call *k, uint64_t first, uint64_t last, uint32_t flags)
{
	struct message *m = event(k, MESSAGE_RESPONSE, last, flags | MESSAGE_RANGE);

	m->first = first;
	return m;
}

static enum parse_status oneway(const struct call *k)
{
	k->ret->message.kind = MESSAGE_ONEWAY;
	k->ret->message.flags = MESSAGE_BEGIN | MESSAGE_END;
	return done(k);
}

static void fail(struct message *m, const char *error)
{
	m->flags |= MESSAGE_ERROR;
	snprintf(m->error_type, sizeof(m->error_type), "%s", error);
}

/* What a reply code says, if it says of a failure. */
static void add_code(const struct call *k, struct message *m, bool failed)
{
	snprintf(k->c->code, sizeof(k->c->code), "%u", k->f.code);
	message_add_str(m, ATTR_MESSAGING_RESPONSE_CODE, slice_str(k->c->code));
	if (k->f.code == REPLY_SUCCESS)
		return;
	if (k->f.text.len)
		message_add_str(m, ATTR_RAW_STATUS_MESSAGE, k->f.text);
	if (failed)
		fail(m, k->c->code);
}

static void add_operation(struct message *m, const char *name, const char *type)
{
	message_add_str(m, ATTR_MESSAGING_SYSTEM, SLICE_LIT("rabbitmq"));
	message_add_str(m, ATTR_MESSAGING_OPERATION_NAME, slice_str(name));
	if (type)
		message_add_str(m, ATTR_MESSAGING_OPERATION_TYPE, slice_str(type));
}

static void add_destination(const struct call *k, struct message *m, struct slice queue)
{
	message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, amqp_destination(k->c, k->f.exchange, k->f.key, queue));
	if (k->f.key.len)
		message_add_str(m, ATTR_MESSAGING_RABBITMQ_ROUTING_KEY, k->f.key);
}

static void expect_body(const struct call *k, uint8_t what, uint64_t key)
{
	k->c->unfinished[k->side] = k->ch->id;
	k->ch->body[k->side] = (struct amqp_body){ .key = key, .what = what, .losses = k->c->losses[k->side] };
}

/* --- series --- */

static bool series_open(const struct amqp_series *s) { return s->newest && s->first <= s->newest; }

/* All of them that are open end without an answer. */
static enum parse_status end_series(const struct call *k, enum proto_side asker, struct amqp_series *s, uint32_t flags, const char *error)
{
	struct message *m = range(k, key_of(asker, true, k->ch, s->first), key_of(asker, true, k->ch, s->newest), MESSAGE_ABORT | flags);

	if (error)
		fail(m, error);
	s->first = s->newest + 1;
	return again(k);
}

/* The broker uses this delivery tag. True: the event in *ret comes first. */
static bool use_tag(const struct call *k)
{
	struct amqp_series *s = &k->ch->delivered;
	uint64_t tag = k->f.tag;
	bool goes_on = s->newest && tag > s->newest && tag - s->newest <= GAP_MAX;

	if (!goes_on && series_open(s)) {
		end_series(k, PROTO_TO_CLIENT, s, MESSAGE_UNSURE, NULL);
		return true;
	}
	if (!goes_on && (s->newest || tag > s->ahead))
		*s = (struct amqp_series){ .first = tag };
	if (!s->first)
		s->first = tag;
	s->newest = tag;
	return false;
}

/* --- synchronous methods --- */

static uint64_t ask_key(const struct call *k, enum proto_side asker, uint32_t number) { return key_of(asker, false, k->ch, number); }

static void forget_asks(struct amqp_asks *a, uint32_t n)
{
	a->len -= n;
	memmove(a->at, a->at + n, a->len * sizeof(a->at[0]));
}

/* The oldest n will not be answered. */
static enum parse_status end_asks(const struct call *k, enum proto_side asker, uint32_t n, uint32_t flags, const char *error)
{
	struct amqp_asks *a = &k->ch->asks[asker];
	struct message *m = range(k, ask_key(k, asker, a->at[0].number), ask_key(k, asker, a->at[n - 1].number), MESSAGE_ABORT | flags);

	if (error)
		fail(m, error);
	forget_asks(a, n);
	return again(k);
}

/* The number of a request that is not kept. */
static uint32_t next_number(struct amqp_asks *a)
{
	a->number += a->early != 0;
	a->early = 0;
	return a->number++;
}

static bool is_early(const struct call *k, const struct amqp_asks *a)
{
	return a->early == k->m->id && k->ret->time_ns < a->early_ns + EARLY_MS * UINT64_C(1000000) + 1;
}

static bool waits(const struct call *k)
{
	return k->m->no_wait == 0xff ? false : !(k->f.bits & k->m->no_wait);
}

/* Before a request is asked. True: the event in *ret comes first. */
static bool ask_first(const struct call *k)
{
	const struct amqp_asks *a = &k->ch->asks[k->side];
	uint32_t n = 0;

	/* Who asks again has its answer; where answers were lost, this one was among them. */
	while (n < a->len && a->at[n].losses != k->c->losses[other(k->side)])
		n++;
	if (n)
		end_asks(k, k->side, n, MESSAGE_UNSURE, NULL);
	else if (k->m->id == AMQP_CHANNEL_OPEN && series_open(&k->ch->published))
		end_series(k, PROTO_TO_SERVER, &k->ch->published, MESSAGE_UNSURE, NULL);
	else if (k->m->id == AMQP_CHANNEL_OPEN && series_open(&k->ch->delivered))
		end_series(k, PROTO_TO_CLIENT, &k->ch->delivered, MESSAGE_UNSURE, NULL);
	else
		return false;
	return true;
}

/* What a request changes, answered or not: it is only not answered where the channel ends. */
static void ask_means(const struct call *k)
{
	struct amqp_channel *ch = k->ch;

	switch (k->m->id) {
	case AMQP_CHANNEL_OPEN:
		amqp_channel_clear(k->c, ch);
		ch->opened = true;
		break;
	case AMQP_CONFIRM_SELECT:
		if (ch->confirms)
			break;
		ch->confirms = true;
		ch->losses = k->c->losses[PROTO_TO_SERVER];
		ch->published = (struct amqp_series){ .first = 1 };
		break;
	case AMQP_CONSUME:
		amqp_channel_queue(k->c, ch, k->f.queue);
		if (k->f.consumer.len)
			amqp_consumer_add(k->c, ch, k->f.consumer, k->f.bits & NO_ACK);
		break;
	case AMQP_GET: amqp_channel_queue(k->c, ch, k->f.queue); break;
	case AMQP_CANCEL:
		if (k->side == PROTO_TO_CLIENT)
			amqp_consumer_remove(k->c, ch->id, k->f.consumer);
		break;
	default: break;
	}
}

static struct message *ask_event(const struct call *k)
{
	struct amqp_asks *a = &k->ch->asks[k->side];
	bool answered = is_early(k, a), kept = waits(k) && !answered, full = a->unkept || a->len == AMQP_ASKS;
	uint32_t flags = MESSAGE_BEGIN | MESSAGE_END;

	if (answered && waits(k))
		a->early = 0;
	uint32_t number = next_number(a);
	if (!waits(k))
		flags |= MESSAGE_NO_RESPONSE;
	else if (kept && full)
		flags |= MESSAGE_NO_RESPONSE | MESSAGE_UNSURE;
	if (kept && full)
		a->unkept++;
	else if (kept)
		a->at[a->len++] = (struct amqp_ask){ .id = k->m->id, .number = number, .losses = k->c->losses[other(k->side)], .no_ack = k->f.bits & NO_ACK };
	struct message *m = event(k, MESSAGE_REQUEST, ask_key(k, k->side, number), flags);
	add_operation(m, k->m->name, k->m->id == AMQP_GET ? "receive" : NULL);
	return m;
}

static enum parse_status ask(const struct call *k)
{
	if (ask_first(k))
		return PARSE_MESSAGE;
	ask_means(k);
	struct message *m = ask_event(k);
	struct slice name = k->f.queue.len ? k->f.queue : k->f.exchange;
	if (name.len && k->m->id != AMQP_GET)
		message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, name);
	if (k->m->id == AMQP_CHANNEL_CLOSE || k->m->id == AMQP_CONNECTION_CLOSE)
		add_code(k, m, true);
	return done(k);
}

/* What an answer changes besides. True: the event in *ret comes first. */
static bool reply_first(const struct call *k)
{
	struct amqp_channel *ch = k->ch;
	const struct amqp_asks *asks = &ch->asks[PROTO_TO_SERVER];

	if (k->m->id == AMQP_CHANNEL_CLOSE_OK && k->side == PROTO_TO_SERVER && asks->len) /* the broker had closed the channel when it read them */
		end_asks(k, PROTO_TO_SERVER, asks->len, 0, "channel_closed");
	else if (k->m->id == AMQP_CHANNEL_CLOSE_OK && series_open(&ch->published))
		end_series(k, PROTO_TO_SERVER, &ch->published, 0, "channel_closed");
	else if ((k->m->id == AMQP_CHANNEL_CLOSE_OK || k->m->id == AMQP_RECOVER_OK) && series_open(&ch->delivered))
		end_series(k, PROTO_TO_CLIENT, &ch->delivered, 0, k->m->id == AMQP_RECOVER_OK ? "recovered" : "channel_closed");
	else
		return k->m->id == AMQP_GET_OK && use_tag(k);
	return true;
}

/* The second half: what it says of the message is better than what the request said. */
static enum parse_status get_ok(const struct call *k)
{
	uint64_t key = k->ch->body[k->side].key;
	struct message *m = event(k, MESSAGE_RESPONSE, key, 0);

	expect_body(k, AMQP_OF_RESPONSE, key);
	add_destination(k, m, slice_make(k->ch->queue, k->ch->queue_len));
	message_add_int(m, ATTR_MESSAGING_RABBITMQ_DELIVERY_TAG, (int64_t)k->f.tag);
	return done(k);
}

static enum parse_status reply_event(const struct call *k, uint64_t key, const struct amqp_ask *asked)
{
	struct message *m = event(k, MESSAGE_RESPONSE, key, MESSAGE_BEGIN | MESSAGE_END);

	if (!asked) {
		const struct amqp_method *request = amqp_method_find(k->m->asked, other(k->side));
		add_operation(m, request ? request->name : "", k->m->asked == AMQP_GET ? "receive" : NULL);
	}
	switch (k->m->id) {
	case AMQP_GET_OK:
		m->flags = MESSAGE_BEGIN;
		expect_body(k, ANNOUNCED, key);
		return again(k);
	case AMQP_GET_EMPTY:
		if (k->ch->queue_len)
			message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, slice_make(k->ch->queue, k->ch->queue_len));
		break;
	case AMQP_CONSUME_OK:
		if (asked && !amqp_consumer_find(k->c, k->ch->id, k->f.consumer))
			amqp_consumer_add(k->c, k->ch, k->f.consumer, asked->no_ack);
		break;
	case AMQP_CANCEL_OK: amqp_consumer_remove(k->c, k->ch->id, k->f.consumer); break;
	case AMQP_CHANNEL_CLOSE_OK: amqp_channel_clear(k->c, k->ch); break;
	default:
		if (k->f.queue.len)
			message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, k->f.queue);
	}
	return done(k);
}

static enum parse_status reply(const struct call *k)
{
	enum proto_side asker = other(k->side);
	struct amqp_asks *a = &k->ch->asks[asker];
	uint32_t i = 0;

	if (k->m->id == AMQP_GET_OK && k->ch->body[k->side].what == ANNOUNCED)
		return get_ok(k);
	while (i < a->len && a->at[i].id != k->m->asked)
		i++;
	if (i && i < a->len)
		return end_asks(k, asker, i, MESSAGE_UNSURE, NULL);
	if (i == a->len && a->unkept) {
		a->unkept--;
		return oneway(k);
	}
	if (reply_first(k))
		return PARSE_MESSAGE;
	if (i < a->len) {
		struct amqp_ask asked = a->at[0];
		forget_asks(a, 1);
		return reply_event(k, ask_key(k, asker, asked.number), &asked);
	}
	/* Its request is told later, or was not seen. */
	a->number += a->early != 0;
	a->early = k->m->asked;
	a->early_ns = k->ret->time_ns;
	return reply_event(k, ask_key(k, asker, a->number), NULL);
}

/* --- publish, deliver, and what confirms them --- */

/* Since Confirm.Select every publish of the channel was seen. */
static bool numbers_known(const struct call *k) { return k->ch->confirms && k->ch->losses == k->c->losses[PROTO_TO_SERVER]; }

/* Where some were not seen: a confirmation tells the number again once there can be no other on its way. */
static void learn_numbers(const struct call *k)
{
	struct amqp_channel *ch = k->ch;
	bool rested = k->ret->time_ns > ch->moved_ns && k->ret->time_ns - ch->moved_ns >= REST_MS * UINT64_C(1000000);

	if (!numbers_known(k) && ch->acked && rested) {
		ch->confirms = true;
		ch->losses = k->c->losses[PROTO_TO_SERVER];
		ch->published = (struct amqp_series){ .newest = ch->acked, .first = ch->acked + 1 };
	}
	ch->moved_ns = k->ret->time_ns;
}

static enum parse_status publish(const struct call *k)
{
	learn_numbers(k);
	struct amqp_series *s = &k->ch->published;
	bool known = numbers_known(k);
	uint64_t number = known ? ++s->newest : next_number(&k->ch->asks[PROTO_TO_SERVER]), key = key_of(PROTO_TO_SERVER, known, k->ch, number);
	uint32_t flags = MESSAGE_BEGIN;

	if (!known)
		flags |= MESSAGE_NO_RESPONSE | (k->ch->confirms ? MESSAGE_UNSURE : 0);
	else if (number < s->ahead) /* its confirmation, with those of others, was told before it */
		flags |= MESSAGE_NO_RESPONSE;
	if (known && k->f.bits & MANDATORY)
		amqp_mandatory_add(k->c, k->ch, &k->f);
	struct message *m = event(k, MESSAGE_REQUEST, key, flags);
	add_operation(m, k->m->name, "send");
	add_destination(k, m, SLICE_NONE);
	expect_body(k, AMQP_OF_REQUEST, key);
	return done(k);
}

/* Whether the client will confirm what is delivered to this consumer. */
static uint32_t confirmed(const struct call *k, const struct amqp_consumer *consumer)
{
	if (k->f.tag < k->ch->delivered.ahead)
		return MESSAGE_NO_RESPONSE;
	if (consumer)
		return consumer->no_ack ? MESSAGE_NO_RESPONSE : 0;
	if (k->ch->unknown == UNKNOWN_MAX)
		return MESSAGE_NO_RESPONSE;
	k->ch->unknown++;
	return MESSAGE_QUIET;
}

static enum parse_status deliver(const struct call *k)
{
	const struct amqp_consumer *consumer = amqp_consumer_find(k->c, k->ch->id, k->f.consumer);
	uint64_t key = key_of(PROTO_TO_CLIENT, true, k->ch, k->f.tag);

	if (use_tag(k))
		return PARSE_MESSAGE;
	struct message *m = event(k, MESSAGE_REQUEST, key, MESSAGE_BEGIN | confirmed(k, consumer));
	add_operation(m, k->m->name, "process");
	add_destination(k, m, consumer ? slice_make(consumer->queue, consumer->queue_len) : SLICE_NONE);
	message_add_int(m, ATTR_MESSAGING_RABBITMQ_DELIVERY_TAG, (int64_t)k->f.tag);
	expect_body(k, AMQP_OF_REQUEST, key);
	return done(k);
}

/* One that was not told yet: threads of one program send and receive at the same time. */
static bool may_be_early(const struct call *k, const struct amqp_series *s)
{
	bool all_seen = k->side == PROTO_TO_CLIENT ? numbers_known(k) : k->ch->opened || s->newest;

	return all_seen && k->f.tag > s->newest && k->f.tag - s->newest <= AHEAD_MAX;
}

static void settled(const struct call *k, struct message *m)
{
	if (k->m->id == AMQP_NACK || k->m->id == AMQP_REJECT)
		fail(m, k->m->name);
}

static enum parse_status settle_range(const struct call *k, struct amqp_series *s, uint64_t first, uint64_t last)
{
	enum proto_side asker = other(k->side);

	settled(k, range(k, key_of(asker, true, k->ch, first), key_of(asker, true, k->ch, last), MESSAGE_BEGIN | MESSAGE_END));
	if (first <= s->first)
		s->first = last + 1;
	return PARSE_MESSAGE;
}

static enum parse_status settle(const struct call *k)
{
	struct amqp_series *s = k->side == PROTO_TO_CLIENT ? &k->ch->published : &k->ch->delivered;
	bool multiple = k->m->id != AMQP_REJECT && k->f.bits & MULTIPLE;
	uint64_t tag = multiple && !k->f.tag ? s->newest : k->f.tag;

	if (k->side == PROTO_TO_SERVER) {
		k->ch->unknown = 0;
	} else {
		k->ch->acked = tag > k->ch->acked ? tag : k->ch->acked;
		k->ch->moved_ns = k->ret->time_ns;
	}
	if (may_be_early(k, s)) {
		if (multiple && series_open(s)) {
			settle_range(k, s, s->first, s->newest);
			return again(k);
		}
		if (multiple) {
			s->ahead = tag;
			s->first = tag + 1;
		}
		settled(k, event(k, MESSAGE_RESPONSE, key_of(other(k->side), true, k->ch, tag), MESSAGE_BEGIN | MESSAGE_END));
		return done(k);
	}
	if (multiple && tag > s->newest)
		tag = s->newest; /* of those behind it nothing is known */
	if (!tag || tag > s->newest || tag < s->first)
		return oneway(k);
	settle_range(k, s, multiple ? s->first : tag, tag);
	return done(k);
}

/* Nobody takes a message that was to be taken: the answer to its publish begins with that, and its confirmation is the end. */
static enum parse_status returned(const struct call *k)
{
	uint64_t number = k->ch->confirms ? amqp_mandatory_take(k->c, k->ch, &k->f) : 0;
	struct message *m;

	if (number) {
		m = event(k, MESSAGE_RESPONSE, key_of(PROTO_TO_SERVER, true, k->ch, number), MESSAGE_BEGIN);
	} else {
		m = event(k, MESSAGE_REQUEST, ask_key(k, PROTO_TO_CLIENT, next_number(&k->ch->asks[PROTO_TO_CLIENT])), MESSAGE_BEGIN | MESSAGE_END | MESSAGE_NO_RESPONSE);
		add_operation(m, k->m->name, NULL);
		add_destination(k, m, SLICE_NONE);
	}
	add_code(k, m, true);
	expect_body(k, AMQP_OF_NOBODY, 0);
	return done(k);
}

/* --- a channel or connection that the broker closes --- */

/* The request that is blamed has its answer. True: the event in *ret. */
static bool blame(const struct call *k)
{
	struct amqp_asks *a = &k->ch->asks[PROTO_TO_SERVER];
	uint32_t id = AMQP_ID(k->f.class_id, k->f.method_id), i = 0;

	while (i < a->len && a->at[i].id != id)
		i++;
	if (k->ch->caused || k->f.code == REPLY_SUCCESS || i == a->len)
		return false;
	if (i) {
		end_asks(k, PROTO_TO_SERVER, i, MESSAGE_UNSURE, NULL);
		return true;
	}
	struct message *m = event(k, MESSAGE_RESPONSE, ask_key(k, PROTO_TO_SERVER, a->at[0].number), MESSAGE_BEGIN | MESSAGE_END);
	add_code(k, m, true);
	forget_asks(a, 1);
	k->ch->caused = true;
	again(k);
	return true;
}

/* Publishes that wait for their confirmation: one of them is to blame, and of those behind it nothing was done. */
static bool blame_publishes(const struct call *k)
{
	struct amqp_series *s = &k->ch->published;

	if (!series_open(s))
		return false;
	if (AMQP_ID(k->f.class_id, k->f.method_id) != AMQP_PUBLISH || k->f.code == REPLY_SUCCESS) {
		end_series(k, PROTO_TO_SERVER, s, 0, "channel_closed");
		return true;
	}
	add_code(k, range(k, key_of(PROTO_TO_SERVER, true, k->ch, s->first), key_of(PROTO_TO_SERVER, true, k->ch, s->newest), MESSAGE_BEGIN | MESSAGE_END), true);
	s->first = s->newest + 1;
	k->ch->caused = true;
	again(k);
	return true;
}

static enum parse_status channel_close(const struct call *k)
{
	struct amqp_channel *ch = k->ch;

	if (blame(k))
		return PARSE_MESSAGE;
	if (ch->asks[PROTO_TO_SERVER].len)
		return end_asks(k, PROTO_TO_SERVER, ch->asks[PROTO_TO_SERVER].len, 0, "channel_closed");
	if (blame_publishes(k))
		return PARSE_MESSAGE;
	if (series_open(&ch->delivered))
		return end_series(k, PROTO_TO_CLIENT, &ch->delivered, 0, "channel_closed");
	if (ask_first(k))
		return PARSE_MESSAGE;
	add_code(k, ask_event(k), !ch->caused);
	amqp_channel_clear(k->c, ch);
	return done(k);
}

static bool waits_for(const struct amqp_channel *ch, uint32_t id)
{
	for (uint32_t i = 0; i < ch->asks[PROTO_TO_SERVER].len; i++)
		if (ch->asks[PROTO_TO_SERVER].at[i].id == id)
			return true;
	return false;
}

/* The blamed request may be one of any channel. */
static enum parse_status connection_close(const struct call *k)
{
	struct call at = *k;

	for (uint32_t i = 0; i < k->c->nchannels && !k->c->closed; i++) {
		at.ch = k->c->channels[i];
		if (!at.ch || !waits_for(at.ch, AMQP_ID(k->f.class_id, k->f.method_id)) || !blame(&at))
			continue;
		if (at.ch->caused)
			k->ch->caused = k->c->closed = true;
		return PARSE_MESSAGE;
	}
	k->c->closed = true;
	if (ask_first(k))
		return PARSE_MESSAGE;
	add_code(k, ask_event(k), !k->ch->caused);
	return done(k);
}

/* --- frames --- */

static enum parse_status dispatch(const struct call *k)
{
	if (k->m->asked)
		return reply(k);
	switch (k->m->id) {
	case AMQP_PUBLISH: return publish(k);
	case AMQP_DELIVER: return deliver(k);
	case AMQP_ACK:
	case AMQP_NACK:
	case AMQP_REJECT: return settle(k);
	case AMQP_RETURN: return returned(k);
	case AMQP_CHANNEL_CLOSE: return k->side == PROTO_TO_CLIENT ? channel_close(k) : ask(k);
	case AMQP_CONNECTION_CLOSE: return k->side == PROTO_TO_CLIENT ? connection_close(k) : ask(k);
	default: return ask(k);
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
static bool end_content(const struct call *k)
{
	struct amqp_body *b = &k->ch->body[k->side];
	uint8_t what = b->what;

	if (what == AMQP_NONE || (what == ANNOUNCED && k->m->id == AMQP_GET_OK))
		return false;
	b->what = AMQP_NONE;
	k->c->unfinished[k->side] = 0;
	if (what == AMQP_OF_NOBODY)
		return false;
	event(k, what == AMQP_OF_REQUEST ? MESSAGE_REQUEST : MESSAGE_RESPONSE, b->key, MESSAGE_END | MESSAGE_UNSURE);
	again(k);
	return true;
}

static enum parse_status parse_method(struct amqp_conn *c, enum proto_side side, const struct amqp_frame *f, struct slice in, struct parse_result *ret)
{
	uint32_t id;
	struct call k = { .c = c, .side = side, .whole = AMQP_HEAD_BYTES + (uint64_t)f->size + 1, .in = in, .ret = ret };
	struct slice payload;
	enum parse_status status = wait_for(in, f, sizeof(id), ret, &payload);

	if (status != PARSE_MESSAGE)
		return status;
	id = load_be32(payload.ptr);
	k.m = amqp_method_find(id, side);
	if (!k.m || (id >> 16 == 10) != (f->channel == 0) || !amqp_method_read(payload, f->size, k.m, &k.f))
		return PARSE_BAD;
	c->predicted[side] = false;
	k.ch = amqp_channel_get(c, f->channel);
	if (!k.ch)
		return pass(ret, in, k.whole);
	return end_content(&k) ? PARSE_MESSAGE : dispatch(&k);
}

/* Is content of this message due? */
static bool due(const struct amqp_conn *c, const struct amqp_body *b, enum proto_side side, bool headed)
{
	return b->what != AMQP_NONE && b->what != ANNOUNCED && b->headed == headed && b->losses == c->losses[side];
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
static enum parse_status content(struct amqp_conn *c, enum proto_side side, struct amqp_channel *ch, struct slice in, uint64_t whole, struct parse_result *ret)
{
	struct amqp_body *b = &ch->body[side];
	bool end = b->left == 0, nobody = b->what == AMQP_OF_NOBODY;

	c->unfinished[side] = end ? 0 : ch->id;
	if (nobody) {
		b->what = end ? AMQP_NONE : b->what;
		return pass(ret, in, whole);
	}
	ret->message.kind = b->what == AMQP_OF_REQUEST ? MESSAGE_REQUEST : MESSAGE_RESPONSE;
	ret->message.keyed = true;
	ret->message.key = b->key;
	ret->message.flags = end ? MESSAGE_END : 0;
	b->what = end ? AMQP_NONE : b->what;
	consume(ret, in, whole);
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
	struct amqp_channel *ch = amqp_channel_get(c, f->channel);
	if (!ch || !due(c, &ch->body[side], side, false))
		return pass(ret, in, whole);
	struct amqp_body *b = &ch->body[side];
	b->headed = true;
	b->left = p.size;
	if (b->what != AMQP_OF_NOBODY)
		add_properties(&ret->message, &p, b->what == AMQP_OF_RESPONSE);
	return content(c, side, ch, in, whole, ret);
}

/*
 * Bytes of the frames that follow this one of a body, all but the last one as long as this: in one long I/O their heads may not be captured. Not where frames of
 * other channels were seen to come in between.
 */
static uint64_t rest_of_body(struct amqp_conn *c, enum proto_side side, const struct amqp_frame *f, struct amqp_body *b)
{
	uint64_t left = b->left;

	if (c->interleaves[side] || !left || f->size < PREDICT_MIN || left > PREDICT_MAX)
		return 0;
	b->left = 0;
	c->predicted[side] = true;
	return left + (left + f->size - 1) / f->size * (AMQP_HEAD_BYTES + 1);
}

static enum parse_status parse_body(struct amqp_conn *c, enum proto_side side, const struct amqp_frame *f, struct slice in, struct parse_result *ret)
{
	uint64_t whole = AMQP_HEAD_BYTES + (uint64_t)f->size + 1;

	if (!f->channel || f->size > AMQP_BODY_MAX)
		return PARSE_BAD;
	struct amqp_channel *ch = amqp_channel_get(c, f->channel);
	if (!ch || !due(c, &ch->body[side], side, true))
		return pass(ret, in, whole);
	struct amqp_body *b = &ch->body[side];
	if (f->size > b->left)
		return PARSE_BAD;
	b->left -= f->size;
	whole += rest_of_body(c, side, f, b);
	return content(c, side, ch, in, whole, ret);
}

static enum parse_status parse_heartbeat(const struct amqp_frame *f, struct slice in, struct parse_result *ret)
{
	if (f->size || f->channel)
		return PARSE_BAD;
	if (in.len <= AMQP_HEAD_BYTES)
		return need(ret, AMQP_HEAD_BYTES + 1);
	return in.ptr[AMQP_HEAD_BYTES] == AMQP_END ? pass(ret, in, AMQP_HEAD_BYTES + 1) : PARSE_BAD;
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
		return slice_starts(in, preface) ? pass(ret, in, preface.len) : PARSE_BAD;
	}
	if (in.len < AMQP_HEAD_BYTES)
		return need(ret, AMQP_HEAD_BYTES);
	struct amqp_frame f = amqp_frame_head(in);
	c->begun[side] = true;
	c->interleaves[side] |= f.channel && c->unfinished[side] && f.channel != c->unfinished[side];
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
	c->interleaves[side] |= c->predicted[side];
	c->predicted[side] = false;
	c->unfinished[side] = 0;
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
