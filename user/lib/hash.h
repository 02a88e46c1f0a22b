/* SPDX-License-Identifier: Apache-2.0 */
/* 64 and 128-bit hashes of bytes: XXH3 by the xxHash library. Not for secrets. */
#ifndef PLUMB_LIB_HASH_H
#define PLUMB_LIB_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/slice.h"

static inline uint64_t hash_bytes(const void *data, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, len, seed);
}

static inline uint64_t hash_slice(struct slice s)
{
	return XXH3_64bits(s.ptr, s.len);
}

#endif
