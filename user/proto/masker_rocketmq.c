/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RocketMQ for shared recordings: frames, the names of known fields and the numbers that say what is asked and answered stay; remarks, values, other names and bodies are masked.
 */
#include "proto/masker_way.h"
#include "proto/rocketmq_wire.h"

/* Up to HEADER_SIZE the prefix, from CODE on binary headers, then JSON; BODY masks to the frame's end. */
enum state {
	START, HEADER_SIZE, CODE_TO_FLAG, REMARK_SIZE, REMARK, FIELDS_SIZE, NAME_SIZE, NAME, VALUE_SIZE, VALUE, JSON_OUTSIDE, JSON_KEY, JSON_KEY_END, JSON_TEXT, JSON_ESCAPE, BODY,
};
/* mask_way.memory */
enum { BODY_BYTES, HEADER_LEFT, DEPTH, PART_LEFT };
enum { FIXED = 13, LANGUAGE_AT = 2, DEPTH_MAX = 2 };

static const char *const top[] = { "code", "flag", "opaque", "version", NULL };
/* In lower case, as all words of a list. */
static const char *const known[] = {
	"code", "flag", "opaque", "version", "language", "remark", "extfields", "serializetypecurrentrpc", "topic", "b", "origintopic", "consumergroup", "group", "queueid", "e",
	"properties", "i", "clientid", "batch", "m", "nextbeginoffset", "restnum", NULL,
};

static uint8_t go(struct mask_way *y, enum state state, uint8_t b)
{
	y->state = (uint8_t)state;
	y->number = 0;
	y->digits = 0;
	return b;
}

