/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP 1.0: transfers, and the dispositions that settle them. */
#include "proto/amqp10_call.h"

#include <stdio.h>

enum {
	HANDLE = 0, DELIVERY = 1, FORMAT = 3, SETTLED = 4, MORE = 5, ABORTED = 9, /* fields of a transfer */
	ROLE = 0, FIRST = 1, LAST = 2, STATE = 4, /* of a disposition, with SETTLED_TOO */
	SETTLED_TOO = 3,
	AHEAD_MAX = 5,   /* so many deliveries further on a disposition may be early: what is beyond was never sent, or not seen */
	COVERS_MAX = 4,  /* dispositions of one delivery: an outcome, that it is settled, by either side */
	CREDIT_MAX = 1 << 20,
};

/* --- transfers --- */

static struct slice id_text(const struct amqp10_value *v, char to[40])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	if (amqp10_text(v).len)
		return amqp10_text(v);
	if (v->type == 0x98 && v->data.len == AMQP10_UUID_BYTES) {
		for (size_t i = 0; i < v->data.len; i++) {
			if (i == 4 || i == 6 || i == 8 || i == 10)
				to[n++] = '-';
			to[n++] = digits[v->data.ptr[i] >> 4];
			to[n++] = digits[v->data.ptr[i] & 15];
		}
		return slice_make(to, n);
	}
	if (v->type == 0x44 || v->type == 0x53 || v->type == 0x80)
		return slice_make(to, (size_t)snprintf(to, 40, "%llu", (unsigned long long)amqp10_number(v)));
	return SLICE_NONE;
}

static void add_sections(const struct amqp10_call *k, struct message *m, const struct amqp10_sections *s)
{
	struct slice id = id_text(&s->message_id, k->c->text[0]), correlation = id_text(&s->correlation_id, k->c->text[1]);

	if (s->body_known)
		message_add_int(m, ATTR_MESSAGING_MESSAGE_BODY_SIZE, (int64_t)s->body);
	if (s->messages)
		message_add_int(m, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, s->messages);
	if (id.len)
		message_add_str(m, ATTR_MESSAGING_MESSAGE_ID, id);
	if (correlation.len)
		message_add_str(m, ATTR_MESSAGING_MESSAGE_CONVERSATION_ID, correlation);
	if (s->traceparent.len)
		message_add_str(m, ATTR_RAW_TRACEPARENT, s->traceparent);
	if (s->tracestate.len)
		message_add_str(m, ATTR_RAW_TRACESTATE, s->tracestate);
	for (uint32_t i = 0; i < s->nlinks; i++)
		message_add_str(m, ATTR_RAW_LINK, s->link[i]);
}

static void series_sent(const struct amqp10_call *k, struct amqp10_session *s, const struct amqp10_link *l, uint32_t id)
{
	struct amqp10_series *r = &s->series[k->side];

	if (!r->any || (int32_t)(id - r->newest) <= 0 || !amqp10_series_open(r))
		r->first = id;
	r->any = true;
	r->newest = id;
	r->losses = k->c->losses[k->side];
	r->credit = r->credit < CREDIT_MAX ? r->credit + COVERS_MAX : r->credit;
	r->link[id % AMQP10_LATEST] = l->id;
}

/* What is the same of the first and the last frame of a delivery. */
static uint32_t frame_flags(const struct amqp10_call *k, struct amqp10_link *l)
{
	bool more = amqp10_true(&k->p->field[MORE]);
	uint32_t flags = (more ? 0 : MESSAGE_END) | (amqp10_true(&k->p->field[SETTLED]) ? MESSAGE_NO_RESPONSE : 0);

	l->busy = more;
	return flags;
}

static enum parse_status transfer_on(const struct amqp10_call *k, const struct amqp10_session *s, struct amqp10_link *l)
{
	uint64_t key = amqp10_key(k->side, AMQP10_KEY_DELIVERY, s, l->delivery);

	if (amqp10_true(&k->p->field[ABORTED])) {
		l->busy = false;
		amqp10_fail(amqp10_event(k, MESSAGE_REQUEST, key, MESSAGE_ABORT), SLICE_LIT("aborted"));
		return amqp10_done(k);
	}
	amqp10_event(k, MESSAGE_REQUEST, key, frame_flags(k, l));
	return amqp10_done(k);
}

static enum parse_status transfer_first(const struct amqp10_call *k, struct amqp10_session *s, struct amqp10_link *l)
{
	size_t at = k->f.head + k->p->payload_at;
	uint32_t id = (uint32_t)amqp10_number(&k->p->field[DELIVERY]), format = (uint32_t)amqp10_number(&k->p->field[FORMAT]);
	bool delivers = k->side == PROTO_TO_CLIENT;
	struct slice payload = at < AMQP10_WHOLE_MAX ? slice_head(slice_from(slice_head(k->in, AMQP10_WHOLE_MAX), at), k->f.size - at) : SLICE_NONE;
	struct amqp10_sections sections;

	/* Of one whose beginning was not seen this is a later part. */
	if (amqp10_is_null(&k->p->field[DELIVERY]) || amqp10_true(&k->p->field[ABORTED]) || !amqp10_sections_read(payload, k->f.size - at, format == AMQP10_BATCH, &sections))
		return amqp10_pass(k);
	if (!amqp10_true(&k->p->field[SETTLED]))
		series_sent(k, s, l, id);
	l->delivery = id;
	l->losses = k->c->losses[k->side];
	struct message *m = amqp10_event(k, MESSAGE_REQUEST, amqp10_key(k->side, AMQP10_KEY_DELIVERY, s, id), MESSAGE_BEGIN | frame_flags(k, l));
	amqp10_add_operation(k, m, delivers ? "deliver" : "send", delivers ? "process" : "send");
	struct slice address = amqp10_link_name(k->c, l);
	amqp10_add_destination(m, address.len ? address : sections.to, l->temporary || (l->peer && l->peer->temporary));
	add_sections(k, m, &sections);
	return amqp10_done(k);
}

enum parse_status amqp10_transfer(const struct amqp10_call *k)
{
	const struct amqp10_value *delivery = &k->p->field[DELIVERY];
	struct amqp10_session *s = amqp10_session_get(k->c, k->side, k->f.channel);
	struct amqp10_link *l = s && !amqp10_is_null(&k->p->field[HANDLE]) ? amqp10_link_get(k->c, s, k->side, amqp10_number(&k->p->field[HANDLE])) : NULL;

	if (!l)
		return amqp10_pass(k);
	bool other = !amqp10_is_null(delivery) && amqp10_number(delivery) != l->delivery;
	if (l->busy && (other || l->losses != k->c->losses[k->side])) { /* the end of the one before was lost */
		l->busy = false;
		amqp10_event(k, MESSAGE_REQUEST, amqp10_key(k->side, AMQP10_KEY_DELIVERY, s, l->delivery), MESSAGE_END | MESSAGE_UNSURE);
		return amqp10_again(k);
	}
	return l->busy ? transfer_on(k, s, l) : transfer_first(k, s, l);
}

/* --- dispositions --- */

/* That of first..last which was seen to be sent. */
static bool clamp(const struct amqp10_series *r, uint32_t *first, uint32_t *last)
{
	if (!amqp10_series_open(r))
		return false;
	if ((int32_t)(*first - r->first) < 0)
		*first = r->first;
	if ((int32_t)(*last - r->newest) > 0)
		*last = r->newest;
	return (int32_t)(*last - *first) >= 0 && *last - *first < r->credit;
}

/* Those of it that were not told yet: threads of one program send and receive at the same time. */
static uint32_t early(const struct amqp10_call *k, const struct amqp10_session *s, enum proto_side asker, uint32_t first, uint32_t last, uint32_t *ret_from)
{
	const struct amqp10_series *r = &s->series[asker];
	uint32_t next = r->any ? r->newest + 1 : 0;

	if (r->any ? r->losses != k->c->losses[asker] : !s->begun)
		return 0;
	*ret_from = (int32_t)(first - next) > 0 ? first : next;
	bool near = (int32_t)(last - *ret_from) >= 0 && last - next < AHEAD_MAX;
	return near ? last - *ret_from + 1 : 0;
}

/* The outcome; of a transaction the one that is provisional. True: it is one, or the delivery is settled without any. */
static bool outcome(const struct amqp10_call *k, struct amqp10_value *ret)
{
	*ret = k->p->field[STATE];
	if (ret->descriptor == AMQP10_TRANSACTIONAL) {
		struct amqp_walk w = amqp10_inside(ret);
		struct amqp10_value id;
		uint32_t count = ret->count;
		*ret = (struct amqp10_value){ 0 };
		if (count > 1 && w.at < w.in.len && amqp10_value_read(&w, &id) && w.at < w.in.len)
			(void)amqp10_value_read(&w, ret);
	}
	return amqp10_true(&k->p->field[SETTLED_TOO]) || (ret->descriptor && ret->descriptor != AMQP10_RECEIVED);
}

static void add_outcome(struct message *m, const struct amqp10_value *state)
{
	static const char *const names[] = { "rejected", "released", "modified" };
	struct amqp10_value error;
	struct amqp_walk w = amqp10_inside(state);

	if (state->descriptor < AMQP10_REJECTED || state->descriptor > AMQP10_MODIFIED)
		return;
	const char *name = names[state->descriptor - AMQP10_REJECTED];
	message_add_str(m, ATTR_MESSAGING_RESPONSE_CODE, slice_str(name));
	bool told = state->descriptor == AMQP10_REJECTED && state->count && w.at < w.in.len && amqp10_value_read(&w, &error) && amqp10_add_error(m, &error);
	if (!told)
		amqp10_fail(m, slice_str(name));
}

/* What a disposition is for: ranges of what was sent, then what was not told yet, one by one. */
struct settled {
	struct amqp10_plan plan;
	bool known;
	uint32_t first, last, early, from;
};

static void settled_find(const struct amqp10_call *k, const struct amqp10_session *s, enum proto_side asker, struct settled *ret)
{
	uint32_t first = (uint32_t)amqp10_number(&k->p->field[FIRST]);
	uint32_t last = amqp10_is_null(&k->p->field[LAST]) ? first : (uint32_t)amqp10_number(&k->p->field[LAST]);

	*ret = (struct settled){ .first = first, .last = last };
	ret->early = early(k, s, asker, first, last, &ret->from);
	ret->known = clamp(&s->series[asker], &ret->first, &ret->last);
	if (ret->known)
		amqp10_plan_deliveries(&ret->plan, asker, s, ret->first, ret->last);
}

static void settled_done(struct amqp10_series *r, const struct settled *d)
{
	if (!d->known)
		return;
	r->credit -= d->last - d->first + 1;
	if (d->first == r->first)
		r->first = d->last + 1;
}

/* The sender settles: no outcome will be told any more. */
static enum parse_status forget(const struct amqp10_call *k, struct amqp10_session *s)
{
	const struct amqp10_value none = { 0 };
	struct settled d;

	if (!amqp10_true(&k->p->field[SETTLED_TOO]))
		return amqp10_pass(k);
	settled_find(k, s, k->side, &d);
	if (amqp10_plan_abort(k, &d.plan, &none, NULL))
		return PARSE_MESSAGE;
	settled_done(&s->series[k->side], &d);
	return amqp10_pass(k);
}

enum parse_status amqp10_disposition(const struct amqp10_call *k)
{
	enum proto_side asker = amqp10_other(k->side);
	struct amqp10_session *s = amqp10_session_get(k->c, k->side, k->f.channel);
	uint32_t step = k->c->step[k->side];
	struct amqp10_value state;
	struct settled d;

	if (!s)
		return amqp10_pass(k);
	if (!amqp10_true(&k->p->field[ROLE]))
		return forget(k, s);
	settled_find(k, s, asker, &d);
	if (!outcome(k, &state) || d.plan.n + d.early == 0)
		return amqp10_pass(k);
	uint64_t key = step < d.plan.n ? d.plan.run[step].last : amqp10_key(asker, AMQP10_KEY_DELIVERY, s, d.from + step - d.plan.n);
	struct message *m = amqp10_event(k, MESSAGE_RESPONSE, key, MESSAGE_BEGIN | MESSAGE_END | (step < d.plan.n ? MESSAGE_RANGE : 0));
	if (step < d.plan.n)
		m->first = d.plan.run[step].first;
	add_outcome(m, &state);
	if (step + 1 < d.plan.n + d.early)
		return amqp10_again(k);
	settled_done(&s->series[asker], &d);
	return amqp10_done(k);
}
