/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Cassandra connection may compress by: LZ4 blocks (lz4_Block_format.md of LZ4) and Snappy (format_description.txt of Snappy). A copy only goes
 * back within what was written, so a beginning of a block inflates without the rest of it.
 */
#include "proto/cassandra_state.h"

struct output {
	uint8_t *at;
	size_t len, cap;
};

static size_t put(struct output *o, const uint8_t *from, size_t n)
{
	if (n > o->cap - o->len)
		n = o->cap - o->len;
	memcpy(o->at + o->len, from, n);
	o->len += n;
	return n;
}

/* Bytes that may overlap those that they are copied to. */
static bool copy(struct output *o, size_t back, size_t n)
{
	if (back == 0 || back > o->len)
		return false;
	for (; n && o->len < o->cap; n--, o->len++)
		o->at[o->len] = o->at[o->len - back];
	return true;
}

/* A length of 15 goes on in bytes up to one that is not 255. False: it is not all there. */
static bool lz4_length(struct slice in, size_t *at, size_t *length)
{
	uint8_t b = 255;

	if (*length != 15)
		return true;
	while (b == 255) {
		if (*at == in.len)
			return false;
		b = in.ptr[(*at)++];
		*length += b;
	}
	return true;
}

bool cassandra_lz4(struct slice in, uint8_t *out, size_t cap, size_t *ret_len)
{
	struct output o = { .at = out, .cap = cap };
	size_t at = 0;
	bool good = true;

	while (at < in.len && o.len < cap) {
		uint8_t token = in.ptr[at++];
		size_t literals = token >> 4, match = token & 15;
		if (!lz4_length(in, &at, &literals))
			break;
		size_t there = in.len - at < literals ? in.len - at : literals;
		put(&o, in.ptr + at, there);
		at += there;
		if (there < literals || in.len - at < 2)
			break;
		size_t back = (size_t)(in.ptr[at] | in.ptr[at + 1] << 8);
		at += 2;
		if (!lz4_length(in, &at, &match))
			break;
		good = copy(&o, back, match + 4);
		if (!good)
			break;
	}
	*ret_len = o.len;
	return good;
}

/* Bytes of a length or an offset that follow a tag, little-endian. */
static bool snappy_number(struct slice in, size_t *at, size_t bytes, size_t *ret)
{
	if (in.len - *at < bytes)
		return false;
	*ret = 0;
	for (size_t i = 0; i < bytes; i++)
		*ret |= (size_t)in.ptr[*at + i] << 8 * i;
	*at += bytes;
	return true;
}

/* False: no more can be had. */
static bool snappy_element(struct slice in, size_t *at, struct output *o, bool *good)
{
	uint8_t tag = in.ptr[(*at)++];
	size_t n = tag >> 2, back;

	if ((tag & 3) == 0) {
		if (n >= 60 && !snappy_number(in, at, n - 59, &n))
			return false;
		size_t there = in.len - *at < n + 1 ? in.len - *at : n + 1;
		put(o, in.ptr + *at, there);
		*at += there;
		return there == n + 1;
	}
	if ((tag & 3) == 1) {
		if (!snappy_number(in, at, 1, &back))
			return false;
		back |= (size_t)(tag >> 5) << 8;
		n = 3 + (n & 7);
	} else if (!snappy_number(in, at, (tag & 3) == 2 ? 2 : 4, &back)) {
		return false;
	}
	*good = copy(o, back, n + 1);
	return *good;
}

bool cassandra_snappy(struct slice in, uint8_t *out, size_t cap, size_t *ret_len)
{
	struct output o = { .at = out, .cap = cap };
	size_t at = 0;
	bool good = true;

	while (at < in.len && at < 5 && in.ptr[at] & 0x80) /* the length inflated */
		at++;
	at++;
	while (at < in.len && o.len < cap && snappy_element(in, &at, &o, &good))
		;
	*ret_len = o.len;
	return good;
}

static uint64_t snappy_length(struct slice in)
{
	uint64_t n = 0;

	for (size_t i = 0; i < in.len && i < 5; i++) {
		n |= (uint64_t)(in.ptr[i] & 0x7f) << 7 * i;
		if (!(in.ptr[i] & 0x80))
			return n;
	}
	return 0;
}

static bool inflate_as(enum cassandra_compression way, struct slice in, bool all, uint8_t *room, size_t *ret_len)
{
	uint64_t length = way == CASSANDRA_SNAPPY ? snappy_length(in) : in.len >= 4 ? load_be32(in.ptr) : 0;
	size_t cap = length < CASSANDRA_BODY_HEAD ? (size_t)length : CASSANDRA_BODY_HEAD;

	if (length == 0 || length > CASSANDRA_ENVELOPE_MAX)
		return false;
	if (!(way == CASSANDRA_SNAPPY ? cassandra_snappy(in, room, cap, ret_len) : cassandra_lz4(slice_from(in, 4), room, cap, ret_len)))
		return false;
	return !all || *ret_len == cap;
}

bool cassandra_inflate_body(struct cassandra_state *s, enum proto_side side, struct slice in, bool all, struct slice *ret_body)
{
	uint8_t *room = cassandra_memory_room(s->memory, side, CASSANDRA_BODY_HEAD);
	size_t len;

	for (int way = CASSANDRA_LZ4; room && way <= CASSANDRA_SNAPPY; way++) {
		if (s->compression != CASSANDRA_COMPRESSION_UNKNOWN && s->compression != way)
			continue;
		if (!inflate_as((enum cassandra_compression)way, in, all, room, &len))
			continue;
		if (all)
			s->compression = (uint8_t)way; /* it came out as long as it was said to be */
		*ret_body = slice_make(room, len);
		return true;
	}
	return false;
}
