/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/map.h"

#include <errno.h>
#include <stdlib.h>

void map_init(struct map *m, size_t max_entries)
{
	*m = (struct map){ .max = max_entries };
}

void map_done(struct map *m)
{
	free(m->entries);
	*m = (struct map){ .max = m->max };
}

/* Finalizer of MurmurHash3 (public domain): keys may be counters or pointers. */
static size_t map_home(uint64_t key, size_t cap)
{
	key ^= key >> 33;
	key *= 0xff51afd7ed558ccdULL;
	key ^= key >> 33;
	key *= 0xc4ceb9fe1a85ec53ULL;
	key ^= key >> 33;
	return (size_t)key & (cap - 1);
}

/* The slot of key, or the free slot where it would go. cap > 0 and never full. */
static size_t map_find(const struct map *m, uint64_t key)
{
	size_t i = map_home(key, m->cap);

	while (m->entries[i].value && m->entries[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *map_get(const struct map *m, uint64_t key)
{
	return m->cap ? m->entries[map_find(m, key)].value : NULL;
}

static int map_grow(struct map *m)
{
	struct map bigger = { .cap = m->cap ? m->cap * 2 : 64, .len = m->len, .max = m->max };

	bigger.entries = calloc(bigger.cap, sizeof(*bigger.entries));
	if (!bigger.entries)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->entries[i].value)
			bigger.entries[map_find(&bigger, m->entries[i].key)] = m->entries[i];
	free(m->entries);
	*m = bigger;
	return 0;
}

/* Fills slot i, where key is not: the free one where it goes. */
static int map_fill(struct map *m, size_t i, uint64_t key, void *value)
{
	if (m->len >= m->max)
		return -ENOSPC;
	if ((m->len + 1) * 4 > m->cap * 3) {
		int err = map_grow(m);
		if (err)
			return err;
		i = map_find(m, key);
	}
	m->entries[i] = (struct map_entry){ key, value };
	m->len++;
	return 0;
}

int map_put(struct map *m, uint64_t key, void *value)
{
	size_t i = m->cap ? map_find(m, key) : 0;

	if (m->cap && m->entries[i].value) {
		m->entries[i].value = value;
		return 0;
	}
	return map_fill(m, i, key, value);
}

int map_add(struct map *m, uint64_t key, void *value)
{
	size_t i = m->cap ? map_find(m, key) : 0;

	if (m->cap && m->entries[i].value)
		return -EEXIST;
	return map_fill(m, i, key, value);
}

void *map_remove(struct map *m, uint64_t key)
{
	if (!m->cap)
		return NULL;

	size_t hole = map_find(m, key);
	void *value = m->entries[hole].value;
	if (!value)
		return NULL;

	size_t mask = m->cap - 1;
	for (size_t i = (hole + 1) & mask; m->entries[i].value; i = (i + 1) & mask) {
		size_t home = map_home(m->entries[i].key, m->cap);
		/* An entry may move back into the hole unless its home lies cyclically between the hole and itself. */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->entries[hole] = m->entries[i];
			hole = i;
		}
	}
	m->entries[hole].value = NULL;
	m->len--;
	return value;
}

void *map_next(const struct map *m, size_t *at, uint64_t *ret_key)
{
	while (*at < m->cap) {
		const struct map_entry *e = &m->entries[(*at)++];
		if (e->value) {
			if (ret_key)
				*ret_key = e->key;
			return e->value;
		}
	}
	return NULL;
}
