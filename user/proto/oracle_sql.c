/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Oracle's SQL has that redaction as of standard SQL would take for names: passwords without quotes, or in those of names, behind IDENTIFIED BY and REPLACE, and texts
 * in quotes of one's own choice, q'[it's]'. Both are written so that they read as literals; nothing gets longer.
 */
#include "proto/oracle_wire.h"

struct copy {
	struct slice in;
	size_t at;
	uint8_t *to;
	size_t len;
	uint8_t expect; /* of IDENTIFIED BY password REPLACE password: how much of it has come */
	bool begun;     /* a word has come */
	bool keys;      /* ADMINISTER KEY MANAGEMENT: behind SECRET stands one, too */
};

enum { NOTHING, IDENTIFIED, PASSWORD, BEHIND_PASSWORD };

static bool is_name(uint8_t c) { return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '#' || c >= 0x80; }

static void put(struct copy *c, uint8_t b) { c->to[c->len++] = b; }

static void put_until(struct copy *c, size_t end)
{
	while (c->at < end)
		put(c, c->in.ptr[c->at++]);
}

/* Behind the closing quote, or the end. Doubled ones are within. */
static size_t quoted_end(struct slice in, size_t at, uint8_t quote)
{
	for (at++; at < in.len; at++) {
		if (in.ptr[at] != quote)
			continue;
		if (at + 1 < in.len && in.ptr[at + 1] == quote)
			at++;
		else
			return at + 1;
	}
	return in.len;
}

static size_t comment_end(struct slice in, size_t at)
{
	bool line = in.ptr[at] == '-';

	for (at += 2; at < in.len; at++) {
		if (line && in.ptr[at] == '\n')
			return at;
		if (!line && in.ptr[at] == '*' && at + 1 < in.len && in.ptr[at + 1] == '/')
			return at + 2;
	}
	return in.len;
}

/* q'[ … ]': no byte of it but its outer quotes. */
static void own_quotes(struct copy *c)
{
	uint8_t open = c->at + 1 < c->in.len ? c->in.ptr[c->at + 1] : 0;
	uint8_t close = open == '[' ? ']' : open == '{' ? '}' : open == '(' ? ')' : open == '<' ? '>' : open;

	for (c->at += 2; c->at < c->in.len; c->at++)
		if (c->in.ptr[c->at] == close && c->at + 1 < c->in.len && c->in.ptr[c->at + 1] == '\'')
			break;
	c->at = c->at + 2 < c->in.len ? c->at + 2 : c->in.len;
	put(c, '\'');
	put(c, '\'');
}

static void own_password(struct copy *c, size_t end)
{
	/* Of one byte too: then a number stands for it. */
	if (end - c->at > 1) {
		put(c, '\'');
		put(c, '\'');
	} else {
		put(c, '0');
	}
	c->at = end;
	c->expect = BEHIND_PASSWORD;
}

/* One with signs that want quotes, and has none: the server says what is wrong with it, and it is one. */
static size_t password_end(struct slice in, size_t at, size_t end)
{
	struct slice w = slice_head(slice_from(in, at), end - at);

	if (slice_ieq(w, SLICE_LIT("VALUES")))
		return end;
	while (end < in.len && in.ptr[end] > ' ' && in.ptr[end] != ',' && in.ptr[end] != ';')
		end++;
	return end;
}

static void word(struct copy *c)
{
	size_t end = c->at;

	while (end < c->in.len && is_name(c->in.ptr[end]))
		end++;
	if (c->expect == PASSWORD)
		end = password_end(c->in, c->at, end);
	struct slice w = slice_head(slice_from(c->in, c->at), end - c->at);
	bool starts_quote = end < c->in.len && c->in.ptr[end] == '\'' && (slice_ieq(w, SLICE_LIT("q")) || slice_ieq(w, SLICE_LIT("nq")));
	if (c->expect == PASSWORD && !slice_ieq(w, SLICE_LIT("VALUES"))) {
		own_password(c, end);
		return;
	}
	c->keys = c->keys || (!c->begun && slice_ieq(w, SLICE_LIT("ADMINISTER")));
	c->begun = true;
	put_until(c, end);
	if (starts_quote) {
		c->len -= w.len;
		own_quotes(c);
	} else if (slice_ieq(w, SLICE_LIT("IDENTIFIED"))) {
		c->expect = IDENTIFIED;
	} else if ((c->expect == IDENTIFIED && slice_ieq(w, SLICE_LIT("BY"))) || (c->expect == BEHIND_PASSWORD && (slice_ieq(w, SLICE_LIT("REPLACE")) || slice_ieq(w, SLICE_LIT("SET")))) || (c->keys && slice_ieq(w, SLICE_LIT("SECRET")))) {
		c->expect = PASSWORD;
	} else if (c->expect != PASSWORD) {
		c->expect = NOTHING;
	}
}

static void step(struct copy *c)
{
	uint8_t b = c->in.ptr[c->at], next = c->at + 1 < c->in.len ? c->in.ptr[c->at + 1] : 0;

	if (is_name(b)) {
		word(c);
	} else if (b == '\'' || b == '"') {
		size_t end = quoted_end(c->in, c->at, b);
		if (c->expect == PASSWORD)
			own_password(c, end);
		else
			put_until(c, end);
	} else if ((b == '-' && next == '-') || (b == '/' && next == '*')) {
		c->at = comment_end(c->in, c->at); /* in standard SQL they nest, here they do not */
		put(c, ' ');
	} else if (c->expect == PASSWORD && b > ' ') {
		own_password(c, c->at + 1);
		c->expect = PASSWORD; /* it is none that has a meaning: nor has what follows */
	} else {
		if (c->expect == BEHIND_PASSWORD && b == ',') /* of several users */
			c->expect = PASSWORD;
		put_until(c, c->at + 1);
	}
}

size_t oracle_sql_copy(struct slice in, uint8_t *to)
{
	struct copy c = { .in = in, .to = to };

	while (c.at < in.len)
		step(&c);
	return c.len;
}
