/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL protocol 3 (postgresql.org/docs: Frontend/Backend Protocol) for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"

enum state { FIRST, HEAD, BODY, STARTUP, STARTUP_BODY };
enum { SERVER = 1, TYPED = 2, INSIDE = 4 }; /* bits 8 to 15: the error field under way */
enum { SSL_REQUEST = 80877103, GSS_REQUEST = 80877104, CANCEL = 80877102, LENGTH_MAX = 1 << 30 };

static const char *const keywords[] = {
	"select", "insert", "update", "delete", "begin", "commit", "rollback", "start", "copy", "create", "alter", "drop", "truncate", "with", "set",
	"show", "explain", "values", "call", "do", "lock", "fetch", "declare", "close", "listen", "notify", "unlisten", "savepoint", "release", "prepare",
	"execute", "deallocate", "discard", "analyze", "vacuum", "grant", "revoke", "merge", "move", "abort", "end", "reset", NULL,
};
static const char *const keys[] = { "user", "database", "application_name", "client_encoding", "replication", "options", NULL };
static const char *const severities[] = { "error", "fatal", "panic", "warning", "notice", "debug", "info", "log", NULL };

/* Only a record that whole messages fill exactly: a secret that looks so would have to hold its own length. */
static bool begins(struct slice in)
{
	size_t at = 0;

	while (in.len - at >= 5) {
		uint8_t type = in.ptr[at];
		uint32_t len = load_be32(in.ptr + at + 1);
		bool letter = (type >= 'A' && type <= 'Z') || (type >= 'a' && type <= 'z') || (type >= '1' && type <= '3');
		if (!letter || len < 4 || len > in.len - at - 1)
			return false;
		at += 1u + len;
	}
	return in.len && at == in.len;
}

/* number counts the NULs of the body, digits the bytes of the field, so far. */
static void body_begin(struct mask_way *y, uint64_t bytes, uint8_t next)
{
	y->remain = bytes;
	y->number = y->digits = 0;
	word_clear(y);
	y->state = bytes ? next : HEAD;
}

/* The four bytes of a length, and for a start-up message the four of its code. */
static uint8_t in_startup(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	/* Each byte is checked before it stays: text must not pass for a length. */
	static const char *const allowed[] = { "", "", NULL, NULL, "\x04", "\x03\xd2", "\x16", "\x01\x02\x03\x2e\x2f\x30" };
	const char *fits = allowed[y->digits];
	if (b && fits && !strchr(fits, b)) {
		y->state = MASK_LOST;
		return 'x';
	}
	y->number = y->number << 8 | b;
	if (++y->digits < 8)
		return b;
	uint64_t len = y->number >> 32, code = y->number & 0xffffffff;
	bool known = code == SSL_REQUEST || code == GSS_REQUEST || code == CANCEL || code >> 16 == 3;
	if (!known || len < 8 || len > 1 << 20) {
		y->state = MASK_LOST;
		return 'x';
	}
	bool asks = code == SSL_REQUEST || code == GSS_REQUEST;
	c->secure_asked |= asks;
	body_begin(y, len - 8, STARTUP_BODY);
	if (asks) /* has no body; the true start-up message follows, unless the answer is TLS */
		y->state = STARTUP;
	return b;
}

