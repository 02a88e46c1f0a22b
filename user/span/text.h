/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts one string together at the end of an arena. What does not fit is cut and remembered, so that a writer checks once; only
 * one string is written at a time.
 */
#ifndef PLUMB_SPAN_TEXT_H
#define PLUMB_SPAN_TEXT_H

#include "lib/arena.h"

struct text {
	struct arena *arena; /* not owned */
	uint32_t start;
	bool cut;
};

static inline struct text text_begin(struct arena *a)
{
	return (struct text){ .arena = a, .start = a->used };
}

static inline void text_add(struct text *t, struct slice s)
{
	arena_copy(t->arena, s, &t->cut);
}

static inline void text_add_byte(struct text *t, char c)
{
	text_add(t, slice_make(&c, 1));
}

static inline void text_add_u64(struct text *t, uint64_t v)
{
	uint8_t digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v);
	text_add(t, slice_make(digits + at, sizeof(digits) - at));
}

static inline struct slice text_end(const struct text *t)
{
	return slice_make(t->arena->base + t->start, t->arena->used - t->start);
}

#endif
