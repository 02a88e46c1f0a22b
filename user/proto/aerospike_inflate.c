/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/aerospike_inflate.h"

static voidpf take(voidpf opaque, uInt items, uInt size)
{
	struct aerospike_inflate *f = opaque;
	uint64_t bytes = ((uint64_t)items * size + 15) / 16 * 16;

	if (bytes > sizeof(f->arena) - f->used)
		return Z_NULL;
	f->used += (uint32_t)bytes;
	return f->arena + f->used - bytes;
}

static void leave(voidpf opaque, voidpf memory)
{
	(void)opaque;
	(void)memory;
}

bool aerospike_inflate_begin(struct aerospike_inflate *f)
{
	f->used = 0;
	f->z = (z_stream){ .zalloc = take, .zfree = leave, .opaque = f };
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
