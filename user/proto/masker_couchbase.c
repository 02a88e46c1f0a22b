/* SPDX-License-Identifier: Apache-2.0 */
/* Couchbase's key-value protocol for shared recordings: see masker.h for what stays. */
#include "proto/couchbase_wire.h"
#include "proto/masker_way.h"

enum state { HEAD, BODY };
enum { ID_KEPT = 3, FEATURE_MAX = 0x30, FEATURE_COLLECTIONS = 0x12, LEVEL_MAX = 3 };

/* mask_way.memory: what is left of the parts of a body, in their order, and how far the one under way is. */
enum { FRAMES, EXTRAS, KEY, PLACE, FRAME_HEAD, FRAME_LEFT, HEADER, STATUS };
/* mask_way.flags */
enum { BLIND = 1, IN_ID = 2, LISTS = 4, LOW = 8 };
/* mask_conn.memory */
enum { PREFIXED };

static bool is_request(uint8_t magic) { return magic == 0x80 || magic == 0x08; }
static bool is_answer(uint8_t magic) { return magic == 0x81 || magic == 0x18; }

/* Magic and opcode as they were read. */
static uint8_t magic_of(const struct mask_way *y) { return (uint8_t)(y->memory[HEADER] >> 8); }
static uint8_t opcode_of(const struct mask_way *y) { return (uint8_t)y->memory[HEADER]; }

static bool head_fits(struct mask_way *y, unsigned at, uint8_t b)
{
	bool framed = at && magic_of(y) < 0x80;

	switch (at) {
	case 0: return is_request(b) || is_answer(b) || b == 0x82 || b == 0x83;
	case 2: return framed || b <= COUCHBASE_KEY_MAX >> 8;
	case 4: return b <= 48;
	case 5: return b <= 7;
	case 6: return b <= 3;
	case 8: return b <= COUCHBASE_BODY_MAX >> 24;
	default: return true;
	}
}

static void head_take(struct mask_way *y, unsigned at, uint8_t b)
{
	bool framed = magic_of(y) < 0x80;

	if (at <= 1)
		y->memory[HEADER] = (y->memory[HEADER] << 8 | b) & 0xffff;
	else if (at == 2)
		y->memory[framed ? FRAMES : KEY] = framed ? b : (uint64_t)b << 8;
	else if (at == 3)
		y->memory[KEY] |= b;
	else if (at == 4)
		y->memory[EXTRAS] = b;
	else if (at == 6 || at == 7)
		y->memory[STATUS] = y->memory[STATUS] << 8 | b;
	else if (at >= 8 && at <= 11)
		y->number = y->number << 8 | b;
}

static void restart(struct mask_way *y)
{
	y->state = HEAD;
	y->digits = 0;
	y->number = y->remain = 0;
	y->flags = 0;
	memset(y->memory, 0, sizeof(y->memory));
}

/* Lengths, opcode, status and the low bytes of the number stay, the CAS value does not. */
static uint8_t in_head(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	unsigned at = y->digits++;

	if (!head_fits(y, at, b)) {
		y->state = MASK_LOST;
		return 'x';
	}
	head_take(y, at, b);
	if (at + 1 < COUCHBASE_HEAD)
		return at == 12 || at >= 16 ? 0 : b;
	bool agrees = is_answer(magic_of(y)) && opcode_of(y) == COUCHBASE_OP_HELLO;
	if (agrees) /* what was agreed on before is no more */
		c->memory[PREFIXED] = false;
	y->remain = y->number;
	y->state = y->remain ? BODY : HEAD;
	if (y->memory[FRAMES] + y->memory[EXTRAS] + y->memory[KEY] > y->remain)
		y->state = MASK_LOST;
	else if (!y->remain)
		restart(y);
	else if (agrees && !y->memory[STATUS])
		y->flags = LISTS;
	else if (is_request(magic_of(y)) && c->memory[PREFIXED] && couchbase_op(opcode_of(y))->flags & COUCHBASE_KEY)
		y->flags = IN_ID;
	return 0;
}

