/* SPDX-License-Identifier: Apache-2.0 */
/* bRPC for shared recordings: see masker.h for what stays. Names, texts and payloads become "x", other numbers zero. */
#include "proto/brpc_wire.h"
#include "proto/masker_way.h"

enum state { HEAD, TAG, VALUE, LENGTH, CONTENT, REST };
enum { WRAPPED = 1, FIRST_KEPT = 3, META_KEPT = BRPC_META_LARGEST >> 16, UNKNOWN = 0x78 };

/* mask_way.memory */
struct way {
	uint64_t payload;  /* behind the meta message */
	uint64_t number;   /* tag or length that is being read */
	uint32_t meta;     /* bytes of it to come */
	uint32_t inner;    /* of the message in it that is being read */
	uint32_t content;  /* of the field */
	uint8_t format, nested; /* nested: number of the field that `inner` is of */
	uint8_t field, type;    /* field: 0 for one that is not looked at */
	uint8_t at;        /* bytes of the number read */
};
_Static_assert(sizeof(struct way) <= sizeof(((struct mask_way *)0)->memory), "no room");

/* mask_conn.memory[0]: streams that were asked for; the first frame of one has an answer in it. */

static struct way *way_of(struct mask_way *y)
{
	void *p = y->memory;

	return p;
}

static uint8_t go(struct mask_way *y, enum state state, uint8_t b)
{
	y->state = (uint8_t)state;
	way_of(y)->at = 0;
	way_of(y)->number = 0;
	return b;
}

/* What was taken for a head is none. */
static uint8_t no_head(struct mask_way *y)
{
	y->state = y->flags & WRAPPED ? REST : MASK_LOST;
	return 'x';
}

/* ---- heads ---- */

static void head_read(struct mask_way *y)
{
	struct way *w = way_of(y);
	struct brpc_head h;
	size_t need;

	if (brpc_head_read(slice_make(y->word, y->digits), &h, &need) != BRPC_OK) {
		(void)no_head(y);
		return;
	}
	*w = (struct way){ .payload = h.payload, .meta = h.meta, .format = (uint8_t)h.format };
	if (!(y->flags & WRAPPED))
		y->remain = h.meta + h.payload + 1; /* this byte is counted, too */
	y->state = TAG;
}

/* Text is no length: of the first bytes of one not all values stay. */
static bool length_stays(const struct mask_way *y, unsigned at, uint8_t b)
{
	bool sofa = y->word[0] == 'S' && y->word[1] == 'O';

	if (sofa && at >= 8)
		return (at & 7) < 3 || ((at & 7) == 3 ? b <= FIRST_KEPT : b == 0);
	if (sofa || (y->word[0] == 'H' && at >= 8))
		return (at & 3) < 2 || ((at & 3) == 2 ? b <= META_KEPT : b == 0);
	if (y->word[0] == 'H')
		return at != 7 || b <= FIRST_KEPT;
	if (at >= 8)
		return at > 9 || (at == 9 ? b <= META_KEPT : b == 0);
	return at != 4 || b <= FIRST_KEPT;
}

/* Of an answer in a frame the length is known. */
static bool wrapped_fits(const struct mask_way *y, unsigned at, uint8_t b)
{
	uint64_t length = y->remain + at - BRPC_HEAD;

	if (at < 4)
		return b == (uint8_t)"PRPC"[at];
	return at >= 8 || b == (uint8_t)(length >> (56 - 8 * at));
}

static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	struct brpc_head h;
	size_t need;
	unsigned at = y->digits;

	if (y->flags & WRAPPED && !wrapped_fits(y, at, b))
		return no_head(y);
	y->word[at] = (char)b;
	if (at < 4 ? brpc_head_read(slice_make(y->word, at + 1), &h, &need) == BRPC_BAD : !length_stays(y, at, b))
		return no_head(y);
	y->digits = (uint8_t)(at + 1);
	if (y->digits == (y->word[0] == 'S' && y->word[1] == 'O' ? BRPC_SOFA_HEAD : BRPC_HEAD))
		head_read(y);
	return b;
}

/* ---- the meta message ---- */

/* Fields up to here are known. */
static uint8_t known(const struct way *w)
{
	switch (w->format) {
	case BRPC_STD: return w->nested == 0 ? 9 : w->nested == 1 ? 8 : w->nested == 2 ? 2 : 3;
	case BRPC_STREAM: return 5;
	case BRPC_HULU: return 15;
	default: return 2;
	}
}

/* Its number stays. */
static bool number_stays(const struct way *w)
{
	switch (w->format) {
	case BRPC_STD: return w->nested == 0 ? w->field == 3 || w->field == 4 : w->nested != 1 && w->field == 1;
	case BRPC_STREAM: return w->field >= 1 && w->field <= 4;
	case BRPC_HULU: return w->field >= 1 && w->field <= 4;
	default: return w->field == 1 || w->field == 2 || w->field == 200 || w->field == 201;
	}
}

static bool holds_fields(const struct way *w) { return w->format == BRPC_STD && w->nested == 0 && (w->field == 1 || w->field == 2 || w->field == 8); }

static bool long_tag_known(const struct way *w, uint8_t first)
{
	static const uint8_t sofa[] = { 0xa2, 0xc0, 0xc8, 0xd2 };

	if (w->format == BRPC_HULU)
		return first == 0x82;
	return w->format == BRPC_SOFA && memchr(sofa, first, sizeof(sofa));
}

static uint8_t bad(struct mask_way *y)
{
	way_of(y)->field = 0;
	way_of(y)->inner = 0;
	way_of(y)->content = way_of(y)->meta;
	return go(y, CONTENT, 'x');
}

static void tag_read(struct mask_way *y)
{
	struct way *w = way_of(y);

	w->type = w->number & 7;
	switch (w->type) {
	case BRPC_VARINT: (void)go(y, VALUE, 0); break;
	case BRPC_BYTES: (void)go(y, LENGTH, 0); break;
	case BRPC_FIXED64: case BRPC_FIXED32:
		w->content = w->type == BRPC_FIXED64 ? 8 : 4;
		(void)go(y, CONTENT, 0);
		break;
	default: break;
	}
}

static bool is_type(unsigned type) { return type == BRPC_VARINT || type == BRPC_BYTES || type == BRPC_FIXED64 || type == BRPC_FIXED32; }

static uint8_t in_short_tag(struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);

	w->field = b >> 3;
	w->number = b;
	if (w->field == 0 || w->field > known(w)) {
		w->field = 0;
		b = (uint8_t)(UNKNOWN | (b & 7));
	}
	tag_read(y);
	return b;
}

static uint8_t in_tag(struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);
	unsigned at = w->at++;

	if (at == 0) {
		if (!is_type(b & 7) || b < 8)
			return bad(y);
		if (b < 128)
			return in_short_tag(y, b);
		w->field = long_tag_known(w, b);
		w->number = b & 127;
		return w->field ? b : (uint8_t)(0x88 | (b & 7));
	}
	if (at == 5)
		return bad(y);
	if (b & 128) {
		w->field = 0;
		return 0x80;
	}
	uint64_t tag = w->number | (uint64_t)b << 7;
	bool stays = w->field && at == 1 && (tag >> 3 == 16 || tag >> 3 == 100 || (tag >> 3 >= 200 && tag >> 3 <= 202));
	w->field = stays ? (uint8_t)(tag >> 3) : 0;
	tag_read(y);
	return stays ? b : 1;
}

static uint8_t in_value(struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);

	if (w->at++ == 10)
		return bad(y);
	bool stays = number_stays(w);
	if (!(b & 128))
		(void)go(y, TAG, 0);
	return stays ? b : b & 128;
}

/* How much of the message there is from the next byte on. */
static uint32_t left(const struct way *w) { return (w->inner ? w->inner : w->meta) - 1; }

static uint8_t in_length(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);

	w->number |= (uint64_t)(b & 127) << (7 * w->at);
	if (w->at++ == 4 || w->number > left(w))
		return bad(y);
	if (b & 128)
		return b;
	w->content = (uint32_t)w->number;
	if (holds_fields(w) && w->content) {
		if (w->field == 8 && y == &c->ways[0] && c->memory[0] < 255)
			c->memory[0]++;
		w->nested = w->field;
		w->inner = w->content + 1; /* this byte is counted, too */
		return go(y, TAG, b);
	}
	return go(y, w->content ? CONTENT : TAG, b);
}

/* The meta message is over. */
static void payload_begins(struct mask_conn *c, struct mask_way *y)
{
	struct way *w = way_of(y);
	bool answer = w->format == BRPC_STREAM && y == &c->ways[1] && c->memory[0] && w->payload >= BRPC_HEAD + BRPC_META_LEAST;

	(void)go(y, answer ? HEAD : REST, 0);
	y->digits = 0;
	if (!answer)
		return;
	c->memory[0]--;
	y->flags = WRAPPED;
}

static void meta_passed(struct mask_conn *c, struct mask_way *y)
{
	struct way *w = way_of(y);

	if (w->inner && --w->inner == 0)
		w->nested = 0;
	if (--w->meta == 0)
		payload_begins(c, y);
}

static uint8_t in_meta(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);
	uint8_t out = 'x';

	switch (y->state) {
	case TAG: out = in_tag(y, b); break;
	case VALUE: out = in_value(y, b); break;
	case LENGTH: out = in_length(c, y, b); break;
	default: /* CONTENT */
		if (--w->content == 0)
			(void)go(y, TAG, 0);
	}
	meta_passed(c, y);
	return out;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (y->state == HEAD)
			p[i] = in_head(y, p[i]);
		else if (y->state < REST)
			p[i] = in_meta(c, y, p[i]);
		else
			p[i] = 'x';
		if (y->state == MASK_LOST || !y->remain || --y->remain)
			continue;
		(void)go(y, HEAD, 0);
		y->digits = 0;
		y->flags = 0;
	}
}

static void hole(struct mask_way *y) { y->state = REST; }

static bool begins(struct slice in) { return brpc_fits(in, PROTO_TO_SERVER) == BRPC_OK || brpc_fits(in, PROTO_TO_CLIENT) == BRPC_OK; }

static enum mask_opens opens(struct slice in) { return brpc_fits(in, PROTO_TO_SERVER) == BRPC_OK ? MASK_OPENS_SURELY : MASK_OPENS_NOT; }

const struct mask_ops mask_brpc = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };
