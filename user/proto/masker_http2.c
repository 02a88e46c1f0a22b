/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 (RFC 9113) for shared recordings: see masker.h for what stays. Strings of header blocks keep their length; what replaces
 * Huffman-coded ones is a code, too, so that blocks can still be read. Numbers stay only as far as they are in use: nowhere do four bytes
 * in a row stay that a text could be made of, should the stream be something else.
 */
#include "proto/http2.h"
#include "proto/masker_way.h"

/* mask_way.state. type is that of the frame + 1; 0: nothing of its payload stays. flags are those below. */
enum state { HEAD, PREFACE, PAYLOAD };
enum part { FIELD, INDEX_MORE, NAME_LENGTH, NAME_LENGTH_MORE, NAME, VALUE_LENGTH, VALUE_LENGTH_MORE, VALUE };

enum {
	LENGTH_HIGH_MAX = 0x0f, /* first byte of a frame's length: below what text is made of */
	TYPE_MAX = 0x10,        /* PRIORITY_UPDATE */
	PREFACE_SEEN = 4,       /* "PRI ", which masker_http1.c has read */
	INT_BYTES_MAX = 3,
	STATUS_BYTES = 3,
	SETTING_TABLE_SIZE = 1,
	SETTING_FRAME_SIZE = 5,
	SIZE_NONE = 0x20, /* updates of the table's size: to nothing, or to more than fits the byte */
	SIZE_MORE = 0x3f,
	TEXT_FIRST = 0x20,
};

#define BROKEN 1u    /* of the block under way something is missing: the rest of it is masked whole */
#define HUFFMAN 2u
#define NAMED 4u     /* the field's name is a string, too */
#define IS_PATH 8u
#define IS_STATUS 16u
#define FIELDS 64u   /* a field was there */
#define IN_BLOCK 32u /* the last frame of the block is yet to come */

/* Kept in way.word, which is free here: the frame's head, then what a payload needs. */
enum { WORD_PART = 9, WORD_BYTES, WORD_PAD, WORD_BEFORE, WORD_STATUS };

static uint8_t *slot(struct mask_way *y, int at) { return (uint8_t *)&y->word[at]; }

static bool begins(struct slice in)
{
	return http2_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY || http2_detect(in, PROTO_TO_CLIENT) >= DETECT_LIKELY;
}

void mask_http2_start(struct mask_way *y)
{
	y->state = PREFACE;
	y->word_len = PREFACE_SEEN;
	y->flags = 0;
	y->remain = 0;
}

static uint8_t in_preface(struct mask_way *y, uint8_t b)
{
	struct slice all = http2_preface();

	if (b != all.ptr[y->word_len]) {
		y->state = MASK_LOST;
		return 'x';
	}
	if (++y->word_len == all.len) {
		y->state = HEAD;
		y->word_len = 0;
	}
	return b;
}

/* The frame's head is there: how its payload is to be read. */
static void begin_payload(struct mask_way *y)
{
	struct http2_frame f = http2_frame_head(slice_make(y->word, HTTP2_HEAD_BYTES));
	bool block = f.type == HTTP2_HEADERS || f.type == HTTP2_PUSH_PROMISE, more = f.type == HTTP2_CONTINUATION;

	y->remain = f.length;
	y->type = (uint8_t)(f.type + 1);
	*slot(y, WORD_PAD) = 0;
	/* Bytes in front of the block, or the data: of padding, priority, the promised stream. */
	*slot(y, WORD_BEFORE) = (uint8_t)((f.type <= HTTP2_HEADERS || f.type == HTTP2_PUSH_PROMISE) && f.flags & HTTP2_PADDED);
	if (f.type == HTTP2_HEADERS && f.flags & HTTP2_WITH_PRIORITY)
		*slot(y, WORD_BEFORE) += 5;
	if (f.type == HTTP2_PUSH_PROMISE)
		*slot(y, WORD_BEFORE) += 4;
	if (block) {
		*slot(y, WORD_PART) = FIELD;
		y->flags = IN_BLOCK;
	} else if (more != ((y->flags & IN_BLOCK) != 0)) {
		y->flags |= BROKEN; /* it belongs to no block, or interrupts one */
	}
	if ((block || more) && y->flags & BROKEN)
		y->type = 0;
	if (f.flags & HTTP2_END_HEADERS && (block || more))
		y->flags &= ~IN_BLOCK;
	y->state = y->remain ? PAYLOAD : HEAD;
	y->word_len = 0;
}

static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	static const uint8_t flags = HTTP2_END_STREAM | HTTP2_END_HEADERS | HTTP2_PADDED | HTTP2_WITH_PRIORITY;
	uint8_t at = y->word_len;

	if ((at == 0 && b > LENGTH_HIGH_MAX) || (at == 3 && b > TYPE_MAX) || (at == 4 && b & ~flags) || (at == 5 && b >= TEXT_FIRST)) {
		y->state = MASK_LOST;
		return 'x';
	}
	*slot(y, at) = b;
	if (++y->word_len == HTTP2_HEAD_BYTES)
		begin_payload(y);
	return b;
}

/* Header blocks (RFC 7541, 6). */

static uint8_t broken(struct mask_way *y)
{
	y->flags |= BROKEN;
	y->type = 0;
	return 'x';
}

static void begin_string(struct mask_way *y, enum part part)
{
	y->length = y->number; /* of all of it */
	*slot(y, WORD_PART) = (uint8_t)(y->number ? part : part == NAME ? VALUE_LENGTH : FIELD);
}

static uint8_t field(struct mask_way *y, uint8_t b)
{
	uint8_t bits = b & 0x80 ? 7 : (b & 0xc0) == 0x40 ? 6 : (b & 0xe0) == 0x20 ? 5 : 4, mask = (uint8_t)((1u << bits) - 1);

	if (bits == 5 && ((y->flags & FIELDS) || (b != SIZE_NONE && b != SIZE_MORE)))
		return broken(y);
	y->flags |= bits == 5 ? 0 : FIELDS;
	y->number = b & mask;
	y->flags &= ~(NAMED | IS_PATH | IS_STATUS);
	if (bits != 7 && bits != 5) {
		y->flags |= y->number == 4 || y->number == 5 ? IS_PATH : y->number >= 8 && y->number <= 14 ? IS_STATUS : 0;
		*slot(y, WORD_PART) = y->number ? VALUE_LENGTH : NAME_LENGTH;
	}
	*slot(y, WORD_BYTES) = 0;
	if (y->number == mask) {
		y->flags |= bits == 7 || bits == 5 ? 0 : NAMED; /* a value comes behind the rest of the index */
		*slot(y, WORD_PART) = INDEX_MORE;
	}
	return b;
}

/* Bytes of a number behind its first one. False: there are more. */
static bool number_more(struct mask_way *y, uint8_t b, bool *ret_bad)
{
	uint8_t n = (*slot(y, WORD_BYTES))++;

	*ret_bad = n >= INT_BYTES_MAX;
	y->number += (uint64_t)(b & 0x7f) << (7 * (n < INT_BYTES_MAX ? n : 0));
	return !(b & 0x80);
}

static uint8_t index_more(struct mask_way *y, uint8_t b)
{
	bool bad, done = number_more(y, b, &bad);

	if (bad)
		return broken(y);
	if (done)
		*slot(y, WORD_PART) = y->flags & NAMED ? VALUE_LENGTH : FIELD;
	return b;
}

static uint8_t string_length(struct mask_way *y, uint8_t b, enum part part)
{
	y->number = b & 0x7f;
	y->flags = b & 0x80 ? y->flags | HUFFMAN : y->flags & ~HUFFMAN;
	*slot(y, WORD_BYTES) = 0;
	if (y->number == 0x7f)
		*slot(y, WORD_PART) = part == NAME ? NAME_LENGTH_MORE : VALUE_LENGTH_MORE;
	else
		begin_string(y, part);
	return b;
}

static uint8_t string_length_more(struct mask_way *y, uint8_t b, enum part part)
{
	bool bad, done = number_more(y, b, &bad);

	if (bad)
		return broken(y);
	if (done)
		begin_string(y, part);
	return b;
}

/* "0" has the code 00000, "/" 011000; what is left at the end are ones (RFC 7541, 5.2 and appendix B). */
static uint8_t huffman_byte(const struct mask_way *y, bool path)
{
	uint64_t bits = 8 * y->length - (path ? 6 : 0);
	uint32_t b = path && y->number == y->length ? 0x60 : 0;

	if (y->number == 1)
		b |= (1u << bits % 5) - 1;
	return (uint8_t)b;
}

/* Appends `bits` of a code. */
static void put_bits(uint32_t *to, unsigned *len, uint32_t code, unsigned bits)
{
	*to = *to << bits | code;
	*len += bits;
}

/* Whether b is the next byte of a status code, as digits or coded (RFC 7541, appendix B). */
static bool status_byte(struct mask_way *y, uint8_t b)
{
	uint8_t at = (uint8_t)(y->length - y->number);

	if (!(y->flags & HUFFMAN))
		return b >= '0' && b <= '9';
	*slot(y, WORD_STATUS + at) = b;
	for (uint32_t status = 100; status < 600; status++) {
		uint32_t digits[] = { status / 100, status / 10 % 10, status % 10 }, code = 0;
		unsigned len = 0;
		for (int i = 0; i < 3; i++)
			put_bits(&code, &len, digits[i] < 3 ? digits[i] : 0x16 + digits[i], digits[i] < 3 ? 5 : 6);
		while (len < STATUS_BYTES * 8)
			put_bits(&code, &len, 1, 1);
		const uint8_t bytes[] = { (uint8_t)(code >> 16), (uint8_t)(code >> 8), (uint8_t)code };
		if (memcmp(bytes, slot(y, WORD_STATUS), at + 1u) == 0)
			return true;
	}
	return false;
}

static uint8_t string_byte(struct mask_way *y, uint8_t b, enum part part)
{
	bool value = part == VALUE, first = y->number == y->length, path = value && y->flags & IS_PATH;
	uint8_t out = 'x';

	if (value && y->flags & IS_STATUS) {
		if (y->length > STATUS_BYTES || !status_byte(y, b))
			return broken(y);
		out = b;
	} else if (y->flags & HUFFMAN) {
		out = huffman_byte(y, path);
	} else if (path && first) {
		out = '/';
	}
	if (--y->number == 0)
		*slot(y, WORD_PART) = value ? FIELD : VALUE_LENGTH;
	return out;
}

static uint8_t in_block(struct mask_way *y, uint8_t b)
{
	if (y->remain < *slot(y, WORD_PAD)) /* padding */
		return 0;
	switch ((enum part)*slot(y, WORD_PART)) {
	case FIELD: return field(y, b);
	case INDEX_MORE: return index_more(y, b);
	case NAME_LENGTH: return string_length(y, b, NAME);
	case NAME_LENGTH_MORE: return string_length_more(y, b, NAME);
	case NAME: return string_byte(y, b, NAME);
	case VALUE_LENGTH: return string_length(y, b, VALUE);
	case VALUE_LENGTH_MORE: return string_length_more(y, b, VALUE);
	case VALUE: return string_byte(y, b, VALUE);
	}
	return 'x';
}

/* What stands in front of a block or of data. */
static uint8_t before(struct mask_way *y, uint8_t b, uint32_t at)
{
	bool padded = *slot(y, 4) & HTTP2_PADDED;

	(*slot(y, WORD_BEFORE))--;
	if (padded && at == 0) {
		*slot(y, WORD_PAD) = b;
		return b;
	}
	/* The last byte of the promised stream stays, priority does not. */
	return y->type == HTTP2_PUSH_PROMISE + 1 && *slot(y, WORD_BEFORE) == 0 ? b : 0;
}

/* Those that say how frames and blocks are to be read; neither needs the first byte of its value. */
static uint8_t in_settings(struct mask_way *y, uint8_t b, uint32_t at)
{
	if (at % 6 == 0)
		y->number = b == 0;
	else if (at % 6 == 1)
		y->number = y->number && (b == SETTING_TABLE_SIZE || b == SETTING_FRAME_SIZE);
	return y->number && at % 6 != 2 ? b : 0;
}

static uint8_t in_payload(struct mask_way *y, uint8_t b)
{
	uint32_t length = (uint32_t)*slot(y, 0) << 16 | (uint32_t)*slot(y, 1) << 8 | *slot(y, 2), at = length - (uint32_t)y->remain;

	y->remain--;
	if (y->type && *slot(y, WORD_BEFORE))
		return before(y, b, at);
	switch (y->type) {
	case HTTP2_HEADERS + 1:
	case HTTP2_PUSH_PROMISE + 1:
	case HTTP2_CONTINUATION + 1: return in_block(y, b);
	case HTTP2_SETTINGS + 1: return in_settings(y, b, at);
	case HTTP2_RST_STREAM + 1: return at == 3 && b < 0x20 ? b : 0; /* the number of an error */
	case HTTP2_WINDOW_UPDATE + 1: return at == 3;
	case HTTP2_PRIORITY + 1:
	case HTTP2_PING + 1:
	case HTTP2_GOAWAY + 1: return 0;
	default: return 'x';
	}
}

static uint8_t one(struct mask_way *y, uint8_t b)
{
	/* What the masker steps over is of no known place: neither is the rest of the block. */
	if (y->state == PAYLOAD && y->type == 0)
		y->flags |= BROKEN;
	switch (y->state) {
	case PREFACE: return in_preface(y, b);
	case HEAD: return in_head(y, b);
	case PAYLOAD: b = in_payload(y, b); break;
	default: return 'x';
	}
	if (y->remain == 0 && y->state == PAYLOAD) {
		y->state = HEAD;
		y->word_len = 0;
	}
	return b;
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++)
		p[i] = one(y, p[i]);
}

const struct mask_ops mask_http2 = { .begins = begins, .mask = mask, .ends_with_body = true };
