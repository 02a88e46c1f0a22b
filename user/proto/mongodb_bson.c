/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mongodb_bson.h"

enum { BINARY = 0x05, REGEX = 0x0b, DB_POINTER = 0x0c, CODE = 0x0d, SYMBOL = 0x0e, CODE_WITH_SCOPE = 0x0f, NONE = 0xff, LENGTH = 0xfe };

/* Bytes of a value of fixed size; LENGTH: it begins with a length. */
static uint8_t size_of(uint8_t type)
{
	static const uint8_t sizes[] = {
		NONE, 8, LENGTH, LENGTH, LENGTH, LENGTH, 0, 12, 1, 8, 0, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, 4, 8, 8, 16,
	};

	if (type == 0x7f || type == 0xff) /* the largest and the smallest key */
		return 0;
	return type < sizeof(sizes) ? sizes[type] : NONE;
}

bool bson_type_known(uint8_t type) { return size_of(type) != NONE; }

bool bson_open(struct slice in, uint64_t room, struct bson *ret)
{
	if (in.len < 4 || room < BSON_EMPTY)
		return false;
	uint32_t len = load_le32(in.ptr);
	if (len < BSON_EMPTY || len > room)
		return false;
	ret->left = len - 4;
	ret->in = slice_head(slice_from(in, 4), (size_t)ret->left);
	return true;
}

bool bson_enter(const struct bson_element *e, struct bson *ret)
{
	return (e->type == BSON_DOCUMENT || e->type == BSON_ARRAY) && bson_open(e->value, e->size, ret);
}

static enum bson_step text_end(struct slice in, uint64_t left, size_t from, size_t *ret_end)
{
	size_t nul = slice_find(in, 0, from);

	if (nul == SIZE_MAX)
		return in.len < left ? BSON_CUT : BSON_BAD;
	*ret_end = nul;
	return BSON_ELEMENT;
}

/* Size of a value that starts at `at` and says how long it is. */
static enum bson_step measure(struct slice in, uint64_t left, uint8_t type, size_t at, uint64_t *ret_size)
{
	enum bson_step step;
	size_t end;

	if (type == REGEX) {
		step = text_end(in, left, at, &end);
		if (step == BSON_ELEMENT)
			step = text_end(in, left, end + 1, &end);
		if (step == BSON_ELEMENT)
			*ret_size = end + 1 - at;
		return step;
	}
	if (left - at < 4)
		return BSON_BAD;
	if (in.len - at < 4)
		return BSON_CUT;
	uint64_t len = load_le32(in.ptr + at);
	switch (type) {
	case BSON_DOCUMENT: case BSON_ARRAY: case CODE_WITH_SCOPE: *ret_size = len; return len < BSON_EMPTY ? BSON_BAD : BSON_ELEMENT;
	case BINARY: *ret_size = 5 + len; return BSON_ELEMENT;
	case DB_POINTER: *ret_size = 4 + len + 12; break;
	default: *ret_size = 4 + len; break;
	}
	return len < 1 ? BSON_BAD : BSON_ELEMENT; /* a string counts its NUL */
}

/* The value without what frames it. */
static struct slice plain_value(uint8_t type, struct slice value, uint64_t size)
{
	if (type != BSON_STRING && type != CODE && type != SYMBOL)
		return value;
	return slice_head(slice_from(value, 4), (size_t)size - 5);
}

enum bson_step bson_next(struct bson *b, struct bson_element *ret)
{
	struct slice in = b->in;
	size_t nul = 0;
	uint64_t size;

	if (b->left == 0)
		return BSON_BAD; /* the NUL is missing */
	if (in.len == 0)
		return BSON_CUT;
	uint8_t type = in.ptr[0];
	if (type == 0)
		return b->left == 1 ? BSON_END : BSON_BAD;
	size = size_of(type);
	if (size == NONE)
		return BSON_BAD;
	enum bson_step step = text_end(in, b->left, 1, &nul);
	size_t at = nul + 1;
	if (step == BSON_ELEMENT && size == LENGTH)
		step = measure(in, b->left, type, at, &size);
	if (step != BSON_ELEMENT)
		return step;
	if (size > b->left - at)
		return BSON_BAD;
	struct slice value = slice_head(slice_from(in, at), (size_t)size);
	*ret = (struct bson_element){
		.type = type, .cut = value.len < size, .name = slice_make(in.ptr + 1, nul - 1), .value = plain_value(type, value, size), .size = size,
	};
	b->in = slice_from(in, at + value.len);
	b->left -= at + size;
	return BSON_ELEMENT;
}

bool bson_count(const struct bson_element *e, uint32_t *ret_count)
{
	struct bson_element item;
	struct bson b;
	enum bson_step step;

	*ret_count = 0;
	if (!bson_enter(e, &b))
		return false;
	while ((step = bson_next(&b, &item)) == BSON_ELEMENT)
		(*ret_count)++;
	return step == BSON_END;
}

bool bson_integer(const struct bson_element *e, int64_t *ret_value)
{
	double number;
	uint64_t bits;

	if (e->cut)
		return false;
	switch (e->type) {
	case BSON_INT32: *ret_value = (int32_t)load_le32(e->value.ptr); return true;
	case BSON_INT64: *ret_value = (int64_t)load_le64(e->value.ptr); return true;
	case BSON_BOOL: *ret_value = e->value.ptr[0] != 0; return true;
	case BSON_DOUBLE:
		bits = load_le64(e->value.ptr);
		memcpy(&number, &bits, sizeof(number));
		if (!(number > -9e15 && number < 9e15)) /* not a number, too */
			return false;
		*ret_value = (int64_t)number;
		return true;
	default: return false;
	}
}
