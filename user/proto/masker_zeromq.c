/* SPDX-License-Identifier: Apache-2.0 */
/* ZeroMQ for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"
#include "proto/zeromq_wire.h"

enum state { START, GREETING, IDENTITY, LENGTH, BODY, VERB_LENGTH, VERB, NAME_LENGTH, NAME, VALUE_LENGTH, VALUE, REASON_LENGTH, REASON };
/*
 * mask_way.flags above the frame's: this end subscribes, or asks; a message goes on; the value is the socket's type; by the greeting READY and INITIATE are encrypted; something has
 * come, so that no greeting follows
 */
enum { SUBSCRIBES = 256, BEGUN = 512, IS_TYPE = 1024, ASKS = 2048, ENCRYPTED = 4096, GREETED = 8192 };
/* mask_way.type: the content may be a subscription, or name who asks: a number of a REQ, or what a ROUTER makes up, a zero and four bytes */
enum { MAY_SUBSCRIBE = 1, NUMBER = 2, MADE_UP = 4 };
enum { NUMBER_LEN = 4, MADE_UP_LEN = 5 };
enum { FRAME_FLAGS = 7, MECHANISM_AT = 12, AS_SERVER_AT = 32, TYPE_AT = 11, TYPE_SUB = 2, TYPE_XSUB = 10 };

static const char *const verbs[] = { "ready", "error", "hello", "welcome", "initiate", "subscribe", "cancel", "ping", "pong", "message", "join", "leave", "rror", NULL };
static const char *const mechanisms[] = { "null", "plain", "curve", "gssapi", NULL };
static const char *const names[] = { "socket-type", "identity", "resource", NULL };
static const char *const types[] = {
	"pair", "pub", "sub", "req", "rep", "dealer", "router", "pull", "push", "xpub", "xsub", "stream", "server", "client", "radio", "dish", "gather", "scatter", "peer", "channel", NULL,
};

static bool begins(struct slice in) { return zeromq_find(in, false) == 0; }

static void to(struct mask_way *y, enum state state)
{
	y->state = (uint8_t)state;
	y->digits = 0;
	y->part = 0;
	word_clear(y);
}

/* Of the signature, the revision, and the minor version or the socket's type. */
static bool begins_greeting(uint8_t at, uint8_t b)
{
	switch (at) {
	case 7: return b <= 1;
	case 8: return true;
	case 9: return b == 0x7f;
	case 10: return b >= 1 && b <= 3;
	case TYPE_AT: return b <= 11;
	default: return b == 0;
	}
}

/* A word of the list, in capitals, and zeros. Of others nothing stays but that there was one. */
static uint8_t in_mechanism(struct mask_way *y, uint8_t b)
{
	if (b == 0) {
		if (word_is(y, "null") || word_is(y, "plain"))
			y->flags &= ~(uint32_t)ENCRYPTED;
		y->word_len = MASK_WORD;
		return 0;
	}
	if (b < 'A' || b > 'Z') {
		y->word_len = MASK_WORD;
		return 'x';
	}
	return word_feed(y, b, mechanisms) ? b : 'X';
}

static uint8_t in_greeting(struct mask_way *y, uint8_t b)
{
	uint8_t at = y->digits++;

	if (at < MECHANISM_AT && !begins_greeting(at, b)) {
		y->state = MASK_OPAQUE;
		return 'x';
	}
	if (at < MECHANISM_AT) {
		y->flags |= at == TYPE_AT && (b == TYPE_SUB || b == TYPE_XSUB) ? SUBSCRIBES : 0u; /* of version 2; of version 3 it is no such number */
		return b;
	}
	if (at == MECHANISM_AT) {
		y->type = b == 0; /* version 2 */
		y->flags |= ENCRYPTED; /* until the word is one that is not */
	}
	if (y->type && at == ZEROMQ_GREETING_2 - 1) {
		y->remain = b;
		to(y, b ? IDENTITY : START);
		return b;
	}
	if (at == ZEROMQ_GREETING - 1)
		to(y, START);
	if (at < AS_SERVER_AT)
		return in_mechanism(y, b);
	return at == AS_SERVER_AT && b <= 1 ? b : 0;
}

static void head_end(struct mask_way *y)
{
	bool command = (y->flags & ZEROMQ_COMMAND) != 0;

	y->remain = y->number;
	y->type = 0;
	if (!command && !(y->flags & (ZEROMQ_MORE | BEGUN)) && y->flags & SUBSCRIBES)
		y->type = MAY_SUBSCRIBE;
	if ((y->flags & FRAME_FLAGS) == ZEROMQ_MORE)
		y->type = y->number == MADE_UP_LEN ? MADE_UP : y->number == NUMBER_LEN && !(y->flags & BEGUN) && (y->memory[0] || y->flags & ASKS) ? NUMBER : 0;
	y->length = 0;
	if (!command)
		y->flags = y->flags & ZEROMQ_MORE ? y->flags | BEGUN : y->flags & ~(uint32_t)BEGUN;
	to(y, y->remain == 0 ? START : command ? VERB_LENGTH : BODY);
}

static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	if (y->state == START) {
		bool first = !(y->flags & GREETED);
		y->flags |= GREETED;
		if (b == 0xff && first) {
			to(y, GREETING);
			y->digits = 1;
			return b;
		}
		if (b > 6 || (b & (ZEROMQ_MORE | ZEROMQ_COMMAND)) == (ZEROMQ_MORE | ZEROMQ_COMMAND)) {
			y->state = MASK_OPAQUE;
			return 'x';
		}
		y->flags = (y->flags & ~(uint32_t)FRAME_FLAGS) | b;
		y->number = 0;
		to(y, LENGTH);
		return b;
	}
	if (y->flags & ZEROMQ_LONG && y->digits < 2 && b) {
		y->state = MASK_OPAQUE;
		return 'x';
	}
	y->number = y->number << 8 | b;
	y->digits++;
	if (!(y->flags & ZEROMQ_LONG) || y->digits == sizeof(uint64_t))
		head_end(y);
	return b;
}

static void verb_end(struct mask_way *y)
{
	if (word_is(y, "ready") || word_is(y, "initiate"))
		to(y, y->flags & ENCRYPTED ? BODY : NAME_LENGTH);
	else if (word_is(y, "error") || word_is(y, "rror"))
		to(y, REASON_LENGTH);
	else
		to(y, BODY);
	y->type = 0;
}

/* A length that is none: what follows is no property. */
static uint8_t astray(struct mask_way *y)
{
	to(y, BODY);
	y->type = 0;
	return 'x';
}

/* Is so much behind this byte, and `more` other ones? */
static bool holds(const struct mask_way *y, uint64_t len, uint64_t more) { return len + more < y->remain; }

static uint8_t in_properties(struct mask_way *y, uint8_t b)
{
	if (y->state == NAME_LENGTH) {
		if (!holds(y, b, sizeof(uint32_t)))
			return astray(y);
		to(y, b ? NAME : VALUE_LENGTH);
		y->length = b;
		y->flags &= ~(uint32_t)IS_TYPE;
		y->number = 0;
		return b;
	}
	if (y->state == NAME) {
		b = word_feed(y, b, names) ? b : 'x';
		if (--y->length == 0) {
			y->flags |= word_is(y, "socket-type") ? IS_TYPE : 0u;
			to(y, VALUE_LENGTH);
		}
		return b;
	}
	if (y->state == VALUE_LENGTH) {
		unsigned left = 3u - y->digits; /* bytes of the number behind this one */
		y->number = y->number << 8 | b;
		if (!holds(y, y->number << 8 * left, left))
			return astray(y);
		if (++y->digits == sizeof(uint32_t)) {
			y->length = y->number;
			to(y, y->length ? VALUE : NAME_LENGTH);
		}
		return b;
	}
	b = y->flags & IS_TYPE && word_feed(y, b, types) ? b : 'x';
	if (--y->length == 0) {
		y->flags |= word_is(y, "sub") || word_is(y, "xsub") ? SUBSCRIBES : word_is(y, "req") ? ASKS : 0u;
		to(y, NAME_LENGTH);
	}
	return b;
}

/* Who asks becomes another one, so that the answer is found. */
static uint8_t in_content(struct mask_way *y, uint8_t b)
{
	if (y->type == MAY_SUBSCRIBE) {
		y->type = 0;
		return b <= 1 ? b : 'x';
	}
	if (y->type == MADE_UP && y->remain == MADE_UP_LEN) {
		y->type = b == 0 ? NUMBER : 0;
		return b == 0 ? b : 'x';
	}
	if (y->type != NUMBER)
		return 'x';
	return mask_letter(y, b);
}

/* Of a command, or of a frame's content. */
static uint8_t in_body(struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case BODY: return in_content(y, b);
	case VERB_LENGTH:
		if (!holds(y, b, 0) && b != ZEROMQ_ERROR_OF_LIBZMQ[0])
			return astray(y);
		to(y, b ? VERB : BODY);
		y->type = 0;
		y->length = b == ZEROMQ_ERROR_OF_LIBZMQ[0] && y->remain <= b ? sizeof(ZEROMQ_ERROR_OF_LIBZMQ) - 2 : b;
		return b;
	case VERB:
		b = word_feed(y, b, verbs) ? b : 'x';
		if (--y->length == 0)
			verb_end(y);
		return b;
	case REASON_LENGTH:
		if (!holds(y, b, 0))
			return astray(y);
		to(y, REASON);
		y->length = b;
		y->part = 0;
		return b;
	case REASON: return y->length == 3 && y->part++ < 3 && b >= '0' && b <= '9' ? b : 'x'; /* a status code, else a text */
	case IDENTITY: return 'x';
	default: return in_properties(y, b);
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	y->memory[0] |= (c->ways[0].flags | c->ways[1].flags) & ASKS;
	for (size_t i = 0; i < n; i++) {
		if (y->state >= MASK_LOST) {
			p[i] = 'x';
		} else if (y->state == GREETING) {
			p[i] = in_greeting(y, p[i]);
		} else if (y->state == START || y->state == LENGTH) {
			p[i] = in_head(y, p[i]);
		} else {
			p[i] = in_body(y, p[i]);
			if (--y->remain == 0)
				to(y, START);
		}
	}
}

/* What is left stands at no known place of a command. */
static void hole(struct mask_way *y)
{
	if (y->remain)
		y->state = BODY;
	y->type = 0;
}

static enum mask_opens opens(struct slice in)
{
	return in.len && in.ptr[0] == 0xff && zeromq_detect(in, PROTO_TO_SERVER) == DETECT_CERTAIN ? MASK_OPENS_SURELY : MASK_OPENS_NOT;
}

const struct mask_ops mask_zeromq = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };
