/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of frames of STOMP 1.0 to 1.2 (https://stomp.github.io/stomp-specification-1.2.html); views into the input, no state. */
#ifndef PLUMB_PROTO_STOMP_WIRE_H
#define PLUMB_PROTO_STOMP_WIRE_H

#include "proto/proto.h"

enum {
	STOMP_HEAD_MAX = 4096,         /* of a command and its headers; a longer one is not parsed */
	STOMP_BODY_MAX = 256 << 20,
};

enum stomp_command {
	STOMP_NONE, STOMP_CONNECT, STOMP_SEND, STOMP_SUBSCRIBE, STOMP_UNSUBSCRIBE, STOMP_ACK, STOMP_NACK, STOMP_BEGIN, STOMP_COMMIT, STOMP_ABORT, STOMP_DISCONNECT,
	STOMP_CONNECTED, STOMP_MESSAGE, STOMP_RECEIPT, STOMP_ERROR,
};

enum stomp_scan { STOMP_SCAN_OK, STOMP_SCAN_MORE, STOMP_SCAN_BAD };

struct stomp_head {
	enum stomp_command command;
	const char *operation; /* as spans call it */
	size_t len;            /* with the blank line */
	bool sized;            /* content-length was there */
	uint64_t size;
	unsigned headers;
	bool complete;         /* the headers that the command must have are there */
	/* Of a header that comes twice the first counts. */
	struct slice destination, id, ack, receipt, receipt_id, message_id, subscription, message, server, client_id, correlation_id, traceparent, tracestate, b3, uber;
};

enum stomp_scan stomp_head_read(struct slice in, enum proto_side side, struct stomp_head *ret);
/* Does a frame begin here that is worth a resync: its head is whole and has what it must have. */
bool stomp_begins(struct slice in, enum proto_side side);
int stomp_detect(struct slice in, enum proto_side side);
/* What the text of an error is about, and that much of it; "_OTHER" and nothing if it is none that is known. */
const char *stomp_error_name(struct slice message, struct slice *ret_known);
/* messaging.system by the name that a server gives itself, NULL if it is none that is known. */
const char *stomp_system_name(struct slice server);

#endif
