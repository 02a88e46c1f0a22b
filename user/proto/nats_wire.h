/* SPDX-License-Identifier: Apache-2.0 */
/* Lines, header blocks and subjects of the NATS client protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol); views into the input. */
#ifndef PLUMB_PROTO_NATS_WIRE_H
#define PLUMB_PROTO_NATS_WIRE_H

#include "proto/proto.h"

enum {
	NATS_LINE_MAX = 4096,            /* a server's max_control_line; of a longer INFO or CONNECT only so much is looked at */
	NATS_PAYLOAD_MAX = 64 << 20,     /* a server's largest max_payload */
	NATS_HEADERS_MAX = 2048,         /* of a header block so much is looked at */
	NATS_HEADERS_MIN = 12,           /* "NATS/1.0\r\n\r\n" */
};

enum nats_op {
	NATS_UNKNOWN, NATS_INFO, NATS_CONNECT, NATS_PING, NATS_PONG, NATS_PUB, NATS_HPUB, NATS_SUB, NATS_UNSUB, NATS_MSG, NATS_HMSG, NATS_OK, NATS_ERR,
};

enum nats_scan { NATS_SCAN_OK, NATS_SCAN_MORE, NATS_SCAN_BAD };

struct nats_line {
	enum nats_op op;
	size_t len;     /* with its end; of a line that is cut what is there of it */
	bool cut;       /* INFO or CONNECT beyond NATS_LINE_MAX: its end is still to come */
	bool sized;     /* a payload follows */
	struct slice subject, reply;
	struct slice text; /* of INFO, CONNECT and -ERR: what follows the word */
	uint64_t headers, total; /* bytes; total counts the headers */
};

enum nats_scan nats_line_read(struct slice in, enum proto_side side, struct nats_line *ret);
/* Does a line begin here that is worth a resync: one of an exchange, and, as far as is seen, what follows it fits. */
bool nats_begins(struct slice in, enum proto_side side);
int nats_detect(struct slice in, enum proto_side side);

struct nats_headers {
	unsigned status; /* 0 = none */
	struct slice traceparent, tracestate, b3, uber, message_id, service_error;
};
/* What is seen of a header block. */
void nats_headers_read(struct slice in, struct nats_headers *ret);

/* The n-th token of a subject, empty if there is none. */
struct slice nats_token(struct slice subject, unsigned n);
/* So many bytes of the subject are its first n tokens, without the dot behind them; all of it if it has no more. */
size_t nats_tokens_len(struct slice subject, unsigned n);
bool nats_is_inbox(struct slice subject);
/*
 * How many tokens of a subject of NATS' own interfaces name what is asked for; what follows them is the name of one consumer, key or object of many. 0: no
 * such subject.
 */
unsigned nats_tokens_known(struct slice subject);

/* A member of a JSON object, strings without their quotes; empty if it is not there, or not within what is seen. */
struct slice nats_json(struct slice object, struct slice name);
/* The error in JetStream's answer: false if it is none. */
bool nats_api_error(struct slice payload, struct slice *ret_code, struct slice *ret_number, struct slice *ret_text);
/* Name of what a server's -ERR says, that much of its text, and which operation it refuses ("" if it is none), on which subject. */
const char *nats_error_name(struct slice text, struct slice *ret_known, const char **ret_operation, struct slice *ret_subject);

#endif
