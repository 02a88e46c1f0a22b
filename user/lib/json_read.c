/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json_read.h"

enum state {
	VALUE,      /* a value, or the end of an array that is empty */
	KEY,        /* a key, or the end of an object */
	COLON,
	AFTER,      /* a comma, or the end of the container */
	STRING,
	ESCAPE,
	UNICODE,
	SCALAR,
};

enum { UNWANTED = 0xff };

void json_read_init(struct json_read *r, const struct json_wanted *wanted, uint8_t nwanted, json_found *found, void *ctx)
{
	memset(r, 0, sizeof(*r));
	r->wanted = wanted;
	r->nwanted = nwanted;
	r->found = found;
	r->ctx = ctx;
}

static void give(struct json_read *r, enum json_kind kind, struct slice text, bool last)
{
	if (r->node != UNWANTED)
		r->found(r->ctx, r->node, kind, text, last);
}

static uint8_t child(const struct json_read *r, uint8_t within, struct slice key)
{
	for (uint8_t i = 0; i < r->nwanted; i++)
		if (r->wanted[i].within == within && slice_eq(slice_str(r->wanted[i].key), key))
			return (uint8_t)(i + 1);
	return UNWANTED;
}

/* A value is over. */
static void end_value(struct json_read *r)
{
	r->state = AFTER;
	if (r->below)
		return;
	if (r->depth == 0 && !r->batch)
		r->done = true;
}

static void begin_container(struct json_read *r, bool object)
{
	r->state = object ? KEY : VALUE;
	if (r->below || r->node == UNWANTED || r->depth == JSON_READ_DEPTH) {
		r->broken = ++r->below == UINT32_MAX;
		return;
	}
	if (r->depth == 0 && !object && !r->batch) {
		r->batch = true;
		return;
	}
	give(r, object ? JSON_OBJECT : JSON_ARRAY, SLICE_NONE, false);
	r->at[r->depth] = r->node;
	r->object[r->depth++] = object;
	if (!object)
		r->node = child(r, r->node, SLICE_LIT("*"));
}

static void end_container(struct json_read *r, bool object)
{
	if (r->below) {
		r->below--;
		r->state = AFTER;
		return;
	}
	if (r->depth == 0) {
		r->done = r->batch && !object;
		r->broken = !r->done;
		return;
	}
	if (r->object[r->depth - 1] != object) {
		r->broken = true;
		return;
	}
	r->node = r->at[--r->depth];
	give(r, object ? JSON_OBJECT : JSON_ARRAY, SLICE_NONE, true);
	end_value(r);
}

/* What stands in the innermost container behind a comma. Of one that nobody wants it is not known what it is: a key is a value there. */
static void next_value(struct json_read *r)
{
	r->state = VALUE;
	if (r->below)
		return;
	if (r->depth == 0) {
		r->node = 0;
		return;
	}
	if (r->object[r->depth - 1])
		r->state = KEY;
	else
		r->node = child(r, r->at[r->depth - 1], SLICE_LIT("*"));
}

static void begin_string(struct json_read *r, bool key)
{
	r->in_key = key;
	r->key_len = 0;
	r->state = STRING;
}

static void end_string(struct json_read *r)
{
	if (r->in_key) {
		r->node = r->key_len > JSON_READ_KEY ? UNWANTED : child(r, r->at[r->depth - 1], slice_make(r->key, r->key_len));
		r->state = COLON;
		return;
	}
	if (!r->below)
		give(r, JSON_STRING, SLICE_NONE, true);
	end_value(r);
}

static void text(struct json_read *r, struct slice s)
{
	if (r->below)
		return;
	if (!r->in_key) {
		give(r, JSON_STRING, s, false);
		return;
	}
	if (s.len > sizeof(r->key) - r->key_len)
		s.len = sizeof(r->key) - r->key_len; /* already longer than any that is wanted */
	memcpy(r->key + r->key_len, s.ptr, s.len);
	r->key_len = (uint8_t)(r->key_len + s.len);
}

static void text_byte(struct json_read *r, uint8_t c) { text(r, slice_make(&c, 1)); }

