/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of one size, handed out and taken back in O(1), at most `max` of them. Memory comes in blocks on demand and is kept
 * until slab_done(). slab_get() returns zeroed memory, or NULL at the maximum or without memory; the caller evicts or counts.
 */
#ifndef PLUMB_LIB_SLAB_H
#define PLUMB_LIB_SLAB_H

#include <stddef.h>

struct slab {
	size_t object_bytes;
	size_t max;
	size_t used;   /* objects out */
	size_t carved; /* objects that blocks hold */
	void *free_list;
	void *blocks;
};

void slab_init(struct slab *s, size_t object_bytes, size_t max_objects);
void slab_done(struct slab *s);
void *slab_get(struct slab *s);
void *slab_get_raw(struct slab *s); /* the same, not zeroed: for large objects whose user sets what it reads */
void slab_put(struct slab *s, void *object);

#endif
