/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for memory that will be needed soon: exchanges are held for milliseconds, in which the caches forget them. */
#ifndef PLUMB_LIB_PREFETCH_H
#define PLUMB_LIB_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

/* `bytes` from `at` on. Never faults, whatever `at` is. */
static inline void prefetch(const void *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 64)
		__builtin_prefetch((const void *)((uintptr_t)at + i), 1);
}

#endif
