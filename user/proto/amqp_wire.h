/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMQP 0-9-1 on the wire: frames, methods, the properties of a content header, detection. Specification: "AMQP: Advanced Message Queuing Protocol,
 * Protocol Specification, Version 0-9-1", and RabbitMQ's extensions to it (rabbitmq.com/specification.html, extensions.html). For proto/amqp*.c only.
 */
#ifndef PLUMB_PROTO_AMQP_WIRE_H
#define PLUMB_PROTO_AMQP_WIRE_H

#include "proto/proto.h"

enum {
	AMQP_HEAD_BYTES = 7,      /* of each frame: type, channel, length of the payload */
	AMQP_END = 0xce,          /* the byte behind each payload */
	AMQP_WHOLE_MAX = 8192,    /* bytes of a method or header frame that are waited for */
	AMQP_METHOD_MAX = 1 << 20,
	AMQP_BODY_MAX = 1 << 29,  /* of one frame; RabbitMQ takes no larger message */
	AMQP_HEADER_FIXED = 14,   /* class, weight, size of the body, flags */
	AMQP_BASIC = 60,
	AMQP_KEEP = 8192,
};

enum amqp_type { AMQP_METHOD = 1, AMQP_HEADER = 2, AMQP_BODY = 3, AMQP_HEARTBEAT = 8 };

#define AMQP_ID(class, method) ((uint32_t)(class) << 16 | (method))

enum amqp_id {
	AMQP_CONNECTION_START = AMQP_ID(10, 10),
	AMQP_CONNECTION_OPEN = AMQP_ID(10, 40),
	AMQP_CONNECTION_CLOSE = AMQP_ID(10, 50),
	AMQP_CHANNEL_OPEN = AMQP_ID(20, 10),
	AMQP_CHANNEL_CLOSE = AMQP_ID(20, 40),
	AMQP_CHANNEL_CLOSE_OK = AMQP_ID(20, 41),
	AMQP_CONSUME = AMQP_ID(60, 20),
	AMQP_CONSUME_OK = AMQP_ID(60, 21),
	AMQP_CANCEL = AMQP_ID(60, 30),
	AMQP_CANCEL_OK = AMQP_ID(60, 31),
	AMQP_PUBLISH = AMQP_ID(60, 40),
	AMQP_RETURN = AMQP_ID(60, 50),
	AMQP_DELIVER = AMQP_ID(60, 60),
	AMQP_GET = AMQP_ID(60, 70),
	AMQP_GET_OK = AMQP_ID(60, 71),
	AMQP_GET_EMPTY = AMQP_ID(60, 72),
	AMQP_ACK = AMQP_ID(60, 80),
	AMQP_REJECT = AMQP_ID(60, 90),
	AMQP_RECOVER_OK = AMQP_ID(60, 111),
	AMQP_NACK = AMQP_ID(60, 120),
	AMQP_CONFIRM_SELECT = AMQP_ID(85, 10),
};

struct amqp_frame {
	uint8_t type;
	uint16_t channel;
	uint32_t size; /* of the payload */
};

/* Who sends it: bits by enum proto_side. */
enum { AMQP_BY_CLIENT = 1 << PROTO_TO_SERVER, AMQP_BY_SERVER = 1 << PROTO_TO_CLIENT, AMQP_BY_BOTH = 3 };

struct amqp_method {
	uint32_t id;
	uint32_t asked;     /* the method that it answers; 0 = it is no answer */
	uint8_t by;
	uint8_t no_wait;    /* bit of the flags that says that nobody answers; 0xff: nobody ever does */
	const char *name;   /* of a request, for spans */
	const char *layout; /* of its arguments: see amqp_wire.c */
};

/* Arguments; of texts views. */
struct amqp_fields {
	struct slice queue, exchange, key, consumer, text;
	uint64_t tag;
	uint16_t code, class_id, method_id;
	uint8_t bits;
};

/* Of a content header. */
struct amqp_properties {
	uint64_t size;
	struct slice message_id, correlation_id, traceparent, tracestate;
};

struct amqp_frame amqp_frame_head(struct slice in); /* `in` has at least AMQP_HEAD_BYTES */
const struct amqp_method *amqp_method_find(uint32_t id, enum proto_side side);
/* The answer's method that belongs to a frame of `size` bytes, of which `payload` is the head. False: it is none. */
bool amqp_method_read(struct slice payload, size_t size, const struct amqp_method *m, struct amqp_fields *ret);
bool amqp_properties_read(struct slice payload, size_t size, struct amqp_properties *ret);
/* The client's first bytes, or the server's that knows no such version. */
struct slice amqp_preface(void);
/* A method frame whose every argument is in its place, whole in `in`. */
bool amqp_is_method(struct slice in, enum proto_side side);
int amqp_detect(struct slice in, enum proto_side side);
/* Offset of the first method frame that is whole; else in.len. */
size_t amqp_find(struct slice in, enum proto_side side);

#endif
