/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP: publishes and deliveries, numbered and confirmed by number. */
#include "proto/amqp_call.h"

enum {
	MANDATORY = 1,
	MULTIPLE = 1,
	AHEAD_MAX = 8,    /* so many numbers further on a confirmation may be early: what is beyond was never sent, or not seen */
	UNKNOWN_MAX = 64, /* deliveries that may be confirmed; none was, so nobody does */
	REST_MS = 5000,   /* a channel that stood still for so long has all its confirmations */
};

/* Since Confirm.Select every publish of the channel was seen. */
static bool numbers_known(const struct amqp_call *k) { return k->ch->confirms && k->ch->losses == k->c->losses[PROTO_TO_SERVER]; }

/* Where some were not seen: a confirmation tells the number again once there can be no other on its way. */
static void learn_numbers(const struct amqp_call *k)
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

enum parse_status amqp_publish(const struct amqp_call *k)
{
	learn_numbers(k);
	struct amqp_series *s = &k->ch->published;
	bool known = numbers_known(k);
	uint64_t number = known ? ++s->newest : amqp_next_number(&k->ch->asks[PROTO_TO_SERVER]), key = amqp_key(PROTO_TO_SERVER, known, k->ch, number);
	uint32_t flags = MESSAGE_BEGIN;

	if (!known)
		flags |= MESSAGE_NO_RESPONSE | (k->ch->confirms ? MESSAGE_UNSURE : 0);
	else if (number < s->ahead) /* its confirmation, with those of others, was told before it */
		flags |= MESSAGE_NO_RESPONSE;
	if (known && k->f.bits & MANDATORY)
		amqp_mandatory_add(k->c, k->ch, &k->f);
	struct message *m = amqp_event(k, MESSAGE_REQUEST, key, flags);
	amqp_add_operation(m, k->m->name, "send");
	amqp_add_destination(k, m, SLICE_NONE);
	amqp_expect_body(k, AMQP_OF_REQUEST, key);
	return amqp_done(k);
}

/* Whether the client will confirm what is delivered to this consumer. */
static uint32_t confirmed(const struct amqp_call *k, const struct amqp_consumer *consumer)
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

enum parse_status amqp_deliver(const struct amqp_call *k)
{
	const struct amqp_consumer *consumer = amqp_consumer_find(k->c, k->ch->id, k->f.consumer);
	uint64_t key = amqp_key(PROTO_TO_CLIENT, true, k->ch, k->f.tag);

	if (amqp_use_tag(k))
		return PARSE_MESSAGE;
	struct message *m = amqp_event(k, MESSAGE_REQUEST, key, MESSAGE_BEGIN | confirmed(k, consumer));
	amqp_add_operation(m, k->m->name, "process");
	amqp_add_destination(k, m, consumer ? slice_make(consumer->queue, consumer->queue_len) : SLICE_NONE);
	message_add_int(m, ATTR_MESSAGING_RABBITMQ_DELIVERY_TAG, (int64_t)k->f.tag);
	amqp_expect_body(k, AMQP_OF_REQUEST, key);
	return amqp_done(k);
}

/* One that was not told yet: threads of one program send and receive at the same time. */
static bool may_be_early(const struct amqp_call *k, const struct amqp_series *s)
{
	bool all_seen = k->side == PROTO_TO_CLIENT ? numbers_known(k) : k->ch->opened || s->newest;

	return all_seen && k->f.tag > s->newest && k->f.tag - s->newest <= AHEAD_MAX;
}

static void settled(const struct amqp_call *k, struct message *m)
{
	if (k->m->id == AMQP_NACK || k->m->id == AMQP_REJECT)
		amqp_fail(m, k->m->name);
}

static enum parse_status settle_range(const struct amqp_call *k, struct amqp_series *s, uint64_t first, uint64_t last)
{
	enum proto_side asker = amqp_other(k->side);

	settled(k, amqp_range(k, amqp_key(asker, true, k->ch, first), amqp_key(asker, true, k->ch, last), MESSAGE_BEGIN | MESSAGE_END));
	if (first <= s->first)
		s->first = last + 1;
	return PARSE_MESSAGE;
}

enum parse_status amqp_settle(const struct amqp_call *k)
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
		if (multiple && amqp_series_open(s)) {
			settle_range(k, s, s->first, s->newest);
			return amqp_again(k);
		}
		if (multiple) {
			s->ahead = tag;
			s->first = tag + 1;
		}
		settled(k, amqp_event(k, MESSAGE_RESPONSE, amqp_key(amqp_other(k->side), true, k->ch, tag), MESSAGE_BEGIN | MESSAGE_END));
		return amqp_done(k);
	}
	if (multiple && tag > s->newest)
		tag = s->newest; /* of those behind it nothing is known */
	if (!tag || tag > s->newest || tag < s->first)
		return amqp_oneway(k);
	settle_range(k, s, multiple ? s->first : tag, tag);
	return amqp_done(k);
}

/* Nobody takes a message that was to be taken: the answer to its publish begins with that, and its confirmation is the end. */
enum parse_status amqp_returned(const struct amqp_call *k)
{
	uint64_t number = k->ch->confirms ? amqp_mandatory_take(k->c, k->ch, &k->f) : 0;
	struct message *m;

	if (number) {
		m = amqp_event(k, MESSAGE_RESPONSE, amqp_key(PROTO_TO_SERVER, true, k->ch, number), MESSAGE_BEGIN);
	} else {
		m = amqp_event(k, MESSAGE_REQUEST, amqp_ask_key(k, PROTO_TO_CLIENT, amqp_next_number(&k->ch->asks[PROTO_TO_CLIENT])), MESSAGE_BEGIN | MESSAGE_END | MESSAGE_NO_RESPONSE);
		amqp_add_operation(m, k->m->name, NULL);
		amqp_add_destination(k, m, SLICE_NONE);
	}
	amqp_add_code(k, m, true);
	amqp_expect_body(k, AMQP_OF_NOBODY, 0);
	return amqp_done(k);
}
