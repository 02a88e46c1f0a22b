/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 (RFC 9112) for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"

#include "model/record.h"

enum state { START, TARGET, VERSION, STATUS, LINE_REST, NAME, VALUE, BODY, UNTIL_CLOSE, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END };
enum { RESPONSE = 1, CHUNKED = 2, LENGTH = 4, QUERY = 8, TRAILER = 16, HEAD = 1, CONNECT = 2 };

static const char *const starts[] = { "get ", "head ", "post ", "put ", "delete ", "connect ", "options ", "trace ", "patch ", "pri ", "http/1.1 ", "http/1.0 ", NULL };
static const char *const versions[] = { "http/1.1", "http/1.0", NULL };
static const char *const names[] = { "content-length", "transfer-encoding", "connection", "upgrade", NULL };
static const char *const values[] = { "chunked", "gzip", "deflate", "identity", "close", "keep-alive", "upgrade", "websocket", "h2c", NULL };

bool mask_http1_begins(struct slice in)
{
	for (const char *const *s = starts; *s; s++)
		if (in.len > strlen(*s) && slice_ieq(slice_head(in, strlen(*s)), slice_str(*s)))
			return true;
	return false;
}

static void start(struct mask_way *y)
{
	y->state = START;
	y->flags = 0;
	y->number = y->remain = y->length = 0;
	y->digits = 0;
	word_clear(y);
}

static uint8_t at_start(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (y->word_len == 0 && (b == '\r' || b == '\n'))
		return b;
	if (!word_feed(y, b, starts)) {
		y->state = MASK_LOST;
		return 'x';
	}
	if (!word_in(y, starts))
		return b;
	if (word_is(y, "pri ")) { /* RFC 9113, 3.4: what no HTTP/1 server takes */
		c->protocol = PLUMB_PROTO_HTTP2;
		mask_http2_start(y);
		return b;
	}
	if (y->word[0] == 'h' && y->word[1] == 't') {
		y->flags = RESPONSE;
		y->state = STATUS;
	} else {
		uint8_t kind = word_is(y, "head ") ? HEAD : word_is(y, "connect ") ? CONNECT : 0;
		if (c->methods_len < MASK_METHODS)
			c->methods[(c->methods_at + c->methods_len) % MASK_METHODS] = kind;
		if (c->methods_len < 255)
			c->methods_len++;
		y->state = TARGET;
	}
	word_clear(y);
	return b;
}

static uint8_t in_target(struct mask_way *y, uint8_t b)
{
	if (b == ' ' || b == '\n') {
		y->state = b == ' ' ? VERSION : NAME;
		return b;
	}
	if (b == '?')
		y->flags |= QUERY;
	if (y->flags & QUERY)
		return b == '?' || b == '&' || b == '=' || b == '\r' ? b : 'x';
	if (b >= '0' && b <= '9')
		return '0';
	return memchr("/:.*\r", b, 5) ? b : 'x';
}

/* What comes behind the headers, of a response. */
static uint8_t response_body(struct mask_conn *c, struct mask_way *y)
{
	bool known = c->methods_len > 0 && c->methods_len <= MASK_METHODS;
	uint8_t kind = known ? c->methods[c->methods_at] : 0;
	uint64_t status = y->number;

	if (status >= 100 && status < 200 && status != 101)
		return START;
	if (c->methods_len)
		c->methods_len--;
	c->methods_at = (uint8_t)((c->methods_at + 1) % MASK_METHODS);
	if (status == 101 || (kind == CONNECT && status < 300)) {
		c->ways[0].state = c->ways[1].state = MASK_OPAQUE;
		return MASK_OPAQUE;
	}
	if (kind == HEAD || status == 204 || status == 304)
		return START;
	return y->flags & CHUNKED ? CHUNK_SIZE : y->flags & LENGTH ? BODY : UNTIL_CLOSE;
}

