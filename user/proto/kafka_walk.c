/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/kafka_walk.h"

#include "proto/kafka_api.h"

enum { VARINT_MAX = 10 };

int kafka_varint(struct slice in, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (int i = 0; i < VARINT_MAX; i++) {
		if ((size_t)i == in.len)
			return 0;
		value |= (uint64_t)(in.ptr[i] & 0x7f) << (7 * i);
		if (!(in.ptr[i] & 0x80)) {
			*ret_value = value;
			return i + 1;
		}
	}
	return -1;
}

void kafka_walk_start(struct kafka_walk *w, uint8_t version, bool flexible, bool tagged)
{
	w->at = 0;
	w->depth = 0;
	w->tags = w->strings = 0;
	w->tagging = tagged ? KAFKA_TAG_COUNT : KAFKA_NO_TAGS;
	w->version = version;
	w->flexible = flexible;
	w->blind = false;
}

static uint8_t version_of(char c) { return c == 'z' ? UINT8_MAX : (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10); }

static bool opens(char type) { return type == '[' || type == '(' || type == '?'; }
static bool closes(char type) { return type == ']' || type == ')'; }

static void next(struct kafka_walk *w, const char *layout)
{
	w->at = (uint16_t)(w->at + (layout[w->at + KAFKA_FIELD_LEN - 1] ? KAFKA_FIELD_LEN : KAFKA_FIELD_LEN - 1));
}

/* Behind this field, and all that is in it. */
static void pass(struct kafka_walk *w, const char *layout)
{
	int depth = 0;

	do {
		depth += opens(layout[w->at]) - closes(layout[w->at]);
		next(w, layout);
	} while (depth > 0);
}

static enum kafka_walked more(struct kafka_field *ret, size_t need, uint32_t left)
{
	ret->need = need;
	return need > left ? KAFKA_BAD : KAFKA_MORE;
}

/* A length, or a number of elements, in front of what it counts; null counts nothing. `wide`: it has four bytes where it is not compact. */
static enum kafka_walked length(const struct kafka_walk *w, bool wide, struct slice in, uint32_t left, uint32_t *ret_length, struct kafka_field *ret)
{
	size_t size = wide ? 4 : 2;
	int64_t n;

	if (w->flexible) {
		uint64_t value;
		int used = kafka_varint(in, &value);
		if (used == 0)
			return more(ret, in.len + 1, left);
		if (used < 0 || value > UINT32_MAX)
			return KAFKA_BAD;
		size = (size_t)used;
		n = (int64_t)value - 1;
	} else {
		if (in.len < size)
			return more(ret, size, left);
		n = wide ? (int32_t)load_be32(in.ptr) : (int16_t)load_be16(in.ptr);
	}
	if (n < -1 || n > (int64_t)(left - size))
		return KAFKA_BAD;
	ret->consumed = size;
	*ret_length = n > 0 ? (uint32_t)n : 0;
	return KAFKA_FIELD;
}

static enum kafka_walked integer(size_t size, struct slice in, uint32_t left, struct kafka_field *ret)
{
	if (in.len < size)
		return more(ret, size, left);
	ret->consumed = size;
	ret->text = slice_make(in.ptr, size);
	switch (size) {
	case 1: ret->number = in.ptr[0] - (in.ptr[0] & 0x80) * 2; break;
	case 2: ret->number = (int16_t)load_be16(in.ptr); break;
	case 4: ret->number = (int32_t)load_be32(in.ptr); break;
	case 8: ret->number = (int64_t)((uint64_t)load_be32(in.ptr) << 32 | load_be32(in.ptr + 4)); break;
	default: break;
	}
	return KAFKA_FIELD;
}

static enum kafka_walked string(const struct kafka_walk *w, bool wide, struct slice in, uint32_t left, struct kafka_field *ret)
{
	uint32_t len = 0, head;
	enum kafka_walked got = length(w, wide, in, left, &len, ret);

	if (got != KAFKA_FIELD)
		return got;
	head = ret->role == '-' || w->blind ? 0 : len < KAFKA_TEXT_MAX ? len : KAFKA_TEXT_MAX;
	if (in.len - ret->consumed < head) {
		size_t need = ret->consumed + head;
		ret->consumed = 0;
		return more(ret, need, left);
	}
	ret->text = slice_make(in.ptr + ret->consumed, head);
	ret->consumed += head;
	ret->skip = len - head;
	return KAFKA_FIELD;
}

/* An array of integers or ids. */
static enum kafka_walked integers(const struct kafka_walk *w, size_t size, struct slice in, uint32_t left, struct kafka_field *ret)
{
	uint32_t count = 0;
	enum kafka_walked got = length(w, true, in, left, &count, ret);

	if (got != KAFKA_FIELD)
		return got;
	uint64_t bytes = (uint64_t)count * size;
	if (bytes > left - ret->consumed)
		return KAFKA_BAD;
	ret->number = count;
	if (ret->role != '-' && !w->blind && count == 1) {
		if (in.len - ret->consumed < size) {
			size_t need = ret->consumed + size;
			ret->consumed = 0;
			return more(ret, need, left);
		}
		ret->text = slice_make(in.ptr + ret->consumed, size);
		ret->consumed += size;
		bytes = 0;
	}
	ret->skip = (uint32_t)bytes;
	return KAFKA_FIELD;
}

static enum kafka_walked strings(struct kafka_walk *w, const char *layout, struct slice in, uint32_t left, struct kafka_field *ret)
{
	enum kafka_walked got;

	if (w->strings) {
		got = string(w, false, in, left, ret);
		if (got == KAFKA_FIELD && --w->strings == 0)
			next(w, layout);
		return got;
	}
	got = length(w, true, in, left, &w->strings, ret);
	if (got != KAFKA_FIELD)
		w->strings = 0;
	else if (w->strings == 0)
		next(w, layout);
	ret->role = '-';
	return got;
}

static enum kafka_walked enter(struct kafka_walk *w, const char *layout, struct slice in, uint32_t left, struct kafka_field *ret)
{
	uint32_t count = 1;
	enum kafka_walked got = KAFKA_FIELD;
	char type = layout[w->at];

	if (type == '[') {
		got = length(w, true, in, left, &count, ret);
	} else if (type == '?') {
		got = integer(1, in, left, ret);
		count = ret->number >= 0;
	}
	if (got != KAFKA_FIELD)
		return got;
	if (count == 0) {
		pass(w, layout);
		return KAFKA_FIELD;
	}
	if (w->depth == KAFKA_DEPTH)
		return KAFKA_BAD;
	next(w, layout);
	w->loops[w->depth] = count;
	w->starts[w->depth++] = w->at;
	return KAFKA_FIELD;
}

/* An element, or a structure, is over. */
static void leave(struct kafka_walk *w, const char *layout)
{
	if (--w->loops[w->depth - 1] > 0) {
		w->at = w->starts[w->depth - 1];
		return;
	}
	w->depth--;
	next(w, layout);
}

static enum kafka_walked tags(struct kafka_walk *w, const char *layout, struct slice in, uint32_t left, struct kafka_field *ret)
{
	uint64_t value, size;
	int used = kafka_varint(in, &value);

	if (used == 0)
		return more(ret, in.len + 1, left);
	if (used < 0)
		return KAFKA_BAD;
	if (w->tagging == KAFKA_TAG_COUNT) {
		if (value > left - (uint32_t)used)
			return KAFKA_BAD;
		w->tags = (uint32_t)value;
		w->tagging = KAFKA_TAG;
	} else {
		int more_used = kafka_varint(slice_from(in, (size_t)used), &size);
		if (more_used == 0)
			return more(ret, in.len + 1, left);
		if (more_used < 0 || size > left - (uint32_t)(used + more_used))
			return KAFKA_BAD;
		used += more_used;
		ret->skip = (uint32_t)size;
		w->tags--;
	}
	ret->consumed = (size_t)used;
	if (w->tags == 0) {
		w->tagging = KAFKA_NO_TAGS;
		if (w->depth)
			leave(w, layout);
	}
	return KAFKA_FIELD;
}

static enum kafka_walked field(struct kafka_walk *w, const char *layout, struct slice in, uint32_t left, struct kafka_field *ret)
{
	static const char integer_types[] = "bhilu", array_types[] = "BHILU";
	static const uint8_t sizes[] = { 1, 2, 4, 8, KAFKA_ID_LEN };
	char type = layout[w->at];
	enum kafka_walked got;
	uint32_t len = 0;

	ret->role = layout[w->at + 1];
	if (opens(type))
		return enter(w, layout, in, left, ret);
	if (type == 'S')
		return strings(w, layout, in, left, ret);
	if (type == 's' || type == 'y') {
		got = string(w, type == 'y', in, left, ret);
	} else if (type == 'r') {
		got = length(w, true, in, left, &len, ret);
		ret->number = got == KAFKA_FIELD ? len : 0;
	} else if (strchr(integer_types, type)) {
		got = integer(sizes[strchr(integer_types, type) - integer_types], in, left, ret);
	} else {
		got = integers(w, sizes[strchr(array_types, type) - array_types], in, left, ret);
	}
	if (got == KAFKA_FIELD)
		next(w, layout);
	return got;
}

char kafka_walk_next(struct kafka_walk *w, const char *layout)
{
	while (!w->tagging && layout[w->at]) {
		const char *f = layout + w->at;
		if (w->version < version_of(f[2]) || w->version > version_of(f[3]))
			pass(w, layout);
		else if (!closes(*f))
			return *f;
		else if (w->flexible)
			w->tagging = KAFKA_TAG_COUNT;
		else
			leave(w, layout);
	}
	return w->tagging ? 't' : '\0';
}

enum kafka_walked kafka_walk_step(struct kafka_walk *w, const char *layout, struct slice in, uint32_t left, struct kafka_field *ret)
{
	*ret = (struct kafka_field){ .role = '-' };
	switch (kafka_walk_next(w, layout)) {
	case '\0': return KAFKA_END;
	case 't': return tags(w, layout, in, left, ret);
	default: return field(w, layout, in, left, ret);
	}
}

bool kafka_walk_over(const struct kafka_walk *w, const char *layout)
{
	if (w->strings)
		return false;
	for (unsigned i = 0; i < w->depth; i++)
		if (w->loops[i] > 1)
			return false;
	for (const char *f = layout + w->at; *f; f += f[KAFKA_FIELD_LEN - 1] ? KAFKA_FIELD_LEN : KAFKA_FIELD_LEN - 1)
		if (!closes(*f))
			return false;
	return true;
}
