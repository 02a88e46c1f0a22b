/* SPDX-License-Identifier: Apache-2.0 */
/* Structs, field by field: see thrift_wire.h. Every element has at least one byte, so no count buys more work than there are bytes. */
#include "proto/thrift_wire.h"

enum { KIND_STRUCT, KIND_LIST, KIND_MAP };
enum { BOOL = 2, BYTE = 3, DOUBLE = 4, I16 = 6, I32 = 8, I64 = 10, STRING = 11, STRUCT = 12, MAP = 13, SET = 14, LIST = 15, UUID = 16 };
enum { C_TRUE = 1, C_FALSE = 2, C_BYTE = 3, C_I16 = 4, C_I32 = 5, C_I64 = 6, C_DOUBLE = 7, C_STRING = 8, C_LIST = 9, C_SET = 10, C_MAP = 11, C_STRUCT = 12, C_UUID = 13 };

/* What a value is, in both protocols. */
enum shape { NO_SHAPE, FIXED, NUMBER, TEXT, IS_STRUCT, IS_LIST, IS_MAP };

static enum shape shape_of(uint8_t protocol, uint8_t type, bool field, unsigned *ret_bytes)
{
	static const struct { uint8_t shape, bytes; } binary[] = {
		[BOOL] = { FIXED, 1 }, [BYTE] = { FIXED, 1 }, [DOUBLE] = { FIXED, 8 }, [I16] = { FIXED, 2 }, [I32] = { FIXED, 4 }, [I64] = { FIXED, 8 },
		[STRING] = { TEXT, 0 }, [STRUCT] = { IS_STRUCT, 0 }, [MAP] = { IS_MAP, 0 }, [SET] = { IS_LIST, 0 }, [LIST] = { IS_LIST, 0 }, [UUID] = { FIXED, 16 },
	}, compact[] = {
		[C_TRUE] = { FIXED, 1 }, [C_FALSE] = { FIXED, 1 }, [C_BYTE] = { FIXED, 1 }, [C_I16] = { NUMBER, 0 }, [C_I32] = { NUMBER, 0 }, [C_I64] = { NUMBER, 0 },
		[C_DOUBLE] = { FIXED, 8 }, [C_STRING] = { TEXT, 0 }, [C_LIST] = { IS_LIST, 0 }, [C_SET] = { IS_LIST, 0 }, [C_MAP] = { IS_MAP, 0 },
		[C_STRUCT] = { IS_STRUCT, 0 }, [C_UUID] = { FIXED, 16 },
	};

	if (protocol != THRIFT_COMPACT) {
		*ret_bytes = type <= UUID ? binary[type].bytes : 0;
		return type <= UUID ? (enum shape)binary[type].shape : NO_SHAPE;
	}
	/* A field that is true or false has no value but its type. */
	*ret_bytes = type > C_UUID || (field && type <= C_FALSE) ? 0 : compact[type].bytes;
	return type <= C_UUID ? (enum shape)compact[type].shape : NO_SHAPE;
}

static struct thrift_level *top(struct thrift_walk *w) { return &w->level[w->depth - 1]; }

static enum thrift_walked push(struct thrift_walk *w, uint8_t kind, uint8_t key, uint8_t value, uint32_t left)
{
	if (w->depth == THRIFT_DEPTH)
		return THRIFT_BROKEN;
	w->depth++;
	*top(w) = (struct thrift_level){ kind, key, value, left };
	return THRIFT_DONE;
}

void thrift_walk_begin(struct thrift_walk *w, uint8_t protocol, bool exception)
{
	w->skip = 0;
	w->protocol = protocol;
	w->depth = w->pending = 0;
	w->exception = exception;
	w->partial = false;
	w->id = w->first = 0;
	w->first_known = w->code_known = false;
	w->code = 0;
	(void)push(w, KIND_STRUCT, 0, 0, 0);
}

/* A length or count of either protocol. */
static enum thrift_walked size_take(const struct thrift_walk *w, struct slice in, size_t *at, uint32_t *ret)
{
	struct slice rest = slice_from(in, *at);
	uint64_t value = 0;
	int n = 4;

	if (w->protocol == THRIFT_COMPACT)
		n = thrift_varint(rest, &value);
	else if (rest.len < 4)
		return THRIFT_MORE;
	else
		value = load_be32(rest.ptr);
	if (n == 0)
		return THRIFT_MORE;
	if (n < 0 || value > INT32_MAX)
		return THRIFT_BROKEN;
	*at += (size_t)n;
	*ret = (uint32_t)value;
	return THRIFT_DONE;
}

static int64_t zigzag(uint64_t n) { return (int64_t)(n >> 1) ^ -(int64_t)(n & 1); }

static void field_seen(struct thrift_walk *w, int16_t id)
{
	if (w->depth != 1)
		return;
	w->id = id;
	if (!w->first_known)
		w->first = id;
	w->first_known = true;
}

static enum thrift_walked field_take(struct thrift_walk *w, struct slice in, size_t *at)
{
	struct slice rest = slice_from(in, *at);
	bool compact = w->protocol == THRIFT_COMPACT;
	size_t len = compact ? 1 : 3;
	uint64_t number;
	unsigned unused;

	if (rest.len == 0)
		return THRIFT_MORE;
	uint8_t type = compact ? rest.ptr[0] & 15 : rest.ptr[0];
	if (type == 0) {
		(*at)++;
		w->depth--;
		return THRIFT_DONE;
	}
	if (shape_of(w->protocol, type, true, &unused) == NO_SHAPE)
		return THRIFT_BROKEN;
	if (rest.len < len)
		return THRIFT_MORE;
	int64_t id = compact ? w->id + (rest.ptr[0] >> 4) : (int16_t)load_be16(rest.ptr + 1);
	if (compact && rest.ptr[0] >> 4 == 0) {
		int n = thrift_varint(slice_from(rest, 1), &number);
		if (n == 0)
			return THRIFT_MORE;
		if (n < 0)
			return THRIFT_BROKEN;
		len += (size_t)n;
		id = zigzag(number);
	}
	field_seen(w, (int16_t)id);
	*at += len;
	w->pending = type;
	return THRIFT_DONE;
}

/* What is wanted of an exception. DONE: it was not this value. */
static enum thrift_walked code_take(struct thrift_walk *w, struct slice rest)
{
	uint64_t number = 0;

	if (w->protocol == THRIFT_COMPACT) {
		int n = thrift_varint(rest, &number);
		if (n <= 0)
			return n ? THRIFT_BROKEN : THRIFT_MORE;
		w->code = (int32_t)zigzag(number);
	} else {
		if (rest.len < 4)
			return THRIFT_MORE;
		w->code = (int32_t)load_be32(rest.ptr);
	}
	w->code_known = true;
	return THRIFT_DONE;
}

static enum thrift_walked text_take(struct thrift_walk *w, struct slice in, size_t *at)
{
	uint32_t len;
	enum thrift_walked got = size_take(w, in, at, &len);

	if (got == THRIFT_DONE)
		w->skip = len;
	return got;
}

/* Lists and sets: type and count, in compact in one byte if there are few. */
static enum thrift_walked list_take(struct thrift_walk *w, struct slice in, size_t *at)
{
	size_t from = *at + 1;
	uint32_t count;
	unsigned unused;

	if (in.len <= *at)
		return THRIFT_MORE;
	uint8_t type = in.ptr[*at];
	if (w->protocol == THRIFT_COMPACT && type >> 4 != 15) {
		count = type >> 4;
	} else {
		enum thrift_walked got = size_take(w, in, &from, &count);
		if (got != THRIFT_DONE)
			return got;
	}
	if (w->protocol == THRIFT_COMPACT)
		type &= 15;
	if (count && shape_of(w->protocol, type, false, &unused) == NO_SHAPE)
		return THRIFT_BROKEN;
	*at = from;
	return count ? push(w, KIND_LIST, 0, type, count) : THRIFT_DONE;
}

static enum thrift_walked map_take(struct thrift_walk *w, struct slice in, size_t *at)
{
	bool compact = w->protocol == THRIFT_COMPACT;
	size_t from = compact ? *at : *at + 2;
	uint32_t count;
	unsigned unused;

	if (!compact && in.len < from)
		return THRIFT_MORE;
	enum thrift_walked got = size_take(w, in, &from, &count);
	if (got != THRIFT_DONE)
		return got;
	if (count == 0) {
		*at = from;
		return THRIFT_DONE;
	}
	if (compact && in.len <= from)
		return THRIFT_MORE;
	uint8_t key = compact ? in.ptr[from] >> 4 : in.ptr[*at], value = compact ? in.ptr[from] & 15 : in.ptr[*at + 1];
	if (shape_of(w->protocol, key, false, &unused) == NO_SHAPE || shape_of(w->protocol, value, false, &unused) == NO_SHAPE)
		return THRIFT_BROKEN;
	*at = from + compact;
	return push(w, KIND_MAP, key, value, count * 2);
}

static enum thrift_walked value_take(struct thrift_walk *w, struct slice in, size_t *at)
{
	bool field = top(w)->kind == KIND_STRUCT;
	unsigned bytes;
	enum shape shape = shape_of(w->protocol, w->pending, field, &bytes);
	enum thrift_walked got = THRIFT_DONE;
	uint64_t number;
	int n;

	if (w->exception && w->depth == 1 && w->id == 2 && (shape == NUMBER || bytes == 4))
		got = code_take(w, slice_from(in, *at));
	if (got != THRIFT_DONE)
		return got;
	switch (shape) {
	case FIXED: w->skip = bytes; break;
	case NUMBER:
		n = thrift_varint(slice_from(in, *at), &number);
		if (n <= 0)
			return n ? THRIFT_BROKEN : THRIFT_MORE;
		*at += (size_t)n;
		break;
	case TEXT: got = text_take(w, in, at); break;
	case IS_STRUCT: got = push(w, KIND_STRUCT, 0, 0, 0); break;
	case IS_LIST: got = list_take(w, in, at); break;
	case IS_MAP: got = map_take(w, in, at); break;
	case NO_SHAPE: return THRIFT_BROKEN;
	}
	if (got == THRIFT_DONE)
		w->pending = 0;
	return got;
}

/* The next element of a list or map; those of one size at once. */
static void element_next(struct thrift_walk *w)
{
	struct thrift_level *l = top(w);
	unsigned bytes;

	if (l->left == 0) {
		w->depth--;
		return;
	}
	if (l->kind == KIND_LIST && shape_of(w->protocol, l->value, false, &bytes) == FIXED) {
		w->skip = (uint64_t)l->left * bytes;
		w->depth--;
		return;
	}
	w->pending = l->kind == KIND_MAP && l->left % 2 == 0 ? l->key : l->value;
	l->left--;
}

enum thrift_walked thrift_walk(struct thrift_walk *w, struct slice in, bool until, size_t *ret_at)
{
	w->partial = false;
	for (;;) {
		if (w->skip > in.len - *ret_at) {
			w->skip -= in.len - *ret_at;
			*ret_at = in.len;
			return THRIFT_PASS;
		}
		*ret_at += (size_t)w->skip;
		w->skip = 0;
		if (w->depth == 0 || (until && (w->exception ? w->code_known : w->first_known)))
			return THRIFT_DONE;
		enum thrift_walked got = THRIFT_DONE;
		if (w->pending)
			got = value_take(w, in, ret_at);
		else if (top(w)->kind == KIND_STRUCT)
			got = field_take(w, in, ret_at);
		else
			element_next(w);
		if (got == THRIFT_MORE)
			w->partial = *ret_at < in.len;
		if (got != THRIFT_DONE)
			return got;
	}
}

bool thrift_only_ends(const struct thrift_walk *w, unsigned *ret_ends)
{
	unsigned ends = 0;

	if (w->pending || w->partial)
		return false;
	for (unsigned i = 0; i < w->depth; i++) {
		if (w->level[i].kind != KIND_STRUCT && w->level[i].left)
			return false;
		ends += w->level[i].kind == KIND_STRUCT;
	}
	*ret_ends = ends;
	return true;
}

const char *thrift_exception_name(int32_t code)
{
	static const char *const names[] = {
		"UNKNOWN", "UNKNOWN_METHOD", "INVALID_MESSAGE_TYPE", "WRONG_METHOD_NAME", "BAD_SEQUENCE_ID", "MISSING_RESULT", "INTERNAL_ERROR", "PROTOCOL_ERROR",
		"INVALID_TRANSFORM", "INVALID_PROTOCOL", "UNSUPPORTED_CLIENT_TYPE", "VALIDATION_FAILED",
	};

	return code >= 0 && (size_t)code < sizeof(names) / sizeof(names[0]) ? names[code] : "_OTHER";
}
