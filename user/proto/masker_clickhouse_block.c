/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of ClickHouse's masker: frames by their sizes, columns of plain types, in arrays, dictionaries and with NULL, by their values' lengths. */
#include "proto/masker_clickhouse.h"

enum { SIZE_TOP = 4, ROWS_TOP = 1 << 24, FULL = 65536 };

static const char *const types[] = {
	"nullable", "array", "lowcardinality", "string", "fixedstring", "decimal", "uint8", "uint16", "uint32", "uint64", "uint128", "uint256", "int8", "int16", "int32", "int64", "int128",
	"int256", "float32", "float64", "bool", "date", "date32", "datetime", "datetime64", "uuid", "ipv4", "ipv6", "enum8", "enum16", "nothing", NULL,
};
/* In the order of the list above, behind "string"; 0 = what its argument says. */
static const uint8_t widths[] = { 0, 0, 1, 2, 4, 8, 16, 32, 1, 2, 4, 8, 16, 32, 4, 8, 1, 2, 4, 4, 8, 16, 4, 16, 1, 2, 1 };
enum { FIRST_WIDTH = 4 };
_Static_assert(sizeof(widths) == sizeof(types) / sizeof(*types) - 1 - FIRST_WIDTH, "a type without a width");

enum wrap { NULLABLE, ARRAY, DICTIONARY };
/* Where a block stands. */
enum part { INFO, COLUMNS, ROWS, NAME, NAME_BYTES, TYPE_SIZE, TYPE, ARGUMENT, KIND, VALUES, STRING, OFFSET, FLAGS, KEYS, COUNT };

/* --- compressed blocks --- */

/* Check sum, method, sizes. Behind a full frame there may be another one, and what cannot be a packet is. */
uint8_t mask_clickhouse_frame_byte(struct mask_way *y, uint8_t b)
{
	struct way *w = way_of(y);
	unsigned at = w->step++;

	if (at < CLICKHOUSE_CHECKSUM)
		return 'x';
	if (at == CLICKHOUSE_CHECKSUM)
		return b == 0x82 || b == 0x90 || b == 0x02 ? b : lost(y);
	at -= CLICKHOUSE_CHECKSUM + 1;
	if (at % 4 == 0)
		w->number = 0;
	w->number |= (uint64_t)b << 8 * (at % 4);
	if (at % 4 == 3 && b >= SIZE_TOP)
		return lost(y);
	if (at == 3) {
		if (w->number <= CLICKHOUSE_FRAME_HEAD - CLICKHOUSE_CHECKSUM)
			return lost(y);
		w->n = (uint32_t)w->number - (CLICKHOUSE_FRAME_HEAD - CLICKHOUSE_CHECKSUM);
	}
	if (at == 7) {
		y->state = w->number >= FULL ? FULL_FRAME : PACKET;
		body(y, w, w->n, false);
	}
	return b;
}

void mask_clickhouse_block_begin(struct mask_way *y, bool compressed)
{
	struct way *w = way_of(y);

	w->in = w->step = 0;
	w->part = INFO;
	y->state = compressed ? FRAME : BLOCK;
}

/* --- columns --- */

static void column_end(struct mask_way *y, struct way *w)
{
	w->in = 0;
	w->part = NAME;
	if (--w->columns == 0)
		y->state = PACKET;
}

/* The values of a level are to come, or the column is over. */
static void values_begin(struct mask_way *y, struct way *w)
{
	w->step = w->in = 0;
	while (w->level < w->levels && w->wraps[w->level] == NULLABLE && w->level && w->wraps[w->level - 1] == DICTIONARY)
		w->level++;
	if (w->level < w->levels) {
		switch ((enum wrap)w->wraps[w->level++]) {
		case NULLABLE:
			w->part = VALUES;
			body(y, w, w->n, true);
			return;
		case ARRAY:
			w->part = OFFSET;
			body(y, w, 8 * (uint64_t)(w->n - 1), true);
			return;
		case DICTIONARY:
			w->part = FLAGS;
			w->keys_of = w->n;
			return;
		}
	}
	w->part = w->width ? VALUES : STRING;
	w->typed = false; /* these are the last */
	if (w->width)
		body(y, w, (uint64_t)w->n * w->width, true);
}

/* What was begun has passed. */
static void values_passed(struct mask_way *y, struct way *w)
{
	if (w->typed)
		values_begin(y, w);
	else if (w->keys_of) {
		w->part = COUNT;
		w->step = 0;
	} else {
		column_end(y, w);
	}
}

/* Eight bytes, of which the low three may say something. True: it was the last one. */
static bool eight(struct mask_way *y, struct way *w, uint8_t b, uint8_t *ret_out)
{
	if (w->step == 0)
		w->number = 0;
	*ret_out = b;
	if (w->step >= 3 && b) {
		*ret_out = lost(y);
		return false;
	}
	w->number |= (uint64_t)b << 8 * w->step;
	return ++w->step == 8;
}

static uint8_t number_of_values_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	uint8_t out;

	if (!eight(y, w, b, &out))
		return out;
	w->step = 0;
	switch ((enum part)w->part) {
	case FLAGS: /* the width of its numbers; it has keys of its own */
		if ((w->number & 0xff) > 3 || (w->number & ~UINT64_C(0x4ff)) != 0x200)
			return lost(y);
		w->digits = (uint8_t)(w->number & 3);
		w->part = KEYS;
		return out;
	case COUNT:
		if (w->number != w->keys_of)
			return lost(y);
		w->part = VALUES;
		w->typed = false;
		body(y, w, (uint64_t)w->keys_of << w->digits, true);
		w->keys_of = 0;
		return out;
	default: break;
	}
	w->n = (uint32_t)w->number;
	if (w->n)
		values_begin(y, w);
	else if (w->part == OFFSET)
		column_end(y, w);
	else
		w->part = COUNT;
	return out;
}

/* --- types --- */

/* A word of a type's is over. False: it is none that is known. */
static bool type_word(struct mask_way *y, struct way *w)
{
	size_t i = 0;

	if (!y->word_len)
		return true;
	while (types[i] && !word_is(y, types[i]))
		i++;
	word_clear(y);
	if (!types[i] || w->typed)
		return false;
	if (i < 3) {
		if (w->levels == LEVELS)
			return false;
		w->wraps[w->levels++] = (uint8_t)(i == 0 ? NULLABLE : i == 1 ? ARRAY : DICTIONARY);
		return true;
	}
	w->typed = true;
	w->width = i == 3 ? 0 : widths[i - FIRST_WIDTH];
	w->digits = i == 4 ? 'f' : i == 5 ? 'd' : 0;
	return true;
}

static bool type_end(struct mask_way *y, struct way *w)
{
	if (!type_word(y, w) || !w->typed || w->digits)
		return false;
	w->part = KIND;
	return true;
}

/* The number that a width depends on. */
static void width_digit(struct way *w, uint8_t b)
{
	if (b >= '0' && b <= '9' && w->width < 1000)
		w->width = w->width * 10 + (uint32_t)(b - '0');
}

static void width_end(struct way *w)
{
	if (w->digits == 'd')
		w->width = w->width <= 9 ? 4 : w->width <= 18 ? 8 : w->width <= 38 ? 16 : 32;
	w->digits = 0;
}

/* In the parentheses of a type that is plain: nothing stays but a number of up to three digits. */
static uint8_t argument_byte(struct way *w, uint8_t b)
{
	uint8_t out = '0';

	if (w->quote == '\\') {
		w->quote = '\'';
	} else if (w->quote) {
		w->quote = b == '\\' ? '\\' : b == '\'' ? 0 : w->quote;
	} else if (b == '\'') {
		w->quote = '\'';
	} else if (b == '(') {
		w->depth++;
	} else if (b == ')' && w->depth-- == 0) {
		if (w->digits)
			width_end(w);
		w->part = TYPE;
		return b;
	} else if (w->digits && b == ',') {
		width_end(w);
		return b;
	} else if (w->digits && b >= '0' && b <= '9' && w->width < 1000) {
		width_digit(w, b);
		out = b;
	}
	return out;
}

static uint8_t type_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	uint8_t out;

	w->type_left--;
	if (w->part == ARGUMENT) {
		out = argument_byte(w, b);
	} else if (b == '(' || b == ')') {
		if (!type_word(y, w))
			return lost(y);
		if (b == '(' && w->typed) {
			w->part = ARGUMENT;
			w->depth = w->quote = 0;
		}
		out = b;
	} else {
		if (!word_feed(y, b, types))
			return lost(y);
		out = b;
	}
	if (w->type_left == 0 && (w->part == ARGUMENT || !type_end(y, w)))
		return lost(y);
	return out;
}

/* --- blocks --- */

static void values_of_column(struct mask_way *y, struct way *w)
{
	bool dictionary = false;

	for (uint8_t i = 0; i < w->levels; i++)
		dictionary = dictionary || w->wraps[i] == DICTIONARY;
	w->level = 0;
	w->n = w->rows;
	w->keys_of = 0;
	if (!w->rows) {
		column_end(y, w);
		return;
	}
	if (!dictionary) {
		values_begin(y, w);
		return;
	}
	w->part = VALUES; /* what stands in front of a column with one */
	body(y, w, 8, true);
}

static uint8_t info_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	static const uint8_t begins[] = { 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0 };
	uint8_t at = w->step++;

	if (b != begins[at] && !(at == 1 && b == 1))
		return lost(y);
	if (at + 1u == sizeof(begins)) {
		w->part = COLUMNS;
		w->in = 0;
	}
	return b;
}

static uint8_t count_byte(struct mask_way *y, struct way *w, uint8_t b)
{
	if (!varint(y, w, b, 4))
		return y->state == MASK_LOST ? 'x' : b;
	if (w->number >= ROWS_TOP)
		return lost(y);
	switch ((enum part)w->part) {
	case COLUMNS:
		w->columns = (uint32_t)w->number;
		w->part = ROWS;
		break;
	case ROWS:
		w->rows = (uint32_t)w->number;
		w->part = NAME;
		if (!w->columns)
			y->state = PACKET;
		break;
	case NAME:
		w->part = TYPE_SIZE;
		body(y, w, w->number, false);
		break;
	default: /* TYPE_SIZE */
		w->type_left = (uint32_t)w->number;
		w->part = TYPE;
		w->typed = false;
		w->levels = w->digits = 0;
		word_clear(y);
		return w->type_left ? b : lost(y);
	}
	return b;
}

uint8_t mask_clickhouse_block_byte(struct mask_way *y, bool kinds, uint8_t b)
{
	struct way *w = way_of(y);
	uint8_t out;

	switch ((enum part)w->part) {
	case INFO: return info_byte(y, w, b);
	case COLUMNS:
	case ROWS:
	case NAME:
	case TYPE_SIZE: return count_byte(y, w, b);
	case TYPE:
	case ARGUMENT:
		out = type_byte(y, w, b);
		if (w->part == KIND && !kinds)
			values_of_column(y, w);
		return out;
	case KIND:
		if (b)
			return lost(y);
		values_of_column(y, w);
		return 0;
	case STRING:
		if (!string_byte(y, w, b))
			return y->state == MASK_LOST ? 'x' : b;
		if (--w->n == 0)
			w->part = VALUES;
		return b;
	case OFFSET:
	case FLAGS:
	case KEYS:
	case COUNT: return number_of_values_byte(y, w, b);
	case VALUES:
	case NAME_BYTES: break;
	}
	return lost(y);
}

/* No bytes are left of what had a length: what it was a part of may be over with it. */
void mask_clickhouse_block_settle(struct mask_way *y)
{
	struct way *w = way_of(y);

	while (y->state == BLOCK && w->part == VALUES && y->remain == 0)
		values_passed(y, w);
}
