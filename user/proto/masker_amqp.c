/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMQP 0-9-1 for shared recordings: see masker.h for what stays. The layout of a method's arguments is the parser's; of numbers those stay that pair messages. Way 0 is
 * the client's, who speaks first.
 */
#include "proto/amqp_wire.h"
#include "proto/masker_way.h"

enum state { FIRST, PREFACE, HEAD, PAYLOAD, END };
enum { LOW = 0x20, ID_BYTES = 4, LONG_BYTES = 4, BLIND = 0 };

/* By bit, from the highest: as in amqp_wire.c. T a table, o and L numbers of 1 and 8 bytes, s a text. */
static const char properties[] = "ssToossssLssss";

static void lose(struct mask_way *y) { y->state = MASK_LOST; }

static void item_next(struct mask_way *y)
{
	y->digits++;
	y->part = 0;
	y->length = 0;
}

static void payload_begin(struct mask_way *y)
{
	uint32_t size = (uint32_t)y->number;

	if (size > (y->type == AMQP_BODY ? AMQP_BODY_MAX : AMQP_METHOD_MAX)) {
		lose(y);
		return;
	}
	y->remain = size;
	y->number = 0;
	y->flags = 0;
	y->digits = 0;
	y->part = y->length = 0;
	y->state = size ? PAYLOAD : END;
}

/* part: bytes of the head that were read. */
static uint8_t head_byte(struct mask_way *y, uint8_t b)
{
	bool known = b == AMQP_METHOD || b == AMQP_HEADER || b == AMQP_BODY || b == AMQP_HEARTBEAT;

	if ((y->part == 0 && !known) || (y->part == 3 && b >= LOW)) {
		lose(y);
		return 'x';
	}
	if (y->part == 0)
		y->type = b;
	else if (y->part == 3)
		y->number = b;
	else if (y->part > 3)
		y->number = y->number << 8 | b;
	if (++y->part == AMQP_HEAD_BYTES)
		payload_begin(y);
	return y->state == MASK_LOST ? 'x' : b;
}

/* A text behind its length of one byte. length: bytes of it that are left. */
static uint8_t short_byte(struct mask_way *y, uint8_t b)
{
	if (y->part == 0) {
		y->part = 1;
		y->length = b;
		if (!b)
			item_next(y);
		return b;
	}
	if (--y->length == 0)
		item_next(y);
	return 'x';
}

/* A text or table behind its length of four bytes. */
static uint8_t long_byte(struct mask_way *y, uint8_t b)
{
	if (y->part < LONG_BYTES) {
		if (y->part == 0 && b >= LOW) {
			lose(y);
			return 'x';
		}
		y->length = y->length << 8 | b;
		if (++y->part == LONG_BYTES && !y->length)
			item_next(y);
		return b;
	}
	if (--y->length == 0)
		item_next(y);
	return 'x';
}

/* A number of n bytes of which the last `keep` stay, and of those before them what is no text. */
static uint8_t number_byte(struct mask_way *y, uint8_t b, uint64_t n, uint64_t keep)
{
	bool low = y->part + keep >= n;

	if (++y->part == n)
		item_next(y);
	return low || (keep && b < LOW) ? b : 0;
}

/* number: of the method, once its four bytes were read (flags). */
static uint8_t method_byte(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	enum proto_side side = y == &c->ways[0] ? PROTO_TO_SERVER : PROTO_TO_CLIENT;

	if (!y->flags) {
		y->number = y->number << 8 | b;
		if (++y->part < ID_BYTES)
			return y->part & 1 ? 0 : b; /* no class or method has more than a byte */
		y->flags = 1;
		y->part = 0;
		if (!amqp_method_find((uint32_t)y->number, side))
			lose(y);
		return y->state == MASK_LOST ? 'x' : b;
	}
	const struct amqp_method *m = amqp_method_find((uint32_t)y->number, side);
	switch (m->layout[y->digits]) {
	case 'q':
	case 'x':
	case 'k':
	case 'c':
	case 'm':
	case 's': return short_byte(y, b);
	case 'S':
	case 'T': return long_byte(y, b);
	case 'd': return number_byte(y, b, 8, 4);
	case 'r':
	case 'i':
	case 'j': return number_byte(y, b, 2, 1);
	case 'w': return number_byte(y, b, 2, 0);
	case 'l': return number_byte(y, b, 4, 0);
	case 'o': return number_byte(y, b, 1, 0);
	case 'B': item_next(y); return b < LOW ? b : 0;
	default: return 'x';
	}
}

/* number: the last two bytes of the fixed part, the flags; then the properties that these announce. */
static uint8_t header_byte(struct mask_way *y, uint8_t b)
{
	enum { SIZE = 4, SIZE_KNOWN = 8, FLAGS = 12 };

	if (!y->flags) {
		uint64_t at = y->part++;
		if ((at == 1 && b != AMQP_BASIC) || (at != 1 && at < SIZE && b) || (at == SIZE_KNOWN && b >= LOW) || (at == FLAGS + 1 && b & 3)) {
			lose(y);
			return 'x';
		}
		y->number = y->number << 8 | b;
		if (at == FLAGS + 1) {
			y->flags = 1;
			y->part = 0;
		}
		return at < SIZE || at >= SIZE_KNOWN || b < LOW ? b : 0;
	}
	while (y->digits < sizeof(properties) - 1 && !(y->number & 0x8000u >> y->digits))
		y->digits++;
	switch (properties[y->digits]) {
	case 's': return short_byte(y, b);
	case 'T': return long_byte(y, b);
	case 'o': return number_byte(y, b, 1, 0);
	case 'L': return number_byte(y, b, 8, 0);
	default: return 'x';
	}
}

static uint8_t payload_byte(const struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint8_t out = y->type == AMQP_METHOD ? method_byte(c, y, b) : y->type == AMQP_HEADER ? header_byte(y, b) : 'x';

	if (--y->remain == 0 && y->state == PAYLOAD)
		y->state = END;
	return out;
}

static uint8_t preface_byte(struct mask_way *y, uint8_t b)
{
	if (b != amqp_preface().ptr[y->part]) {
		lose(y);
		return 'x';
	}
	if (++y->part == amqp_preface().len) {
		y->state = HEAD;
		y->part = 0;
	}
	return b;
}

static uint8_t one(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case FIRST:
		y->state = b == amqp_preface().ptr[0] ? PREFACE : HEAD;
		return y->state == PREFACE ? preface_byte(y, b) : head_byte(y, b);
	case PREFACE: return preface_byte(y, b);
	case HEAD: return head_byte(y, b);
	case PAYLOAD: return payload_byte(c, y, b);
	case END:
		if (b != AMQP_END) {
			lose(y);
			return 'x';
		}
		y->state = HEAD;
		y->part = 0;
		return b;
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = one(c, y, p[i]);
}

/* Nothing of the rest stands at a known place: of a type that is none (masker.c has put it so), it is masked. */
static void hole(struct mask_way *y) { y->type = BLIND; }

static enum mask_opens opens(struct slice in) { return slice_starts(in, amqp_preface()) ? MASK_OPENS_SURELY : MASK_OPENS_NOT; }

static bool begins(struct slice in) { return amqp_is_method(in, PROTO_TO_SERVER) || amqp_is_method(in, PROTO_TO_CLIENT); }

const struct mask_ops mask_amqp = { .opens = opens, .begins = begins, .mask = mask, .hole = hole };
