/* SPDX-License-Identifier: Apache-2.0 */
/* ZMTP 2.0 (https://rfc.zeromq.org/spec/15/), 3.0 (…/23/) and 3.1 (…/37/): greetings, frames, commands, and what a connection looks like in its middle. */
#ifndef PLUMB_PROTO_ZEROMQ_WIRE_H
#define PLUMB_PROTO_ZEROMQ_WIRE_H

#include "proto/proto.h"

enum {
	ZEROMQ_SIGNATURE = 10,
	ZEROMQ_GREETING = 64,       /* of version 3 */
	ZEROMQ_GREETING_2 = 14,     /* of version 2, and the identity behind it */
	ZEROMQ_MECHANISM = 20,
	ZEROMQ_LOOK = 512,          /* of a command, and of an envelope */
	ZEROMQ_NAME_MAX = 64,       /* of a subscription that is kept */
};

#define ZEROMQ_ERROR_OF_LIBZMQ "^RROR"

enum zeromq_flag { ZEROMQ_MORE = 1, ZEROMQ_LONG = 2, ZEROMQ_COMMAND = 4 };

enum zeromq_scan { ZEROMQ_SCAN_OK, ZEROMQ_SCAN_MORE, ZEROMQ_SCAN_BAD };

enum zeromq_type {
	ZEROMQ_UNKNOWN, ZEROMQ_PAIR, ZEROMQ_PUB, ZEROMQ_SUB, ZEROMQ_REQ, ZEROMQ_REP, ZEROMQ_DEALER, ZEROMQ_ROUTER, ZEROMQ_PULL, ZEROMQ_PUSH, ZEROMQ_XPUB, ZEROMQ_XSUB,
	ZEROMQ_STREAM, ZEROMQ_SERVER, ZEROMQ_CLIENT, ZEROMQ_RADIO, ZEROMQ_DISH, ZEROMQ_GATHER, ZEROMQ_SCATTER, ZEROMQ_PEER, ZEROMQ_CHANNEL, ZEROMQ_TYPES,
};

enum zeromq_verb {
	ZEROMQ_OTHER, ZEROMQ_READY, ZEROMQ_ERROR, ZEROMQ_HELLO, ZEROMQ_WELCOME, ZEROMQ_INITIATE, ZEROMQ_SUBSCRIBE, ZEROMQ_CANCEL, ZEROMQ_PING, ZEROMQ_PONG,
};

struct zeromq_greeting {
	uint8_t len;         /* bytes of it; what follows are frames */
	uint8_t mechanism;   /* 1 + place in zeromq_mechanism_name(), 0 = another one */
	enum zeromq_type type; /* version 2 only */
};
/* MORE: *ret_need bytes are needed. */
enum zeromq_scan zeromq_greeting_read(struct slice in, size_t *ret_need, struct zeromq_greeting *ret);

struct zeromq_frame {
	uint8_t flags;       /* enum zeromq_flag */
	uint8_t head;        /* bytes of the head */
	uint64_t size;       /* of what follows it */
};
enum zeromq_scan zeromq_frame_read(struct slice in, struct zeromq_frame *ret);

struct zeromq_command {
	enum zeromq_verb verb;
	struct slice body;   /* behind the name, as far as it is there */
};
/* `in`: what follows a frame's head, as much of `size` bytes as there is, ZEROMQ_LOOK at most if there is more. */
enum zeromq_scan zeromq_command_read(struct slice in, uint64_t size, struct zeromq_command *ret);

/* Socket-Type among a command's properties. */
enum zeromq_type zeromq_type_read(struct slice properties);
enum zeromq_type zeromq_type_by(struct slice name);
const char *zeromq_type_name(enum zeromq_type type);
const char *zeromq_mechanism_name(unsigned mechanism);

/*
 * Frames that each have a byte of theirs, up to an empty one: who asked, hop by hop, and what is given back in front of the answer. BAD: there is none, or it is longer than
 * ZEROMQ_LOOK. *ret_need as above.
 */
enum zeromq_scan zeromq_envelope_read(struct slice in, size_t *ret_need, size_t *ret_len);

int zeromq_detect(struct slice in, enum proto_side side);
/* Where frames begin that fit each other, up to the end of `in` or many of them; in.len: nowhere. asking: an envelope is in front of each message. */
size_t zeromq_find(struct slice in, bool asking);

#endif
