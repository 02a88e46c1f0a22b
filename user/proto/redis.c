/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis: RESP2, RESP3 and inline commands (https://redis.io/docs/latest/develop/reference/protocol-spec/).
 *
 * Both directions are parsed element by element, nothing is read twice and values are skipped. A reply's nesting needs no stack:
 * one counter says how many elements are still to come; only aggregates of unknown length (RESP3 streams) save it. Statements are
 * redacted by construction: the command, its first key, and "?" for all else.
 *
 * Server messages without a request (pushes, pub/sub messages, MONITOR lines) are one-way. The first confirmation of a
 * SUBSCRIBE is its response, the further ones are one-way. The database is known only after a SELECT or RESET that the server
 * confirmed outside a transaction.
 *
 * Loss: an element of an array looks like a reply, and how many requests or replies were lost is not known, so after a hole in
 * either direction nothing is taken for a reply until the next turn: a request that follows reply bytes. Its replies are the
 * first of a new count (MESSAGE_FLUSH ends what is older). A client that sends while replies are due has no such turns; its next
 * one is a request after QUIET_NS without a byte. A wrong pair is worse than none.
 */
#include "proto/redis_state.h"

void redis_silence(struct redis_state *s)
{
	for (unsigned i = 0; i < s->expects; i++)
		s->maybe_subscribed |= s->expect[i].kind == REDIS_EXPECT_SUBSCRIBE;
	redis_reply_clear(s);
	s->expects = 0;
	s->db_len = 0;
	s->confirms_left = 0;
	s->silent = true;
}

static enum parse_status redis_parse(void *state, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct redis_state *s = state;

	if (in.len == 0)
		return PARSE_NEED_MORE;
	enum parse_status status = side == PROTO_TO_SERVER ? redis_request_parse(s, in, ret) : redis_reply_parse(s, in, ret);
	s->latest_ns = ret->time_ns;
	return status;
}

/* Told of a loss at once, so that a request that comes before the next reply bytes is known as the turn that it is. */
static void redis_lost(void *state, enum proto_side side)
{
	struct redis_state *s = state;

	redis_silence(s);
	s->may_overlap = false;
	s->told = true;
	s->turn = side == PROTO_TO_CLIENT; /* the lost bytes answered something; or replies to what was lost are still to come */
	if (side == PROTO_TO_SERVER) {
		s->args_left = 0;
		s->multi = false;
	}
}

static size_t redis_resync(void *state, enum proto_side side, struct slice in)
{
	struct redis_state *s = state;

	if (side == PROTO_TO_CLIENT) /* parse() passes over what comes before the turn, and behind it everything is a reply */
		return s->told ? 0 : in.len;
	for (size_t at = 0; at < in.len; at++) {
		struct slice rest = slice_from(in, at);
		if (rest.ptr[0] == '*' && redis_detect(rest, side) >= DETECT_WEAK)
			return at;
	}
	return in.len;
}

const struct proto_ops proto_redis = {
	.name = "redis",
	.id = PLUMB_PROTO_REDIS,
	.state_size = sizeof(struct redis_state),
	.detect = redis_detect,
	.parse = redis_parse,
	.lost = redis_lost,
	.resync = redis_resync,
	.resync_keep = 2 * REDIS_HEAD_MAX + REDIS_NAME_MAX,
	/*
	 * A pipeline is one burst whose heads are spread over all of it, and a hole costs the pairs of the whole burst.
	 * Its replies are a burst, too, of about as many bytes; of a lone large reply the tail stays in the kernel. The
	 * engine raises what is cut too often.
	 */
	.want = { 65536, 32768 },
};
