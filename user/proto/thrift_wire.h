/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How Apache Thrift's messages look: https://github.com/apache/thrift/tree/master/doc/specs (thrift-binary-protocol.md, thrift-compact-protocol.md,
 * HeaderFormat.md). A message is a head (type, name, sequence id) and one struct, whose end only its fields tell where no frame does.
 */
#ifndef PLUMB_PROTO_THRIFT_WIRE_H
#define PLUMB_PROTO_THRIFT_WIRE_H

#include "proto/proto.h"

enum {
	THRIFT_NAME_MAX = 512,
	THRIFT_HEADER_MAX = 4096,         /* of THeader's head: what is longer is passed over */
	THRIFT_FRAME_MAX = 256 << 20,     /* libraries refuse more than 16 MB unless told otherwise */
	THRIFT_DEPTH = 64,                /* of structs and containers in each other, as every library has it */
	THRIFT_RESYNC_KEEP = 600,
};

enum thrift_type { THRIFT_CALL = 1, THRIFT_REPLY = 2, THRIFT_EXCEPTION = 3, THRIFT_ONEWAY = 4 };
enum thrift_protocol { THRIFT_BINARY, THRIFT_OLD, THRIFT_COMPACT }; /* OLD: binary without the version */
enum thrift_scan { THRIFT_OK, THRIFT_SHORT, THRIFT_BAD };

struct thrift_head {
	uint8_t protocol; /* enum thrift_protocol */
	uint8_t type;     /* enum thrift_type; 0 = not known */
	bool framed;
	bool header;      /* framed, with a header of THeader's */
	bool opaque;      /* what THeader's payload is cannot be read as it is: compressed, or behind a long header */
	bool zlib;        /* and why: that alone */
	uint32_t key;     /* sequence id; of an opaque one THeader's */
	uint32_t rest;    /* framed: bytes of the frame behind the head */
	size_t len;       /* of the head, with the frame's length */
	struct slice name;
	struct slice traceparent, tracestate, b3; /* THeader */
};

/* SHORT: *ret_need bytes are needed to go on. */
enum thrift_scan thrift_head_read(struct slice in, struct thrift_head *ret, size_t *ret_need);
/* Behind the frame: what the inflated payload begins with. *ret_end: its struct. False: not known. */
bool thrift_payload_read(struct slice plain, struct thrift_head *h, size_t *ret_end);
/* Is this sent to that side? An unknown type is to both. */
bool thrift_type_fits(const struct thrift_head *h, enum proto_side side);
/* Stricter: is the name one that an IDL file allows, and does a struct follow, as far as it is at hand? */
enum thrift_scan thrift_message_fits(struct slice in, enum proto_side side, struct thrift_head *ret);
int thrift_detect(struct slice in, enum proto_side side);

/* 0: it goes on; else how many bytes it has. -1: longer than any number. */
int thrift_varint(struct slice in, uint64_t *ret);

/* ---- structs ---- */

struct thrift_level {
	uint8_t kind;       /* struct, list, map */
	uint8_t key, value; /* types of elements */
	uint32_t left;      /* elements */
};

/* Where in a struct one is. Its fields at the top are looked at, the rest only measured. */
struct thrift_walk {
	uint64_t skip;     /* bytes of a value */
	uint8_t protocol;
	uint8_t depth;     /* 0: at the end */
	uint8_t pending;   /* type of the value that comes next; 0 = none */
	bool partial;      /* a part of what comes next was seen */
	bool exception;    /* the struct is a TApplicationException */
	int16_t id;        /* of the field of the top struct */
	bool first_known, code_known;
	int16_t first;     /* id of its first field */
	int32_t code;      /* type of the exception */
	struct thrift_level level[THRIFT_DEPTH];
};

enum thrift_walked { THRIFT_DONE, THRIFT_MORE, THRIFT_PASS, THRIFT_BROKEN };

void thrift_walk_begin(struct thrift_walk *w, uint8_t protocol, bool exception);
/*
 * Goes on at in[*ret_at], which moves. MORE: the next value is not whole; PASS: w->skip more bytes of no interest, which the caller steps over. `until`: stops
 * (DONE) when what is to be known of a response is known.
 */
enum thrift_walked thrift_walk(struct thrift_walk *w, struct slice in, bool until, size_t *ret_at);
/* Is nothing begun but structs? *ret_ends: how many bytes end them all, if nothing else comes. */
bool thrift_only_ends(const struct thrift_walk *w, unsigned *ret_ends);

const char *thrift_exception_name(int32_t code);

#endif