static uint8_t lose(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

static void body(struct mask_way *y)
{
	y->remain = y->memory[BODY_BYTES];
	(void)go(y, y->remain ? BODY : START, 0);
}

/* A byte of the header has been masked. */
static void step(struct mask_way *y)
{
	if (y->state < MASK_LOST && --y->memory[HEADER_LEFT] == 0)
		body(y);
}

static uint8_t at_start(struct mask_way *y, uint8_t b)
{
	y->number = y->number << 8 | b;
	unsigned left = 8 * (4u - ++y->digits); /* bits of it that are to come */
	/* As soon as it is too large: its bytes would stay. So it is with the other sizes. */
	if (y->number << left > ROCKETMQ_FRAME_MAX || (left == 0 && y->number < 4))
		return lose(y);
	if (left)
		return b;
	y->length = y->number - 4;
	return go(y, HEADER_SIZE, b);
}

static uint8_t in_header_size(struct mask_way *y, uint8_t b)
{
	y->number = y->number << 8 | b;
	unsigned left = 8 * (4u - ++y->digits);
	uint64_t least = (y->number << left) & 0xffffff;
	if (y->number << left >> 24 > 1 || least > y->length || least > ROCKETMQ_HEADER_MAX)
		return lose(y);
	if (left)
		return b;
	uint64_t header = y->number & 0xffffff;
	bool binary = y->number >> 24 == 1;
	if (header < (binary ? (unsigned)ROCKETMQ_BINARY_MIN : (unsigned)ROCKETMQ_JSON_MIN))
		return lose(y);
	y->memory[BODY_BYTES] = y->length - header;
	y->memory[HEADER_LEFT] = header;
	y->memory[DEPTH] = 0;
	return go(y, binary ? CODE_TO_FLAG : JSON_OUTSIDE, b);
}

/* --- binary --- */

/* A size of `bytes` bytes: true with the last one. What is larger than the header loses the place. */
static bool size(struct mask_way *y, unsigned bytes, uint8_t b)
{
	y->number = y->number << 8 | b;
	y->digits++;
	if (y->number << 8 * (bytes - y->digits) > y->memory[HEADER_LEFT])
		y->state = MASK_LOST;
	if (y->digits < bytes || y->state == MASK_LOST)
		return false;
	y->memory[PART_LEFT] = y->number;
	return true;
}

static uint8_t part(struct mask_way *y, enum state next, uint8_t b)
{
	if (--y->memory[PART_LEFT] == 0)
		(void)go(y, next, b);
	return b;
}

/* Code, language, version, the number that pairs without its highest byte, flags. */
static uint8_t fixed(struct mask_way *y, uint8_t b)
{
	enum { LANGUAGE = 2, VERSION = 3, OPAQUE = 5, FLAG = 9 };
	unsigned at = y->digits++;

	if ((at == LANGUAGE && b >= 32) || (at == VERSION && b >= 16) || (at >= FLAG && b > (at == FIXED - 1 ? 3 : 0)))
		return lose(y);
	if (at == OPAQUE)
		b = 0;
	return at == FIXED - 1 ? go(y, REMARK_SIZE, b) : b;
}

static uint8_t binary_byte(struct mask_way *y, uint8_t b)
{
	switch ((enum state)y->state) {
	case CODE_TO_FLAG: return fixed(y, b);
	case REMARK_SIZE:
		if (size(y, 4, b))
			(void)go(y, y->number ? REMARK : FIELDS_SIZE, b);
		return b;
	case REMARK: return part(y, FIELDS_SIZE, 'x');
	case FIELDS_SIZE: return size(y, 4, b) ? go(y, NAME_SIZE, b) : b;
	case NAME_SIZE:
		if (!size(y, 2, b))
			return b;
		word_clear(y);
		return go(y, y->number ? NAME : VALUE_SIZE, b);
	case NAME: return part(y, VALUE_SIZE, word_feed(y, b, known) ? b : 'x');
	case VALUE_SIZE:
		if (size(y, 4, b))
			(void)go(y, y->number ? VALUE : NAME_SIZE, b);
		return b;
	case VALUE: return part(y, NAME_SIZE, 'x');
	default: return lose(y);
	}
}

static uint8_t in_binary(struct mask_way *y, uint8_t b)
{
	b = binary_byte(y, b);
	return y->state >= MASK_LOST ? 'x' : b;
}

/* --- JSON --- */

static uint8_t outside(struct mask_way *y, uint8_t b)
{
	switch (b) {
	case '"':
		y->state = JSON_KEY;
		word_clear(y);
		return b;
	case '{':
		return ++y->memory[DEPTH] > DEPTH_MAX ? lose(y) : b;
	case '}':
		return y->memory[DEPTH]-- == 0 ? lose(y) : b;
	case ',': case ' ': return b;
	default: return lose(y);
	}
}

/* A value behind a key: a text, a container, or letters and digits up to its end. */
static uint8_t behind_key(struct mask_way *y, uint8_t b)
{
	bool number = y->memory[DEPTH] == 1 && word_in(y, top);

	switch (b) {
	case '"': y->state = JSON_TEXT; return b;
	case ':': case ' ': return b;
	case '{': case '}': case ',':
		y->state = JSON_OUTSIDE;
		return outside(y, b);
	default:
		if ((b >= '0' && b <= '9') || b == '-')
			return number || b == '-' ? b : '0';
		return b && strchr("truefalsn", b) ? b : lose(y); /* and null */
	}
}

static uint8_t in_json(struct mask_way *y, uint8_t b)
{
	switch ((enum state)y->state) {
	case JSON_OUTSIDE: return outside(y, b);
	case JSON_KEY:
		if (b == '"') {
			y->state = JSON_KEY_END;
			return b;
		}
		return word_feed(y, b, known) ? b : 'x';
	case JSON_KEY_END: return behind_key(y, b);
	case JSON_TEXT:
		if (b == '"') {
			y->state = JSON_OUTSIDE;
			return b;
		}
		y->state = b == '\\' ? JSON_ESCAPE : JSON_TEXT;
		return 'x';
	case JSON_ESCAPE: y->state = JSON_TEXT; return 'x';
	default: return lose(y);
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++) {
		if (y->state == BODY) {
			p[i] = 'x';
			if (--y->remain == 0)
				(void)go(y, START, 0);
		} else if (y->state >= MASK_LOST) {
			p[i] = 'x';
		} else if (y->state == START) {
			p[i] = at_start(y, p[i]);
		} else if (y->state == HEADER_SIZE) {
			p[i] = in_header_size(y, p[i]);
		} else {
			p[i] = y->state < JSON_OUTSIDE ? in_binary(y, p[i]) : in_json(y, p[i]);
			step(y);
		}
	}
}

static void hole(struct mask_way *y) { y->state = BODY; }

static bool begins(struct slice in) { return in.len >= ROCKETMQ_START && rocketmq_starts(in); }

/* Some clients write the two lengths alone. */
static enum mask_opens opens(struct slice in)
{
	if (in.len < ROCKETMQ_PREFIX || !rocketmq_starts(in))
		return MASK_OPENS_NOT;
	return begins(in) ? MASK_OPENS_SURELY : MASK_OPENS_MAYBE;
}

const struct mask_ops mask_rocketmq = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };
