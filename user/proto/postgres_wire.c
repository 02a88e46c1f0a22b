/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/postgres_wire.h"

enum {
	LENGTH_MAX = 0x3fffffff, /* PQ_LARGE_MESSAGE_LIMIT: 1 GiB - 1 */
	SMALL_MAX = 10000,       /* PQ_SMALL_MESSAGE_LIMIT */
	AUTH_MAX = 65535,        /* PQ_MAX_AUTH_TOKEN_LENGTH */
	REPLY_MAX = 30000,       /* libpq takes longer ones for lost synchronisation, but for a few types */
	COLUMNS_MAX = 1664,      /* MaxTupleAttributeNumber */
	TAG_MAX = 128,
	TEXT_LOOK = 64,          /* bytes of a text that are looked at; keeps a check O(1) */
	NAME_LOOK = 256,
	PARTIAL_ENOUGH = 64,
};

struct length_range {
	uint32_t min, max; /* of the length field, which counts itself; 0, 0 = no such message */
};

static const struct length_range to_server[128] = {
	['Q'] = { 5, LENGTH_MAX }, ['P'] = { 8, LENGTH_MAX }, ['B'] = { 12, LENGTH_MAX }, ['F'] = { 14, LENGTH_MAX }, ['d'] = { 4, LENGTH_MAX },
	['E'] = { 9, SMALL_MAX }, ['D'] = { 6, SMALL_MAX }, ['C'] = { 6, SMALL_MAX }, ['f'] = { 5, SMALL_MAX }, ['p'] = { 4, AUTH_MAX },
	['S'] = { 4, 4 }, ['H'] = { 4, 4 }, ['X'] = { 4, 4 }, ['c'] = { 4, 4 },
};

static const struct length_range to_client[128] = {
	['R'] = { 8, AUTH_MAX }, ['K'] = { 12, 264 }, ['S'] = { 6, REPLY_MAX }, ['T'] = { 6, LENGTH_MAX }, ['D'] = { 6, LENGTH_MAX },
	['C'] = { 5, TAG_MAX }, ['E'] = { 5, LENGTH_MAX }, ['N'] = { 5, LENGTH_MAX }, ['A'] = { 10, LENGTH_MAX }, ['Z'] = { 5, 5 },
	['t'] = { 6, 6 + 4 * 65535 }, ['G'] = { 7, REPLY_MAX }, ['H'] = { 7, REPLY_MAX }, ['W'] = { 7, REPLY_MAX }, ['d'] = { 4, LENGTH_MAX },
	['V'] = { 8, LENGTH_MAX }, ['v'] = { 12, REPLY_MAX }, ['I'] = { 4, 4 }, ['1'] = { 4, 4 }, ['2'] = { 4, 4 }, ['3'] = { 4, 4 },
	['n'] = { 4, 4 }, ['s'] = { 4, 4 }, ['c'] = { 4, 4 },
};

enum postgres_fit postgres_head(enum proto_side side, struct slice in, size_t *ret_total)
{
	if (in.len == 0)
		return POSTGRES_SHORT;
	if (in.ptr[0] >= 128)
		return POSTGRES_NO;
	const struct length_range *r = side == PROTO_TO_SERVER ? &to_server[in.ptr[0]] : &to_client[in.ptr[0]];
	if (r->max == 0 || (in.len > 1 && in.ptr[1] > 0x3f))
		return POSTGRES_NO;
	if (in.len < POSTGRES_HEAD)
		return POSTGRES_SHORT;
	uint32_t len = load_be32(in.ptr + 1);
	if (len < r->min || len > r->max)
		return POSTGRES_NO;
	*ret_total = (size_t)len + 1;
	return POSTGRES_WHOLE;
}

