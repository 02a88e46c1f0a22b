/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/memory.h"

#include <stdlib.h>

/* In front of each block: its size, in a place as wide as the strictest alignment. */
union head {
	size_t bytes;
	max_align_t align;
};

void *proto_memory_resize(struct proto_memory *m, void *old, size_t bytes)
{
	union head *h = old ? (union head *)old - 1 : NULL;
	size_t before = h ? h->bytes : 0;

	if (bytes > SIZE_MAX - sizeof(*h) || (bytes > before && bytes + sizeof(*h) - before > m->max - m->used)) {
		m->refused++;
		return NULL;
	}
	union head *to = realloc(h, sizeof(*h) + bytes);
	if (!to) {
		m->refused++;
		return NULL;
	}
	m->used += bytes + (old ? 0 : sizeof(*to)) - before;
	to->bytes = bytes;
	return to + 1;
}

void *proto_memory_get(struct proto_memory *m, size_t bytes)
{
	return proto_memory_resize(m, NULL, bytes);
}

void proto_memory_put(struct proto_memory *m, void *p)
{
	union head *h = p ? (union head *)p - 1 : NULL;

	if (!h)
		return;
	m->used -= h->bytes + sizeof(*h);
	free(h);
}
