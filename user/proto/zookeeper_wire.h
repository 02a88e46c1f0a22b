/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How ZooKeeper's messages look: frames of a length and a record of jute's (zookeeper.jute and ZooDefs.java of Apache ZooKeeper 3.9). No state.
 */
#ifndef PLUMB_PROTO_ZOOKEEPER_WIRE_H
#define PLUMB_PROTO_ZOOKEEPER_WIRE_H

#include "proto/proto.h"

enum {
	ZOOKEEPER_SIZE = 4,          /* bytes of the length, which does not count itself */
	ZOOKEEPER_HEAD = 12,         /* of a request: with its number (xid) and what it asks */
	ZOOKEEPER_REPLY_HEAD = 20,   /* with number, transaction (zxid) and error */
	ZOOKEEPER_CONNECT = 32,      /* of the request that begins a session, up to its password */
	ZOOKEEPER_CONNECTED = 24,    /* of the answer to it */
	ZOOKEEPER_FRAME_MAX = 1 << 26, /* jute.maxbuffer is 1 MiB, and can be set */
	ZOOKEEPER_PATH_SHOWN = 200,
	ZOOKEEPER_CONNECT_OP = 0,    /* stands for the request that has no head; on the wire nothing has this number */
};

/* Numbers of requests that are not counted, and of what was not asked for. */
enum { ZOOKEEPER_XID_EVENT = -1, ZOOKEEPER_XID_PING = -2, ZOOKEEPER_XID_AUTH = -4, ZOOKEEPER_XID_WATCHES = -8 };

/*
 * Fields: i int, l long, b bool, o bool that may be missing at the end, p path, s text, d data, T stat, a access list, V list of texts, u list of pairs of texts;
 * m alone: parts of a multi and of its answer.
 */
struct zookeeper_op {
	int16_t code;
	const char *name;
	const char *request, *response;
	uint8_t parts; /* enum zookeeper_part: it may be part of a multi, and its answer of that of one */
};
enum zookeeper_part { ZOOKEEPER_NO_PART, ZOOKEEPER_WRITE, ZOOKEEPER_READ };

/* NULL if there is none. */
const struct zookeeper_op *zookeeper_op_get(int32_t code);
/* By its place in the table, from 1 to ZOOKEEPER_OPS; 0 and beyond: NULL. */
enum { ZOOKEEPER_OPS = 31 };
const struct zookeeper_op *zookeeper_op_at(unsigned i);
unsigned zookeeper_op_place(const struct zookeeper_op *op);
/* Names of KeeperException.Code; NULL if the number is none. */
const char *zookeeper_error_name(int32_t code);

/* ---- fields, one after the other ---- */

struct zookeeper_walk {
	const char *at;         /* in the layout */
	const char *part;       /* in that of the part of a multi; empty between two */
	const char *element;    /* in that of a list's element */
	const char *elements_of;
	uint32_t elements;      /* of the list, with the one under way */
	bool multi, response;
};

enum zookeeper_step { ZOOKEEPER_FIELD, ZOOKEEPER_MORE, ZOOKEEPER_END, ZOOKEEPER_BAD };

struct zookeeper_field {
	char type;              /* 'h': head of a part */
	int32_t number;         /* of an int or bool; length of a text, number of elements, -1: null; of a head the error */
	uint32_t consumed;
	uint32_t skip;          /* bytes of a text behind that */
	struct slice text;      /* of a path, as far as it is at hand */
	const struct zookeeper_op *op; /* of a head; NULL: the part has failed, or is the end */
	size_t need;            /* with MORE */
};

/* layout: an operation's, or ZOOKEEPER_EVENT. */
#define ZOOKEEPER_EVENT "iip"
void zookeeper_walk_start(struct zookeeper_walk *w, const char *layout, bool response);
/* The next field's type; '\0' at the end. */
char zookeeper_walk_next(struct zookeeper_walk *w);
/*
 * The field at the start of `in`, of which `left` bytes of the message are left. With `shown` bytes of a path at hand, if it has as many. MORE
 * changes nothing.
 */
enum zookeeper_step zookeeper_walk_step(struct zookeeper_walk *w, struct slice in, uint32_t left, uint32_t shown, struct zookeeper_field *ret);

/* ---- heads ---- */

struct zookeeper_request {
	uint32_t size;
	int32_t xid;
	const struct zookeeper_op *op;
};
struct zookeeper_reply {
	uint32_t size;
	int32_t xid, error;
	uint64_t zxid;
};

/* Of ZOOKEEPER_HEAD and ZOOKEEPER_REPLY_HEAD bytes. False: it is none. */
bool zookeeper_request_read(struct slice in, struct zookeeper_request *ret);
bool zookeeper_reply_read(struct slice in, struct zookeeper_reply *ret);
/* Of ZOOKEEPER_CONNECT and ZOOKEEPER_CONNECTED bytes: does a session begin? */
bool zookeeper_is_connect(struct slice in);
bool zookeeper_is_connected(struct slice in);

/* ---- what may be no message ---- */

int zookeeper_detect(struct slice in, enum proto_side side);

#endif