static uint8_t in_head(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (!(y->flags & TYPED)) {
		bool letter = (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') || (b >= '1' && b <= '3');
		if (y->flags & SERVER && c->secure_asked) {
			c->secure_asked = false;
			if (b != 'N')
				c->ways[0].state = c->ways[1].state = MASK_OPAQUE;
			return b == 'N' || b == 'S' || b == 'G' ? b : 'x';
		}
		if (!letter) {
			y->state = MASK_LOST;
			return 'x';
		}
		y->type = b;
		y->flags |= TYPED;
		y->number = y->digits = 0;
		return b;
	}
	if (y->digits == 0 && b) { /* 16 MiB and more: or text */
		y->state = MASK_LOST;
		return 'x';
	}
	y->number = y->number << 8 | b;
	if (++y->digits < 4)
		return b;
	y->flags &= ~(uint32_t)TYPED;
	if (y->number < 4 || y->number > LENGTH_MAX) {
		y->state = MASK_LOST;
		return 'x';
	}
	body_begin(y, y->number - 4, BODY);
	return b;
}

static uint8_t string_byte(struct mask_way *y, uint8_t b, const char *const *list)
{
	if (b == 0) {
		y->number++;
		word_clear(y);
		return 0;
	}
	return list && word_feed(y, b, list) ? b : 'x';
}

/* ErrorResponse and NoticeResponse: fields of a type byte and a string. */
static uint8_t error_byte(struct mask_way *y, uint8_t b)
{
	if (y->digits == 0) {
		y->digits = b ? 1 : 0;
		y->flags = (y->flags & 0xff) | (uint32_t)b << 8;
		word_clear(y);
		return b == 0 || strchr("SVCMDHPpqWstcdnFLR", b) ? b : 'x';
	}
	uint8_t field = (uint8_t)(y->flags >> 8);
	if (b == 0) {
		y->digits = 0;
		return 0;
	}
	if (field == 'C' && y->digits <= 5 && ((b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z'))) {
		y->digits++;
		return b;
	}
	return (field == 'S' || field == 'V') && word_feed(y, b, severities) ? b : 'x';
}

static uint8_t client_byte(struct mask_way *y, uint8_t b, bool first)
{
	switch (y->type) {
	case 'Q': return string_byte(y, b, y->number == 0 ? keywords : NULL);
	case 'P': return y->number < 2 ? string_byte(y, b, y->number == 1 ? keywords : NULL) : 0;
	case 'B': return y->number < 2 ? string_byte(y, b, NULL) : 0;
	case 'E': return y->number < 1 ? string_byte(y, b, NULL) : 0;
	case 'D':
	case 'C': return first && (b == 'S' || b == 'P') ? b : string_byte(y, b, NULL);
	default: return 'x';
	}
}

static uint8_t server_byte(struct mask_way *y, uint8_t b, bool first)
{
	switch (y->type) {
	case 'E':
	case 'N': return error_byte(y, b);
	case 'C': /* one string: SELECT 7 */
		if (y->number)
			return 'x';
		if (b == ' ' || (b >= '0' && b <= '9'))
			return b;
		return string_byte(y, b, keywords);
	case 'Z': return first && (b == 'I' || b == 'T' || b == 'E') ? b : 'x';
	case 'R':
		if (y->digits == 4)
			return 'x';
		y->digits++;
		return b < 16 ? b : 'x';
	case 'S': return string_byte(y, b, NULL);
	default: return 'x';
	}
}

static uint8_t one(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case FIRST:
		y->flags = y == &c->ways[0] ? 0 : SERVER;
		y->number = y->digits = 0;
		y->state = b == 0 && !(y->flags & SERVER) ? STARTUP : HEAD;
		return one(c, y, b);
	case STARTUP: return in_startup(c, y, b);
	case STARTUP_BODY: {
		uint8_t out = string_byte(y, b, y->number % 2 == 0 ? keys : NULL);
		if (--y->remain == 0)
			y->state = HEAD;
		return out;
	}
	case HEAD: return in_head(c, y, b);
	case BODY: {
		bool first = !(y->flags & INSIDE);
		y->flags |= INSIDE;
		uint8_t out = y->flags & SERVER ? server_byte(y, b, first) : client_byte(y, b, first);
		if (--y->remain == 0) {
			y->state = HEAD;
			y->flags &= SERVER;
		}
		return out;
	}
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = one(c, y, p[i]);
}

static enum mask_opens opens(struct slice in) { return in.ptr[0] == 0 ? MASK_OPENS_MAYBE : MASK_OPENS_NOT; }

const struct mask_ops mask_postgres = { .opens = opens, .begins = begins, .mask = mask };
