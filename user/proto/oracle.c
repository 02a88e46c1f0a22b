/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Oracle Net and the calls in it: packets. What they are made of is oracle_wire.c and oracle_call.c, detection oracle_detect.c, what the client asks oracle_request.c, what the
 * server answers oracle_response.c, statements oracle_memory.c and oracle_sql.c.
 *
 * On a connection there is one call at a time, but in a pipeline, where requests and answers say where they end. A break asks the server to end it: its answer is an
 * error of its own (ORA-01013), and markers between belong to no call. Neither does the byte that clients send out of band for it.
 *
 * Where native encryption was agreed upon nothing but the connection's beginning is read. Clients with Oracle's own libraries write numbers as their machine has them: of
 * their calls what is asked is known, but no statement and no error, and the exchange is marked.
 */
#include "proto/oracle_state.h"

enum { URGENT = '!', RESYNC_KEEP = 16 };

enum parse_status oracle_pass(const struct oracle_head *h, struct slice in, enum parse_status status, struct parse_result *ret)
{
	ret->consumed = in.len < h->len ? in.len : h->len;
	ret->skip = h->len - ret->consumed;
	if (ret->skip && status == PARSE_MESSAGE && ret->message.flags & MESSAGE_END)
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
	return status;
}

static enum parse_status needs(struct parse_result *ret, size_t n)
{
	ret->need = n;
	return PARSE_NEED_MORE;
}

/* The byte of a break in front of a packet. */
static bool is_urgent(const struct oracle_state *s, struct slice in)
{
	struct oracle_head h;

	return in.ptr[0] == URGENT && (s->large || (in.len > ORACLE_HEAD && !oracle_head_read(in, false, &h)));
}

/* How much of a packet is looked at. */
static uint32_t look(const struct oracle_head *h, enum proto_side side)
{
	if (h->type == ORACLE_DATA && side == PROTO_TO_CLIENT && h->len > ORACLE_LOOK)
		return ORACLE_DATA_HEAD;
	return h->len < ORACLE_LOOK ? h->len : ORACLE_LOOK;
}

static enum parse_status oracle_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct oracle_state *s = state;
	struct oracle_head h;

	if (!s->memory)
		return PARSE_BAD;
	if (side == PROTO_TO_CLIENT && s->stale) { /* the client has asked again: what was said before is over */
		s->stale = false;
		ret->message.kind = MESSAGE_RESPONSE;
		ret->message.flags = MESSAGE_END | MESSAGE_UNSURE;
		return PARSE_MESSAGE;
	}
	if (side == PROTO_TO_CLIENT && s->tail_packet)
		return oracle_response_tail(s, in, ret);
	if (side == PROTO_TO_SERVER && is_urgent(s, in)) {
		ret->apart = true;
		ret->consumed = 1;
		return PARSE_SKIP;
	}
	size_t head = in.ptr[0] == URGENT ? ORACLE_HEAD + 1 : ORACLE_HEAD; /* the byte may be of a length */
	if (in.len < head)
		return needs(ret, head);
	if (!oracle_head_read(in, s->large, &h))
		return PARSE_BAD;
	if (in.len < look(&h, side))
		return needs(ret, look(&h, side));
	in = slice_head(in, look(&h, side));
	return side == PROTO_TO_SERVER ? oracle_request(s, &h, in, ret) : oracle_response(s, &h, in, ret);
}

static void oracle_lost(void *state, enum proto_side side)
{
	struct oracle_state *s = state;

	if (!s->memory)
		return;
	s->lost[side] = true;
	s->descriptor = s->descriptor && side != PROTO_TO_SERVER;
	s->descriptor_again = s->descriptor_again && side != PROTO_TO_SERVER;
	s->redirect = s->redirect && side != PROTO_TO_CLIENT;
	for (uint32_t i = 0; i < ORACLE_DUES && i < s->memory->due_len; i++) {
		struct oracle_due *d = &s->memory->due[(s->memory->due_first + i) % ORACLE_DUES];
		d->unsure = true;
		d->statement = 0;
	}
	/* A cursor may be another statement's by now. */
	for (uint32_t i = 0; i < ORACLE_STATEMENTS; i++)
		s->memory->statements[i].taken = s->memory->statements[i].open = false;
	if (side == PROTO_TO_SERVER) {
		s->asking = false;
		s->request_told = false;
		return;
	}
	s->tail_packet = 0;
	s->memory->tail_len = 0;
}

static size_t oracle_resync(void *state, enum proto_side side, struct slice in)
{
	const struct oracle_state *s = state;

	return s->memory ? oracle_find(in, side, s->large) : in.len;
}

static void *oracle_open(struct proto_memory *memory)
{
	struct oracle_memory *m = proto_memory_get(memory, sizeof(*m));

	if (m)
		*m = (struct oracle_memory){ .budget = memory };
	return m;
}

static void oracle_close(void *external)
{
	struct oracle_memory *m = external;

	if (!m)
		return;
	for (int i = 0; i < ORACLE_STATEMENTS; i++)
		proto_memory_put(m->budget, m->statements[i].text);
	proto_memory_put(m->budget, m);
}

const struct proto_ops proto_oracle = {
	.name = "oracle",
	.id = PLUMB_PROTO_ORACLE,
	.state_size = sizeof(struct oracle_state),
	.detect = oracle_detect,
	.parse = oracle_parse,
	.resync = oracle_resync,
	.lost = oracle_lost,
	.resync_keep = RESYNC_KEEP,
	.open = oracle_open,
	.close = oracle_close,
	/* Packets begin anywhere in an I/O, and an answer's end is at the end of one. */
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL },
};