/* Halves of surrogate pairs become U+FFFD each. */
static void text_code(struct json_read *r, uint32_t code)
{
	uint8_t utf8[3];

	if (code >= 0xd800 && code < 0xe000)
		code = 0xfffd;
	if (code < 0x80) {
		text_byte(r, (uint8_t)code);
	} else if (code < 0x800) {
		utf8[0] = (uint8_t)(0xc0 | code >> 6);
		utf8[1] = (uint8_t)(0x80 | (code & 0x3f));
		text(r, slice_make(utf8, 2));
	} else {
		utf8[0] = (uint8_t)(0xe0 | code >> 12);
		utf8[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
		utf8[2] = (uint8_t)(0x80 | (code & 0x3f));
		text(r, slice_make(utf8, 3));
	}
}

static void escaped(struct json_read *r, uint8_t c)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *at = c ? strchr(from, c) : NULL;

	r->state = STRING;
	if (c == 'u') {
		r->state = UNICODE;
		r->digits = 0;
		r->code = 0;
		return;
	}
	text_byte(r, at ? (uint8_t)to[at - from] : c);
}

static void hex_digit(struct json_read *r, uint8_t c)
{
	uint8_t lower = ascii_lower(c);

	if (!(c >= '0' && c <= '9') && !(lower >= 'a' && lower <= 'f')) {
		r->broken = true;
		return;
	}
	r->code = (uint16_t)(r->code << 4 | (c <= '9' ? c - '0' : lower - 'a' + 10));
	if (++r->digits < 4)
		return;
	r->state = STRING;
	text_code(r, r->code);
}

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool is_scalar(uint8_t c)
{
	uint8_t l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.';
}

static void scalar_byte(struct json_read *r, uint8_t c)
{
	if (r->scalar_len < JSON_READ_SCALAR)
		r->scalar[r->scalar_len++] = c;
}

static void end_scalar(struct json_read *r)
{
	struct slice s = slice_make(r->scalar, r->scalar_len);
	enum json_kind kind = slice_eq(s, SLICE_LIT("true")) ? JSON_TRUE : slice_eq(s, SLICE_LIT("false")) ? JSON_FALSE : slice_eq(s, SLICE_LIT("null")) ? JSON_NULL : JSON_NUMBER;

	if (kind == JSON_NUMBER && s.ptr[0] != '-' && !(s.ptr[0] >= '0' && s.ptr[0] <= '9')) {
		r->broken = true;
		return;
	}
	if (!r->below)
		give(r, kind, s, true);
	end_value(r);
}

/* A byte outside of strings and scalars. */
static void structure(struct json_read *r, uint8_t c)
{
	bool value = r->state == VALUE;

	if (is_blank(c))
		return;
	if (c == '"' && (value || r->state == KEY))
		begin_string(r, r->state == KEY && !r->below);
	else if (c == '{' && value)
		begin_container(r, true);
	else if (c == '[' && value)
		begin_container(r, false);
	else if (c == '}' || c == ']')
		end_container(r, c == '}');
	else if (c == ',' && r->state == AFTER)
		next_value(r);
	else if (c == ':' && (r->state == COLON || (r->below && r->state == AFTER)))
		r->state = VALUE;
	else if (value && is_scalar(c)) {
		r->state = SCALAR;
		r->scalar_len = 0;
		scalar_byte(r, c);
	} else {
		r->broken = true;
	}
}

/* The plain bytes of a string from `at` on. */
static size_t string_run(struct json_read *r, struct slice in, size_t at)
{
	size_t end = at;

	while (end < in.len && in.ptr[end] != '"' && in.ptr[end] != '\\')
		end++;
	if (end > at)
		text(r, slice_make(in.ptr + at, end - at));
	return end;
}

static void feed_byte(struct json_read *r, uint8_t c)
{
	switch ((enum state)r->state) {
	case STRING:
		if (c == '"')
			end_string(r);
		else
			r->state = ESCAPE;
		break;
	case ESCAPE: escaped(r, c); break;
	case UNICODE: hex_digit(r, c); break;
	case SCALAR:
		if (is_scalar(c)) {
			scalar_byte(r, c);
			break;
		}
		end_scalar(r);
		if (!r->broken && !r->done)
			structure(r, c);
		break;
	case VALUE:
	case KEY:
	case COLON:
	case AFTER: structure(r, c); break;
	}
}

void json_read_feed(struct json_read *r, struct slice in)
{
	for (size_t at = 0; at < in.len && !r->done && !r->broken;) {
		if (r->state == STRING)
			at = string_run(r, in, at);
		if (at < in.len)
			feed_byte(r, in.ptr[at++]);
	}
}
