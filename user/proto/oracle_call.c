/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call of a client says: its function, the cursors, a statement's text. Between versions some calls differ by a field: a reading is taken
 * only if all that follows fits it.
 */
#include "proto/oracle_wire.h"

enum { TEXT_MAX = 1 << 20, STATEMENT_LOOK = 160 /* bytes up to the text, or more */ };

static bool printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ' && s.ptr[i] != '\n' && s.ptr[i] != '\r' && s.ptr[i] != '\t')
			return false;
	return s.len > 0;
}

/* --- a statement --- */

enum { CHUNKED = 0xfe, SHORT_MAX = 0xfc, CHUNK_MIN = 32 /* but for the last */ };

enum pieces { WHOLE, CHUNKS, BYTE_CHUNKS };

/* Lengths of chunks are numbers; in older versions they are of one byte, and then the first one is longer than a number. */
static enum pieces pieces_of(const struct oracle_reader *r, bool chunked)
{
	enum { NUMBER_MAX = 4 };

	if (!chunked)
		return WHOLE;
	return r->at < r->in.len && r->in.ptr[r->at] > NUMBER_MAX ? BYTE_CHUNKS : CHUNKS;
}

/* The next piece of a text of which `left` are still to come; empty where no more is there. */
static struct slice next_piece(struct oracle_reader *r, enum pieces pieces, uint64_t left)
{
	uint64_t n = pieces == WHOLE ? left : pieces == BYTE_CHUNKS ? oracle_u8(r) : oracle_ub(r, 4);

	if (r->bad || n == 0 || n > left)
		return SLICE_NONE;
	struct slice piece = slice_head(slice_from(r->in, r->at), (size_t)n);
	r->at += piece.len;
	return piece;
}

/* Copies what is there of a text; where it ended, 0 if this is none. */
static size_t walk_text(struct slice in, size_t at, uint32_t len, uint8_t *to, size_t room, size_t *ret_copied)
{
	struct oracle_reader r = { .in = in, .at = at };
	unsigned first = oracle_u8(&r);
	bool chunked = first == CHUNKED && len > SHORT_MAX;
	enum pieces pieces = pieces_of(&r, chunked);
	uint64_t left = len;

	*ret_copied = 0;
	if (r.bad || (!chunked && first != len))
		return 0;
	while (left) {
		struct slice piece = next_piece(&r, pieces, left);
		if (!piece.len)
			break;
		if (left == len && !printable(slice_head(piece, 64)))
			return 0;
		if (piece.len < CHUNK_MIN && piece.len < left && r.at < in.len)
			return 0;
		size_t n = piece.len < room - *ret_copied ? piece.len : room - *ret_copied;
		if (to && n)
			memcpy(to + *ret_copied, piece.ptr, n);
		*ret_copied += to ? n : 0;
		left -= piece.len;
	}
	if (left == len || (left && r.at < in.len))
		return 0;
	if (!left && chunked)
		(void)oracle_u8(&r);
	return r.at;
}

size_t oracle_call_text(struct slice in, const struct oracle_call *c, uint8_t *to, size_t room)
{
	size_t copied = 0;

	if (c->text_at)
		(void)walk_text(in, c->text_at, c->text_len, to, room, &copied);
	return copied;
}

void oracle_call_blank(uint8_t *p, size_t len, const struct oracle_call *c)
{
	static const char *const commands[] = { "select", "with", "insert", "update", "delete", "merge", "begin", "declare", "call", "create", "alter", "drop", "truncate", "grant", "lock", NULL };
	struct slice in = slice_make(p, len);
	struct oracle_reader r = { .in = in, .at = c->text_at };
	bool chunked = oracle_u8(&r) == CHUNKED && c->text_len > SHORT_MAX;
	enum pieces pieces = pieces_of(&r, chunked);

	for (uint64_t left = c->text_len; left;) {
		struct slice piece = next_piece(&r, pieces, left);
		size_t at = r.at - piece.len, word = 0;
		if (!piece.len)
			break;
		while (left == c->text_len && word < piece.len && ascii_lower(piece.ptr[word]) >= 'a' && ascii_lower(piece.ptr[word]) <= 'z')
			word++;
		bool known = false;
		for (size_t i = 0; commands[i]; i++)
			known = known || slice_ieq(slice_head(piece, word), slice_str(commands[i]));
		word = known && word < piece.len && piece.ptr[word] == ' ' ? word + 1 : 0;
		memset(p + at + word, 'x', piece.len - word);
		left -= piece.len;
	}
}