enum postgres_fit postgres_startup_head(struct slice in, size_t *ret_total, uint32_t *ret_code)
{
	if ((in.len > 0 && in.ptr[0] != 0) || (in.len > 1 && in.ptr[1] != 0))
		return POSTGRES_NO;
	if (in.len < 8)
		return POSTGRES_SHORT;
	uint32_t len = load_be32(in.ptr), code = load_be32(in.ptr + 4);
	bool ok;
	if (code == POSTGRES_SSL || code == POSTGRES_GSSENC)
		ok = len == 8;
	else if (code == POSTGRES_CANCEL)
		ok = len >= 16 && len <= 12 + 256; /* a key of 4 bytes, up to 256 since protocol 3.2 */
	else
		ok = code >> 16 == 3 && len >= 9 && len <= POSTGRES_STARTUP_MAX;
	if (!ok)
		return POSTGRES_NO;
	*ret_total = len;
	*ret_code = code;
	return POSTGRES_WHOLE;
}

/* --- how a message must look --- */

/* A message whose head is right: `body` is what there is of it, `size` what it should be. */
struct view {
	uint8_t type;
	struct slice body;
	size_t size;
};

static bool printable(struct slice s) { return slice_is_text(slice_head(s, TEXT_LOOK)); }

/* A string at *at. SHORT: it goes on behind what there is. */
static enum postgres_fit fit_string(const struct view *v, size_t *at, size_t max)
{
	struct slice rest = slice_head(slice_from(v->body, *at), max + 1);
	size_t end = slice_find(rest, 0, 0);

	if (!printable(slice_head(rest, end)))
		return POSTGRES_NO;
	if (end == SIZE_MAX)
		return rest.len > max || *at + rest.len >= v->size ? POSTGRES_NO : POSTGRES_SHORT;
	*at += end + 1;
	return POSTGRES_WHOLE;
}

/* A string that fills the rest of the message. */
static bool fit_last_string(const struct view *v, size_t at)
{
	struct slice rest = slice_from(v->body, at);
	bool whole = v->body.len == v->size;
	size_t end = slice_find(slice_head(rest, NAME_LOOK), 0, 0);

	if (at >= v->size || (whole && v->body.ptr[v->size - 1] != 0))
		return false;
	if (end != SIZE_MAX && at + end + 1 != v->size)
		return false;
	return printable(slice_head(rest, end));
}

static bool fit_query(const struct view *v)
{
	return fit_last_string(v, 0);
}

static bool fit_parse(const struct view *v)
{
	size_t at = 0;
	enum postgres_fit fit = fit_string(v, &at, NAME_LOOK);

	return fit == POSTGRES_SHORT || (fit == POSTGRES_WHOLE && at + 3 <= v->size && printable(slice_head(slice_from(v->body, at),
		slice_find(slice_head(slice_from(v->body, at), NAME_LOOK), 0, 0))));
}

static bool fit_bind(const struct view *v)
{
	size_t at = 0;
	enum postgres_fit fit = fit_string(v, &at, NAME_LOOK);

	if (fit == POSTGRES_WHOLE)
		fit = fit_string(v, &at, NAME_LOOK);
	if (fit != POSTGRES_WHOLE)
		return fit == POSTGRES_SHORT;
	if (at + 6 > v->size)
		return false;
	if (v->body.len < at + 2)
		return true;
	size_t formats = load_be16(v->body.ptr + at);
	if (at + 6 + 2 * formats > v->size)
		return false;
	return formats == 0 || v->body.len < at + 4 || load_be16(v->body.ptr + at + 2) <= 1;
}

static bool fit_named(const struct view *v)
{
	return v->body.len == 0 || ((v->body.ptr[0] == 'S' || v->body.ptr[0] == 'P') && fit_last_string(v, 1));
}

static bool fit_execute(const struct view *v)
{
	size_t at = 0;
	enum postgres_fit fit = fit_string(v, &at, NAME_LOOK);

	return fit == POSTGRES_SHORT || (fit == POSTGRES_WHOLE && at + 4 == v->size);
}

