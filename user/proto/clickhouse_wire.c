/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/clickhouse_wire.h"

/* --- numbers and strings --- */

/* Where the next n bytes are, or NULL. */
static const uint8_t *take(struct clickhouse_cursor *c, size_t n)
{
	if (!clickhouse_good(c))
		return NULL;
	if (n > CLICKHOUSE_PACKET_MAX - c->at) {
		c->bad = true;
		return NULL;
	}
	if (n > c->in.len - c->at) {
		c->need = c->at + n;
		return NULL;
	}
	c->at += n;
	return c->in.ptr + c->at - n;
}

uint8_t clickhouse_u8(struct clickhouse_cursor *c)
{
	const uint8_t *p = take(c, 1);

	return p ? *p : 0;
}

uint32_t clickhouse_u32(struct clickhouse_cursor *c)
{
	const uint8_t *p = take(c, 4);

	return p ? load_le32(p) : 0;
}

uint64_t clickhouse_u64(struct clickhouse_cursor *c)
{
	const uint8_t *p = take(c, 8);

	return p ? load_le64(p) : 0;
}

uint64_t clickhouse_varint(struct clickhouse_cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		const uint8_t *p = take(c, 1);
		if (!p)
			return 0;
		v |= (uint64_t)(*p & 0x7f) << shift;
		if (!(*p & 0x80)) {
			c->bad = shift == 63 && *p > 1;
			return c->bad ? 0 : v;
		}
	}
	c->bad = true;
	return 0;
}

uint64_t clickhouse_number(struct clickhouse_cursor *c, uint64_t max)
{
	uint64_t v = clickhouse_varint(c);

	c->bad = c->bad || v > max;
	return c->bad ? 0 : v;
}

bool clickhouse_bool(struct clickhouse_cursor *c)
{
	uint8_t b = clickhouse_u8(c);

	c->bad = c->bad || b > 1;
	return b == 1;
}

struct slice clickhouse_string(struct clickhouse_cursor *c, size_t max)
{
	size_t n = (size_t)clickhouse_number(c, max);
	const uint8_t *p = take(c, n);

	return p ? slice_make(p, n) : SLICE_NONE;
}

struct slice clickhouse_text(struct clickhouse_cursor *c, size_t most, uint64_t *ret_length)
{
	*ret_length = clickhouse_number(c, UINT32_MAX);
	size_t n = *ret_length < most ? (size_t)*ret_length : most;

	if (!clickhouse_good(c))
		return SLICE_NONE;
	c->bad = n > CLICKHOUSE_PACKET_MAX - c->at;
	if (c->bad)
		return SLICE_NONE;
	if (n > c->in.len - c->at) {
		c->need = c->at + n;
		return SLICE_NONE;
	}
	c->at += n;
	return slice_make(c->in.ptr + c->at - n, n);
}

void clickhouse_pass(struct clickhouse_cursor *c, uint64_t n) { (void)take(c, n < SIZE_MAX ? (size_t)n : SIZE_MAX); }

bool clickhouse_is_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
			return false;
	return true;
}

/* --- blocks --- */

enum { LZ4 = 0x82, ZSTD = 0x90, NONE = 0x02, FRAME_SIZES = 9, BLOCK_MAX = 1 << 30 };

bool clickhouse_frame(struct slice in, struct clickhouse_frame *ret)
{
	if (in.len < CLICKHOUSE_FRAME_HEAD)
		return false;
	const uint8_t *p = in.ptr + CLICKHOUSE_CHECKSUM;
	uint32_t length = load_le32(p + 1), plain = load_le32(p + 5);
	if ((p[0] != LZ4 && p[0] != ZSTD && p[0] != NONE) || length <= FRAME_SIZES || length > BLOCK_MAX || plain < 1 || plain > BLOCK_MAX)
		return false;
	/* What cannot be compressed grows a little. */
	if (length - FRAME_SIZES > plain + plain / 128 + 64 || (p[0] == NONE && length - FRAME_SIZES != plain))
		return false;
	*ret = (struct clickhouse_frame){ .length = length + CLICKHOUSE_CHECKSUM, .plain = plain };
	return true;
}

struct slice clickhouse_frame_begins(struct slice in, size_t *ret_behind)
{
	size_t at = CLICKHOUSE_FRAME_HEAD;

	*ret_behind = at;
	if (in.len <= at || in.ptr[CLICKHOUSE_CHECKSUM] == ZSTD)
		return SLICE_NONE;
	if (in.ptr[CLICKHOUSE_CHECKSUM] == NONE)
		return slice_from(in, at);
	size_t literals = in.ptr[at++] >> 4;
	/* 15 goes on in bytes up to one that is not 255. */
	for (uint8_t b = 255; literals >= 15 && b == 255; literals += b) {
		*ret_behind = at + 1;
		if (at == in.len)
			return SLICE_NONE;
		b = in.ptr[at++];
	}
	*ret_behind = at;
	return slice_head(slice_from(in, at), literals);
}

/* Fields by number: 1 an overflow's, 2 a bucket, 3 buckets out of order. A writer gives them all, in order. */
size_t clickhouse_block_info(struct slice in)
{
	static const uint8_t begins[] = { 1, 0, 2 };
	struct clickhouse_cursor c = { .in = in };

	for (size_t i = 0; i < sizeof(begins); i++) {
		uint8_t b = clickhouse_u8(&c);
		if (clickhouse_good(&c) && b != begins[i] && !(i == 1 && b == 1))
			return 0;
	}
	clickhouse_pass(&c, 4);
	uint8_t field = clickhouse_u8(&c);
	if (field == 3) {
		clickhouse_pass(&c, 4 * clickhouse_number(&c, 256));
		field = clickhouse_u8(&c);
	}
	if (c.bad || field != 0)
		return 0;
	return c.need ? SIZE_MAX : c.at;
}
