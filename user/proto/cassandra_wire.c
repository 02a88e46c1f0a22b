/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/cassandra_wire.h"

/* --- what bodies are made of --- */

bool cassandra_pass(struct slice in, size_t *at, size_t n)
{
	if (n > in.len - *at)
		return false;
	*at += n;
	return true;
}

bool cassandra_short(struct slice in, size_t *at, uint16_t *ret)
{
	if (in.len - *at < 2)
		return false;
	*ret = load_be16(in.ptr + *at);
	*at += 2;
	return true;
}

bool cassandra_int(struct slice in, size_t *at, int32_t *ret)
{
	if (in.len - *at < 4)
		return false;
	*ret = (int32_t)load_be32(in.ptr + *at);
	*at += 4;
	return true;
}

bool cassandra_string(struct slice in, size_t *at, struct slice *ret)
{
	uint16_t n;

	if (!cassandra_short(in, at, &n) || n > in.len - *at)
		return false;
	*ret = slice_make(in.ptr + *at, n);
	*at += n;
	return true;
}

bool cassandra_long_string(struct slice in, size_t *at, struct slice *ret)
{
	int32_t n;

	if (!cassandra_int(in, at, &n) || n < 0)
		return false;
	size_t there = in.len - *at < (size_t)n ? in.len - *at : (size_t)n;
	*ret = slice_make(in.ptr + *at, there);
	*at += there;
	return true;
}

bool cassandra_pass_bytes(struct slice in, size_t *at)
{
	int32_t n;

	return cassandra_int(in, at, &n) && (n <= 0 || cassandra_pass(in, at, (size_t)n));
}

/* --- envelopes and segments --- */

static bool opcode_fits(uint8_t opcode, enum proto_side side)
{
	switch (opcode) {
	case CASSANDRA_STARTUP:
	case CASSANDRA_OPTIONS:
	case CASSANDRA_QUERY:
	case CASSANDRA_PREPARE:
	case CASSANDRA_EXECUTE:
	case CASSANDRA_REGISTER:
	case CASSANDRA_BATCH:
	case CASSANDRA_AUTH_RESPONSE: return side == PROTO_TO_SERVER;
	case CASSANDRA_ERROR:
	case CASSANDRA_READY:
	case CASSANDRA_AUTHENTICATE:
	case CASSANDRA_SUPPORTED:
	case CASSANDRA_RESULT:
	case CASSANDRA_EVENT:
	case CASSANDRA_AUTH_CHALLENGE:
	case CASSANDRA_AUTH_SUCCESS: return side == PROTO_TO_CLIENT;
	default: return false;
	}
}

bool cassandra_head_begins(struct slice in, enum proto_side side)
{
	uint8_t direction = side == PROTO_TO_CLIENT ? CASSANDRA_TO_CLIENT : 0;
	uint8_t version = in.len ? in.ptr[0] ^ direction : CASSANDRA_FIRST_VERSION;

	if (version < CASSANDRA_FIRST_VERSION || version > CASSANDRA_LAST_VERSION)
		return false;
	if (in.len > 1 && in.ptr[1] > (CASSANDRA_COMPRESSED | CASSANDRA_TRACING | CASSANDRA_PAYLOAD | CASSANDRA_WARNING | CASSANDRA_BETA))
		return false;
	if (in.len > 2 && side == PROTO_TO_SERVER && in.ptr[2] & 0x80)
		return false;
	if (in.len > 4 && !opcode_fits(in.ptr[4], side))
		return false;
	if (in.len > 5 && in.ptr[5] > CASSANDRA_ENVELOPE_MAX >> 24)
		return false;
	return true;
}

bool cassandra_head(struct slice in, enum proto_side side, struct cassandra_head *ret)
{
	if (!cassandra_head_begins(in, side))
		return false;
	*ret = (struct cassandra_head){
		.version = in.ptr[0] & (uint8_t)~CASSANDRA_TO_CLIENT, .flags = in.ptr[1], .opcode = in.ptr[4], .stream = load_be16(in.ptr + 2), .length = load_be32(in.ptr + 5),
	};
	return ret->length <= CASSANDRA_ENVELOPE_MAX;
}

uint32_t cassandra_crc24(const uint8_t *p, size_t n)
{
	uint32_t crc = 0x875060;

	for (size_t i = 0; i < n; i++) {
		crc ^= (uint32_t)p[i] << 16;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x800000 ? (crc << 1) ^ 0x1974f0b : crc << 1;
	}
	return crc;
}

bool cassandra_segment(struct slice in, bool lz4, struct cassandra_segment *ret)
{
	size_t n = lz4 ? 5 : 3;
	uint64_t bits = load_le24(in.ptr) | (lz4 ? (uint64_t)(in.ptr[3] | in.ptr[4] << 8) << 24 : 0);
	unsigned at = lz4 ? 34 : 17;

	*ret = (struct cassandra_segment){
		.length = (uint32_t)bits & CASSANDRA_SEGMENT_MAX, .plain = lz4 ? (uint32_t)(bits >> 17) & CASSANDRA_SEGMENT_MAX : 0, .whole = bits >> at & 1,
	};
	return bits >> (at + 1) == 0 && ret->length > 0 && cassandra_crc24(in.ptr, n) == load_le24(in.ptr + n);
}

enum cassandra_framing cassandra_framing(struct slice in, enum proto_side side)
{
	struct cassandra_segment segment;
	struct cassandra_head head;

	if (cassandra_segment(in, false, &segment))
		return CASSANDRA_SEGMENTS;
	if (cassandra_segment(in, true, &segment))
		return CASSANDRA_LZ4_SEGMENTS;
	return cassandra_head(in, side, &head) ? CASSANDRA_PLAIN : CASSANDRA_UNKNOWN;
}
