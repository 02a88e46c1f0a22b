/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP: a channel or connection that the broker closes, and the request that it blames. */
#include "proto/amqp_call.h"

/* The request that is blamed has its answer. True: the event in *ret. */
static bool blame(const struct amqp_call *k)
{
	struct amqp_asks *a = &k->ch->asks[PROTO_TO_SERVER];
	uint32_t id = AMQP_ID(k->f.class_id, k->f.method_id), i = 0;

	while (i < a->len && a->at[i].id != id)
		i++;
	if (k->ch->caused || k->f.code == AMQP_REPLY_SUCCESS || i == a->len)
		return false;
	if (i) {
		amqp_end_asks(k, PROTO_TO_SERVER, i, MESSAGE_UNSURE, NULL);
		return true;
	}
	struct message *m = amqp_event(k, MESSAGE_RESPONSE, amqp_ask_key(k, PROTO_TO_SERVER, a->at[0].number), MESSAGE_BEGIN | MESSAGE_END);
	if (id == AMQP_GET && k->ch->queue_len)
		message_add_str(m, ATTR_MESSAGING_DESTINATION_NAME, slice_make(k->ch->queue, k->ch->queue_len));
	amqp_add_code(k, m, true);
	amqp_forget_asks(a, 1);
	k->ch->caused = true;
	amqp_again(k);
	return true;
}

/* Publishes that wait for their confirmation: one of them is to blame, and of those behind it nothing was done. */
static bool blame_publishes(const struct amqp_call *k)
{
	struct amqp_series *s = &k->ch->published;

	if (!amqp_series_open(s))
		return false;
	if (AMQP_ID(k->f.class_id, k->f.method_id) != AMQP_PUBLISH || k->f.code == AMQP_REPLY_SUCCESS) {
		amqp_end_series(k, PROTO_TO_SERVER, s, 0, "channel_closed");
		return true;
	}
	amqp_add_code(k, amqp_range(k, amqp_key(PROTO_TO_SERVER, true, k->ch, s->first), amqp_key(PROTO_TO_SERVER, true, k->ch, s->newest), MESSAGE_BEGIN | MESSAGE_END), true);
	s->first = s->newest + 1;
	k->ch->caused = true;
	amqp_again(k);
	return true;
}

enum parse_status amqp_channel_closed(const struct amqp_call *k)
{
	struct amqp_channel *ch = k->ch;

	if (blame(k))
		return PARSE_MESSAGE;
	if (ch->asks[PROTO_TO_SERVER].len)
		return amqp_end_asks(k, PROTO_TO_SERVER, ch->asks[PROTO_TO_SERVER].len, 0, "channel_closed");
	if (blame_publishes(k))
		return PARSE_MESSAGE;
	if (amqp_series_open(&ch->delivered))
		return amqp_end_series(k, PROTO_TO_CLIENT, &ch->delivered, 0, "channel_closed");
	if (amqp_ask_first(k))
		return PARSE_MESSAGE;
	amqp_add_code(k, amqp_ask_event(k), !ch->caused);
	amqp_channel_clear(k->c, ch);
	return amqp_done(k);
}

static bool waits_for(const struct amqp_channel *ch, uint32_t id)
{
	for (uint32_t i = 0; i < ch->asks[PROTO_TO_SERVER].len; i++)
		if (ch->asks[PROTO_TO_SERVER].at[i].id == id)
			return true;
	return false;
}

/* The blamed request may be one of any channel. */
enum parse_status amqp_connection_closed(const struct amqp_call *k)
{
	struct amqp_call at = *k;

	for (uint32_t i = 0; i < k->c->nchannels && !k->c->closed; i++) {
		at.ch = k->c->channels[i];
		if (!at.ch || !waits_for(at.ch, AMQP_ID(k->f.class_id, k->f.method_id)) || !blame(&at))
			continue;
		if (at.ch->caused)
			k->ch->caused = k->c->closed = true;
		return PARSE_MESSAGE;
	}
	k->c->closed = true;
	if (amqp_ask_first(k))
		return PARSE_MESSAGE;
	amqp_add_code(k, amqp_ask_event(k), !k->ch->caused);
	return amqp_done(k);
}
