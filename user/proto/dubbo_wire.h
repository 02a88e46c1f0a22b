/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How messages of Dubbo 2 look: a head of 16 bytes (magic, flags and serialization, status, id, length of the body), and what a body begins with in the serializations
 * hessian2, fastjson and fastjson2. https://dubbo.apache.org/en/overview/reference/protocols/tcp/
 */
#ifndef PLUMB_PROTO_DUBBO_WIRE_H
#define PLUMB_PROTO_DUBBO_WIRE_H

#include "proto/proto.h"

enum {
	DUBBO_HEAD = 16,
	DUBBO_REQUEST_MAX = 4096,  /* bytes of a message that are looked at */
	DUBBO_RESPONSE_MAX = 256,
	DUBBO_BODY_MAX = 1 << 28,
	DUBBO_NAME_MAX = 256,      /* bytes shown of a service's name, of a method's, */
	DUBBO_VERSION_MAX = 32,    /* of a version */
};

enum dubbo_flags { DUBBO_REQUEST = 0x80, DUBBO_TWO_WAY = 0x40, DUBBO_EVENT = 0x20 };
enum dubbo_serialization { DUBBO_HESSIAN2 = 2, DUBBO_FASTJSON = 6, DUBBO_FASTJSON2 = 23 };
enum { DUBBO_STATUS_OK = 20 };

struct dubbo_head {
	uint64_t id;
	uint32_t body;
	uint8_t flags;
	uint8_t serialization;
	uint8_t status;  /* of a response */
};

enum dubbo_scan { DUBBO_FITS, DUBBO_SHORT, DUBBO_BAD };

/* SHORT: nothing speaks against it so far. */
enum dubbo_scan dubbo_head_read(struct slice in, struct dubbo_head *ret);
/* Stricter, for the first message of a connection and behind a loss: with what the body begins with. */
enum dubbo_scan dubbo_message_fits(struct slice in, struct dubbo_head *ret);
/* May a body that is no event's begin so? */
bool dubbo_first_fits(const struct dubbo_head *h, uint8_t c);
int dubbo_detect(struct slice in, enum proto_side side);

/* Of a request, as far as they are known; views into its body, where an escape or what is no ASCII may be in them. */
struct dubbo_call {
	struct slice service, version, method;
};
void dubbo_call_read(uint8_t serialization, struct slice body, struct dubbo_call *ret);
/* A W3C trace context among the attachments, of several the last one. `body` is all of it. Of serializations that are not known: none. */
struct slice dubbo_traceparent(uint8_t serialization, struct slice body);

/* Of a response with status OK: did the service throw something? *ret_class: of what class; empty if that is not told. */
bool dubbo_thrown(uint8_t serialization, struct slice body, struct slice *ret_class);
/* NULL if the number has no name. */
const char *dubbo_status_name(uint8_t status);

#endif
