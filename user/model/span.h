/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finished span, ready for sinks. Strings are views into memory that lives until the sink callback returns; a sink that
 * keeps a span encodes or copies it.
 */
#ifndef PLUMB_MODEL_SPAN_H
#define PLUMB_MODEL_SPAN_H

#include "model/attribute.h"
#include "model/process.h"

enum { SPAN_ATTRS_MAX = 40 };

enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3, SPAN_PRODUCER = 4, SPAN_CONSUMER = 5 }; /* OTLP's numbers */
enum span_status { SPAN_STATUS_UNSET = 0, SPAN_STATUS_OK = 1, SPAN_STATUS_ERROR = 2 };

enum { SPAN_LINKS_MAX = 8 };

struct span_link {
	uint8_t trace_id[16];
	uint8_t span_id[8];
};

struct span {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t parent_id[8];   /* all zero = root */
	bool sampled;           /* false: metrics count it, trace sinks do not get it */
	bool remote_parent;     /* parent came with the wire's trace context */
	bool server_end;        /* of the end that was connected to, whatever its kind */
	uint8_t kind;           /* enum span_kind */
	uint8_t status;         /* enum span_status */
	uint16_t protocol;      /* PLUMB_PROTO_* */
	uint8_t family;         /* enum proto_family */
	uint64_t start_ns, end_ns; /* CLOCK_BOOTTIME */
	uint64_t realtime_offset_ns; /* add for Unix time */
	uint64_t request_bytes, response_bytes;
	struct slice name;
	struct slice trace_state; /* W3C tracestate as received, "" none */
	struct slice status_message;
	struct slice operation; /* db.operation.name for aggregates: one word for names that a client may have invented; "" = as the attribute has it */
	const struct process *process; /* the resource; NULL unknown */
	uint32_t nlinks, links_dropped;
	struct attr attrs[SPAN_ATTRS_MAX];
	uint32_t nattrs;
	struct span_link links[SPAN_LINKS_MAX]; /* the first nlinks: spans that sent what is handled here together */
};

#endif
