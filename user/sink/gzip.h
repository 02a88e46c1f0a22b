/* SPDX-License-Identifier: Apache-2.0 */
/* gzip (RFC 1952) of one block of bytes; the compressor is kept between calls. */
#ifndef PLUMB_SINK_GZIP_H
#define PLUMB_SINK_GZIP_H

#include <zlib.h>

#include "lib/buffer.h"

struct gzip {
	z_stream stream;
	bool ready;
};

int gzip_init(struct gzip *g); /* -ENOMEM */
void gzip_done(struct gzip *g);
/* Appends. -ENOMEM, or -ENOBUFS beyond out's maximum; out is then as before. */
int gzip_write(struct gzip *g, struct slice in, struct buffer *out);

#endif