static bool fit_auth(const struct view *v)
{
	if (v->body.len < 4)
		return true;
	uint32_t code = load_be32(v->body.ptr);
	switch (code) {
	case 0: case 2: case 3: case 6: case 7: case 9:
		return v->size == 4;
	case 5:
		return v->size == 8;
	case 8: case 10: case 11: case 12:
		return true;
	default:
		return false;
	}
}

static bool fit_parameter(const struct view *v)
{
	size_t at = 0;
	enum postgres_fit fit = fit_string(v, &at, NAME_LOOK);

	if (v->body.len > 0 && !((v->body.ptr[0] | 0x20) >= 'a' && (v->body.ptr[0] | 0x20) <= 'z'))
		return false;
	return fit == POSTGRES_SHORT || (fit == POSTGRES_WHOLE && fit_last_string(v, at));
}

static bool fit_columns(const struct view *v)
{
	size_t at = 2;

	if (v->body.len < 2)
		return true;
	size_t n = load_be16(v->body.ptr);
	if (n > COLUMNS_MAX || v->size < 2 + n * 19 || (n == 0 && v->size != 2))
		return false;
	return n == 0 || fit_string(v, &at, NAME_LOOK) != POSTGRES_NO;
}

/* Walks the columns that there are, up to a limit. */
static bool fit_row(const struct view *v)
{
	size_t at = 2;

	if (v->body.len < 2)
		return true;
	size_t n = load_be16(v->body.ptr);
	if (n > COLUMNS_MAX || v->size < 2 + n * 4)
		return false;
	for (size_t i = 0; i < n; i++, at += 4) {
		if (i == TEXT_LOOK || v->body.len < at + 4)
			return true;
		uint32_t len = load_be32(v->body.ptr + at);
		if (len == UINT32_MAX)
			continue;
		if (len > v->size - at - 4)
			return false;
		at += len;
		if (at + 4 > v->size)
			return false;
	}
	return at == v->size;
}

static bool fit_tag(const struct view *v)
{
	return (v->body.len == 0 || (v->body.ptr[0] >= 'A' && v->body.ptr[0] <= 'Z')) && fit_last_string(v, 0);
}

static bool fit_notice(const struct view *v)
{
	size_t at = 1;

	if (v->size < 3 || (v->body.len > 0 && v->body.ptr[0] != 'S'))
		return false;
	if (v->body.len == v->size && (v->body.ptr[v->size - 1] != 0 || v->body.ptr[v->size - 2] != 0))
		return false;
	return v->body.len < 2 || fit_string(v, &at, NAME_LOOK) != POSTGRES_NO;
}

static bool fit_copy(const struct view *v)
{
	if (v->body.len < 3)
		return true;
	return v->body.ptr[0] <= 1 && v->size == 3 + 2u * load_be16(v->body.ptr + 1);
}

static bool fit_types(const struct view *v)
{
	return v->body.len < 2 || v->size == 2 + 4u * load_be16(v->body.ptr);
}

static bool fit_notification(const struct view *v)
{
	size_t at = 4;

	return v->body.len < 5 || fit_string(v, &at, NAME_LOOK) != POSTGRES_NO;
}

static bool fit_result(const struct view *v)
{
	if (v->body.len < 4)
		return true;
	uint32_t len = load_be32(v->body.ptr);
	return len == UINT32_MAX ? v->size == 4 : v->size == 4 + (size_t)len;
}

static bool fit_content(enum proto_side side, const struct view *v)
{
	if (side == PROTO_TO_SERVER) {
		switch (v->type) {
		case 'Q': return fit_query(v);
		case 'P': return fit_parse(v);
		case 'B': return fit_bind(v);
		case 'E': return fit_execute(v);
		case 'D': case 'C': return fit_named(v);
		case 'f': return fit_last_string(v, 0);
		default: return true;
		}
	}
	switch (v->type) {
	case 'R': return fit_auth(v);
	case 'S': return fit_parameter(v);
	case 'T': return fit_columns(v);
	case 'D': return fit_row(v);
	case 'C': return fit_tag(v);
	case 'E': case 'N': return fit_notice(v);
	case 'Z': return v->body.len == 0 || v->body.ptr[0] == 'I' || v->body.ptr[0] == 'T' || v->body.ptr[0] == 'E';
	case 't': return fit_types(v);
	case 'G': case 'H': case 'W': return fit_copy(v);
	case 'A': return fit_notification(v);
	case 'V': return fit_result(v);
	default: return true;
	}
}

