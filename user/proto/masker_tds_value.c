/* SPDX-License-Identifier: Apache-2.0 */
/* TDS for shared recordings: types and values, walked as tds_walk.c does, a byte at a time. */
#include "proto/masker_tds.h"

static void value_of(struct mask_conn *c, struct mask_way *y, uint64_t n);

static void value_begin(struct mask_conn *c, struct mask_way *y, uint64_t shape)
{
	y->memory[SHAPE] = shape;
	y->flags &= ~(uint32_t)IN_CHUNKS;
	y->word_len = MASK_WORD;
	if (y->flags & TEXT_VALUE)
		word_clear(y);
	if (shape <= TDS_FIXED_MAX)
		value_of(c, y, shape);
	else
		go(y, VALUE_LEN);
}

void mask_tds_column_begin(struct mask_conn *c, struct mask_way *y)
{
	uint64_t *at = &y->memory[COLUMN_AT];

	while (*at < y->memory[COLUMNS_KNOWN] && y->flags & NULLS && y->memory[NULL_BITS] >> *at & 1)
		++*at;
	if (*at == y->memory[COLUMNS_KNOWN])
		go(y, TOKEN);
	else
		value_begin(c, y, shapes(c)[(*at)++]);
}

/* --- types --- */

void mask_tds_type_begin(struct mask_way *y, bool column)
{
	go(y, TYPE);
	y->flags = column ? y->flags | COLUMN_TYPE : y->flags & ~(uint32_t)COLUMN_TYPE;
}

static const struct tds_procedure *procedure(const struct mask_way *y) { return y->memory[PROC] ? tds_procedure_get((uint16_t)y->memory[PROC]) : NULL; }

static void type_end(struct mask_conn *c, struct mask_way *y)
{
	uint64_t type = y->memory[TYPE_BYTE];
	bool is_int = type == 0x26 || type == 0x38;
	const struct tds_procedure *known = is_server(c, y) ? NULL : procedure(y);

	if (y->flags & COLUMN_TYPE) {
		shapes(c)[y->memory[COLUMN_AT]++] = (uint8_t)y->memory[SHAPE];
		go(y, COLUMN_NAME_LEN);
		return;
	}
	y->flags &= ~(uint32_t)(TEXT_VALUE | HANDLE_VALUE);
	if (is_server(c, y)) {
		y->flags |= is_int && c->memory[0] & PREPARES ? HANDLE_VALUE : 0;
	} else if (known) {
		y->memory[PARAMETERS]++;
		y->flags |= y->memory[PARAMETERS] == known->statement && tds_type_info((uint8_t)type).text ? TEXT_VALUE : 0;
		y->flags |= is_int && y->memory[PARAMETERS] == known->handle ? HANDLE_VALUE : 0;
		if (known->handle && (known->kind == TDS_RUNS || known->kind == TDS_PREPARES))
			c->memory[0] |= PREPARES;
	}
	value_begin(c, y, y->memory[SHAPE]);
}

/* Names that are left in it, then its end. */
static void names_begin(struct mask_conn *c, struct mask_way *y)
{
	if (y->memory[SHORT_NAMES] || y->memory[LONG_NAMES])
		go(y, NAME_LEN);
	else
		type_end(c, y);
}

static void fixed_end(struct mask_conn *c, struct mask_way *y)
{
	struct tds_type_info t = tds_type_info((uint8_t)y->memory[TYPE_BYTE]);
	bool table = t.table && y->flags & COLUMN_TYPE;

	if (t.schema) {
		go(y, SCHEMA);
	} else if (table && since_72(c)) {
		go(y, NAME_PARTS);
	} else {
		y->memory[LONG_NAMES] += table;
		names_begin(c, y);
	}
}

static void fixed_begin(struct mask_conn *c, struct mask_way *y)
{
	struct tds_type_info t = tds_type_info((uint8_t)y->memory[TYPE_BYTE]);
	unsigned n = t.schema ? 0 : t.fixed + (t.collation && since_71(c) ? 5u : 0u);

	go(y, FIXED);
	y->length = n;
	if (n == 0)
		fixed_end(c, y);
}

static uint8_t type_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	struct tds_type_info t = tds_type_info(b);
	bool column = y->flags & COLUMN_TYPE;

	if (t.shape == TDS_UNKNOWN || (column && t.shape == 0))
		return rest(c, y);
	y->memory[TYPE_BYTE] = b;
	y->memory[SHAPE] = t.shape == TDS_TEXT && !column ? (uint64_t)TDS_LONG : t.shape;
	y->memory[SHORT_NAMES] = t.udt ? 3 : 0;
	y->memory[LONG_NAMES] = t.udt && column;
	if (t.udt && column)
		go(y, UDT_SIZE);
	else
		fixed_begin(c, y);
	return b;
}

