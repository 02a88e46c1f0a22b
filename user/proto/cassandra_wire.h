/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing of Cassandra's CQL native protocol, versions 3 to 5 (doc/native_protocol_v3.spec to v5.spec of Apache Cassandra): envelopes, the
 * segments that version 5 puts them into, and how both must look for detection and resynchronisation. No state.
 */
#ifndef PLUMB_PROTO_CASSANDRA_WIRE_H
#define PLUMB_PROTO_CASSANDRA_WIRE_H

#include "proto/proto.h"

enum {
	CASSANDRA_HEAD = 9,           /* of an envelope: version and direction, flags, stream, opcode, length */
	CASSANDRA_ENVELOPE_MAX = 1 << 28,
	CASSANDRA_SEGMENT_HEAD = 6,
	CASSANDRA_LZ4_SEGMENT_HEAD = 8,
	CASSANDRA_SEGMENT_TAIL = 4,   /* check sum of the payload */
	CASSANDRA_SEGMENT_MAX = 0x1ffff,
	CASSANDRA_RESYNC_KEEP = 512,
	CASSANDRA_TO_CLIENT = 0x80,   /* in the version's byte */
	CASSANDRA_FIRST_VERSION = 3,
	CASSANDRA_LAST_VERSION = 5,
};

enum cassandra_opcode {
	CASSANDRA_ERROR = 0x00,
	CASSANDRA_STARTUP = 0x01,
	CASSANDRA_READY = 0x02,
	CASSANDRA_AUTHENTICATE = 0x03,
	CASSANDRA_OPTIONS = 0x05,
	CASSANDRA_SUPPORTED = 0x06,
	CASSANDRA_QUERY = 0x07,
	CASSANDRA_RESULT = 0x08,
	CASSANDRA_PREPARE = 0x09,
	CASSANDRA_EXECUTE = 0x0a,
	CASSANDRA_REGISTER = 0x0b,
	CASSANDRA_EVENT = 0x0c,
	CASSANDRA_BATCH = 0x0d,
	CASSANDRA_AUTH_CHALLENGE = 0x0e,
	CASSANDRA_AUTH_RESPONSE = 0x0f,
	CASSANDRA_AUTH_SUCCESS = 0x10,
};

/* Flags of an envelope. */
enum { CASSANDRA_COMPRESSED = 1, CASSANDRA_TRACING = 2, CASSANDRA_PAYLOAD = 4, CASSANDRA_WARNING = 8, CASSANDRA_BETA = 16 };

enum cassandra_result { CASSANDRA_VOID = 1, CASSANDRA_ROWS = 2, CASSANDRA_KEYSPACE = 3, CASSANDRA_PREPARED = 4, CASSANDRA_SCHEMA = 5 };

struct cassandra_head {
	uint8_t version, flags, opcode;
	uint16_t stream; /* below 0x8000 of a client; what the server says unasked is 0xffff */
	uint32_t length; /* of the body */
};

/* False: this is no head of an envelope to `side`. `in` has at least CASSANDRA_HEAD bytes. */
bool cassandra_head(struct slice in, enum proto_side side, struct cassandra_head *ret);
/* The same of what may be the beginning of a head. */
bool cassandra_head_begins(struct slice in, enum proto_side side);

struct cassandra_segment {
	uint32_t length; /* of the payload on the wire */
	uint32_t plain;  /* and inflated; 0 = it is not compressed */
	bool whole;      /* it holds whole envelopes, not a part of one */
};

/* False: this is no head of a segment. `in` has at least as many bytes as one has: CASSANDRA_LZ4_SEGMENT_HEAD where LZ4 was agreed on. */
bool cassandra_segment(struct slice in, bool lz4, struct cassandra_segment *ret);

/* The check sum of a segment's head without it; its lowest byte comes first. */
uint32_t cassandra_crc24(const uint8_t *p, size_t n);

/* What stands at *at, which moves behind it. False: it is not all there. */
bool cassandra_short(struct slice in, size_t *at, uint16_t *ret);
bool cassandra_int(struct slice in, size_t *at, int32_t *ret);
bool cassandra_string(struct slice in, size_t *at, struct slice *ret);      /* [string], [short bytes] */
bool cassandra_long_string(struct slice in, size_t *at, struct slice *ret); /* of which `in` may hold only the head */
bool cassandra_pass(struct slice in, size_t *at, size_t n);
bool cassandra_pass_bytes(struct slice in, size_t *at);                     /* [bytes], [value] */

int cassandra_detect(struct slice in, enum proto_side side);

enum cassandra_framing {
	CASSANDRA_UNKNOWN,
	CASSANDRA_PLAIN, /* envelopes follow each other: up to version 4, and until version 5 is agreed on */
	CASSANDRA_SEGMENTS,
	CASSANDRA_LZ4_SEGMENTS,
};

/* How what begins at `in` is framed, if it must be told by its bytes; of CASSANDRA_HEAD bytes at least. CASSANDRA_UNKNOWN: not at all. */
enum cassandra_framing cassandra_framing(struct slice in, enum proto_side side);
/* Offset of the next plausible start of an envelope or segment, and which of them; else in.len. */
size_t cassandra_find(struct slice in, enum proto_side side, enum cassandra_framing *framing);

#endif
