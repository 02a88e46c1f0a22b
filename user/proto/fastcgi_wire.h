/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How FastCGI's records look: https://fastcgi-archives.github.io/FastCGI_Specification.html. Eight bytes of head, content and padding; a request's parameters and
 * a response's head (RFC 3875, 6) are streams of bytes that may be cut into records anywhere.
 */
#ifndef PLUMB_PROTO_FASTCGI_WIRE_H
#define PLUMB_PROTO_FASTCGI_WIRE_H

#include "proto/proto.h"

enum {
	FASTCGI_HEAD = 8,
	FASTCGI_BODY = 8,        /* of BEGIN_REQUEST and END_REQUEST */
	FASTCGI_VALUE_MAX = 2048,
	FASTCGI_NAME_MAX = 24,   /* of those that are looked for */
	FASTCGI_LINE = 12,       /* as much of a line's name as tells */
	FASTCGI_RESYNC_KEEP = 80,
};

enum fastcgi_type {
	FASTCGI_BEGIN = 1, FASTCGI_ABORT = 2, FASTCGI_END = 3, FASTCGI_PARAMS = 4, FASTCGI_STDIN = 5, FASTCGI_STDOUT = 6, FASTCGI_STDERR = 7, FASTCGI_DATA = 8,
	FASTCGI_GET_VALUES = 9, FASTCGI_GET_VALUES_RESULT = 10, FASTCGI_UNKNOWN_TYPE = 11,
};
enum { FASTCGI_AUTHORIZER = 2 };

struct fastcgi_record {
	uint8_t type, padding;
	uint16_t id, len;
};

/* Of at least FASTCGI_HEAD bytes. False: it is none, or not to this side. */
bool fastcgi_record_read(const uint8_t *p, enum proto_side side, struct fastcgi_record *ret);
int fastcgi_detect(struct slice in, enum proto_side side);
/* A record that nothing else looks like: the start of a request, of its response's head, or its end. */
bool fastcgi_surely(struct slice in, enum proto_side side);

/* ---- parameters ---- */

enum fastcgi_param_phase { FASTCGI_PARAM_LENGTHS, FASTCGI_PARAM_NAME, FASTCGI_PARAM_VALUE };

/* Of one request at a time. */
struct fastcgi_params {
	uint16_t owner;       /* request id; 0 = nobody */
	uint8_t phase, have;  /* have: bytes of lengths */
	bool forwarded, target; /* were seen */
	uint8_t lengths[8];
	uint8_t name[FASTCGI_NAME_MAX];
	uint8_t remote_len;
	uint16_t script_len, query_len;
	uint32_t name_len, value_len, at; /* at: bytes of name or value done */
	uint8_t value[FASTCGI_VALUE_MAX];
	uint8_t script[FASTCGI_VALUE_MAX / 2], query[FASTCGI_VALUE_MAX / 2], remote[46]; /* what a target is made of if none is named */
};

void fastcgi_params_begin(struct fastcgi_params *p, uint16_t owner);
/*
 * Reads pairs out of `in`, a part of the stream, and adds what they say to m. Returns how many bytes are done: all, or less where a value has filled the memory
 * that m points to. *ret_skip: more bytes that nobody needs.
 */
size_t fastcgi_params_read(struct fastcgi_params *p, struct slice in, struct message *m, uint32_t *ret_skip);
/* All were read: the target, if only its parts were named. */
void fastcgi_params_end(struct fastcgi_params *p, struct message *m);

/* ---- a response's head ---- */

enum fastcgi_line { FASTCGI_LINE_NAME, FASTCGI_LINE_VALUE, FASTCGI_HEAD_DONE, FASTCGI_HEAD_BROKEN };

struct fastcgi_head {
	uint8_t phase, name_len;
	bool any, location;
	uint8_t digits;
	uint16_t status; /* 0 = not told */
	uint8_t name[FASTCGI_LINE];
};

/* Reads lines up to the empty one; how many bytes are done. */
size_t fastcgi_head_read(struct fastcgi_head *h, struct slice in);
/* 0: there was no head. */
uint16_t fastcgi_head_status(const struct fastcgi_head *h);

#endif
