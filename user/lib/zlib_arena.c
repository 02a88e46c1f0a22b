/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/zlib_arena.h"

/* zlib asks twice, for its state and for its window, and keeps both as long as the stream lasts. */
static voidpf take(voidpf opaque, uInt items, uInt size)
{
	struct zlib_arena *a = opaque;
	uint64_t bytes = ((uint64_t)items * size + 15) / 16 * 16;

	if (bytes > sizeof(a->bytes) - a->used)
		return Z_NULL;
	a->used += (uint32_t)bytes;
	return a->bytes + a->used - bytes;
}

static void leave(voidpf opaque, voidpf memory)
{
	(void)opaque;
	(void)memory;
}

z_stream zlib_arena_stream(struct zlib_arena *a)
{
	a->used = 0;
	return (z_stream){ .zalloc = take, .zfree = leave, .opaque = a };
}
