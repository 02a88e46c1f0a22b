/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/slab.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/prefetch.h"

enum { SLAB_BLOCK_BYTES = 64 * 1024, SLAB_PREFETCH_BYTES = 256 };

struct slab_block {
	struct slab_block *next;
	alignas(max_align_t) unsigned char data[];
};

void slab_init(struct slab *s, size_t object_bytes, size_t max_objects)
{
	size_t align = alignof(max_align_t);

	*s = (struct slab){
		.object_bytes = (object_bytes + align - 1) / align * align,
		.max = max_objects,
	};
}

void slab_done(struct slab *s)
{
	for (struct slab_block *b = s->blocks; b;) {
		struct slab_block *next = b->next;
		free(b);
		b = next;
	}
	*s = (struct slab){ .object_bytes = s->object_bytes, .max = s->max };
}

static void slab_grow(struct slab *s)
{
	size_t count = SLAB_BLOCK_BYTES / s->object_bytes;

	if (count == 0)
		count = 1;
	if (count > s->max - s->carved)
		count = s->max - s->carved;
	if (count == 0)
		return;

	struct slab_block *b = malloc(sizeof(*b) + count * s->object_bytes);
	if (!b)
		return;
	b->next = s->blocks;
	s->blocks = b;
	s->carved += count;
	for (size_t i = count; i-- > 0;) {
		void *object = b->data + i * s->object_bytes;
		memcpy(object, &s->free_list, sizeof(void *));
		s->free_list = object;
	}
}

void *slab_get_raw(struct slab *s)
{
	if (!s->free_list)
		slab_grow(s);

	void *object = s->free_list;
	if (!object)
		return NULL;
	memcpy(&s->free_list, object, sizeof(void *));
	prefetch(s->free_list, s->object_bytes < SLAB_PREFETCH_BYTES ? s->object_bytes : SLAB_PREFETCH_BYTES); /* the next one asked for */
	s->used++;
	return object;
}

void *slab_get(struct slab *s)
{
	void *object = slab_get_raw(s);

	return object ? memset(object, 0, s->object_bytes) : NULL;
}

void slab_put(struct slab *s, void *object)
{
	memcpy(object, &s->free_list, sizeof(void *));
	s->free_list = object;
	s->used--;
}
