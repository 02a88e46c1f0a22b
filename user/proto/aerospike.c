/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aerospike's client protocol: which messages make an exchange. What they look like is aerospike_wire.c, detection aerospike_detect.c, what clients send aerospike_request.c, what servers
 * send aerospike_answer.c.
 *
 * Every request is answered, in order: first in, first out. A record, an info message and most security commands are answered by one message, a batch, a query and lists of users and roles by
 * any number, the last of which says so; so it is remembered what is due. Ordinary clients send the next request when all is answered; one that does not is pipelining.
 *
 * Shown are the operation, by the name that Aerospike's clients give it, namespace and set, a UDF's module and function, the number of records, names of info commands; never a key, a digest, a bin's
 * name or value, a filter, an argument or what a security command says. A record that is not there, one that is there already, and a condition that was not met are answers and no failures.
 */
#include "proto/aerospike_state.h"

enum { RESYNC_KEEP = AEROSPIKE_HEAD + AEROSPIKE_MSG + AEROSPIKE_ITEM };

/* ---- what is due ---- */

static void due_clear(struct aerospike_memory *m)
{
	if (m)
		m->first = m->count = 0, m->over = 0;
}

void aerospike_due_add(struct aerospike_state *s, const struct parse_result *ret, enum aerospike_kind kind)
{
	struct aerospike_memory *y = s->memory;
	bool answered = s->early && ret->time_ns && ret->time_ns <= s->early_ns;

	s->early = false;
	s->asking.queued = false;
	/* Ordinary clients read all of an answer before they ask again. */
	s->answer.stale = s->answer.open && (s->answer.tail_missed || (!s->answer.inside && !s->pipelined));
	s->stale_ns = ret->time_ns;
	if (s->gap && !s->pipelined)
		due_clear(y);
	else if (y && y->count && !answered)
		s->pipelined = true;
	if (!y || answered)
		return;
	if (y->count == AEROSPIKE_DUE || y->over) {
		y->over += y->over < UINT32_MAX;
		return;
	}
	y->due[(y->first + y->count) % AEROSPIKE_DUE] = (uint8_t)kind;
	y->count++;
	s->asking.queued = true;
}

enum aerospike_kind aerospike_due_peek(const struct aerospike_state *s)
{
	const struct aerospike_memory *y = s->memory;

	return y && y->count ? (enum aerospike_kind)y->due[y->first] : AEROSPIKE_UNKNOWN;
}

enum aerospike_kind aerospike_due_take(struct aerospike_state *s, const struct parse_result *ret)
{
	struct aerospike_memory *y = s->memory;
	enum aerospike_kind kind = aerospike_due_peek(s);

	if (!y)
		return kind;
	if (y->count) {
		y->first = (uint8_t)((y->first + 1) % AEROSPIKE_DUE);
		if (--y->count == 0)
			s->asking.queued = s->gap = false;
	} else if (y->over) {
		y->over--;
		s->gap &= y->over > 0;
	} else {
		s->early = true;
		s->early_ns = ret->time_ns;
	}
	return kind;
}

/* ---- the two sides ---- */

static enum parse_status aerospike_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct aerospike_state *s = state;

	return side == PROTO_TO_SERVER ? aerospike_request(s, in, ret) : aerospike_answer(s, in, ret);
}

static bool aerospike_missing(void *state, enum proto_side side, uint64_t n, struct message *ret_message)
{
	struct aerospike_state *s = state;

	return side == PROTO_TO_SERVER ? aerospike_request_missing(s, n, ret_message) : aerospike_answer_missing(s, n, ret_message);
}

/* ---- loss ---- */

static void aerospike_lost(void *state, enum proto_side side)
{
	struct aerospike_state *s = state;
	struct aerospike_memory *y = s->memory;

	s->gap = true;
	if (side == PROTO_TO_SERVER) {
		s->asking = (struct aerospike_asking){ 0 };
		return;
	}
	s->answer = (struct aerospike_answer){ 0 };
	if (y && !s->pipelined && y->count > 1) { /* all but the newest are answered in what was lost */
		y->first = (uint8_t)((y->first + y->count - 1u) % AEROSPIKE_DUE);
		y->count = 1;
	}
}

static size_t aerospike_resync(void *state, enum proto_side side, struct slice in)
{
	struct aerospike_state *s = state;

	if (side == PROTO_TO_SERVER)
		s->asking = (struct aerospike_asking){ 0 };
	else
		s->answer = (struct aerospike_answer){ 0 };
	return aerospike_find(in, side);
}

/* ---- memory ---- */

struct aerospike_inflate *aerospike_inflates(struct aerospike_state *s, enum proto_side side)
{
	struct aerospike_memory *y = s->memory;

	if (!y)
		return NULL;
	if (!y->inflate[side])
		y->inflate[side] = proto_memory_get(y->budget, sizeof(*y->inflate[side]));
	return y->inflate[side];
}

static void *aerospike_open(struct proto_memory *budget)
{
	struct aerospike_memory *y = proto_memory_get(budget, sizeof(*y));

	if (y)
		*y = (struct aerospike_memory){ .budget = budget };
	return y;
}

static void aerospike_close(void *external)
{
	struct aerospike_memory *y = external;

	if (!y)
		return;
	for (int side = 0; side < 2; side++)
		if (y->inflate[side])
			proto_memory_put(y->budget, y->inflate[side]);
	proto_memory_put(y->budget, y);
}

const struct proto_ops proto_aerospike = {
	.name = "aerospike",
	.id = PLUMB_PROTO_AEROSPIKE,
	.state_size = sizeof(struct aerospike_state),
	.detect = aerospike_detect,
	.parse = aerospike_parse,
	.missing = aerospike_missing,
	.lost = aerospike_lost,
	.resync = aerospike_resync,
	.resync_keep = RESYNC_KEEP,
	.open = aerospike_open,
	.close = aerospike_close,
	/* Records of a batch or a scan have their heads anywhere in a message. */
	.want = { 65536, 65536 },
};
