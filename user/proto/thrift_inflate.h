/* SPDX-License-Identifier: Apache-2.0 */
/* The first bytes of a payload that THeader's zlib transform has compressed, inflated into memory that is there from the start. */
#ifndef PLUMB_PROTO_THRIFT_INFLATE_H
#define PLUMB_PROTO_THRIFT_INFLATE_H

#include "lib/slice.h"
#include "lib/zlib_arena.h"

enum {
	THRIFT_PACKED = 1024, /* bytes that are looked at */
	THRIFT_PLAIN = 1024,  /* and of what they become */
};

struct thrift_inflate {
	z_stream z;
	struct zlib_arena arena;
	uint8_t plain[THRIFT_PLAIN];
};

/* What `in` begins with; empty if it is not compressed. Valid until the next call. */
struct slice thrift_inflate(struct thrift_inflate *f, struct slice in);

#endif
