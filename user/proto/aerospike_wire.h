/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How messages of Aerospike's client protocol look (as/include/base/proto.h of aerospike/aerospike-server, and the clients' sources): a head of 8 bytes with a
 * size, then text (info), a security command, a record message or the zlib stream of one. A record message has a head of 22 bytes, then fields and operations, each behind its
 * length. All numbers are big-endian. No state.
 */
#ifndef PLUMB_PROTO_AEROSPIKE_WIRE_H
#define PLUMB_PROTO_AEROSPIKE_WIRE_H

#include "proto/proto.h"

enum {
	AEROSPIKE_HEAD = 8,
	AEROSPIKE_MSG = 22,             /* head of a record message, behind the first */
	AEROSPIKE_ADMIN = 16,           /* head of a security command */
	AEROSPIKE_PACKED = 8,           /* what is compressed has its size in front */
	AEROSPIKE_ITEM = 4,             /* length of a field or an operation */
	AEROSPIKE_SIZE_MAX = 128 << 20, /* the server's own limit */
	AEROSPIKE_NAMESPACE_MAX = 31,
	AEROSPIKE_SET_MAX = 63,
	AEROSPIKE_BATCH_LOOKED = 1024,  /* bytes of a batch's field: how many records, and whose they are */
	AEROSPIKE_INFO_LOOKED = 512,    /* bytes of an info message */
};

enum aerospike_type { AEROSPIKE_TYPE_INFO = 1, AEROSPIKE_TYPE_ADMIN = 2, AEROSPIKE_TYPE_MSG = 3, AEROSPIKE_TYPE_PACKED = 4 };

/* The bits that are looked at, of info1 to info4. */
enum { AEROSPIKE_READ = 1, AEROSPIKE_BATCH = 8, AEROSPIKE_NO_BINS = 32 };
enum { AEROSPIKE_WRITE = 1, AEROSPIKE_DELETE = 2 };
enum { AEROSPIKE_LAST = 1, AEROSPIKE_PARTITION_DONE = 4 };
enum { AEROSPIKE_VERIFY = 1, AEROSPIKE_ROLL_FORWARD = 2, AEROSPIKE_ROLL_BACK = 4 };

enum aerospike_field {
	AEROSPIKE_FIELD_NAMESPACE = 0, AEROSPIKE_FIELD_SET = 1, AEROSPIKE_FIELD_DIGEST = 4, AEROSPIKE_FIELD_INDEX_NAME = 21, AEROSPIKE_FIELD_INDEX_RANGE = 22,
	AEROSPIKE_FIELD_MODULE = 30, AEROSPIKE_FIELD_FUNCTION = 31, AEROSPIKE_FIELD_BATCH = 41, AEROSPIKE_FIELD_BATCH_WITH_SET = 42,
};

enum { AEROSPIKE_OK_LAST = 50 }; /* the code behind the last of many answers to a security command */

enum aerospike_scan { AEROSPIKE_OK, AEROSPIKE_MORE, AEROSPIKE_BAD };

struct aerospike_head {
	enum aerospike_type type;
	uint32_t size; /* bytes behind the head */
};

/* MORE: nothing speaks against it so far. */
enum aerospike_scan aerospike_head_read(struct slice in, struct aerospike_head *ret);

struct aerospike_msg {
	uint8_t info[4];
	uint8_t code;
	uint16_t fields, ops;
};

/* AEROSPIKE_MSG bytes of which `left` are there with what follows. False: they are no such head. */
bool aerospike_msg_read(const uint8_t *p, uint64_t left, struct aerospike_msg *ret);
bool aerospike_field_known(uint8_t type);

/* What a request says of itself, for its name. */
struct aerospike_asked {
	uint8_t info[4];
	bool digest, batch, index, module;
	uint8_t op;  /* of the first operation; 0: there is none */
	bool mixed;  /* there are others */
};

/* What Aerospike's clients call it. */
const char *aerospike_operation(const struct aerospike_asked *a);
/* Whether the operations decide what it is called. */
bool aerospike_needs_ops(const struct aerospike_asked *a);
const char *aerospike_admin_name(uint8_t command); /* NULL: there is no such command */
/* A record that is not there, one that is, a condition that was not met: answers, and no failures. That there is no login, the clients take for a success. */
bool aerospike_failed(uint8_t code);

struct aerospike_batch {
	uint32_t count;
	bool same;              /* all records are of this namespace and set */
	struct slice space, set; /* empty: none. Views */
};

/* The head of a batch's field of `size` bytes. False: it is none. */
bool aerospike_batch_read(struct slice in, uint32_t size, struct aerospike_batch *ret);

/* What is no printable text is not shown; nor is what is longer than `max`, or empty. */
bool aerospike_shown(struct slice name, size_t max);

/* A name in a list of info commands, and the place behind its line. Empty: it is no name. */
struct slice aerospike_info_name(struct slice in, size_t *at);

/* aerospike_detect.c */
int aerospike_detect(struct slice in, enum proto_side side);
/* Where a message may begin behind lost bytes; in.len: nowhere. */
size_t aerospike_find(struct slice in, enum proto_side side);

#endif
