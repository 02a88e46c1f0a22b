/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace context as requests carry it: W3C Trace Context level 1 and 2 (https://www.w3.org/TR/trace-context/), B3 single and multiple headers
 * (https://github.com/openzipkin/b3-propagation), Jaeger's uber-trace-id (https://www.jaegertracing.io/sdk-migration/#propagation-format). Values come from strangers:
 * what is not exactly well-formed counts as absent.
 */
#ifndef PLUMB_CORRELATE_CONTEXT_H
#define PLUMB_CORRELATE_CONTEXT_H

#include "model/attribute.h"

enum context_sampled { CONTEXT_DEFERRED, CONTEXT_NOT_SAMPLED, CONTEXT_SAMPLED }; /* DEFERRED: the sender left the decision to us */

struct trace_context {
	uint8_t trace_id[16]; /* never all zero; 64-bit ids of B3 and Jaeger stand in the last 8 bytes */
	uint8_t span_id[8];   /* of the sender's span; never all zero */
	uint8_t sampled;      /* enum context_sampled */
};

/* Each returns false and leaves *ret_context alone if the value is not valid. */
bool context_parse_traceparent(struct slice value, struct trace_context *ret_context);
bool context_parse_b3(struct slice value, struct trace_context *ret_context);
bool context_parse_b3_multi(struct slice trace_id, struct slice span_id, struct slice sampled, struct trace_context *ret_context);
bool context_parse_uber(struct slice value, struct trace_context *ret_context);

/* The first valid one in the attributes of an exchange, in the order above. */
bool context_find(const struct attr *attrs, size_t n, struct trace_context *ret_context);

#endif
