/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/thrift_inflate.h"

struct slice thrift_inflate(struct thrift_inflate *f, struct slice in)
{
	f->z = zlib_arena_stream(&f->arena); /* each payload is a stream of its own */
	if (inflateInit(&f->z) != Z_OK)
		return SLICE_NONE;
	f->z.next_in = (z_const Bytef *)in.ptr;
	f->z.avail_in = (uInt)in.len;
	f->z.next_out = f->plain;
	f->z.avail_out = sizeof(f->plain);
	int status = inflate(&f->z, Z_SYNC_FLUSH);
	size_t made = sizeof(f->plain) - f->z.avail_out;
	(void)inflateEnd(&f->z);
	return status == Z_OK || status == Z_BUF_ERROR || status == Z_STREAM_END ? slice_make(f->plain, made) : SLICE_NONE;
}