static uint8_t fixed_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	struct tds_type_info t = tds_type_info((uint8_t)y->memory[TYPE_BYTE]);
	uint64_t at = y->part++;
	uint8_t out = 0;

	if (t.size_at && at == 0) {
		y->number = out = b;
	} else if (t.size_at && at == 1) {
		bool parts = b == 0xff && y->number == 0xff;
		out = parts || b < LOW ? b : 0;
		if (parts)
			y->memory[SHAPE] = TDS_PARTS;
	} else if (t.shape == TDS_BYTE) {
		out = b < LOW ? b : 0;
	}
	if (passed(y))
		fixed_end(c, y);
	return out;
}

static uint8_t name_len_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	bool is_short = y->memory[SHORT_NAMES];

	if (!number_byte(y, b, is_short ? 1 : 2))
		return rest(c, y);
	if (y->part < (is_short ? 1 : 2))
		return b;
	y->memory[is_short ? SHORT_NAMES : LONG_NAMES]--;
	uint64_t n = 2 * y->number;
	pass(y, n, NAME, NAME);
	if (!n)
		names_begin(c, y);
	return b;
}

/* --- values --- */

static void value_end(struct mask_conn *c, struct mask_way *y)
{
	if (y->flags & HANDLE_VALUE && is_server(c, y))
		c->memory[0] &= ~(uint64_t)PREPARES;
	y->flags &= ~(uint32_t)(TEXT_VALUE | HANDLE_VALUE);
	if (!is_server(c, y))
		go(y, PARAMETER);
	else if (y->memory[TOKEN_BYTE] == TDS_RETURN_VALUE)
		go(y, TOKEN);
	else
		mask_tds_column_begin(c, y);
}

static void value_of(struct mask_conn *c, struct mask_way *y, uint64_t n)
{
	pass(y, n, VALUE, VALUE);
	if (!n)
		value_end(c, y);
}

/* Eight bytes: all of them ff is NULL. */
static uint8_t parts_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint64_t at = y->part++;
	bool stays = at ? b == 0xff && y->number == at : b >= 0xfe;

	y->number += stays;
	if (at == 0)
		y->length = b;
	if (at < 7)
		return stays ? b : 0;
	if (y->number == 8 && y->length == 0xff) {
		value_end(c, y);
	} else {
		y->flags |= IN_CHUNKS;
		go(y, CHUNK);
	}
	return stays ? b : 0;
}

/* Two or four bytes that are all ff say that there is none. */
static uint8_t value_len_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint64_t shape = y->memory[SHAPE];
	unsigned bytes = shape == TDS_SHORT ? 2 : shape == TDS_LONG ? 4 : 1;

	if (shape == TDS_PARTS)
		return parts_byte(c, y, b);
	bool null = bytes > 1 && b == 0xff && y->number == (UINT64_C(1) << 8 * y->part) - 1;
	if (null) {
		y->number = y->number << 8 | b;
		if (++y->part == bytes)
			value_end(c, y);
		return b;
	}
	if (!number_byte(y, b, bytes))
		return rest(c, y);
	if (y->part < bytes)
		return b;
	if (shape == TDS_TEXT && b)
		pass(y, b + UINT64_C(8), POINTER, POINTER);
	else
		value_of(c, y, y->number);
	return b;
}

static uint8_t chunk_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	if (!number_byte(y, b, 4))
		return rest(c, y);
	if (y->part < 4)
		return b;
	if (y->state == TEXT_LEN || !y->number) {
		value_of(c, y, y->number);
		return b;
	}
	uint64_t n = y->number;
	go(y, VALUE);
	y->length = n;
	return b;
}

static uint8_t value_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	uint8_t out = 'x';

	if (y->flags & TEXT_VALUE)
		out = mask_tds_text(y, b);
	else if (y->flags & HANDLE_VALUE)
		out = kept_low(y->part++, b);
	if (!passed(y))
		return out;
	if (y->flags & IN_CHUNKS)
		go(y, CHUNK);
	else
		value_end(c, y);
	return out;
}

/* --- bytes --- */

uint8_t mask_tds_walked_byte(struct mask_conn *c, struct mask_way *y, uint8_t b)
{
	switch ((enum state)y->state) {
	case TYPE: return type_byte(c, y, b);
	case UDT_SIZE:
		if (++y->part == 2)
			fixed_begin(c, y);
		return 0;
	case FIXED: return fixed_byte(c, y, b);
	case SCHEMA:
		y->memory[SHORT_NAMES] = b ? 2 : 0;
		y->memory[LONG_NAMES] = b ? 1 : 0;
		names_begin(c, y);
		return b != 0;
	case NAME_PARTS:
		if (b > 4)
			return rest(c, y);
		y->memory[LONG_NAMES] = b;
		names_begin(c, y);
		return b;
	case NAME_LEN: return name_len_byte(c, y, b);
	case NAME:
		if (passed(y))
			names_begin(c, y);
		return 'x';
	case VALUE_LEN: return value_len_byte(c, y, b);
	case POINTER: return passing(y, TEXT_LEN, 0);
	case TEXT_LEN: case CHUNK: return chunk_byte(c, y, b);
	default: return value_byte(c, y, b);
	}
}
