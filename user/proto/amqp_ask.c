/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP: synchronous methods, answered in order on their channel. */
#include "proto/amqp_call.h"

static bool is_early(const struct amqp_call *k, const struct amqp_asks *a)
{
	return a->early == k->m->id && k->ret->time_ns < a->early_ns + AMQP_EARLY_MS * UINT64_C(1000000) + 1;
}

static bool waits(const struct amqp_call *k)
{
	return k->m->no_wait == 0xff ? false : !(k->f.bits & k->m->no_wait);
}

/* Before a request is asked. True: the event in *ret comes first. */
bool amqp_ask_first(const struct amqp_call *k)
{
	const struct amqp_asks *a = &k->ch->asks[k->side];
	uint32_t n = 0;

	/* Who asks again has its answer; where answers were lost, this one was among them. */
	while (n < a->len && a->at[n].losses != k->c->losses[amqp_other(k->side)])
		n++;
	if (n)
		amqp_end_asks(k, k->side, n, MESSAGE_UNSURE, NULL);
	else if (k->m->id == AMQP_CHANNEL_OPEN && amqp_series_open(&k->ch->published))
		amqp_end_series(k, PROTO_TO_SERVER, &k->ch->published, MESSAGE_UNSURE, NULL);
	else if (k->m->id == AMQP_CHANNEL_OPEN && amqp_series_open(&k->ch->delivered))
		amqp_end_series(k, PROTO_TO_CLIENT, &k->ch->delivered, MESSAGE_UNSURE, NULL);
	else
		return false;
	return true;
}

/* What a request changes, answered or not: it is only not answered where the channel ends. */
static void ask_means(const struct amqp_call *k)
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
			amqp_consumer_add(k->c, ch, k->f.consumer, k->f.bits & AMQP_NO_ACK);
		break;
	case AMQP_GET: amqp_channel_queue(k->c, ch, k->f.queue); break;
	case AMQP_CANCEL:
		if (k->side == PROTO_TO_CLIENT)
			amqp_consumer_remove(k->c, ch->id, k->f.consumer);
		break;
	default: break;
	}
}

struct message *amqp_ask_event(const struct amqp_call *k)
{
	struct amqp_asks *a = &k->ch->asks[k->side];
	bool answered = is_early(k, a), kept = waits(k) && !answered, full = a->unkept || a->len == AMQP_ASKS;
	uint32_t flags = MESSAGE_BEGIN | MESSAGE_END;

	if (answered && waits(k))
		a->early = 0;
	uint32_t number = amqp_next_number(a);
	if (!waits(k))
		flags |= MESSAGE_NO_RESPONSE;
	else if (kept && full)
		flags |= MESSAGE_NO_RESPONSE | MESSAGE_UNSURE;
	if (kept && full)
		a->unkept++;
	else if (kept)
		a->at[a->len++] = (struct amqp_ask){ .id = k->m->id, .number = number, .losses = k->c->losses[amqp_other(k->side)], .no_ack = k->f.bits & AMQP_NO_ACK };
	struct message *m = amqp_event(k, MESSAGE_REQUEST, amqp_ask_key(k, k->side, number), flags);
	amqp_add_operation(m, k->m->name, k->m->id == AMQP_GET ? "receive" : NULL);
	return m;
}

enum parse_status amqp_ask(const struct amqp_call *k)
{
	if (amqp_ask_first(k))
		return PARSE_MESSAGE;
	ask_means(k);
	struct message *m = amqp_ask_event(k);
	struct slice name = k->f.queue.len ? k->f.queue : k->f.exchange;
	if (name.len && k->m->id != AMQP_GET)
		message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, name);
	if (k->m->id == AMQP_CHANNEL_CLOSE || k->m->id == AMQP_CONNECTION_CLOSE)
		amqp_add_code(k, m, true);
	return amqp_done(k);
}

/* What an answer changes besides. True: the event in *ret comes first. */
static bool reply_first(const struct amqp_call *k)
{
	struct amqp_channel *ch = k->ch;
	const struct amqp_asks *asks = &ch->asks[PROTO_TO_SERVER];

	if (k->m->id == AMQP_CHANNEL_CLOSE_OK && k->side == PROTO_TO_SERVER && asks->len) /* the broker had closed the channel when it read them */
		amqp_end_asks(k, PROTO_TO_SERVER, asks->len, 0, "channel_closed");
	else if (k->m->id == AMQP_CHANNEL_CLOSE_OK && amqp_series_open(&ch->published))
		amqp_end_series(k, PROTO_TO_SERVER, &ch->published, 0, "channel_closed");
	else if ((k->m->id == AMQP_CHANNEL_CLOSE_OK || k->m->id == AMQP_RECOVER_OK) && amqp_series_open(&ch->delivered))
		amqp_end_series(k, PROTO_TO_CLIENT, &ch->delivered, 0, k->m->id == AMQP_RECOVER_OK ? "recovered" : "channel_closed");
	else
		return k->m->id == AMQP_GET_OK && amqp_use_tag(k);
	return true;
}

/* The second half: what it says of the message is better than what the request said. */
static enum parse_status get_ok(const struct amqp_call *k)
{
	uint64_t key = k->ch->body[k->side].key;
	struct message *m = amqp_event(k, MESSAGE_RESPONSE, key, 0);

	amqp_expect_body(k, AMQP_OF_RESPONSE, key);
	amqp_add_destination(k, m, slice_make(k->ch->queue, k->ch->queue_len));
	message_add_int(m, ATTR_MESSAGING_RABBITMQ_DELIVERY_TAG, (int64_t)k->f.tag);
	return amqp_done(k);
}

static enum parse_status reply_event(const struct amqp_call *k, uint64_t key, const struct amqp_ask *asked)
{
	struct message *m = amqp_event(k, MESSAGE_RESPONSE, key, MESSAGE_BEGIN | MESSAGE_END);

	if (!asked) {
		const struct amqp_method *request = amqp_method_find(k->m->asked, amqp_other(k->side));
		amqp_add_operation(m, request ? request->name : "", k->m->asked == AMQP_GET ? "receive" : NULL);
	}
	switch (k->m->id) {
	case AMQP_GET_OK:
		m->flags = MESSAGE_BEGIN;
		amqp_expect_body(k, AMQP_ANNOUNCED, key);
		return amqp_again(k);
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
	return amqp_done(k);
}

enum parse_status amqp_reply(const struct amqp_call *k)
{
	enum proto_side asker = amqp_other(k->side);
	struct amqp_asks *a = &k->ch->asks[asker];
	uint32_t i = 0;

	if (k->m->id == AMQP_GET_OK && k->ch->body[k->side].what == AMQP_ANNOUNCED)
		return get_ok(k);
	while (i < a->len && a->at[i].id != k->m->asked)
		i++;
	if (i && i < a->len)
		return amqp_end_asks(k, asker, i, MESSAGE_UNSURE, NULL);
	if (i == a->len && a->unkept) {
		a->unkept--;
		return amqp_oneway(k);
	}
	if (reply_first(k))
		return PARSE_MESSAGE;
	if (i < a->len) {
		struct amqp_ask asked = a->at[0];
		amqp_forget_asks(a, 1);
		return reply_event(k, amqp_ask_key(k, asker, asked.number), &asked);
	}
	/* Its request is told later, or was not seen. */
	a->number += a->early != 0;
	a->early = k->m->asked;
	a->early_ns = k->ret->time_ns;
	return reply_event(k, amqp_ask_key(k, asker, a->number), NULL);
}
