/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMQP 1.0 on the wire: typed values, frames and their performatives, the sections of a message. Specification: "OASIS Advanced Message Queuing Protocol (AMQP)
 * Version 1.0", part 1 (types), 2 (transport), 3 (messaging), 5 (security). For proto/amqp10*.c and its masker only.
 */
#ifndef PLUMB_PROTO_AMQP10_WIRE_H
#define PLUMB_PROTO_AMQP10_WIRE_H

#include "proto/amqp_walk.h"
#include "proto/proto.h"

enum {
	AMQP10_HEAD_BYTES = 8,     /* of each frame; and of a protocol header */
	AMQP10_WHOLE_MAX = 8192,   /* bytes of a frame that are waited for */
	AMQP10_FRAME_MAX = 1 << 29,
	AMQP10_FIELDS = 14,        /* of a performative */
	AMQP10_LINKS = 8,          /* contexts of messages that travel as one */
	AMQP10_KEEP = 2048,
	AMQP10_UUID_BYTES = 16,
};

#define AMQP10_BATCH UINT32_C(0x80013700) /* message-format of Azure: each data section is a message */

enum amqp10_header { AMQP10_PLAIN = 0, AMQP10_TLS = 2, AMQP10_SASL = 3 };

enum amqp10_code {
	AMQP10_OPEN = 0x10, AMQP10_BEGIN, AMQP10_ATTACH, AMQP10_FLOW, AMQP10_TRANSFER, AMQP10_DISPOSITION, AMQP10_DETACH, AMQP10_END, AMQP10_CLOSE,
	AMQP10_ERROR = 0x1d,
	AMQP10_RECEIVED = 0x23, AMQP10_ACCEPTED, AMQP10_REJECTED, AMQP10_RELEASED, AMQP10_MODIFIED,
	AMQP10_TRANSACTIONAL = 0x34,
	AMQP10_MECHANISMS = 0x40, AMQP10_INIT, AMQP10_CHALLENGE, AMQP10_RESPONSE, AMQP10_OUTCOME,
	AMQP10_HEADER_SECTION = 0x70, AMQP10_DELIVERY_ANNOTATIONS, AMQP10_ANNOTATIONS, AMQP10_PROPERTIES, AMQP10_APPLICATION, AMQP10_DATA, AMQP10_SEQUENCE, AMQP10_VALUE, AMQP10_FOOTER,
};

struct amqp10_value {
	uint64_t descriptor; /* 0: it is not described */
	uint64_t len;        /* of its bytes behind type and length, seen or not */
	uint32_t count;      /* of what a list, map or array holds */
	uint8_t type;        /* 0: there is none; AMQP10_NULL and others as on the wire */
	struct slice data;   /* those that were seen */
};

enum { AMQP10_NULL = 0x40 };

struct amqp10_frame {
	uint32_t size, head; /* of all of it; of head and extended header */
	uint16_t channel;
	uint8_t type;        /* 0 AMQP, 1 SASL */
};

struct amqp10_performative {
	uint8_t code;
	uint32_t n;        /* fields that are there */
	size_t payload_at; /* in the frame's body */
	struct amqp10_value field[AMQP10_FIELDS];
};

struct amqp10_sections {
	struct amqp10_value message_id, correlation_id;
	struct slice to, traceparent, tracestate;
	struct slice link[AMQP10_LINKS]; /* contexts of the messages of a batch */
	uint32_t nlinks, messages;       /* messages of a batch; 0 where not all were seen */
	uint64_t body;                   /* bytes */
	bool body_known;
};

/* Of what may only come later less is read, and it counts as bad only what is. */
bool amqp10_value_read(struct amqp_walk *w, struct amqp10_value *ret);
/* The contents of a list or map. */
struct amqp_walk amqp10_inside(const struct amqp10_value *v);
bool amqp10_is_null(const struct amqp10_value *v);
uint64_t amqp10_number(const struct amqp10_value *v); /* 0 where it is none */
bool amqp10_true(const struct amqp10_value *v);
struct slice amqp10_text(const struct amqp10_value *v); /* none where it is no text, or not all was seen */

struct amqp10_frame amqp10_frame_head(struct slice in); /* `in` has at least AMQP10_HEAD_BYTES */
bool amqp10_frame_ok(const struct amqp10_frame *f);
/* False: the body, `size` bytes of which the first are `seen`, is no performative of this type of frame and direction. */
bool amqp10_performative_read(struct slice seen, size_t size, uint8_t type, enum proto_side side, struct amqp10_performative *ret);
/* Of a message, whose sections begin with `seen`. False: that is no beginning of a message. */
bool amqp10_sections_read(struct slice seen, size_t size, bool batch, struct amqp10_sections *ret);

/* "AMQP", id, 1 0 0. Returns enum amqp10_header; -1: it is none, or too short. */
int amqp10_header_id(struct slice in);
/* A frame whose performative is whole in `in`. */
bool amqp10_is_frame(struct slice in, enum proto_side side);
int amqp10_detect(struct slice in, enum proto_side side);
/* Offset of the first such frame; else in.len. */
size_t amqp10_find(struct slice in, enum proto_side side);

#endif
