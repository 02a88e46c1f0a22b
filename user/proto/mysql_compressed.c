/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MySQL's compressed protocol: the packets of mysql_request.c and mysql_response.c out of compressed frames. The frames of a direction are one
 * stream, of which each packet takes what it needs.
 */
#include "proto/mysql_state.h"

enum { RESERVE = 8 }; /* bytes of the input that are kept back while more messages may be in what was taken: each call must consume some */

void mysql_compressed_begin(struct mysql_state *s)
{
	s->compressed = true;
	if (!mysql_memory_inflates(s->memory))
		s->given_up = true;
}

/* What the inner parser finds begins with an empty message, as what the engine calls does. */
static enum parse_status parse_plain(struct mysql_state *s, enum proto_side side, struct parse_result *ret)
{
	struct mysql_inflate *f = s->memory->inflate[side];
	struct slice in = slice_make(f->plain, f->len);

	ret->consumed = ret->need = 0;
	ret->skip = 0;
	ret->message.kind = MESSAGE_REQUEST;
	ret->message.flags = ret->message.nattrs = 0;
	ret->message.error_type[0] = 0;
	return side == PROTO_TO_SERVER ? mysql_parse_request(s, in, ret) : mysql_parse_response(s, in, ret);
}

/* `at` bytes of the input were taken: what of them is consumed by this message. */
static enum parse_status give(struct mysql_inflate *f, size_t at, struct parse_result *ret)
{
	bool more = f->len > f->dropped || f->plain_left;
	size_t keep = !more || at == 0 ? 0 : at > RESERVE ? RESERVE : at - 1;

	f->taken = (uint32_t)keep;
	ret->consumed = at - keep;
	return PARSE_MESSAGE;
}

/* A message that the parser found. One that ends with bytes not inflated yet ends by an event of its own. */
static enum parse_status give_found(struct mysql_inflate *f, struct slice in, size_t at, struct parse_result *ret)
{
	f->dropped = (uint32_t)ret->consumed;
	if (ret->skip == UINT64_MAX || ret->message.flags & MESSAGE_SWITCH) {
		ret->consumed = in.len;
		return PARSE_MESSAGE;
	}
	f->skip = ret->skip;
	ret->skip = 0;
	if (ret->message.flags & MESSAGE_END_AFTER_SKIP) {
		ret->message.flags &= ~(MESSAGE_END | MESSAGE_END_AFTER_SKIP);
		f->ends = (uint8_t)(1 + ret->message.kind);
	}
	return give(f, at, ret);
}

/* Steps over what nobody wants. True: with it ends a message. */
static bool pass(struct mysql_inflate *f)
{
	size_t n = f->skip < f->len ? (size_t)f->skip : f->len;

	mysql_inflate_drop(f, n);
	f->skip -= n;
	return f->skip == 0 && f->ends;
}

static enum parse_status give_end(struct mysql_inflate *f, size_t at, struct parse_result *ret)
{
	ret->message.kind = (enum message_kind)(f->ends - 1);
	ret->message.flags = MESSAGE_END;
	ret->message.nattrs = 0;
	ret->message.error_type[0] = 0;
	f->ends = 0;
	return give(f, at, ret);
}

enum parse_status mysql_parse_compressed(struct mysql_state *s, enum proto_side side, struct slice in, struct parse_result *ret)
{
	struct mysql_inflate *f = s->memory->inflate[side];

	if (s->given_up) {
		ret->message.flags |= MESSAGE_SWITCH;
		return mysql_oneway(ret, in, in.len);
	}
	size_t at = f->taken;
	if (at > in.len)
		return PARSE_BAD;
	mysql_inflate_drop(f, f->dropped);
	f->dropped = 0;
	for (;;) {
		if (f->skip && pass(f))
			return give_end(f, at, ret);
		size_t want = f->skip < MYSQL_PLAIN ? (size_t)f->skip : MYSQL_PLAIN;
		enum parse_status status = f->skip ? PARSE_NEED_MORE : parse_plain(s, side, ret);

		if (status == PARSE_MESSAGE)
			return give_found(f, in, at, ret);
		if (status == PARSE_BAD)
			return PARSE_BAD;
		if (status == PARSE_SKIP) {
			mysql_inflate_drop(f, ret->consumed);
			f->skip = ret->skip;
			continue;
		}
		size_t before = f->len;
		if (!mysql_inflate_more(f, in, &at, f->skip ? want : ret->need))
			return PARSE_BAD;
		if (f->len == before)
			break;
	}
	f->taken = 0;
	ret->consumed = at;
	ret->skip = 0;
	ret->need = in.len + 1;
	return at ? PARSE_SKIP : PARSE_NEED_MORE;
}
