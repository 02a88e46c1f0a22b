/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a collector answers, from the bytes of its response: over HTTP the status, a partial success or a google.rpc.Status in the
 * body, Retry-After; over gRPC the trailers. No I/O; everything here may come from a stranger.
 * https://opentelemetry.io/docs/specs/otlp/
 */
#ifndef PLUMB_SINK_OTLP_RESPONSE_H
#define PLUMB_SINK_OTLP_RESPONSE_H

#include "lib/buffer.h"

enum { OTLP_MESSAGE_LEN = 256, OTLP_RESPONSE_MAX = 64 << 10 };

enum otlp_outcome {
	OTLP_SENT,     /* but rejected spans of it may not have been kept */
	OTLP_RETRY,    /* the collector or the way to it is out of order */
	OTLP_REJECTED, /* it will never be taken */
};

struct otlp_result {
	enum otlp_outcome outcome;
	int64_t retry_after_ms;  /* as the collector asked, -1 = it did not */
	uint64_t rejected_spans; /* partial success */
	char message[OTLP_MESSAGE_LEN]; /* what went wrong, or a warning of a partial success; "" = nothing. Printable ASCII */
};

struct otlp_response {
	struct buffer body;
	int64_t retry_after_ms;  /* -1 = none */
	int64_t retry_info_ms;   /* gRPC; -1 = none */
	int grpc_status;         /* -1 = none */
	char grpc_message[OTLP_MESSAGE_LEN];
	bool protobuf;           /* content-type */
};

void otlp_response_init(struct otlp_response *r);
void otlp_response_done(struct otlp_response *r);
void otlp_response_clear(struct otlp_response *r); /* keeps the memory */
/* One line of the header or the trailers, line end included; a status line begins anew. now_s is Unix time. */
void otlp_response_header(struct otlp_response *r, struct slice line, int64_t now_s);
/* A piece of the body. What is beyond OTLP_RESPONSE_MAX is dropped: the status still counts. */
void otlp_response_body(struct otlp_response *r, struct slice piece);
/* What it all means; http_status is that of the status line, 0 = none. */
void otlp_response_result(const struct otlp_response *r, bool grpc, long http_status, struct otlp_result *ret_result);
/* Sets the message. */
void otlp_result_say(struct otlp_result *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Takes out of the message what is of this text: a collector may repeat the token that it does not like. Parts of 8 characters and more; shorter texts as a whole. */
void otlp_result_hide(struct otlp_result *r, const char *secret);

/* Retry-After (RFC 9110, 10.2.3): seconds or a date. -1 for neither. */
int64_t otlp_retry_after_ms(struct slice value, int64_t now_s);

#endif
