/* SPDX-License-Identifier: Apache-2.0 */
/* The first bytes of a payload that THeader's zlib transform has compressed, inflated into memory that is there from the start. */
#ifndef PLUMB_PROTO_THRIFT_INFLATE_H
#define PLUMB_PROTO_THRIFT_INFLATE_H

#include <zlib.h>

#include "lib/slice.h"

enum {
	THRIFT_PACKED = 1024, /* bytes that are looked at */
	THRIFT_PLAIN = 1024,  /* and of what they become */
	THRIFT_INFLATE_ARENA = 49152, /* what zlib asks for: its state, and a window of 32 KiB */
};

struct thrift_inflate {
	z_stream z;
	uint32_t used;
	_Alignas(16) uint8_t arena[THRIFT_INFLATE_ARENA];
	uint8_t plain[THRIFT_PLAIN];
};

/* What `in` begins with; empty if it is not compressed. Valid until the next call. */
struct slice thrift_inflate(struct thrift_inflate *f, struct slice in);

#endif
