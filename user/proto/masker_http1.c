/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 (RFC 9112) for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"

#include "model/record.h"

enum state { START, TARGET, VERSION, STATUS, LINE_REST, NAME, VALUE, BODY, UNTIL_CLOSE, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END };
enum { RESPONSE = 1, CHUNKED = 2, LENGTH = 4, QUERY = 8, TRAILER = 16, CODING = 32, BAD_LENGTH = 64 };
/* Within the value of Content-Length or Transfer-Encoding: a part of the list has begun, a blank stood behind its word, or a parameter. Within a chunk's size: a digit was there. */
enum { PART = 128, BLANK = 256, PARAMETER = 512, DIGIT = 1024 };
enum { HEAD = 1, CONNECT = 2 }; /* requests whose answers are framed in their own way */
/* Digits of a length that stay: 10 GB less a byte; chunks up to 4 GiB. A card's number has more. */
enum { LENGTH_DIGITS = 10, CHUNK_DIGITS = 8 };

static const char *const starts[] = { "get ", "head ", "post ", "put ", "delete ", "connect ", "options ", "trace ", "patch ", "pri ", "http/1.1 ", "http/1.0 ", NULL };
static const char *const versions[] = { "http/1.1", "http/1.0", NULL };
static const char *const names[] = { "content-length", "transfer-encoding", "connection", "upgrade", NULL };
static const char *const values[] = { "chunked", "gzip", "deflate", "identity", "close", "keep-alive", "upgrade", "websocket", "h2c", NULL };

static bool begins(struct slice in)
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
	y->number = y->remain = y->length = y->part = 0;
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

/* RFC 9112, 6.3: a body whose end only the end of the connection tells, or nothing. */
static bool has_no_end(const struct mask_way *y)
{
	return (y->flags & CODING && !(y->flags & CHUNKED)) || y->flags & BAD_LENGTH;
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
	if (y->flags & CHUNKED)
		return CHUNK_SIZE;
	return has_no_end(y) || !(y->flags & LENGTH) ? UNTIL_CLOSE : BODY;
}

static void headers_end(struct mask_conn *c, struct mask_way *y)
{
	uint8_t next = y->flags & CHUNKED ? CHUNK_SIZE : has_no_end(y) ? UNTIL_CLOSE : BODY;
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
		y->digits = 0;
		y->state = VALUE;
		word_clear(y);
		return b;
	}
	return word_feed(y, b, names) ? b : 'x';
}

/* A part of the list has ended, at a comma or the end of the line. */
static void part_end(struct mask_way *y)
{
	bool trailer = y->flags & TRAILER;

	if (y->type == 'l' && y->flags & PART && !trailer) {
		if (y->flags & LENGTH && y->length != y->part)
			y->flags |= BAD_LENGTH;
		y->length = y->part;
		y->flags |= LENGTH;
	} else if (y->type == 't' && y->word_len && !word_is(y, "identity") && !trailer) {
		/* Only as the last coding does chunked tell the end. */
		y->flags |= CODING;
		y->flags = word_is(y, "chunked") ? y->flags | CHUNKED : y->flags & ~(uint32_t)CHUNKED;
	}
	y->flags &= ~(uint32_t)(PART | BLANK | PARAMETER);
	y->part = 0;
	word_clear(y);
}

static uint8_t in_length(struct mask_way *y, uint8_t b)
{
	if (b < '0' || b > '9' || y->flags & BLANK || y->digits >= LENGTH_DIGITS) {
		y->flags |= y->flags & TRAILER ? 0u : (uint32_t)BAD_LENGTH;
		return 'x';
	}
	y->part = y->part * 10 + (uint64_t)(b - '0');
	y->flags |= PART;
	y->digits++;
	return b;
}

static uint8_t in_coding(struct mask_way *y, uint8_t b)
{
	if (y->flags & PARAMETER)
		return 'x';
	if (b == ';') {
		y->flags |= PARAMETER;
		return b;
	}
	if (y->flags & BLANK) /* two words are no coding */
		y->word_len = MASK_WORD;
	return word_feed(y, b, values) ? b : 'x';
}

static uint8_t in_value(struct mask_way *y, uint8_t b)
{
	bool list = y->type == 'l' || y->type == 't';

	if (b == ',' || b == '\n') {
		part_end(y);
		if (b == '\n')
			y->state = NAME;
		return b;
	}
	if (b == '\r' || b == ' ' || b == '\t') {
		if (list)
			y->flags |= y->flags & PART || y->word_len ? (uint32_t)BLANK : 0u;
		else
			word_clear(y);
		return b;
	}
	if (list)
		return y->type == 'l' ? in_length(y, b) : in_coding(y, b);
	return y->type == 'w' && word_feed(y, b, values) ? b : 'x';
}

static uint8_t in_chunk_size(struct mask_way *y, uint8_t b)
{
	uint8_t low = ascii_lower(b);
	bool digit = b >= '0' && b <= '9', hex = low >= 'a' && low <= 'f';

	if (y->state == CHUNK_SIZE && (digit || hex)) {
		y->number = y->number * 16 + (uint64_t)(digit ? b - '0' : low - 'a' + 10);
		if (y->number) /* zeros may lead, however many */
			y->digits++;
		y->flags |= DIGIT;
		if (y->digits <= CHUNK_DIGITS)
			return b;
		y->state = UNTIL_CLOSE;
		return 'x';
	}
	if (b == '\n' && !(y->flags & DIGIT)) {
		y->state = UNTIL_CLOSE;
		return b;
	}
	if (b == '\n') {
		y->remain = y->number;
		y->state = y->remain ? CHUNK_DATA : NAME;
		y->flags &= ~(uint32_t)DIGIT;
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

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		p[i] = one(c, y, p[i]);
		if (c->protocol == PLUMB_PROTO_HTTP2) {
			mask_http2.mask(c, y, p + i + 1, n - i - 1);
			return;
		}
	}
}

static enum mask_opens opens(struct slice in) { return in.ptr[0] >= 'A' && in.ptr[0] <= 'Z' ? MASK_OPENS_MAYBE : MASK_OPENS_NOT; }

const struct mask_ops mask_http1 = { .opens = opens, .begins = begins, .mask = mask };
