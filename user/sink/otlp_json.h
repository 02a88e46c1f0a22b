/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span as OTLP/JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hex, 64-bit integers as strings,
 * enumerations as numbers.
 */
#ifndef PLUMB_SINK_OTLP_JSON_H
#define PLUMB_SINK_OTLP_JSON_H

#include "lib/json.h"
#include "model/span.h"

/* OTLP's span flags: the low byte is W3C's, then two bits on the parent. */
#define OTLP_FLAG_SAMPLED 0x001u
#define OTLP_FLAG_HAS_IS_REMOTE 0x100u
#define OTLP_FLAG_IS_REMOTE 0x200u

/*
 * A parent found by correlation may be in this process or in another: only one that came with the wire's trace context is known
 * to be remote, so for the rest both bits stay clear ("unknown").
 */
static inline uint32_t otlp_span_flags(const struct span *s)
{
	return (s->sampled ? OTLP_FLAG_SAMPLED : 0) | (s->remote_parent ? OTLP_FLAG_HAS_IS_REMOTE | OTLP_FLAG_IS_REMOTE : 0);
}

static inline bool otlp_has_parent(const struct span *s)
{
	static const uint8_t none[sizeof(s->parent_id)];

	return memcmp(s->parent_id, none, sizeof(none)) != 0;
}

/* One ExportTraceServiceRequest holding the span, without a line end. */
void otlp_json_request(struct buffer *out, const struct span *s);

#endif
