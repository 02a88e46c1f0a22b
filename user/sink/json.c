/* SPDX-License-Identifier: Apache-2.0 */
/* One compact JSON object a span and line; the fields are documented in docs/json-lines.md. */
#include "lib/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model/record.h"
#include "sink/otlp_json.h"
#include "sink/output.h"
#include "sink/resource.h"
#include "sink/sinks.h"

static const char *json_protocol(uint16_t protocol)
{
	static const char *const names[PLUMB_PROTO_COUNT] = {
#define PROTOCOL(id, symbol, name, ...) [PLUMB_PROTO_##id] = name,
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
	};

	return protocol < PLUMB_PROTO_COUNT && names[protocol] ? names[protocol] : "unknown";
}

static const char *json_kind(uint8_t kind)
{
	static const char *const names[] = { [SPAN_INTERNAL] = "internal", [SPAN_SERVER] = "server", [SPAN_CLIENT] = "client",
					     [SPAN_PRODUCER] = "producer", [SPAN_CONSUMER] = "consumer" };

	return kind >= SPAN_INTERNAL && kind <= SPAN_CONSUMER ? names[kind] : "unspecified";
}

static const char *json_status(uint8_t status)
{
	return status == SPAN_STATUS_ERROR ? "error" : status == SPAN_STATUS_OK ? "ok" : "unset";
}

/* RFC 3339 in UTC with nanoseconds. */
static void json_time(struct json *j, uint64_t unix_ns)
{
	time_t seconds = (time_t)(unix_ns / 1000000000u);
	struct tm tm;
	char date[32] = "", text[48];

	if (gmtime_r(&seconds, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	int n = snprintf(text, sizeof(text), "%s.%09uZ", date, (unsigned)(unix_ns % 1000000000u));
	json_slice(j, slice_make(text, n > 0 ? (size_t)n : 0));
}

static void json_attr_value(struct json *j, const struct attr *a)
{
	switch (a->type) {
	case ATTR_TYPE_STR: json_slice(j, a->str); break;
	case ATTR_TYPE_INT: json_i64(j, a->num); break;
	case ATTR_TYPE_BOOL: json_bool(j, a->num != 0); break;
	case ATTR_TYPE_DOUBLE: json_double(j, a->dbl); break;
	default: json_null(j); break;
	}
}

static void json_attributes(struct json *j, const struct span *s)
{
	json_key(j, "attributes");
	json_object(j);
	for (uint32_t i = 0; i < s->nattrs; i++) {
		const struct attr *a = &s->attrs[i];
		if (a->id >= ATTR_COUNT || !attr_info[a->id].name[0])
			continue;
		json_key(j, attr_info[a->id].name);
		json_attr_value(j, a);
	}
	json_object_end(j);
}

static void json_ids(struct json *j, const struct span *s)
{
	json_key(j, "trace_id");
	json_hex(j, s->trace_id, sizeof(s->trace_id));
	json_key(j, "span_id");
	json_hex(j, s->span_id, sizeof(s->span_id));
	if (otlp_has_parent(s)) {
		json_key(j, "parent_id");
		json_hex(j, s->parent_id, sizeof(s->parent_id));
	}
}

static void json_links(struct json *j, const struct span *s)
{
	if (!s->nlinks)
		return;
	json_key(j, "links");
	json_array(j);
	for (uint32_t i = 0; i < s->nlinks; i++) {
		json_object(j);
		json_key(j, "trace_id");
		json_hex(j, s->links[i].trace_id, sizeof(s->links[i].trace_id));
		json_key(j, "span_id");
		json_hex(j, s->links[i].span_id, sizeof(s->links[i].span_id));
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_span(struct buffer *out, const struct span *s)
{
	struct json j;

	json_init(&j, out);
	json_object(&j);
	json_key(&j, "time");
	json_time(&j, s->start_ns + s->realtime_offset_ns);
	json_key(&j, "duration_ns");
	json_u64(&j, s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0);
	json_ids(&j, s);
	json_key(&j, "kind");
	json_str(&j, json_kind(s->kind));
	json_key(&j, "service");
	json_slice(&j, process_service(s->process));
	if (s->process) {
		json_key(&j, "pid");
		json_u64(&j, s->process->pid);
	}
	json_key(&j, "protocol");
	json_str(&j, json_protocol(s->protocol));
	json_key(&j, "name");
	json_slice(&j, s->name);
	json_key(&j, "status");
	json_str(&j, json_status(s->status));
	if (s->status_message.len) {
		json_key(&j, "status_message");
		json_slice(&j, s->status_message);
	}
	json_key(&j, "request_bytes");
	json_u64(&j, s->request_bytes);
	json_key(&j, "response_bytes");
	json_u64(&j, s->response_bytes);
	json_attributes(&j, s);
	json_links(&j, s);
	json_object_end(&j);
}

static int json_sink_open(const struct sink_config *c, struct sink **ret_sink, char *ret_error, size_t error_len)
{
	struct output_sink *s = calloc(1, sizeof(*s));

	if (!s) {
		snprintf(ret_error, error_len, "out of memory");
		return -ENOMEM;
	}
	s->sink.ops = &sink_json;
	output_init(&s->out, sink_json.name, c);
	*ret_sink = &s->sink;
	return 0;
}

static enum sink_result json_sink_span(struct sink *sink, const struct span *span)
{
	struct output_sink *s = (struct output_sink *)sink;

	json_span(&s->out.text, span);
	buffer_append_byte(&s->out.text, '\n');
	return output_span(&s->out);
}

static const struct sink_option json_options[] = { { .name = NULL } };

const struct sink_ops sink_json = {
	.name = "json",
	.help = "one JSON object a span and line on standard output (docs/json-lines.md)",
	.options = json_options,
	.open = json_sink_open,
	.span = json_sink_span,
	.tick = output_sink_tick,
	.flush = output_sink_flush,
	.stats = output_sink_stats,
	.close = output_sink_close,
};
