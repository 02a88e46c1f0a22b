/* SPDX-License-Identifier: Apache-2.0 */
/* What Aerospike has compressed: a zlib stream for each message, inflated piece by piece into memory that is there from the start. */
#ifndef PLUMB_PROTO_AEROSPIKE_INFLATE_H
#define PLUMB_PROTO_AEROSPIKE_INFLATE_H

#include "lib/slice.h"
#include "lib/zlib_arena.h"

enum { AEROSPIKE_PLAIN = 8192 }; /* of what is inflated, so much at a time */

struct aerospike_inflate {
	z_stream z;
	bool over; /* the stream has ended, or is none */
	struct zlib_arena arena;
	uint8_t plain[AEROSPIKE_PLAIN];
};

/* A message begins. False: zlib cannot. */
bool aerospike_inflate_begin(struct aerospike_inflate *f);
/* The next piece of what `in` becomes from *at on; *at moves. Empty: all of `in` is used, or the stream is over. Valid until the next call. */
struct slice aerospike_inflate(struct aerospike_inflate *f, struct slice in, size_t *at);

#endif
