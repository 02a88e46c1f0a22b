/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/memory.h"

#include <stdlib.h>
#include <string.h>

/* In front of each block: its size, in a place as wide as the strictest alignment. */
union head {
	size_t bytes;
	max_align_t align;
};

static uint64_t left(const struct proto_memory *m)
{
	return m->used < m->max - m->kept ? m->max - m->kept - m->used : 0;
}

void *proto_memory_resize(struct proto_memory *m, void *old, size_t bytes)
{
	union head *h = old ? (union head *)old - 1 : NULL;
	size_t before = h ? h->bytes : 0;

	if (bytes > SIZE_MAX - sizeof(*h) || (bytes > before && bytes + sizeof(*h) - before > left(m))) {
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

void *proto_memory_get_zeroed(struct proto_memory *m, size_t bytes)
{
	void *p = proto_memory_get(m, bytes);

	return p ? memset(p, 0, bytes) : NULL;
}

void proto_memory_put(struct proto_memory *m, void *p)
{
	union head *h = p ? (union head *)p - 1 : NULL;

	if (!h)
		return;
	m->used -= h->bytes + sizeof(*h);
	free(h);
}

bool proto_memory_room(struct proto_memory *m, uint8_t **text, uint16_t *room, uint16_t len)
{
	enum { STEP = 64 };

	if (len <= *room)
		return true;
	size_t wanted = ((size_t)len + STEP - 1) / STEP * STEP;
	if (wanted > UINT16_MAX)
		wanted = UINT16_MAX;
	uint8_t *to = proto_memory_resize(m, *text, wanted);
	if (!to)
		return false;
	*text = to;
	*room = (uint16_t)wanted;
	return true;
}
