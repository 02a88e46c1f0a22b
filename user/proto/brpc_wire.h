/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How bRPC's messages look. baidu_std: https://github.com/apache/brpc/blob/master/docs/en/baidu_std.md and src/brpc/policy/baidu_rpc_meta.proto; streams:
 * src/brpc/streaming_rpc_meta.proto; Hulu and Sofa: hulu_pbrpc_meta.proto and sofa_pbrpc_meta.proto beside it. A head with four letters and lengths, a meta message
 * of protobuf (https://protobuf.dev/programming-guides/encoding/), and a payload that nobody needs.
 */
#ifndef PLUMB_PROTO_BRPC_WIRE_H
#define PLUMB_PROTO_BRPC_WIRE_H

#include "proto/proto.h"

enum {
	BRPC_HEAD = 12,          /* letters, length of all that follows, length of the meta message */
	BRPC_SOFA_HEAD = 24,     /* letters, length of the meta message, of the payload, of both */
	BRPC_META_LEAST = 2,
	BRPC_META_MAX = 16384,   /* what is read of one; longer ones are not looked at */
	BRPC_META_LARGEST = 1 << 20,
	BRPC_NAME_MAX = 512,     /* of service and method together */
	BRPC_RESYNC_KEEP = BRPC_SOFA_HEAD + 8,
};

enum brpc_format { BRPC_STD, BRPC_STREAM, BRPC_HULU, BRPC_SOFA };

enum brpc_read { BRPC_OK, BRPC_SHORT, BRPC_BAD };

struct brpc_head {
	enum brpc_format format;
	uint32_t len;     /* of the head */
	uint32_t meta;
	uint64_t payload;
};

/* At the start of `in`. With BRPC_SHORT *ret_need bytes are wanted. */
enum brpc_read brpc_head_read(struct slice in, struct brpc_head *ret, size_t *ret_need);

/* ---- protobuf ---- */

enum brpc_wire_type { BRPC_VARINT = 0, BRPC_FIXED64 = 1, BRPC_BYTES = 2, BRPC_FIXED32 = 5 };

struct brpc_field {
	uint32_t number;
	uint8_t type;       /* enum brpc_wire_type */
	uint64_t value;     /* BRPC_VARINT */
	struct slice bytes; /* BRPC_BYTES */
};

/* The next field of a message, off *rest. BRPC_SHORT: it goes on behind the end of *rest, or there is none. */
enum brpc_read brpc_field_next(struct slice *rest, struct brpc_field *ret);

/* ---- the meta message ---- */

enum brpc_frame { BRPC_FRAME_RST = 1, BRPC_FRAME_CLOSE = 2, BRPC_FRAME_DATA = 3, BRPC_FRAME_FEEDBACK = 4 };

/* Of whatever format. Strings are views into the input. */
struct brpc_meta {
	bool request, response;
	uint64_t id;                   /* correlation id */
	struct slice service, method;  /* Sofa: method has both */
	bool indexed;                  /* Hulu: there is the method's number */
	uint32_t index;
	bool oneway;
	int32_t error;
	bool failed;                   /* Sofa */
	bool logged, traced;
	uint64_t log_id, trace_id;
	uint32_t timeout_ms;           /* 0 = none */
	uint64_t stream;               /* of the one who says it, or, in a stream's frame, of the one it is for; 0 = none */
	uint8_t frame;                 /* enum brpc_frame */
	bool continued;                /* the stream's message goes on in another frame */
	struct slice traceparent, tracestate, b3;
};

/* `in` is all of the meta message, or the head of it with `cut`. False: it is none, or not to this side. */
bool brpc_meta_read(enum brpc_format format, struct slice in, bool cut, enum proto_side side, struct brpc_meta *ret);

/* A message begins here, or may, as far as it is at hand. */
enum brpc_read brpc_fits(struct slice in, enum proto_side side);
int brpc_detect(struct slice in, enum proto_side side);

/* The name of a number in bRPC's errno.proto; NULL: it has none. */
const char *brpc_error_name(int32_t code);

#endif