/* In front of it stand pointers and lengths: small numbers all of them. */
static bool find_text(struct slice in, size_t from, struct oracle_call *c)
{
	size_t copied;

	for (size_t at = from; at < in.len && at < from + STATEMENT_LOOK; at++) {
		size_t end = walk_text(in, at, c->text_len, NULL, 0, &copied);
		if (!end)
			continue;
		c->text_at = at;
		c->end = end;
		return true;
	}
	return false;
}

/* Behind the text: whether it is parsed, how often it is done, a snapshot, whether it is a query. */
static void read_counts(struct slice in, struct oracle_call *c)
{
	enum { COUNTS = 13, ITERATIONS = 1, QUERY = 7 };
	struct oracle_reader r = { .in = in, .at = c->end };

	for (int i = 0; i < COUNTS; i++) {
		uint64_t v = oracle_ub(&r, 4);
		if (i == ITERATIONS)
			c->iterations = v;
		if (i == QUERY)
			c->query = v == 1;
	}
	c->counted = !r.bad;
	c->counts_end = r.at;
	c->query = c->query && !r.bad;
}

/* Of pointers, a byte each, and numbers: "p" and "n". */
static void pass_fields(struct oracle_reader *r, const char *fields)
{
	for (; *fields; fields++)
		if (*fields == 'n')
			(void)oracle_ub(r, 4);
		else
			r->bad = oracle_u8(r) > 1 || r->bad;
}

/* Of a cursor: newer versions have a few fields more in front of the counts. */
static bool read_without_text(struct oracle_reader r, struct oracle_call *c)
{
	static const char *const newer[] = { "pnpnppn", "pnpnp", "" };

	if (r.bad || !c->cursor)
		return false;
	pass_fields(&r, "nppnnnpnppppppnnpppnpnnpnp");
	for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]) && !c->counted; i++) {
		struct oracle_reader from = r;
		struct oracle_call counts = *c;
		pass_fields(&from, newer[i]);
		counts.end = from.at;
		if (!from.bad)
			read_counts(r.in, &counts);
		if (!counts.counted || !counts.iterations)
			continue;
		c->counted = true;
		c->counts_end = counts.counts_end;
		c->iterations = counts.iterations;
		c->query = counts.query;
	}
	return true;
}

static bool read_execute(struct oracle_reader r, struct oracle_call *c)
{
	c->options = oracle_ub(&r, 4);
	c->cursor = oracle_ub(&r, 4);
	unsigned pointer = oracle_u8(&r);
	uint64_t len = oracle_ub(&r, 4);
	if (r.bad || !c->options || pointer > 1 || len > TEXT_MAX || oracle_u8(&r) > 1)
		return false;
	c->text_len = (uint32_t)len;
	c->head = c->end = r.at;
	if (!len)
		return read_without_text(r, c);
	if (find_text(r.in, r.at, c))
		read_counts(r.in, c);
	return true;
}

/* --- what is done again, and fetched --- */

static bool at_end_or(const struct oracle_reader *r, uint8_t next) { return !r->bad && (r->at == r->in.len || r->in.ptr[r->at] == next); }

static bool read_again(struct oracle_reader r, struct oracle_call *c)
{
	c->cursor = oracle_ub(&r, 4);
	c->iterations = oracle_ub(&r, 4);
	c->counted = true;
	(void)oracle_ub(&r, 4);
	(void)oracle_ub(&r, 4);
	c->head = c->end = r.at;
	return c->cursor && at_end_or(&r, ORACLE_ROW_DATA);
}

static bool read_fetch(struct oracle_reader r, struct oracle_call *c)
{
	c->cursor = oracle_ub(&r, 4);
	(void)oracle_ub(&r, 4);
	c->head = c->end = r.at;
	return c->cursor && !r.bad && r.at == r.in.len;
}

static bool read_body(struct oracle_reader r, struct oracle_call *c)
{
	switch (c->function) {
	case ORACLE_EXECUTE: return read_execute(r, c);
	case ORACLE_REEXECUTE:
	case ORACLE_REEXECUTE_FETCH: return read_again(r, c);
	case ORACLE_FETCH: return read_fetch(r, c);
	default: return true;
	}
}