/* The head of a frame, and what it says of durability and of the server's time. */
static uint8_t in_frames(struct mask_way *y, uint8_t b)
{
	static const char requests[] = "\x11\x13\x22\x50", answers[] = "\x02\x12\x22\x32";
	uint64_t *left = &y->memory[FRAME_LEFT];

	if (y->flags & BLIND)
		return 'x';
	if (*left == 0) {
		const char *known = is_request(magic_of(y)) ? requests : answers;
		if (b == 0 || !strchr(known, b)) {
			y->flags |= BLIND;
			return 'x';
		}
		y->memory[FRAME_HEAD] = b;
		*left = b & 15u;
		y->memory[PLACE] = 0;
		return b;
	}
	--*left;
	bool first = y->memory[PLACE]++ == 0;
	if (is_answer(magic_of(y)))
		return y->memory[FRAME_HEAD] == 2 ? b : 0;
	return y->memory[FRAME_HEAD] < 0x20 && first && b <= LEVEL_MAX ? b : 0;
}

/* The number of a collection, below 2^16, behind that of the list it is in. */
static uint8_t in_extras(struct mask_way *y, uint8_t b)
{
	uint64_t left = y->memory[EXTRAS];

	if (!is_answer(magic_of(y)) || opcode_of(y) != COUCHBASE_OP_COLLECTION_ID || y->flags & BLIND)
		return 'x';
	return left < 2 ? b : 0;
}

/* The number of a collection in front of a key. */
static uint8_t in_key(struct mask_way *y, uint8_t b)
{
	if (!(y->flags & IN_ID))
		return 'x';
	if (b < 0x80 || ++y->memory[PLACE] >= ID_KEPT)
		y->flags &= ~(uint32_t)IN_ID;
	return b;
}

/* What HELLO has agreed on: a list of numbers. */
static uint8_t in_value(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (!(y->flags & LISTS))
		return 'x';
	y->flags ^= LOW;
	if (b >= FEATURE_MAX || (y->flags & LOW && b)) {
		y->flags &= ~(uint32_t)LISTS;
		return 'x';
	}
	c->memory[PREFIXED] |= b == FEATURE_COLLECTIONS;
	return b;
}

static uint8_t in_body(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint64_t *parts = y->memory;
	uint8_t out;

	y->remain--;
	if (parts[FRAMES]) {
		parts[FRAMES]--;
		out = in_frames(y, b);
		parts[PLACE] = parts[FRAMES] ? parts[PLACE] : 0;
	} else if (parts[EXTRAS]) {
		parts[EXTRAS]--;
		out = in_extras(y, b);
	} else if (parts[KEY]) {
		parts[KEY]--;
		out = in_key(y, b);
	} else {
		out = in_value(c, y, b);
	}
	if (y->remain == 0)
		restart(y);
	return out;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = y->state == HEAD ? in_head(c, y, p[i]) : y->state == BODY ? in_body(c, y, p[i]) : 'x';
}

/* What is left of the body stands anywhere in it. */
static void hole(struct mask_way *y)
{
	y->flags = BLIND;
	y->memory[FRAMES] = y->memory[EXTRAS] = y->memory[KEY] = 0;
}

static bool begins(struct slice in) { return couchbase_detect(in, PROTO_TO_SERVER) >= DETECT_SHARED || couchbase_detect(in, PROTO_TO_CLIENT) >= DETECT_SHARED; }

/* Clients begin with HELLO, which memcached has not. */
static enum mask_opens opens(struct slice in)
{
	int score = couchbase_detect(in, PROTO_TO_SERVER);

	if (score >= DETECT_LIKELY || couchbase_detect(in, PROTO_TO_CLIENT) >= DETECT_LIKELY)
		return MASK_OPENS_SURELY;
	return score == DETECT_MORE && in.len > 1 && in.ptr[0] == 0x80 && in.ptr[1] == COUCHBASE_OP_HELLO ? MASK_OPENS_SURELY : MASK_OPENS_NOT;
}

const struct mask_ops mask_couchbase = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };
