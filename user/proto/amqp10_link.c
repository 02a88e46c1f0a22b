/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP 1.0: sessions and links begin, and end with what is open of them. */
#include "lib/hash.h"
#include "proto/amqp10_call.h"

enum {
	REMOTE_CHANNEL = 0, /* field of a begin */
	NAME = 0, HANDLE = 1, ROLE = 2, SOURCE = 5, TARGET = 6, /* of an attach */
	ADDRESS = 0, DYNAMIC = 4,                               /* of a source or target */
	DETACHED = 0, DETACH_ERROR = 2, ERROR = 0,
	EARLY_MS = 2, /* how much later than its answer a request may be told */
};

/* What was asked on it, and is open, is over: all of it, or what this side was to answer. */
static void plan_session(struct amqp10_plan *plan, const struct amqp10_session *s, enum proto_side side, bool all)
{
	for (int asker = 0; asker < 2; asker++) {
		const struct amqp10_series *r = &s->series[asker];
		if (amqp10_series_open(r) && (all || side != (enum proto_side)asker))
			amqp10_plan_deliveries(plan, (enum proto_side)asker, s, r->first, r->newest);
	}
	if (s->asked && (all || side == PROTO_TO_CLIENT))
		amqp10_plan_add(plan, amqp10_key(PROTO_TO_SERVER, AMQP10_KEY_ATTACH, s, 0), amqp10_key(PROTO_TO_SERVER, AMQP10_KEY_ATTACH, s, UINT32_MAX));
}

/* And nothing of it is told again. */
static void forget_session(struct amqp10_session *s, enum proto_side side, bool all)
{
	for (int asker = 0; asker < 2; asker++)
		s->series[asker].any &= !(all || side != (enum proto_side)asker);
	if (all || side == PROTO_TO_CLIENT)
		s->asked = 0;
}

enum parse_status amqp10_begin(const struct amqp10_call *k)
{
	const struct amqp10_value none = { 0 }, *remote = &k->p->field[REMOTE_CHANNEL];
	struct amqp10_session *s = amqp10_session_find(k->c, k->side, k->f.channel);
	struct amqp10_plan plan = { 0 };

	if (!amqp10_is_null(remote)) { /* the second begin of it */
		struct amqp10_session *theirs = amqp10_session_find(k->c, amqp10_other(k->side), (uint16_t)amqp10_number(remote));
		if (theirs && theirs != s)
			amqp10_session_join(k->c, theirs, k->side, k->f.channel);
		return amqp10_pass(k);
	}
	/* The end of the one before was lost. */
	if (s)
		plan_session(&plan, s, k->side, true);
	if (amqp10_plan_abort(k, &plan, &none, NULL)) {
		k->ret->message.flags |= MESSAGE_UNSURE;
		return PARSE_MESSAGE;
	}
	if (s && s->known[amqp10_other(k->side)])
		amqp10_session_leave(k->c, s, amqp10_other(k->side));
	if (s)
		amqp10_session_leave(k->c, s, k->side);
	s = amqp10_session_begin(k->c, k->side, k->f.channel);
	if (s)
		s->begun = true;
	return amqp10_pass(k);
}

/* --- links --- */

struct terminus {
	bool there, dynamic;
	struct slice address;
};

static struct terminus terminus_read(const struct amqp10_value *v)
{
	struct terminus t = { .there = !amqp10_is_null(v) };
	struct amqp_walk w = amqp10_inside(v);
	struct amqp10_value field;

	for (uint32_t i = 0; i <= DYNAMIC && i < v->count && w.at < w.in.len && amqp10_value_read(&w, &field); i++) {
		if (i == ADDRESS)
			t.address = amqp10_text(&field);
		else if (i == DYNAMIC)
			t.dynamic = amqp10_true(&field);
	}
	return t;
}

/* The client's request, or the server's answer. */
static enum parse_status attach_event(const struct amqp10_call *k, struct amqp10_session *s, struct amqp10_link *l, const struct terminus *t, bool refused)
{
	uint64_t key = amqp10_key(PROTO_TO_SERVER, AMQP10_KEY_ATTACH, s, l->name);
	bool asks = k->side == PROTO_TO_SERVER;

	l->refused = refused;
	if (asks)
		s->asked++;
	else if (s->asked && !refused)
		s->asked--;
	struct message *m = amqp10_event(k, asks ? MESSAGE_REQUEST : MESSAGE_RESPONSE, key, MESSAGE_BEGIN | (refused ? 0 : MESSAGE_END));
	amqp10_add_operation(k, m, "attach", NULL);
	amqp10_add_destination(m, t->address, t->dynamic);
	return amqp10_done(k);
}

enum parse_status amqp10_attach(const struct amqp10_call *k)
{
	uint64_t handle = amqp10_number(&k->p->field[HANDLE]);
	struct slice name = amqp10_text(&k->p->field[NAME]);
	bool receives = amqp10_true(&k->p->field[ROLE]), to_server = (k->side == PROTO_TO_SERVER) != receives;
	struct amqp10_session *s = amqp10_session_get(k->c, k->side, k->f.channel);

	if (s)
		amqp10_link_remove(k->c, s, k->side, handle);
	struct amqp10_link *l = s ? amqp10_link_get(k->c, s, k->side, handle) : NULL;
	if (!l)
		return amqp10_pass(k);
	/* Of one name there may be a link in each direction. */
	l->name = (uint32_t)hash_bytes(name.ptr, name.len, to_server);
	l->named = true;
	l->sends = !receives;
	l->peer = amqp10_link_peer(s, k->side, l->name, l->sends);
	if (l->peer)
		l->peer->peer = l;
	struct terminus ours = terminus_read(&k->p->field[to_server ? TARGET : SOURCE]);
	amqp10_link_address(k->c, l, ours.address);
	l->temporary = ours.dynamic || (l->peer && l->peer->temporary);
	ours.dynamic = l->temporary;
	/* Who refuses says that its own end is not there. */
	bool refused = k->side == PROTO_TO_CLIENT && amqp10_is_null(&k->p->field[receives ? TARGET : SOURCE]);
	if (k->side == PROTO_TO_CLIENT)
		l->alone_ns = l->peer ? 0 : k->ret->time_ns;
	else if (l->peer && l->peer->alone_ns && k->ret->time_ns > l->peer->alone_ns + EARLY_MS * UINT64_C(1000000))
		return amqp10_pass(k); /* the server has asked */
	return attach_event(k, s, l, &ours, refused);
}

/* Deliveries of this link that may be open: runs of the session's. */
static void plan_link(struct amqp10_plan *plan, enum proto_side asker, const struct amqp10_session *s, const struct amqp10_link *l)
{
	const struct amqp10_series *r = &s->series[asker];
	uint32_t open = amqp10_series_open(r) ? r->newest - r->first + 1 : 0, from = 0;
	bool in = false;

	if (open > AMQP10_LATEST)
		open = AMQP10_LATEST;
	for (uint32_t i = open; i-- > 0;) {
		uint32_t id = r->newest - i;
		bool ours = r->link[id % AMQP10_LATEST] == l->id;
		if (ours && !in)
			from = id;
		if (!ours && in)
			amqp10_plan_deliveries(plan, asker, s, from, id - 1);
		in = ours;
	}
	if (in)
		amqp10_plan_deliveries(plan, asker, s, from, r->newest);
}

/* Who ends something for a reason asks for it; else nothing is told. */
static enum parse_status own_event(const struct amqp10_call *k, const char *operation, const struct amqp10_value *error, struct slice address, bool temporary)
{
	if (error->descriptor != AMQP10_ERROR)
		return amqp10_pass(k);
	struct message *m = amqp10_event(k, MESSAGE_REQUEST, amqp10_own_key(k->c, k->side), MESSAGE_BEGIN | MESSAGE_END | MESSAGE_NO_RESPONSE);
	amqp10_add_operation(k, m, operation, NULL);
	amqp10_add_destination(m, address, temporary);
	if (!amqp10_add_error(m, error))
		amqp10_fail(m, slice_str(operation));
	return amqp10_done(k);
}

/* The answer to its attach. */
static enum parse_status refuse(const struct amqp10_call *k, struct amqp10_session *s, const struct amqp10_link *l, const struct amqp10_value *error)
{
	struct message *m = amqp10_event(k, MESSAGE_RESPONSE, amqp10_key(PROTO_TO_SERVER, AMQP10_KEY_ATTACH, s, l->name), MESSAGE_END);

	if (!amqp10_add_error(m, error))
		amqp10_fail(m, SLICE_LIT("refused"));
	s->asked -= s->asked > 0;
	return amqp10_done(k);
}

enum parse_status amqp10_detach(const struct amqp10_call *k)
{
	uint64_t handle = amqp10_number(&k->p->field[DETACHED]);
	const struct amqp10_value *error = &k->p->field[DETACH_ERROR];
	struct amqp10_session *s = amqp10_session_get(k->c, k->side, k->f.channel);
	struct amqp10_link *l = s ? amqp10_link_find(s, k->side, handle) : NULL;
	struct amqp10_plan plan = { 0 };

	if (!l)
		return own_event(k, "detach", error, SLICE_NONE, false);
	const struct amqp10_link *sender = l->sends || !l->named ? l : l->peer;
	/* Who receives may still tell the outcome of what it was sent by one that leaves in peace. */
	if (sender && (sender != l || !amqp10_is_null(error)))
		plan_link(&plan, sender == l ? k->side : amqp10_other(k->side), s, sender);
	if (!l->refused && amqp10_plan_abort(k, &plan, error, "link_detached"))
		return PARSE_MESSAGE;
	struct slice address = amqp10_link_name(k->c, l);
	bool temporary = l->temporary;
	enum parse_status status = l->refused ? refuse(k, s, l, error) : own_event(k, "detach", error, address, temporary);
	amqp10_link_remove(k->c, s, k->side, handle);
	return status;
}

enum parse_status amqp10_end(const struct amqp10_call *k)
{
	struct amqp10_session *s = amqp10_session_find(k->c, k->side, k->f.channel);
	const struct amqp10_value *error = &k->p->field[ERROR];
	bool all = !amqp10_is_null(error);
	struct amqp10_plan plan = { 0 };

	if (s)
		plan_session(&plan, s, k->side, all);
	if (amqp10_plan_abort(k, &plan, error, "session_ended"))
		return PARSE_MESSAGE;
	if (s) {
		forget_session(s, k->side, all);
		amqp10_session_leave(k->c, s, k->side);
	}
	return own_event(k, "end", error, SLICE_NONE, false);
}

/* For a reason: of all that is open. Without one what is still open fails when the connection closes. */
enum parse_status amqp10_close_frame(const struct amqp10_call *k)
{
	const struct amqp10_value *error = &k->p->field[ERROR];
	struct amqp10_plan plan = { 0 };

	for (int side = 0; side < 2 && error->descriptor == AMQP10_ERROR; side++)
		amqp10_plan_add(&plan, amqp10_key((enum proto_side)side, AMQP10_KEY_OTHER, NULL, 0), amqp10_key((enum proto_side)side, AMQP10_KEY_OTHER, NULL, 0) | INT64_MAX);
	if (amqp10_plan_abort(k, &plan, error, NULL))
		return PARSE_MESSAGE;
	return own_event(k, "close", error, SLICE_NONE, false);
}
