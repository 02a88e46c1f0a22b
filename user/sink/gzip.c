/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/gzip.h"

#include <errno.h>

enum { GZIP_WINDOW_BITS = 15 + 16 /* zlib: 16 asks for the gzip format */, GZIP_MEMORY_LEVEL = 8, GZIP_LEVEL = 3 };

int gzip_init(struct gzip *g)
{
	*g = (struct gzip){ .ready = false };
	/* Spans repeat themselves: low levels lose a few per cent of the ratio and win half of the time. */
	if (deflateInit2(&g->stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	g->ready = true;
	return 0;
}

void gzip_done(struct gzip *g)
{
	if (g->ready)
		deflateEnd(&g->stream);
	g->ready = false;
}

int gzip_write(struct gzip *g, struct slice in, struct buffer *out)
{
	if (in.len > UINT32_MAX / 2)
		return -ENOBUFS;

	uLong bound = deflateBound(&g->stream, (uLong)in.len);
	int err = buffer_reserve(out, bound);
	if (err)
		return err;
	deflateReset(&g->stream);
	g->stream.next_in = (z_const Bytef *)(uintptr_t)in.ptr;
	g->stream.avail_in = (uInt)in.len;
	g->stream.next_out = out->data + out->len;
	g->stream.avail_out = (uInt)bound;
	if (deflate(&g->stream, Z_FINISH) != Z_STREAM_END)
		return -EIO;
	out->len += bound - g->stream.avail_out;
	return 0;
}
