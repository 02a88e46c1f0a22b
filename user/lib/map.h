/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash map from a 64-bit key to a pointer: open addressing, linear probing, deletion by back-shift, at most `max` entries. The
 * map does not own what it points to. Compound keys are hashed to 64 bits by the caller (lib/hash.h) and verified in the object.
 */
#ifndef PLUMB_LIB_MAP_H
#define PLUMB_LIB_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry {
	uint64_t key;
	void *value; /* NULL = free slot */
};

struct map {
	struct map_entry *entries; /* owned */
	size_t cap; /* a power of two, or 0 */
	size_t len;
	size_t max;
};

void map_init(struct map *m, size_t max_entries);
void map_done(struct map *m);

void *map_get(const struct map *m, uint64_t key);
/* Replaces an existing value. value must not be NULL. -ENOSPC at the maximum, -ENOMEM without memory. */
int map_put(struct map *m, uint64_t key, void *value);
/* The same, but an existing value stays: -EEXIST. */
int map_add(struct map *m, uint64_t key, void *value);
/* Removes and returns the value, or NULL. */
void *map_remove(struct map *m, uint64_t key);
/* Iteration: *at starts at 0; returns the next value or NULL. Do not change the map meanwhile. */
void *map_next(const struct map *m, size_t *at, uint64_t *ret_key);

#endif
