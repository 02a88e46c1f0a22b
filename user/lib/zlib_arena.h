/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one zlib stream that inflates, there from the start: parsers do not allocate. */
#ifndef PLUMB_LIB_ZLIB_ARENA_H
#define PLUMB_LIB_ZLIB_ARENA_H

#include <stdint.h>
#include <zlib.h>

enum { ZLIB_ARENA_BYTES = 49152 }; /* what zlib asks for: its state, and a window of 32 KiB */

struct zlib_arena {
	uint32_t used;
	_Alignas(16) uint8_t bytes[ZLIB_ARENA_BYTES];
};

/* A stream for inflateInit() that takes what it needs from there, and needs no inflateEnd(). Whatever another one held there is gone. */
z_stream zlib_arena_stream(struct zlib_arena *a);

#endif