/* Since version 23 a number stands in front, by which the answer in a pipeline is known. */
static void read_function(struct oracle_reader *r, struct oracle_call *c)
{
	struct oracle_call plain, with_token;
	struct oracle_reader token;

	c->begin = r->at;
	(void)oracle_u8(r);
	c->function = oracle_u8(r);
	c->sequence = oracle_u8(r);
	plain = with_token = *c;
	plain.end = with_token.end = r->at;
	if (read_body(*r, &plain)) {
		*c = plain;
		return;
	}
	token = *r;
	(void)oracle_ub(&token, 8);
	if (!token.bad && read_body(token, &with_token))
		*c = with_token;
}

/* --- what travels in front of a call --- */

static void read_closed(struct oracle_reader *r, struct oracle_closed *closed)
{
	(void)oracle_u8(r);
	uint64_t n = oracle_ub(r, 4);
	for (uint64_t i = 0; i < n && !r->bad; i++) {
		uint32_t cursor = (uint32_t)oracle_ub(r, 4);
		if (closed->n < ORACLE_CALL_CURSORS && !r->bad)
			closed->cursors[closed->n++] = cursor;
		else
			closed->more = true;
	}
}

static bool begins_call(const struct oracle_reader *r)
{
	return r->at + 3 <= r->in.len && (r->in.ptr[r->at] == ORACLE_FUNCTION || r->in.ptr[r->at] == ORACLE_PIGGYBACK) && oracle_function_name(r->in.ptr[r->at + 1]);
}

/* The cursors to be closed are read, of others the call behind them is looked for. False: there is none. */
static bool pass_piggyback(struct oracle_reader *r, uint8_t sequence, struct oracle_closed *closed)
{
	unsigned function = r->in.ptr[r->at + 1];

	(void)oracle_bytes(r, 3);
	for (int token = 0; function == ORACLE_CLOSE_CURSORS && token < 2; token++) {
		struct oracle_reader list = *r;
		struct oracle_closed found = { 0 };
		if (token)
			(void)oracle_ub(&list, 8);
		read_closed(&list, &found);
		if (list.bad || !begins_call(&list))
			continue;
		*closed = found;
		*r = list;
		return true;
	}
	for (; r->at + 3 <= r->in.len; r->at++)
		if (begins_call(r) && r->in.ptr[r->at + 2] == (uint8_t)(sequence ? sequence + 1 : 0))
			return true;
	return false;
}

static bool read_calls(struct oracle_reader *r, struct oracle_call *c, struct oracle_closed *closed)
{
	enum { PIGGYBACKS_MAX = 16 };

	for (int i = 0; i < PIGGYBACKS_MAX; i++) {
		if (r->at + 3 > r->in.len)
			return false;
		if (r->in.ptr[r->at] == ORACLE_FUNCTION) {
			read_function(r, c);
			return true;
		}
		if (r->in.ptr[r->at] != ORACLE_PIGGYBACK || !pass_piggyback(r, r->in.ptr[r->at + 2], closed))
			return false;
	}
	return false;
}

bool oracle_call_read(struct slice in, struct oracle_call *ret, struct oracle_closed *ret_closed)
{
	struct oracle_reader r = { .in = in };

	*ret = (struct oracle_call){ .function = ORACLE_ASK_UNKNOWN };
	*ret_closed = (struct oracle_closed){ 0 };
	if (in.len >= 4 && load_be32(in.ptr) == 0xdeadbeef) {
		ret->function = ORACLE_ASK_SERVICES;
		return true;
	}
	switch (in.len ? in.ptr[0] : 0) {
	case ORACLE_PROTOCOL: ret->function = ORACLE_ASK_PROTOCOL; return in.len > 2 && in.ptr[1] <= 6;
	case ORACLE_TYPES: ret->function = ORACLE_ASK_TYPES; return in.len > 16;
	case ORACLE_FAST_AUTH: ret->function = ORACLE_ASK_FAST_AUTH; return in.len > 8 && in.ptr[1] == 1 && in.ptr[4] == ORACLE_PROTOCOL;
	case ORACLE_FUNCTION: return in.len >= 3 && in.ptr[1] && read_calls(&r, ret, ret_closed);
	case ORACLE_PIGGYBACK:
		/* What goes in front may be longer than what is looked at: the call is one all the same. */
		return in.len >= 3 && in.ptr[1] && (read_calls(&r, ret, ret_closed) || true);
	default: return false;
	}
}
