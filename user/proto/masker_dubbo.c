/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dubbo 2 for shared recordings: see masker.h for what stays. Of bodies that is what they begin with: in hessian2 the lengths of a request's first texts, of a response whether something
 * was thrown.
 */
#include "proto/dubbo_wire.h"
#include "proto/masker_way.h"

/* A text's head is one byte, or has a second and third one of its length. */
enum state { HEAD, FIRST, TEXT_HEAD, TEXT_LENGTH, TEXT, SIZE, KIND, REST };
enum { ID_KEPT = 3, TEXTS = 4, KINDS = 5 };

static void took(struct mask_way *y)
{
	if (--y->remain)
		return;
	y->state = HEAD;
	y->digits = 0;
}

static uint8_t lose(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

/* ---- heads ---- */

static struct dubbo_head head_of(const struct mask_way *y)
{
	struct dubbo_head h = { 0 };

	(void)dubbo_head_read(slice_make(y->word, DUBBO_HEAD), &h);
	return h;
}

static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	unsigned at = y->digits++;
	struct dubbo_head h;

	y->word[at] = (char)b;
	switch (dubbo_head_read(slice_make(y->word, y->digits), &h)) {
	case DUBBO_BAD: return lose(y);
	case DUBBO_SHORT: break;
	case DUBBO_FITS:
		y->remain = h.body;
		y->part = 0;
		y->state = h.flags & DUBBO_EVENT ? REST : FIRST;
		if (h.body == 0) {
			y->state = HEAD;
			y->digits = 0;
		}
		break;
	}
	if (at == 12 && b > DUBBO_BODY_MAX >> 24)
		return lose(y);
	return at >= 4 && at < 12 - ID_KEPT ? 0 : b;
}

/* ---- bodies ---- */

/* y->part counts texts. */
static uint8_t text_head(struct mask_way *y, uint8_t b)
{
	y->number = 0;
	y->length = 0;
	y->state = TEXT;
	if (b < 0x20) {
		y->number = b;
	} else if (b >= 0x30 && b <= 0x33) {
		y->number = b & 3;
		y->length = 1;
		y->state = TEXT_LENGTH;
	} else if (b == 'S') {
		y->length = 2;
		y->state = TEXT_LENGTH;
	} else if (b != 'N') {
		y->state = REST;
		return 'x';
	}
	if (y->state == TEXT && y->number == 0)
		y->state = ++y->part < TEXTS ? TEXT_HEAD : REST;
	return b;
}

static uint8_t text_length(struct mask_way *y, uint8_t b)
{
	y->number = y->number << 8 | b;
	if (--y->length)
		return b;
	y->state = TEXT;
	if (y->number == 0)
		y->state = ++y->part < TEXTS ? TEXT_HEAD : REST;
	return b;
}

/* Lengths are of characters: of one that is more than a byte the places of the next texts are not kept. */
static uint8_t text(struct mask_way *y, uint8_t b)
{
	if (b >= 0x80)
		y->state = REST;
	else if (--y->number == 0)
		y->state = ++y->part < TEXTS ? TEXT_HEAD : REST;
	return 'x';
}

static uint8_t first(struct mask_way *y, uint8_t b)
{
	struct dubbo_head h = head_of(y);
	bool known = h.serialization == DUBBO_HESSIAN2 || h.serialization == DUBBO_FASTJSON || h.serialization == DUBBO_FASTJSON2;

	if (h.serialization == DUBBO_HESSIAN2 && h.flags & DUBBO_REQUEST)
		return text_head(y, b);
	y->state = REST;
	if (!known || !dubbo_first_fits(&h, b))
		return 'x';
	if (h.serialization == DUBBO_FASTJSON2 && !(h.flags & DUBBO_REQUEST) && h.status == DUBBO_STATUS_OK)
		y->state = SIZE;
	/* Behind JSON's number there is nothing more in its line. */
	if (h.serialization == DUBBO_FASTJSON && !(h.flags & DUBBO_REQUEST) && h.status == DUBBO_STATUS_OK)
		y->state = KIND;
	return b;
}

/* The size of fastjson2's first value, which is two, and its type. */
static uint8_t size(struct mask_way *y, uint8_t b)
{
	static const uint8_t expected[] = { 0, 0, 2, 0xbd };

	if (b != expected[y->part]) {
		y->state = REST;
		return 'x';
	}
	if (++y->part == sizeof(expected))
		y->state = KIND;
	return b;
}

static uint8_t in_body(struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case FIRST: return first(y, b);
	case TEXT_HEAD: return text_head(y, b);
	case TEXT_LENGTH: return text_length(y, b);
	case TEXT: return text(y, b);
	case SIZE: return size(y, b);
	case KIND:
		y->state = REST;
		return b <= KINDS || b == '\n' || b == '\r' ? b : 'x';
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++) {
		if (y->state == HEAD) {
			p[i] = in_head(y, p[i]);
		} else if (y->state < MASK_LOST) {
			p[i] = in_body(y, p[i]);
			took(y);
		} else {
			p[i] = 'x';
		}
	}
}

static void hole(struct mask_way *y) { y->state = REST; }

static bool begins(struct slice in)
{
	struct dubbo_head h;

	return dubbo_message_fits(in, &h) == DUBBO_FITS;
}

/* A reader may take the head alone. */
static enum mask_opens opens(struct slice in)
{
	struct dubbo_head h;

	return in.len >= 4 && dubbo_message_fits(in, &h) != DUBBO_BAD ? MASK_OPENS_SURELY : MASK_OPENS_NOT;
}

const struct mask_ops mask_dubbo = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };
