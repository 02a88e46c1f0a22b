/* SPDX-License-Identifier: Apache-2.0 */
/* Apache Thrift for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"
#include "proto/thrift_wire.h"

/* Up to INFO heads, from FIELD on structs; REST masks to the frame's end. */
enum state {
	START, FIRST, FIFTH, INNER, VERSION, NAME_LENGTH, NAME, OLD_TYPE, SEQUENCE, C_TYPE, C_SEQUENCE, C_NAME_LENGTH, MAGIC, HEADER, INFO,
	FIELD, FIELD_ID, C_FIELD_ID, FIXED, VARINT, TEXT_LENGTH, TEXT, LIST_HEAD, SIZE, MAP_HEAD, C_MAP_TYPES, REST,
};
enum { COMPACT = 1, OLD = 2, FRAMED = 4, OPAQUE = 8, IS_MAP = 16 }; /* mask_way.flags */
enum { LEVELS = 9, ID = 9, CODE_MAX = 11 }; /* mask_way.memory: levels, and the id of the field of the top struct */
enum { STRUCT_LEVEL, LIST_LEVEL, MAP_LEVEL };

static uint8_t lose(struct mask_way *y)
{
	y->state = MASK_LOST;
	return 'x';
}

static uint8_t go(struct mask_way *y, enum state state, uint8_t b)
{
	y->state = (uint8_t)state;
	y->number = y->part = 0;
	return b;
}

/* ---- structs: mask_way.digits is the depth ---- */

static uint64_t level(uint8_t kind, uint8_t key, uint8_t value, uint64_t left) { return (uint64_t)kind << 56 | (uint64_t)key << 48 | (uint64_t)value << 40 | left; }

static void push(struct mask_way *y, uint64_t l)
{
	if (y->digits < LEVELS)
		y->memory[y->digits++] = l;
	else if (y->flags & FRAMED)
		y->state = REST;
	else
		y->state = MASK_LOST;
}

static unsigned fixed_bytes(uint8_t type)
{
	return type == 2 || type == 3 ? 1 : type == 6 ? 2 : type == 8 ? 4 : type == 4 || type == 10 ? 8 : type == 16 ? 16 : 0;
}

/* A value of this type comes next. False: there is none, or it has no bytes. */
static bool value_begin(struct mask_way *y, uint8_t type, bool field)
{
	bool compact = y->flags & COMPACT;
	unsigned bytes = compact ? type == 3 || (!field && type <= 2 && type) ? 1 : type == 7 ? 8 : type == 13 ? 16 : 0 : fixed_bytes(type);

	y->flags &= ~(uint32_t)IS_MAP;
	y->part = y->number = 0;
	if (bytes) {
		y->state = FIXED;
		y->length = bytes;
	} else if (compact && type >= 4 && type <= 6) {
		y->state = VARINT;
	} else if (type == (compact ? 8 : 11)) {
		y->state = TEXT_LENGTH;
	} else if (type == 12) {
		y->state = FIELD;
		push(y, level(STRUCT_LEVEL, 0, 0, 0));
	} else if (compact ? type == 9 || type == 10 : type == 14 || type == 15) {
		y->state = LIST_HEAD;
	} else if (type == (compact ? 11 : 13)) {
		y->flags |= IS_MAP;
		y->state = compact ? SIZE : MAP_HEAD;
	} else if (compact && field && (type == 1 || type == 2)) {
		return false;
	} else {
		y->state = MASK_LOST;
	}
	return true;
}

/* A value is over: what comes next? */
static void value_end(struct mask_way *y)
{
	y->part = y->number = 0;
	while (y->digits) {
		uint64_t *l = &y->memory[y->digits - 1];
		uint8_t kind = (uint8_t)(*l >> 56), key = (uint8_t)(*l >> 48), value = (uint8_t)(*l >> 40);
		if (kind == STRUCT_LEVEL) {
			y->state = FIELD;
			return;
		}
		if ((uint32_t)*l == 0) {
			y->digits--;
			continue;
		}
		bool is_key = kind == MAP_LEVEL && *l % 2 == 0;
		--*l;
		(void)value_begin(y, is_key ? key : value, false);
		return;
	}
	y->state = y->flags & FRAMED ? REST : START;
}

static void body(struct mask_way *y)
{
	y->digits = 0;
	y->memory[ID] = 0;
	(void)go(y, FIELD, 0);
	push(y, level(STRUCT_LEVEL, 0, 0, 0));
}

static uint8_t in_field(struct mask_way *y, uint8_t b)
{
	uint8_t type = y->flags & COMPACT ? b & 15 : b;

	if (type == 0) {
		y->digits--;
		value_end(y);
		return 0;
	}
	if (type > 16)
		return lose(y);
	y->length = type;
	if (!(y->flags & COMPACT))
		return go(y, FIELD_ID, b);
	if (b >> 4 == 0)
		return go(y, C_FIELD_ID, b);
	if (y->digits == 1)
		y->memory[ID] += b >> 4;
	if (!value_begin(y, type, true))
		value_end(y);
	return b;
}

static uint8_t in_field_id(struct mask_way *y, uint8_t b)
{
	bool compact = y->flags & COMPACT;

	y->number = compact ? y->number | (uint64_t)(b & 127) << 7 * (y->part & 7) : y->number << 8 | b;
	y->part++;
	if (compact ? b & 128 : y->part < 2)
		return y->part > 3 ? lose(y) : b;
	if (y->digits == 1)
		y->memory[ID] = compact ? y->number / 2 : y->number;
	if (!value_begin(y, (uint8_t)y->length, true))
		value_end(y);
	return b;
}

/* Which exception it is stays. */
static bool is_code(const struct mask_way *y) { return y->type == THRIFT_EXCEPTION && y->digits == 1 && y->memory[ID] == 2; }

static uint8_t in_fixed(struct mask_way *y, uint8_t b)
{
	uint8_t kept = is_code(y) && b <= CODE_MAX ? b : 0;

	if (--y->length == 0)
		value_end(y);
	return kept;
}

static uint8_t in_varint(struct mask_way *y, uint8_t b)
{
	uint8_t kept = is_code(y) && b <= CODE_MAX * 2 ? b : b & 128;

	if (!(b & 128))
		value_end(y);
	return kept;
}

/* A length or count. False: it goes on. */
static bool size_byte(struct mask_way *y, uint8_t b)
{
	bool compact = y->flags & COMPACT;

	y->number = compact ? y->number | (uint64_t)(b & 127) << 7 * (y->part & 7) : y->number << 8 | b;
	y->part++;
	if (compact ? b & 128 : y->part < 4) {
		if (y->part > 4 || (!compact && y->part == 1 && b >= ' ')) /* one size behind the other is no word */
			y->state = MASK_LOST;
		return false;
	}
	if (y->number > INT32_MAX)
		y->state = MASK_LOST;
	return y->state != MASK_LOST;
}

static uint8_t in_text_length(struct mask_way *y, uint8_t b)
{
	if (!size_byte(y, b))
		return y->state == MASK_LOST ? 'x' : b;
	y->length = y->number;
	if (!(y->flags & FRAMED))
		y->remain = y->length;
	y->state = TEXT;
	if (y->length == 0)
		value_end(y);
	return b;
}

static uint8_t in_text(struct mask_way *y)
{
	if (!(y->flags & FRAMED))
		y->remain = y->remain ? y->remain - 1 : 0;
	if ((y->flags & FRAMED ? --y->length : y->remain) == 0)
		value_end(y);
	return 'x';
}

/* The types of elements are in mask_way.length until their count is known. */
static uint8_t elements(struct mask_way *y, uint64_t count, uint8_t b)
{
	bool map = y->flags & IS_MAP;

	if (count)
		push(y, map ? level(MAP_LEVEL, (uint8_t)(y->length >> 8), (uint8_t)y->length, count * 2) : level(LIST_LEVEL, 0, (uint8_t)y->length, count));
	if (y->state < REST)
		value_end(y);
	return b;
}

static uint8_t in_list_head(struct mask_way *y, uint8_t b)
{
	bool compact = y->flags & COMPACT;

	y->length = compact ? b & 15 : b;
	if (y->length > 16)
		return lose(y);
	if (compact && b >> 4 != 15)
		return elements(y, b >> 4, b);
	return go(y, SIZE, b);
}

static uint8_t in_size(struct mask_way *y, uint8_t b)
{
	if (!size_byte(y, b))
		return y->state == MASK_LOST ? 'x' : b;
	if (!(y->flags & COMPACT) || !(y->flags & IS_MAP) || y->number == 0)
		return elements(y, y->number, b);
	y->state = C_MAP_TYPES;
	return b;
}

static uint8_t in_map_head(struct mask_way *y, uint8_t b)
{
	if (b > 16)
		return lose(y);
	y->length = y->part == 0 ? b : y->length << 8 | b;
	return ++y->part == 2 ? go(y, SIZE, b) : b;
}

static uint8_t in_struct(struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case FIELD: return in_field(y, b);
	case FIELD_ID: case C_FIELD_ID: return in_field_id(y, b);
	case FIXED: return in_fixed(y, b);
	case VARINT: return in_varint(y, b);
	case TEXT_LENGTH: return in_text_length(y, b);
	case TEXT: return in_text(y);
	case LIST_HEAD: return in_list_head(y, b);
	case SIZE: return in_size(y, b);
	case MAP_HEAD: return in_map_head(y, b);
	case C_MAP_TYPES:
		y->length = (uint64_t)(b >> 4) << 8 | (b & 15);
		return elements(y, y->number, b);
	default: return 'x';
	}
}

/* ---- heads ---- */

/* The first byte of a message behind its frame's length. */
static uint8_t at_inner(struct mask_way *y, uint8_t b)
{
	y->flags &= FRAMED;
	switch (b) {
	case 0x80: return go(y, VERSION, b);
	case 0x82:
		y->flags |= COMPACT;
		return go(y, C_TYPE, b);
	case 0x0f: return y->state == FIFTH ? go(y, MAGIC, b) : lose(y);
	case 0:
		y->flags |= OLD;
		(void)go(y, NAME_LENGTH, b);
		y->part = 1;
		return b;
	default: return lose(y);
	}
}

static uint8_t at_start(struct mask_way *y, uint8_t b)
{
	y->flags = 0;
	y->remain = 0;
	if (b & 0x80)
		return at_inner(y, b);
	if (b > THRIFT_FRAME_MAX >> 24)
		return lose(y);
	(void)go(y, FIRST, b);
	y->number = b;
	y->part = 1;
	return b;
}

/* Four bytes were a frame's length, or that of a name. */
static uint8_t at_fifth(struct mask_way *y, uint8_t b)
{
	uint64_t number = y->number;

	if (b < ' ' || b >= 0x80) {
		if (number < 5 || number > THRIFT_FRAME_MAX)
			return lose(y);
		y->flags = FRAMED;
		y->remain = number;
		return at_inner(y, b);
	}
	if (number == 0 || number > THRIFT_NAME_MAX)
		return lose(y);
	y->flags = OLD;
	(void)go(y, NAME, b);
	y->length = number - 1;
	if (y->length == 0)
		(void)go(y, OLD_TYPE, b);
	return 'x';
}

static void name_over(struct mask_way *y)
{
	if (y->flags & COMPACT)
		body(y);
	else
		(void)go(y, y->flags & OLD ? OLD_TYPE : SEQUENCE, 0);
}

static uint8_t in_name_length(struct mask_way *y, uint8_t b)
{
	if (!size_byte(y, b))
		return y->state == MASK_LOST ? 'x' : b;
	if (y->number > THRIFT_NAME_MAX)
		return lose(y);
	y->length = y->number;
	(void)go(y, NAME, b);
	if (y->length == 0)
		name_over(y);
	return b;
}

static uint8_t in_type(struct mask_way *y, uint8_t type, enum state next, uint8_t b)
{
	if (type < THRIFT_CALL || type > THRIFT_ONEWAY)
		return lose(y);
	y->type = type;
	return go(y, next, b);
}

static uint8_t in_version(struct mask_way *y, uint8_t b)
{
	if (++y->part == 3)
		return in_type(y, b, NAME_LENGTH, b);
	return b == (y->part == 1 ? 1 : 0) ? b : lose(y);
}

