/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How messages of Couchbase's key-value protocol look (docs/BinaryProtocol.md of couchbase/kv_engine): memcached's binary header, with frames of its own between
 * header and extras, and operations and status codes that memcached has not. No state.
 */
#ifndef PLUMB_PROTO_COUCHBASE_WIRE_H
#define PLUMB_PROTO_COUCHBASE_WIRE_H

#include "proto/proto.h"

enum {
	COUCHBASE_HEAD = 24,
	COUCHBASE_KEY_MAX = 512,       /* a path of scope and collection was a key once */
	COUCHBASE_BODY_MAX = 64 << 20, /* a document has 20 MiB at most, and is not alone in some bodies */
	COUCHBASE_ID_MAX = 5,          /* bytes of a collection's id before a key */
};

/* Opcodes whose messages say more than what is asked. */
enum {
	COUCHBASE_OP_NOOP = 0x0a, COUCHBASE_OP_QUITQ = 0x17, COUCHBASE_OP_STAT = 0x10, COUCHBASE_OP_HELLO = 0x1f, COUCHBASE_OP_SELECT_BUCKET = 0x89, COUCHBASE_OP_COLLECTION_ID = 0xbb,
	COUCHBASE_OP_SCAN_CONTINUE = 0xdb,
};

/* Flags of an opcode. */
enum {
	COUCHBASE_KEY = 1,     /* a document's */
	COUCHBASE_NO_KEY = 2,  /* neither of the two: there may be one */
	COUCHBASE_VALUE = 4,   /* bytes may follow the key */
	COUCHBASE_QUIET = 8,   /* answered in some cases only */
	COUCHBASE_GETS = 16,   /* a document, or nothing */
	COUCHBASE_LOOKUP = 32, /* in a document: that a path is not there is an answer */
	COUCHBASE_FLOW = 64,   /* of a stream of changes that flows either way */
};

struct couchbase_op {
	const char *name;  /* NULL: there is no such opcode */
	uint8_t flags, extras_min, extras_max;
};

enum couchbase_kind {
	COUCHBASE_REQUEST,  /* of the side that asks */
	COUCHBASE_ANSWER,
	COUCHBASE_PUSH,     /* of the server to its client */
	COUCHBASE_PUSHED,   /* the client's answer to one */
};

struct couchbase_head {
	enum couchbase_kind kind;
	const struct couchbase_op *op; /* never NULL; op->name may be */
	uint8_t opcode, frames, extras; /* frames, extras, key_len: bytes */
	uint16_t key_len, status, vbucket;
	uint32_t body, opaque;
};

enum couchbase_scan { COUCHBASE_OK, COUCHBASE_MORE, COUCHBASE_BAD };

/* The header at the start of `in`, as far as any opcode, even one of later servers, allows it. MORE: nothing speaks against it so far. */
enum couchbase_scan couchbase_head_read(struct slice in, enum proto_side side, struct couchbase_head *ret);
const struct couchbase_op *couchbase_op(uint8_t opcode); /* never NULL */
/* Whether it also is one that the opcode, known here, may have. */
bool couchbase_head_fits(const struct couchbase_head *h);

/* ret_failed: the request failed; a miss, or a condition that was not met, is an answer. NULL: success. */
const char *couchbase_status_name(const struct couchbase_head *h, bool *ret_failed);

/* What frames say; 0 where they do not. */
struct couchbase_frames {
	uint8_t durability;       /* level that a request asks for */
	bool timed;
	uint16_t duration;        /* of an answer, as coded */
};

void couchbase_frames_read(struct slice frames, enum couchbase_kind kind, struct couchbase_frames *ret);
const char *couchbase_durability_name(uint8_t level); /* NULL: none */
int64_t couchbase_duration_ns(uint16_t coded);

/* couchbase_detect.c */
int couchbase_detect(struct slice in, enum proto_side side);
/* Where a message may begin behind lost bytes; in.len: nowhere. */
size_t couchbase_find(struct slice in, enum proto_side side);

#endif
