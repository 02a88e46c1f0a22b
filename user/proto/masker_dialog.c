/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/masker_dialog.h"

enum state { LINE, VERB, ARGUMENTS, CODE, TEXT, CHUNK, BODY_LINE, BODY, BODY_DOT, BODY_DOT_CR };
enum { MEMORY_ROLE, MEMORY_BODY }; /* mask_conn.memory: who way 0 is; the server is ready for a message */
enum { WAY_ASKED };                /* mask_way.memory: the latest command announces one */
enum { ROLE_UNKNOWN, ROLE_CLIENT, ROLE_SERVER };
/* mask_way.type of a line: its first argument is a length; its digits may be an enhanced status code */
enum { KIND_CHUNK = 1, KIND_ENHANCED = 2 };
enum { SIZE_DIGITS = 10, PART_DIGITS = 3 };

static bool is_digit(uint8_t b) { return b >= '0' && b <= '9'; }

static bool is_letter(uint8_t b)
{
	uint8_t l = ascii_lower(b);

	return l >= 'a' && l <= 'z';
}

/* Whether this way is the client's. The first line says it: only a server's begins with a digit. */
static bool is_client(struct mask_conn *c, const struct mask_way *y, uint8_t first)
{
	bool way0 = y == &c->ways[0];

	if (c->memory[MEMORY_ROLE] == ROLE_UNKNOWN)
		c->memory[MEMORY_ROLE] = is_digit(first) == way0 ? ROLE_SERVER : ROLE_CLIENT;
	return (c->memory[MEMORY_ROLE] == ROLE_CLIENT) == way0;
}

static void line_begin(struct mask_way *y)
{
	y->state = LINE;
	y->type = y->digits = 0;
	y->number = y->part = 0;
	y->remain = 0;
	word_clear(y);
}

static uint8_t line_end(const struct mask_dialog *d, struct mask_conn *c, struct mask_way *y, bool code)
{
	uint64_t chunk = y->type & KIND_CHUNK && y->part == 1 ? y->number : 0;

	if (code && d->go_on && y->length == d->go_on)
		c->memory[MEMORY_BODY] = 1;
	y->memory[WAY_ASKED] = y->state == VERB && word_in(y, d->asks);
	line_begin(y);
	y->remain = chunk;
	y->state = chunk ? CHUNK : LINE;
	return '\n';
}

/* Words of the list stay, and the marks between them. */
static uint8_t in_words(const struct mask_dialog *d, struct mask_way *y, uint8_t b)
{
	if (b == '\r' || b == ' ' || (b && strchr(d->marks, b))) {
		word_clear(y);
		return b;
	}
	return word_feed(y, b, d->words) ? b : 'x';
}

static uint8_t in_verb(const struct mask_dialog *d, struct mask_way *y, uint8_t b)
{
	if (b == '\r')
		return b;
	if (b == ' ') {
		y->type = word_in(y, d->chunk) ? KIND_CHUNK : 0;
		y->state = ARGUMENTS;
		word_clear(y);
		return b;
	}
	return word_feed(y, b, d->verbs) ? b : 'x';
}

/* part: 0 before the length, 1 behind it or in it, 2 it is none. */
static uint8_t in_arguments(const struct mask_dialog *d, struct mask_way *y, uint8_t b)
{
	if (y->type & KIND_CHUNK && is_digit(b) && y->part < 2 && y->digits < SIZE_DIGITS) {
		y->part = 1;
		y->digits++;
		y->number = y->number * 10 + (uint64_t)(b - '0');
		return b;
	}
	if (y->type & KIND_CHUNK && (b == ' ' || b == '\r'))
		y->digits = y->part ? SIZE_DIGITS : 0;
	else if (y->type & KIND_CHUNK && is_digit(b))
		y->part = 2;
	return in_words(d, y, b);
}

static uint8_t in_code(const struct mask_dialog *d, struct mask_way *y, uint8_t b)
{
	if (y->digits < 3 && is_digit(b)) {
		y->length = y->length * 10 + (uint64_t)(b - '0');
		y->digits++;
		return b;
	}
	y->type = d->enhanced ? KIND_ENHANCED : 0;
	y->state = TEXT;
	y->digits = 0;
	word_clear(y);
	return b == ' ' || b == '-' || b == '\r' ? b : 'x';
}

/* "5.1.1": one of three digits, then up to three twice. */
static uint8_t in_text(const struct mask_dialog *d, struct mask_way *y, uint8_t b)
{
	if (y->type & KIND_ENHANCED) {
		if (y->part == 0 && y->digits == 0 && b && strchr("245", b)) {
			y->digits = PART_DIGITS;
			return b;
		}
		if (b == '.' && y->digits && y->part < 2) {
			y->part++;
			y->digits = 0;
			return b;
		}
		if (y->part && is_digit(b) && y->digits < PART_DIGITS) {
			y->digits++;
			return b;
		}
		y->type = 0;
	}
	return in_words(d, y, b);
}

/* Dots that begin a line stay: which of them ends the message is seen behind it. */
static uint8_t in_body(struct mask_way *y, uint8_t b)
{
	if (b == '\n') {
		if (y->state == BODY_DOT_CR)
			line_begin(y);
		else
			y->state = BODY_LINE;
		return b;
	}
	bool start = y->state == BODY_LINE, dot = y->state == BODY_DOT;
	y->state = start && b == '.' ? BODY_DOT : dot && b == '\r' ? BODY_DOT_CR : BODY;
	return b == '\r' || (start && b == '.') ? b : 'x';
}

static void begin_state(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (!is_client(c, y, b)) {
		y->state = is_digit(b) ? CODE : TEXT;
		y->length = 0;
		return;
	}
	y->state = is_letter(b) ? VERB : ARGUMENTS;
	if (c->memory[MEMORY_BODY] && y->memory[WAY_ASKED]) {
		c->memory[MEMORY_BODY] = y->memory[WAY_ASKED] = 0;
		y->state = BODY_LINE;
	}
}

static uint8_t one(const struct mask_dialog *d, struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (y->state == LINE && (b != '\n' || y->memory[WAY_ASKED]))
		begin_state(c, y, b);
	if (b == '\n' && y->state <= TEXT)
		return line_end(d, c, y, y->state == CODE || y->state == TEXT);
	switch (y->state) {
	case VERB: return in_verb(d, y, b);
	case ARGUMENTS: return in_arguments(d, y, b);
	case CODE: return in_code(d, y, b);
	case TEXT: return in_text(d, y, b);
	case CHUNK:
		if (--y->remain == 0)
			line_begin(y);
		return 'x';
	default: return in_body(y, b);
	}
}

void mask_dialog(const struct mask_dialog *d, struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = one(d, c, y, p[i]);
}
