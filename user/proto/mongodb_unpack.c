/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of what OP_COMPRESSED holds. Each message is compressed by itself, so nothing is kept from one to the next. zstd is not read.
 */
#include <stdlib.h>

#include "lib/zlib_arena.h"
#include "proto/mongodb_wire.h"

struct mongodb_unpacker {
	struct zlib_arena arena;
	uint8_t plain[MONGODB_READ_MAX];
};

size_t mongodb_unpacker_size(void) { return sizeof(struct mongodb_unpacker); }

static size_t unpack_zlib(struct mongodb_unpacker *u, struct slice in)
{
	z_stream z = zlib_arena_stream(&u->arena);

	if (inflateInit(&z) != Z_OK)
		return 0;
	z.next_in = (z_const Bytef *)in.ptr;
	z.avail_in = (uInt)in.len;
	z.next_out = u->plain;
	z.avail_out = sizeof(u->plain);
	int status = inflate(&z, Z_SYNC_FLUSH);
	return status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR ? sizeof(u->plain) - z.avail_out : 0;
}

/* https://github.com/google/snappy/blob/main/format_description.txt: the length was told before, so it is only stepped over. */
static bool snappy_length(struct slice in, size_t *at)
{
	while (*at < in.len && *at < 5)
		if (in.ptr[(*at)++] < 0x80)
			return true;
	return false;
}

struct snappy_step {
	size_t len, offset; /* offset 0: bytes of the input */
	size_t head;        /* bytes before them */
};

static bool snappy_read(struct slice in, struct snappy_step *ret)
{
	uint8_t tag = in.ptr[0];
	size_t extra;

	switch (tag & 3) {
	case 0:
		extra = tag >> 2 < 60 ? 0 : (size_t)(tag >> 2) - 59;
		*ret = (struct snappy_step){ .len = (size_t)(tag >> 2) + 1, .head = 1 + extra };
		if (in.len < ret->head)
			return false;
		if (extra)
			ret->len = 1;
		for (size_t i = 0; i < extra; i++)
			ret->len += (size_t)in.ptr[1 + i] << 8 * i;
		return true;
	case 1:
		if (in.len < 2)
			return false;
		*ret = (struct snappy_step){ .len = (size_t)(tag >> 2 & 7) + 4, .offset = (size_t)(tag >> 5) << 8 | in.ptr[1], .head = 2 };
		break;
	case 2:
		if (in.len < 3)
			return false;
		*ret = (struct snappy_step){ .len = (size_t)(tag >> 2) + 1, .offset = (size_t)in.ptr[1] | (size_t)in.ptr[2] << 8, .head = 3 };
		break;
	default:
		if (in.len < 5)
			return false;
		*ret = (struct snappy_step){ .len = (size_t)(tag >> 2) + 1, .offset = load_le32(in.ptr + 1), .head = 5 };
		break;
	}
	return ret->offset > 0;
}

static size_t unpack_snappy(struct mongodb_unpacker *u, struct slice in)
{
	struct snappy_step step;
	size_t at = 0, len = 0;

	if (!snappy_length(in, &at))
		return 0;
	while (at < in.len && len < sizeof(u->plain) && snappy_read(slice_from(in, at), &step)) {
		size_t room = sizeof(u->plain) - len, n = step.len < room ? step.len : room;
		at += step.head;
		if (step.offset > len)
			break;
		if (step.offset) {
			for (size_t i = 0; i < n; i++, len++) /* may overlap */
				u->plain[len] = u->plain[len - step.offset];
			continue;
		}
		if (n > in.len - at)
			n = in.len - at;
		memcpy(u->plain + len, in.ptr + at, n);
		len += n;
		at += n;
	}
	return len;
}

bool mongodb_unpack(struct mongodb_unpacker *u, struct slice body, struct mongodb_unpacked *ret)
{
	struct slice packed = slice_from(body, 9);
	size_t n = 0;

	*ret = (struct mongodb_unpacked){ .opcode = load_le32(body.ptr), .len = load_le32(body.ptr + 4) };
	switch ((enum mongodb_compressor)body.ptr[8]) {
	case MONGODB_NOOP: ret->body = slice_head(packed, ret->len); return packed.len > 0;
	case MONGODB_SNAPPY: n = u ? unpack_snappy(u, packed) : 0; break;
	case MONGODB_ZLIB: n = u ? unpack_zlib(u, packed) : 0; break;
	case MONGODB_ZSTD: break;
	}
	ret->body = u ? slice_head(slice_make(u->plain, n), ret->len) : SLICE_NONE;
	return n > 0;
}