/* Flags, sequence number, words of the header: of eight bytes in a row the last five. */
static uint8_t in_header(struct mask_way *y, uint8_t b)
{
	y->number = (y->number << 8 | b) & 0xffff;
	if (++y->part < 8)
		return y->part > 3 ? b : 0;
	y->length = y->number * 4;
	if (y->length == 0 || y->length > THRIFT_HEADER_MAX)
		return go(y, REST, b);
	return go(y, INFO, b);
}

/* Of the header the protocol stays, and how many transforms there are. */
static uint8_t in_info(struct mask_way *y, uint8_t b)
{
	uint64_t at = y->part++;

	if (at < 2 && b > (at ? 8 : 2))
		return lose(y);
	if (at == 1 && b)
		y->flags |= OPAQUE;
	if (--y->length == 0)
		(void)go(y, y->flags & OPAQUE ? REST : INNER, 0);
	return at < 2 ? b : 0;
}

static uint8_t in_head(struct mask_way *y, uint8_t b)
{
	switch (y->state) {
	case START: return at_start(y, b);
	case FIRST:
		y->number = y->number << 8 | b;
		if (++y->part == 4)
			y->state = FIFTH;
		return b;
	case FIFTH: return at_fifth(y, b);
	case INNER: return at_inner(y, b);
	case VERSION: return in_version(y, b);
	case NAME_LENGTH: case C_NAME_LENGTH: return in_name_length(y, b);
	case NAME:
		if (--y->length == 0)
			name_over(y);
		return b == ':' ? b : 'x';
	case OLD_TYPE: return in_type(y, b, SEQUENCE, b);
	case SEQUENCE:
		if (++y->part == 4)
			body(y);
		return b;
	case C_TYPE: return (b & 31) == 1 ? in_type(y, b >> 5, C_SEQUENCE, b) : lose(y);
	case C_SEQUENCE:
		if (++y->part > 5)
			return lose(y);
		return b & 128 ? b : go(y, C_NAME_LENGTH, b);
	case MAGIC: return b == 0xff ? go(y, HEADER, b) : lose(y);
	case HEADER: return in_header(y, b);
	case INFO: return in_info(y, b);
	default: return 'x';
	}
}

static void mask(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	(void)c;
	for (size_t i = 0; i < n; i++) {
		if (y->state < FIELD)
			p[i] = in_head(y, p[i]);
		else if (y->state < MASK_LOST)
			p[i] = in_struct(y, p[i]);
		else
			p[i] = 'x';
		if (y->state >= MASK_LOST || !(y->flags & FRAMED) || y->state == START)
			continue;
		if (--y->remain == 0)
			y->state = START;
	}
}

static void hole(struct mask_way *y)
{
	if (y->flags & FRAMED)
		y->state = REST;
}

static bool begins(struct slice in) { return thrift_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY || thrift_detect(in, PROTO_TO_CLIENT) >= DETECT_LIKELY; }

static enum mask_opens opens(struct slice in)
{
	bool framed = in.len > 4 && load_be32(in.ptr) <= THRIFT_FRAME_MAX;
	struct slice head = slice_from(in, framed ? 4 : 0);

	/* Nothing else begins so (memcached's binary SET has more where the name's length is), and if it lies, nothing stays. */
	bool strict = head.len >= 4 && load_be32(head.ptr) >> 8 == 0x800100 && head.ptr[3] > 0 && head.ptr[3] <= 4 && (head.len < 8 || load_be16(head.ptr + 4) == 0);

	if (strict || (head.len >= 2 && (load_be16(head.ptr) == 0x8221 || load_be16(head.ptr) == 0x8281)) ||
	    (framed && head.len >= 2 && load_be16(head.ptr) == 0x0fff))
		return MASK_OPENS_SURELY;
	return thrift_detect(in, PROTO_TO_SERVER) >= DETECT_LIKELY ? MASK_OPENS_MAYBE : MASK_OPENS_NOT;
}

const struct mask_ops mask_thrift = { .opens = opens, .begins = begins, .mask = mask, .hole = hole, .ends_with_body = true };
