/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mysql_inflate.h"

#include <stddef.h>

void mysql_inflate_init(struct mysql_inflate *f)
{
	memset(f, 0, offsetof(struct mysql_inflate, arena));
}

static bool zlib_ready(struct mysql_inflate *f)
{
	if (f->ready)
		return inflateReset(&f->z) == Z_OK;
	f->z = zlib_arena_stream(&f->arena);
	f->ready = inflateInit(&f->z) == Z_OK;
	return f->ready;
}

static bool begin_frame(struct mysql_inflate *f, const uint8_t *head)
{
	f->frame_left = load_le24(head);
	f->plain_left = load_le24(head + 4);
	f->raw = f->plain_left == 0;
	if (f->raw)
		f->plain_left = f->frame_left;
	return f->frame_left > 0 && (f->raw || zlib_ready(f));
}

/* Some bytes of the frame's payload. False: they are no zlib stream, or one of another length than was said. */
static bool take_payload(struct mysql_inflate *f, struct slice in, size_t *at, size_t room)
{
	size_t there = in.len - *at < f->frame_left ? in.len - *at : f->frame_left;

	if (room > f->plain_left)
		room = f->plain_left;
	if (f->plain_left == 0) { /* the check sum */
		*at += there;
		f->frame_left -= (uint32_t)there;
		return true;
	}
	if (f->raw) {
		size_t n = there < room ? there : room;
		memcpy(f->plain + f->len, in.ptr + *at, n);
		*at += n;
		f->len += (uint32_t)n;
		f->frame_left -= (uint32_t)n;
		f->plain_left -= (uint32_t)n;
		return true;
	}
	f->z.next_in = (z_const Bytef *)in.ptr + *at;
	f->z.avail_in = (uInt)there;
	f->z.next_out = f->plain + f->len;
	f->z.avail_out = (uInt)room;
	int status = inflate(&f->z, Z_SYNC_FLUSH);
	size_t read = there - f->z.avail_in, made = room - f->z.avail_out;
	*at += read;
	f->len += (uint32_t)made;
	f->frame_left -= (uint32_t)read;
	f->plain_left -= (uint32_t)made;
	if (status != Z_OK && status != Z_BUF_ERROR && status != Z_STREAM_END)
		return false;
	return f->plain_left == 0 || (status != Z_STREAM_END && (f->frame_left > 0 || made > 0));
}

bool mysql_inflate_more(struct mysql_inflate *f, struct slice in, size_t *at, size_t want)
{
	if (want > sizeof(f->plain))
		want = sizeof(f->plain);
	for (;;) {
		if (f->frame_left == 0 && f->plain_left == 0) {
			if (f->len >= want || in.len - *at < MYSQL_FRAME_HEAD)
				return true;
			if (!begin_frame(f, in.ptr + *at))
				return false;
			*at += MYSQL_FRAME_HEAD;
		}
		size_t before = *at, len = f->len;
		if (f->plain_left && f->len >= want)
			return true;
		if (!take_payload(f, in, at, want > f->len ? want - f->len : 0))
			return false;
		if (*at == before && f->len == len && (f->frame_left || f->plain_left))
			return true; /* nothing left to take */
	}
}

void mysql_inflate_drop(struct mysql_inflate *f, size_t n)
{
	f->len -= (uint32_t)n;
	memmove(f->plain, f->plain + n, f->len);
}
