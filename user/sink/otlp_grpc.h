/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gRPC adds to HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), for one unary call: the prefix of a
 * message, and the status in trailers. Pure functions over bytes.
 */
#ifndef PLUMB_SINK_OTLP_GRPC_H
#define PLUMB_SINK_OTLP_GRPC_H

#include "lib/buffer.h"

enum { GRPC_PREFIX_BYTES = 5 };

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
};

/* Appends the five bytes that go before a message of len bytes. */
int grpc_put_prefix(struct buffer *out, bool compressed, uint32_t len);
/* The message in a response body; false when there is none, it is compressed, or it is cut. */
bool grpc_message(struct slice body, struct slice *ret_message);
/* For a response that has no grpc-status: what its HTTP status stands for. */
enum grpc_status grpc_from_http(long http_status);
/* As the OTLP specification lists them; RESOURCE_EXHAUSTED only when the server said when to come back. */
bool grpc_retryable(int status, bool has_retry_info);
/* Undoes the percent-encoding of grpc-message into text, cut to size - 1; control characters become '?'. */
void grpc_decode_message(struct slice in, char *text, size_t size);
/* RetryInfo.retry_delay in a google.rpc.Status (protobuf); false when there is none or it is not a time. */
bool grpc_retry_delay(struct slice status, int64_t *ret_ms);
/* The same in grpc-status-details-bin (base64, padding optional). */
bool grpc_retry_delay_header(struct slice value, int64_t *ret_ms);

#endif
