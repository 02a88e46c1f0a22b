/* SPDX-License-Identifier: Apache-2.0 */
/* See oracle_wire.h. */
#include "proto/oracle_wire.h"

/* --- packets --- */

static bool length_fits(uint8_t type, uint32_t len)
{
	switch (type) {
	case ORACLE_CONNECT: return len >= ORACLE_CONNECT_HEAD && len <= UINT16_MAX;
	case ORACLE_ACCEPT: return len >= 24 && len <= 1024;
	case ORACLE_REFUSE: return len >= 12 && len <= UINT16_MAX;
	case ORACLE_REDIRECT: return len >= 10 && len <= UINT16_MAX;
	case ORACLE_DATA: return len >= ORACLE_DATA_HEAD;
	case ORACLE_RESEND: return len == ORACLE_HEAD;
	case ORACLE_MARKER: return len == 11;
	case ORACLE_CONTROL: return len >= 10 && len <= 256;
	case ORACLE_ACK: case ORACLE_NULL: case ORACLE_ABORT: case ORACLE_ATTENTION: return len >= ORACLE_HEAD && len <= 256;
	default: return false;
	}
}

bool oracle_head_read(struct slice in, bool large, struct oracle_head *ret)
{
	uint32_t small_len = load_be16(in.ptr), len = load_be32(in.ptr);

	ret->type = in.ptr[4];
	ret->flags = in.ptr[5];
	/* What comes before lengths are agreed upon has a short one. */
	bool connects = ret->type <= ORACLE_REDIRECT || ret->type == ORACLE_RESEND;
	ret->large = !connects && (large || small_len < ORACLE_HEAD);
	ret->len = ret->large ? len : small_len;
	if (load_be16(in.ptr + 6) || (!ret->large && load_be16(in.ptr + 2)))
		return false;
	return ret->len <= ORACLE_PACKET_MAX && length_fits(ret->type, ret->len);
}

const char *oracle_function_name(unsigned function)
{
	switch (function) {
	case 2: return "OPEN";
	case ORACLE_REEXECUTE: case ORACLE_REEXECUTE_FETCH: case ORACLE_EXECUTE: return "EXECUTE";
	case ORACLE_FETCH: return "FETCH";
	case 8: return "CLOSE";
	case ORACLE_LOGOFF: return "LOGOFF";
	case ORACLE_COMMIT: return "COMMIT";
	case ORACLE_ROLLBACK: return "ROLLBACK";
	case 20: return "CANCEL";
	case 43: case 98: case 119: return "DESCRIBE";
	case 59: return "VERSION";
	case ORACLE_LOB: return "LOB";
	case 103: case 104: return "TRANSACTION";
	case ORACLE_CLOSE_CURSORS: return "CLOSE";
	case ORACLE_AUTH_ONE: case ORACLE_AUTH_TWO: case ORACLE_ASK_FAST_AUTH: return "AUTHENTICATE";
	case 121: return "ENQUEUE";
	case 122: return "DEQUEUE";
	case 125: case 187: return "SUBSCRIBE";
	case 128: case 129: case 130: return "DIRECT PATH LOAD";
	case ORACLE_PING: return "PING";
	case 162: case 163: return "SESSION";
	case 200: return "END PIPELINE";
	case ORACLE_ASK_CONNECT: return "CONNECT";
	case ORACLE_ASK_PROTOCOL: case ORACLE_ASK_TYPES: case ORACLE_ASK_SERVICES: return "NEGOTIATE";
	default: return NULL;
	}
}

/* --- fields --- */

uint8_t oracle_u8(struct oracle_reader *r)
{
	if (r->bad || r->at >= r->in.len) {
		r->bad = true;
		return 0;
	}
	return r->in.ptr[r->at++];
}

uint64_t oracle_ub(struct oracle_reader *r, unsigned max)
{
	unsigned n = oracle_u8(r);
	uint64_t v = 0;

	if (r->bad || n > max || n > r->in.len - r->at) {
		r->bad = true;
		return 0;
	}
	/* Written with as few bytes as it needs, of those that clients have: 1, 2, 4 or 8. */
	r->bad = (n == 1 || n == 2) && r->in.ptr[r->at] == 0;
	while (n--)
		v = v << 8 | r->in.ptr[r->at++];
	return v;
}

struct slice oracle_bytes(struct oracle_reader *r, uint64_t n)
{
	struct slice s = slice_from(r->in, r->at);

	if (r->bad || n > s.len) {
		r->bad = true;
		return SLICE_NONE;
	}
	r->at += (size_t)n;
	return slice_head(s, (size_t)n);
}

struct slice oracle_clr(struct oracle_reader *r)
{
	enum { CHUNKED = 0xfe, NOTHING = 0xff };
	unsigned n = oracle_u8(r);
	struct slice first = SLICE_NONE;

	if (n != CHUNKED)
		return n == NOTHING ? SLICE_NONE : oracle_bytes(r, n);
	for (;;) {
		uint64_t len = oracle_ub(r, 4);
		if (r->bad || len == 0)
			return first;
		struct slice chunk = oracle_bytes(r, len);
		first = first.len ? first : chunk;
	}
}

/* A length, and where it is not 0 a text. */
static void pass_dlc(struct oracle_reader *r)
{
	if (oracle_ub(r, 4) && !r->bad)
		(void)oracle_clr(r);
}

/* --- the end of an answer --- */

/* Errors of a batch: numbers, rows, texts. More of them than an end may be long are not read. */
static void pass_numbers(struct oracle_reader *r, uint64_t n, unsigned width)
{
	bool chunked = n && oracle_u8(r) == 0xfe;

	for (uint64_t i = 0; i < n && !r->bad; i++) {
		if (chunked)
			(void)oracle_ub(r, 4);
		(void)oracle_ub(r, width);
	}
	if (chunked)
		(void)oracle_u8(r);
}

static void pass_batch(struct oracle_reader *r)
{
	pass_numbers(r, oracle_ub(r, 2), 2);
	pass_numbers(r, oracle_ub(r, 4), 4);
	uint64_t n = oracle_ub(r, 2);
	if (n)
		(void)oracle_u8(r);
	for (uint64_t i = 0; i < n && !r->bad; i++) {
		(void)oracle_ub(r, 2);
		(void)oracle_clr(r);
		(void)oracle_bytes(r, 2);
	}
}

/* wide: the options are numbers, not bytes, as one of the clients reads them. */
static void pass_options(struct oracle_reader *r, bool wide)
{
	for (int i = 0; i < 2; i++)
		(void)(wide ? oracle_ub(r, 2) : oracle_u8(r));
	(void)oracle_bytes(r, 2);
}

static void pass_row_id(struct oracle_reader *r)
{
	(void)oracle_ub(r, 4);
	(void)oracle_ub(r, 2);
	(void)oracle_u8(r);
	(void)oracle_ub(r, 4);
	(void)oracle_ub(r, 2);
}

static void read_position(struct oracle_reader *r)
{
	enum { NEGATIVE = 0x80 };

	if (r->at < r->in.len && r->in.ptr[r->at] == (NEGATIVE | 1))
		(void)oracle_bytes(r, 2);
	else
		(void)oracle_ub(r, 2);
}

/* What changed with versions: up to 11 the number of an error and of rows stand in front only; since 20 there is more behind them. */
enum age { OLD, PLAIN, RECENT };

static bool read_rest(struct oracle_reader r, bool wide, enum age age, struct oracle_end *ret)
{
	pass_options(&r, wide);
	pass_row_id(&r);
	(void)oracle_ub(&r, 4);
	(void)oracle_bytes(&r, 2);
	(void)oracle_ub(&r, 2);
	(void)oracle_ub(&r, 4);
	pass_dlc(&r);
	pass_batch(&r);
	if (age != OLD) {
		ret->number = (uint32_t)oracle_ub(&r, 4);
		ret->rows = oracle_ub(&r, 8);
	}
	for (int i = 0; age == RECENT && i < 2; i++)
		(void)oracle_ub(&r, 4);
	ret->text_at = r.at;
	ret->text = SLICE_NONE;
	if (ret->number && !r.bad) {
		ret->text = oracle_clr(&r);
		ret->text_at = ret->text.len ? (size_t)(ret->text.ptr - r.in.ptr) : r.at;
	}
	return !r.bad && r.at == r.in.len;
}

bool oracle_end_read(struct slice in, struct oracle_end *ret)
{
	static const enum age ages[] = { PLAIN, RECENT, OLD };
	struct oracle_reader r = { .in = in };

	if (oracle_u8(&r) != ORACLE_ERROR)
		return false;
	(void)oracle_ub(&r, 4); /* state of the call */
	(void)oracle_ub(&r, 2);
	uint64_t row = oracle_ub(&r, 4), number = oracle_ub(&r, 2);
	(void)oracle_ub(&r, 2);
	(void)oracle_ub(&r, 2);
	ret->cursor = (uint16_t)oracle_ub(&r, 2);
	read_position(&r);
	(void)oracle_bytes(&r, 2);
	for (unsigned i = 0; !r.bad && i < 6; i++) {
		ret->number = (uint32_t)number;
		ret->rows = row;
		if (read_rest(r, i % 2, ages[i / 2], ret))
			return true;
	}
	return false;
}

bool oracle_end_find(struct slice in, struct oracle_end *ret, size_t *ret_at)
{
	enum { LEAST = 28, PLACES = 16 };
	size_t places[PLACES], n = 0;

	/* The record is the last thing there, and few of its own bytes look like its beginning. */
	for (size_t at = in.len < LEAST ? 0 : in.len - LEAST + 1; at-- > 0 && in.len - at <= ORACLE_OER_MAX && n < PLACES;)
		if (in.ptr[at] == ORACLE_ERROR)
			places[n++] = at;
	while (n-- > 0) {
		if (!oracle_end_read(slice_from(in, places[n]), ret))
			continue;
		ret->text_at += places[n];
		*ret_at = places[n];
		return true;
	}
	return false;
}

bool oracle_status_read(struct slice in)
{
	struct oracle_reader r = { .in = in };

	if (oracle_u8(&r) != ORACLE_STATUS)
		return false;
	(void)oracle_ub(&r, 4);
	(void)oracle_ub(&r, 2);
	return !r.bad && r.at == in.len;
}

/* --- descriptors: "(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=orders)))" --- */

struct slice oracle_descriptor(struct slice in, const char *key)
{
	size_t len = strlen(key);

	for (size_t at = slice_find(in, '(', 0); at < in.len; at = slice_find(in, '(', at + 1)) {
		size_t p = at + 1;
		while (p < in.len && in.ptr[p] == ' ')
			p++;
		if (!slice_ieq(slice_head(slice_from(in, p), len), slice_str(key)))
			continue;
		p += len;
		while (p < in.len && in.ptr[p] == ' ')
			p++;
		if (p >= in.len || in.ptr[p] != '=')
			continue;
		size_t end = slice_find(in, ')', ++p);
		if (end == SIZE_MAX)
			return SLICE_NONE;
		struct slice value = slice_head(slice_from(in, p), end - p);
		return slice_find(value, '(', 0) == SIZE_MAX ? value : SLICE_NONE;
	}
	return SLICE_NONE;
}
