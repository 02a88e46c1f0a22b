/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClickHouse's native protocol (https://clickhouse.com/docs/native-protocol): which packets make an exchange. What they are made of is clickhouse_wire.c and clickhouse_packet.c,
 * detection clickhouse_detect.c, what the client asks clickhouse_request.c, what the server answers clickhouse_response.c, stepping over blocks clickhouse_block.c.
 *
 * On a connection there is one query at a time. Its request is the query and the external tables behind it; its response lasts until the end of the stream or an exception, and
 * between them the client may send what it inserts. Which fields a packet has is told by the revision that both have in their Hellos; where these were not seen, the next
 * query's fields tell it. Packets in chunks, which both may agree on since revision 54470, are not parsed.
 *
 * A block without compression has no length: its columns are walked by their types. Where a type's values have no length that is known (states of aggregate functions, dynamic
 * types, sparse columns), and after a loss, what follows is stepped over up to something that is known without doubt: a block, an exception, or the other side's next
 * word, as nobody speaks while the other one does. The exchange is then marked.
 */
#include <stdlib.h>

#include "proto/clickhouse_state.h"
#include "proto/memory.h"

enum parse_status clickhouse_needs(struct parse_result *ret, const struct clickhouse_cursor *c)
{
	ret->need = c->need;
	return c->bad ? PARSE_BAD : PARSE_NEED_MORE;
}

enum parse_status clickhouse_pass_bytes(struct parse_result *ret, size_t n)
{
	ret->consumed = n;
	return PARSE_SKIP;
}

void clickhouse_is_fresh(struct clickhouse_state *s, enum proto_side side)
{
	struct clickhouse_way *w = &s->way[side];

	w->fresh = w->lost || w->scanning;
}

static enum parse_status parse_side(struct clickhouse_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	return side == PROTO_TO_SERVER ? clickhouse_parse_request(s, in, ret) : clickhouse_parse_response(s, in, ret);
}

/* --- blocks --- */

/* How much follows cannot be told. */
static enum parse_status lose_place(struct clickhouse_state *s, enum proto_side side, struct slice in, size_t at, struct parse_result *ret)
{
	struct clickhouse_way *w = &s->way[side];

	w->block = false;
	w->scanning = true;
	w->kept = 0;
	s->unsure = true;
	if (side == PROTO_TO_SERVER)
		s->sent_unknown = true;
	else
		s->rows_unknown = true;
	return at ? clickhouse_pass_bytes(ret, at) : clickhouse_scan(s, side, in, ret);
}

enum parse_status clickhouse_walk(struct clickhouse_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct clickhouse_block *b = &s->memory->block[side];
	size_t at = 0, need;

	switch (clickhouse_block_walk(b, side, in, &at, &need)) {
	case CLICKHOUSE_WALK_DONE:
		s->way[side].block = false;
		return at ? clickhouse_pass_bytes(ret, at) : parse_side(s, side, in, ret);
	case CLICKHOUSE_WALK_ON:
		ret->need = need;
		if (need && !at)
			return PARSE_NEED_MORE;
		ret->skip = b->pass;
		b->pass = 0;
		return clickhouse_pass_bytes(ret, at);
	case CLICKHOUSE_WALK_BAD: break;
	}
	return lose_place(s, side, in, at, ret);
}

/* --- what has no place --- */

/* Where a packet begins, or in.len. */
static size_t find(struct clickhouse_state *s, enum proto_side side, struct slice in)
{
	struct clickhouse_way *w = &s->way[side];
	size_t at = w->fresh ? w->kept : clickhouse_find(in, side, s->revision != 0);

	if (at >= in.len) {
		w->kept = in.len < CLICKHOUSE_RESYNC_KEEP ? in.len : CLICKHOUSE_RESYNC_KEEP;
		return in.len;
	}
	w->fresh = w->lost = w->scanning = false;
	w->kept = 0;
	return at;
}

/* As the engine's own looks (engine.c): who sends byte by byte does not have all that is kept looked at for each. */
static bool may_look(struct clickhouse_way *w, size_t len)
{
	enum { AGAIN = 16, DEBT_MAX = 65536 };
	size_t again = w->kept < len ? w->kept : len, paid = (len - again) * AGAIN;

	w->debt -= paid < w->debt ? (uint32_t)paid : w->debt;
	if (w->debt > DEBT_MAX && !w->fresh) {
		w->kept = len;
		return false;
	}
	w->debt += (uint32_t)again;
	return true;
}

enum parse_status clickhouse_scan(struct clickhouse_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	if (!may_look(&s->way[side], in.len))
		return PARSE_NEED_MORE;
	size_t at = find(s, side, in);

	ret->apart = true;
	if (at == in.len)
		at -= s->way[side].kept;
	else if (at == 0)
		return parse_side(s, side, in, ret);
	return at ? clickhouse_pass_bytes(ret, at) : PARSE_NEED_MORE;
}

static void clickhouse_lost(void *state, enum proto_side side)
{
	struct clickhouse_state *s = state;

	if (!s->memory)
		return;
	s->way[side] = (struct clickhouse_way){ .lost = true };
	s->unsure = s->busy;
	if (side == PROTO_TO_SERVER) {
		s->parameters = s->addendum = false;
		s->sent_unknown = s->tail_lost = true;
		return;
	}
	s->rows_unknown = true;
	s->error = 0;
}

/* While a query is answered nothing comes but what it inserts. */
static bool clickhouse_missing(void *state, enum proto_side side, uint64_t n, struct message *ret_message)
{
	struct clickhouse_state *s = state;

	(void)n;
	if (!s->memory || side == PROTO_TO_CLIENT || !s->busy || s->asking || s->way[PROTO_TO_CLIENT].lost || s->way[PROTO_TO_CLIENT].scanning)
		return false;
	s->way[side] = (struct clickhouse_way){ .scanning = true };
	s->unsure = s->sent_unknown = true;
	ret_message->kind = MESSAGE_ONEWAY;
	ret_message->flags = MESSAGE_BEGIN | MESSAGE_END;
	return true;
}

static size_t clickhouse_resync(void *state, enum proto_side side, struct slice in)
{
	struct clickhouse_state *s = state;

	return s->memory ? find(s, side, in) : in.len;
}

/* --- the parser --- */

static enum parse_status clickhouse_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct clickhouse_state *s = state;

	return s->memory ? parse_side(s, side, in, ret) : PARSE_BAD;
}

static void *clickhouse_open(struct proto_memory *memory)
{
	struct clickhouse_memory *m = proto_memory_get(memory, sizeof(*m));

	if (m)
		*m = (struct clickhouse_memory){ .budget = memory };
	return m;
}

static void clickhouse_close(void *external)
{
	struct clickhouse_memory *m = external;

	if (m)
		proto_memory_put(m->budget, m);
}

const struct proto_ops proto_clickhouse = {
	.name = "clickhouse",
	.id = PLUMB_PROTO_CLICKHOUSE,
	.state_size = sizeof(struct clickhouse_state),
	.detect = clickhouse_detect,
	.parse = clickhouse_parse,
	.resync = clickhouse_resync,
	.lost = clickhouse_lost,
	.missing = clickhouse_missing,
	.resync_keep = CLICKHOUSE_RESYNC_KEEP,
	.open = clickhouse_open,
	.close = clickhouse_close,
	/* Packets begin anywhere in an I/O. */
	.want = { PLUMB_POLICY_ALL, PLUMB_POLICY_ALL },
};
