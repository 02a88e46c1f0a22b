/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/aerospike_inflate.h"

bool aerospike_inflate_begin(struct aerospike_inflate *f)
{
	f->z = zlib_arena_stream(&f->arena);
	f->over = inflateInit(&f->z) != Z_OK;
	return !f->over;
}

struct slice aerospike_inflate(struct aerospike_inflate *f, struct slice in, size_t *at)
{
	if (f->over)
		return SLICE_NONE;
	f->z.next_in = (z_const Bytef *)in.ptr + *at;
	f->z.avail_in = (uInt)(in.len - *at);
	f->z.next_out = f->plain;
	f->z.avail_out = sizeof(f->plain);
	int status = inflate(&f->z, Z_SYNC_FLUSH);
	*at = in.len - f->z.avail_in;
	f->over = status != Z_OK && status != Z_BUF_ERROR;
	return status == Z_OK || status == Z_BUF_ERROR || status == Z_STREAM_END ? slice_make(f->plain, sizeof(f->plain) - f->z.avail_out) : SLICE_NONE;
}
