/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of MySQL's compressed protocol (dev.mysql.com/doc/dev/mysql-server: Compression): frames of seven bytes and a payload, as it is or as
 * a zlib stream of its own, whose contents in a row are the packets. Inflates no more than is asked for, into memory that it has from the start.
 */
#ifndef PLUMB_PROTO_MYSQL_INFLATE_H
#define PLUMB_PROTO_MYSQL_INFLATE_H

#include "lib/slice.h"
#include "lib/zlib_arena.h"

enum {
	MYSQL_FRAME_HEAD = 7,
	MYSQL_PLAIN = 16384,         /* of what was inflated; more than any packet's head that is waited for */
};

struct mysql_inflate {
	z_stream z;
	uint64_t skip;       /* bytes of the contents that nobody wants */
	uint32_t frame_left; /* bytes of the frame's payload that come */
	uint32_t plain_left; /* bytes that they will be */
	uint32_t taken;      /* bytes of the input that were taken and not consumed yet */
	uint32_t len;        /* bytes in `plain` */
	uint32_t dropped;    /* of which so many are done; they stay until the next call, as the message points there */
	uint8_t ends;        /* 1 + kind of the message that ends when skip is 0; 0 = none */
	bool ready;          /* z is */
	bool raw;            /* the frame is not compressed */
	struct zlib_arena arena;
	uint8_t plain[MYSQL_PLAIN];
};

/* Sets all but the two arrays. */
void mysql_inflate_init(struct mysql_inflate *f);
/*
 * Adds to `plain` from in[*at..], at most up to `want` bytes in it, and moves *at. False: this is not the protocol. Less than was wanted: the input
 * has ended, or has no whole frame head.
 */
bool mysql_inflate_more(struct mysql_inflate *f, struct slice in, size_t *at, size_t want);
/* The first n bytes are done. */
void mysql_inflate_drop(struct mysql_inflate *f, size_t n);

#endif
