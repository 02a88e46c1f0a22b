/* SPDX-License-Identifier: Apache-2.0 */
/* FastCGI for shared recordings: see masker.h for what stays. */
#include "proto/fastcgi_wire.h"
#include "proto/masker_way.h"

enum state { HEAD, BODY, PAIRS, OUTPUT, REST };
enum pair { NAME_LENGTH, VALUE_LENGTH, NAME, VALUE };
enum line { LINE_NAME, LINE_VALUE, LINE_STATUS, LINES_DONE };
/* mask_way.memory: the pair under way goes on in the next record, the response's head, too. */
enum memory { WHERE, LENGTH, NAME_LEFT, VALUE_LEFT, KIND, LINE, DIGITS, OUTPUT_ID, PADDING };
enum { OTHER, METHOD, TARGET };

static const char *const names[] = {
	"request_method", "request_uri", "script_name", "query_string", "http_host", "http_user_agent", "http_cookie", "http_authorization", "request_scheme", "remote_addr",
	"server_protocol", "content_length", "https", NULL,
};
static const char *const methods[] = { "get", "post", "put", "delete", "head", "options", "patch", NULL };
static const char *const lines[] = { "status", "location", "content-type", "x-powered-by", NULL };

static uint8_t lose(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

/* ---- parameters ---- */

static void pair_value_begin(struct mask_way *y)
{
	y->memory[KIND] = word_is(y, "request_method") ? METHOD : word_is(y, "request_uri") ? TARGET : OTHER;
	word_clear(y);
	y->memory[WHERE] = y->memory[VALUE_LEFT] ? VALUE : NAME_LENGTH;
}

static uint8_t pair_length(struct mask_way *y, uint8_t b)
{
	uint64_t *left = &y->memory[y->memory[WHERE] == NAME_LENGTH ? NAME_LEFT : VALUE_LEFT];

	if (y->memory[LENGTH] == 0 && b & 128) {
		*left = b & 127;
		y->memory[LENGTH] = 3;
		return b;
	}
	*left = y->memory[LENGTH] ? *left << 8 | b : b;
	if (y->memory[LENGTH] && --y->memory[LENGTH])
		return b;
	y->memory[WHERE]++;
	word_clear(y);
	if (y->memory[WHERE] == NAME && y->memory[NAME_LEFT] == 0)
		pair_value_begin(y);
	return b;
}

static uint8_t pair_byte(struct mask_way *y, uint8_t b)
{
	bool known;

	switch ((enum pair)y->memory[WHERE]) {
	case NAME_LENGTH: case VALUE_LENGTH: return pair_length(y, b);
	case NAME:
		known = word_feed(y, b, names);
		if (--y->memory[NAME_LEFT] == 0)
			pair_value_begin(y);
		return known ? b : 'x';
	case VALUE: break;
	}
	if (--y->memory[VALUE_LEFT] == 0)
		y->memory[WHERE] = NAME_LENGTH;
	if (y->memory[KIND] == METHOD)
		return word_feed(y, b, methods) ? b : 'x';
	return y->memory[KIND] == TARGET && (b == '/' || b == '?' || b == '&' || b == '=') ? b : 'x';
}

/* ---- a response's head ---- */

static uint8_t line_byte(struct mask_way *y, uint8_t b)
{
	if (y->memory[LINE] == LINES_DONE)
		return 'x';
	if (b == '\n') {
		y->memory[LINE] = y->memory[LINE] == LINE_NAME && y->word_len == 0 ? LINES_DONE : LINE_NAME;
		word_clear(y);
		return b;
	}
	if (b == '\r')
		return b;
	if (y->memory[LINE] == LINE_NAME && b == ':') {
		y->memory[LINE] = word_is(y, "status") ? LINE_STATUS : LINE_VALUE;
		y->memory[DIGITS] = 0;
		return b;
	}
	if (y->memory[LINE] == LINE_NAME)
		return word_feed(y, b, lines) ? b : 'x';
	if (y->memory[LINE] == LINE_STATUS && y->memory[DIGITS] == 0 && b == ' ')
		return b;
	if (y->memory[LINE] == LINE_STATUS && y->memory[DIGITS] < 3 && b >= '0' && b <= '9') {
		y->memory[DIGITS]++;
		return b;
	}
	y->memory[DIGITS] = 3;
	return 'x';
}

/* ---- records ---- */

static bool begins_side(const uint8_t *head, struct fastcgi_record *ret)
{
	return fastcgi_record_read(head, PROTO_TO_SERVER, ret) || fastcgi_record_read(head, PROTO_TO_CLIENT, ret);
}

static void record_begin(struct mask_way *y, const struct fastcgi_record *r)
{
	y->remain = (uint64_t)r->len + r->padding;
	y->memory[PADDING] = r->padding;
	y->state = REST;
	switch ((enum fastcgi_type)r->type) {
	case FASTCGI_BEGIN:
		memset(y->memory, 0, OUTPUT_ID * sizeof(y->memory[0]));
		y->state = BODY;
		break;
	case FASTCGI_END:
		y->memory[OUTPUT_ID] = 0;
		y->state = BODY;
		break;
	case FASTCGI_PARAMS: y->state = PAIRS; break;
	case FASTCGI_STDOUT:
		if (y->memory[OUTPUT_ID] != r->id) {
			y->memory[LINE] = LINE_NAME;
			word_clear(y);
		}
		y->memory[OUTPUT_ID] = r->id;
		y->state = OUTPUT;
		break;
	default: break;
	}
	if (y->remain == 0)
		y->state = HEAD;
}

/* Its eight bytes are gathered in a number. */
static uint8_t head_byte(struct mask_way *y, uint8_t b)
{
	uint8_t head[FASTCGI_HEAD];
	struct fastcgi_record r;

	if ((y->part == 0 && b != 1) || (y->part == 1 && (b == 0 || b > FASTCGI_UNKNOWN_TYPE)) || (y->part == 7 && b))
		return lose(y);
	y->number = y->number << 8 | b;
	if (++y->part < FASTCGI_HEAD)
		return b;
	for (unsigned i = 0; i < FASTCGI_HEAD; i++)
		head[i] = (uint8_t)(y->number >> (56 - 8 * i));
	y->part = 0;
	if (!begins_side(head, &r))
		return lose(y);
	record_begin(y, &r);
	return b;
}

static uint8_t content_byte(struct mask_way *y, uint8_t b)
{
	bool padding = y->remain <= y->memory[PADDING];
	uint8_t kept = 'x';

	if (!padding && y->state == BODY) /* roles, flags and statuses are small */
		kept = b < 4 ? b : 0;
	else if (!padding && y->state == PAIRS)
		kept = pair_byte(y, b);
	else if (!padding && y->state == OUTPUT)
		kept = line_byte(y, b);
	if (--y->remain == 0)
		y->state = HEAD;
	return kept;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = y->state == HEAD ? head_byte(y, p[i]) : y->state < MASK_LOST ? content_byte(y, p[i]) : 'x';
}

/* What the next records go on with is not known any more. */
static void hole(struct mask_way *y)
{
	y->state = REST;
	y->memory[LINE] = LINES_DONE;
	y->memory[WHERE] = VALUE;
	y->memory[KIND] = OTHER;
	y->memory[VALUE_LEFT] = UINT64_MAX;
}

static bool begins(struct slice in) { return fastcgi_surely(in, PROTO_TO_SERVER) || fastcgi_surely(in, PROTO_TO_CLIENT); }

static enum mask_opens opens(struct slice in)
{
	struct fastcgi_record r;
	bool alone = in.len == FASTCGI_HEAD && fastcgi_record_read(in.ptr, PROTO_TO_SERVER, &r) && r.type == FASTCGI_BEGIN;

	return alone || fastcgi_surely(in, PROTO_TO_SERVER) ? MASK_OPENS_SURELY : MASK_OPENS_NOT;
}

const struct mask_ops mask_fastcgi = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };
