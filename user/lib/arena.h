/* SPDX-License-Identifier: Apache-2.0 */
/* Bump allocation from a block that somebody else owns. Nothing is freed singly. */
#ifndef PLUMB_LIB_ARENA_H
#define PLUMB_LIB_ARENA_H

#include "lib/slice.h"

struct arena {
	uint8_t *base; /* not owned */
	uint32_t used;
	uint32_t cap;
};

static inline void arena_init(struct arena *a, void *base, uint32_t cap)
{
	*a = (struct arena){ base, 0, cap };
}

/* Copies s into the arena. What does not fit is cut; *ret_cut (may be NULL) is then set to true, else left alone. */
static inline struct slice arena_copy(struct arena *a, struct slice s, bool *ret_cut)
{
	uint32_t room = a->cap - a->used;

	if (s.len > room) {
		s.len = room;
		if (ret_cut)
			*ret_cut = true;
	}
	if (s.len == 0)
		return SLICE_NONE;
	uint8_t *to = a->base + a->used;
	memcpy(to, s.ptr, s.len);
	a->used += (uint32_t)s.len;
	return slice_make(to, s.len);
}

#endif