static void headers_end(struct mask_conn *c, struct mask_way *y)
{
	uint8_t next = y->flags & CHUNKED ? CHUNK_SIZE : BODY;
	uint64_t length = y->length;

	if (y->flags & TRAILER)
		next = START;
	else if (y->flags & RESPONSE)
		next = response_body(c, y);
	start(y);
	y->state = next;
	if (next == BODY) {
		y->remain = length;
		if (length == 0)
			y->state = START;
	}
}

static uint8_t in_name(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (b == '\n') {
		if (y->word_len == 0)
			headers_end(c, y);
		word_clear(y);
		return b;
	}
	if (b == '\r')
		return b;
	if (b == ':') {
		y->type = word_is(y, "content-length") ? 'l' : word_is(y, "transfer-encoding") ? 't' : word_in(y, names) ? 'w' : 0;
		if (y->type == 'l' && !(y->flags & TRAILER)) {
			y->flags |= LENGTH;
			y->length = 0;
		}
		y->state = VALUE;
		word_clear(y);
		return b;
	}
	return word_feed(y, b, names) ? b : 'x';
}

static uint8_t in_value(struct mask_way *y, uint8_t b)
{
	if (b == '\r' || b == '\n' || b == ' ' || b == ',' || b == '\t') {
		if (y->type == 't' && word_is(y, "chunked"))
			y->flags |= CHUNKED;
		word_clear(y);
		if (b == '\n')
			y->state = NAME;
		return b;
	}
	if (y->type == 'l' && b >= '0' && b <= '9') {
		if (!(y->flags & TRAILER) && y->length < UINT64_MAX / 16)
			y->length = y->length * 10 + (uint64_t)(b - '0');
		return b;
	}
	return (y->type == 't' || y->type == 'w') && word_feed(y, b, values) ? b : 'x';
}

static uint8_t in_chunk_size(struct mask_way *y, uint8_t b)
{
	uint8_t low = ascii_lower(b);
	bool digit = b >= '0' && b <= '9', hex = low >= 'a' && low <= 'f';

	if (y->state == CHUNK_SIZE && (digit || hex) && y->digits < 12) {
		y->number = y->number * 16 + (uint64_t)(digit ? b - '0' : low - 'a' + 10);
		y->digits++;
		return b;
	}
	if (b == '\n') {
		y->remain = y->number;
		y->state = y->remain ? CHUNK_DATA : NAME;
		y->flags |= y->remain ? 0u : (uint32_t)TRAILER;
		y->number = y->digits = 0;
		word_clear(y);
		return b;
	}
	if (b == '\r')
		return b;
	y->state = CHUNK_EXTENSION;
	return b == ';' ? b : 'x';
}

static uint8_t one(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case START: return at_start(c, y, b);
	case TARGET: return in_target(y, b);
	case VERSION:
	case LINE_REST:
		if (b == '\n') {
			y->state = NAME;
			word_clear(y);
			return b;
		}
		return b == '\r' || (y->state == VERSION && word_feed(y, b, versions)) ? b : 'x';
	case STATUS:
		if (b >= '0' && b <= '9' && y->digits < 3) {
			y->number = y->number * 10 + (uint64_t)(b - '0');
			y->digits++;
			return b;
		}
		y->state = b == '\n' ? NAME : LINE_REST;
		return b == ' ' || b == '\r' || b == '\n' ? b : 'x';
	case NAME: return in_name(c, y, b);
	case VALUE: return in_value(y, b);
	case CHUNK_SIZE:
	case CHUNK_EXTENSION: return in_chunk_size(y, b);
	case CHUNK_END:
		if (b == '\n')
			y->state = CHUNK_SIZE;
		return b == '\r' || b == '\n' ? b : 'x';
	case BODY:
	case CHUNK_DATA:
		if (--y->remain == 0) {
			if (y->state == BODY)
				start(y);
			else
				y->state = CHUNK_END;
		}
		return 'x';
	default: return 'x';
	}
}

void mask_http1(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		p[i] = one(c, y, p[i]);
		if (c->protocol == PLUMB_PROTO_HTTP2) {
			mask_http2(y, p + i + 1, n - i - 1);
			return;
		}
	}
}