/* What follows each other from the start of the input. */
struct chain {
	bool broken;   /* something that is no message */
	unsigned whole, data; /* messages; of them copy data and passwords, which may hold anything */
	bool partial;  /* ends within a message whose head is there */
	bool exact;    /* ends with a message */
	uint8_t first; /* type */
};

static struct chain chain_at(struct slice in, enum proto_side side, unsigned max)
{
	struct chain c = { .first = in.len ? in.ptr[0] : 0 };

	for (; c.whole < max && in.len > 0;) {
		size_t total;
		enum postgres_fit fit = postgres_head(side, in, &total);

		if (fit == POSTGRES_SHORT)
			return c;
		c.broken = fit == POSTGRES_NO;
		if (c.broken)
			return c;
		struct view v = { in.ptr[0], slice_head(slice_from(in, POSTGRES_HEAD), total - POSTGRES_HEAD), total - POSTGRES_HEAD };
		c.broken = !fit_content(side, &v);
		c.partial = in.len < total;
		if (c.broken || c.partial)
			return c;
		c.whole++;
		if (v.type == 'd' || (v.type == 'p' && side == PROTO_TO_SERVER))
			c.data++;
		in = slice_from(in, total);
	}
	c.exact = in.len == 0;
	return c;
}

static int detect_startup(struct slice in)
{
	size_t total;
	uint32_t code;
	enum postgres_fit fit = postgres_startup_head(in, &total, &code);

	if (fit != POSTGRES_WHOLE)
		return fit == POSTGRES_SHORT ? DETECT_MORE : DETECT_NO;
	if (code >> 16 != 3)
		return DETECT_CERTAIN;
	if (in.len == 8)
		return DETECT_MORE;
	/* Without a parameter the packet is over: what goes on there is a request of Kafka. */
	return (in.ptr[8] == 0 ? total == 9 : printable(slice_head(slice_from(in, 8), 1))) ? DETECT_CERTAIN : DETECT_NO;
}

int postgres_detect(struct slice in, enum proto_side side)
{
	enum { LOOK = 8 };

	if (in.len == 0)
		return DETECT_MORE;
	if (side == PROTO_TO_SERVER && in.ptr[0] == 0)
		return detect_startup(in);
	struct chain c = chain_at(in, side, LOOK);
	if (c.broken || (!c.whole && in.len >= POSTGRES_HEAD && in.ptr[1] >= ' ')) /* half a GiB at least: a length that is four letters of a text */
		return DETECT_NO;
	unsigned sure = c.whole - c.data;
	if (sure >= 2)
		return DETECT_LIKELY;
	if (sure == 1)
		return c.exact && side == PROTO_TO_SERVER && c.first == 'Q' ? DETECT_LIKELY : c.exact || c.partial ? DETECT_WEAK : DETECT_MORE;
	if (c.data > 0)
		return in.len < PARTIAL_ENOUGH ? DETECT_MORE : DETECT_WEAK;
	return in.len < PARTIAL_ENOUGH || !c.partial ? DETECT_MORE : DETECT_WEAK;
}

size_t postgres_find(struct slice in, enum proto_side side)
{
	enum { LOOK = 3 };

	for (size_t i = 0; i < in.len; i++) {
		struct chain c = chain_at(slice_from(in, i), side, LOOK);

		if (c.broken || c.whole == 0)
			continue;
		if (c.whole - c.data >= 2 || c.whole == LOOK || (c.whole > c.data && (c.exact || c.partial)))
			return i;
	}
	return in.len;
}
