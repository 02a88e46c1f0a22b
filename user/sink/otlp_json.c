/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/otlp_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/output.h"
#include "sink/resource.h"
#include "sink/sinks.h"

static void otlp_json_key_value(struct json *j, struct slice key)
{
	json_object(j);
	json_key(j, "key");
	json_slice(j, key);
	json_key(j, "value");
	json_object(j);
}

static void otlp_json_key_value_end(struct json *j)
{
	json_object_end(j);
	json_object_end(j);
}

static void otlp_json_string(struct json *j, struct slice value)
{
	json_key(j, "stringValue");
	json_slice(j, value);
}

static void otlp_json_int(struct json *j, int64_t value)
{
	json_key(j, "intValue");
	json_i64_str(j, value);
}

static void otlp_json_attr(struct json *j, const struct attr *a)
{
	otlp_json_key_value(j, slice_str(attr_info[a->id].name));
	switch (a->type) {
	case ATTR_TYPE_STR: otlp_json_string(j, a->str); break;
	case ATTR_TYPE_INT: otlp_json_int(j, a->num); break;
	case ATTR_TYPE_BOOL:
		json_key(j, "boolValue");
		json_bool(j, a->num != 0);
		break;
	case ATTR_TYPE_DOUBLE:
		json_key(j, "doubleValue");
		json_double(j, a->dbl);
		break;
	default: break;
	}
	otlp_json_key_value_end(j);
}

static void otlp_json_attrs(struct json *j, const struct span *s)
{
	json_key(j, "attributes");
	json_array(j);
	for (uint32_t i = 0; i < s->nattrs; i++)
		if (s->attrs[i].id < ATTR_COUNT && attr_info[s->attrs[i].id].name[0])
			otlp_json_attr(j, &s->attrs[i]);
	json_array_end(j);
}

static void otlp_json_resource(struct json *j, const struct process *p)
{
	struct resource_attr attrs[RESOURCE_ATTRS_MAX];
	size_t n = resource_attrs(p, attrs);

	json_key(j, "resource");
	json_object(j);
	json_key(j, "attributes");
	json_array(j);
	for (size_t i = 0; i < n; i++) {
		otlp_json_key_value(j, attrs[i].key);
		if (attrs[i].is_int)
			otlp_json_int(j, attrs[i].num);
		else
			otlp_json_string(j, attrs[i].str);
		otlp_json_key_value_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void otlp_json_links(struct json *j, const struct span *s)
{
	if (!s->nlinks)
		return;
	json_key(j, "links");
	json_array(j);
	for (uint32_t i = 0; i < s->nlinks; i++) {
		json_object(j);
		json_key(j, "traceId");
		json_hex(j, s->links[i].trace_id, sizeof(s->links[i].trace_id));
		json_key(j, "spanId");
		json_hex(j, s->links[i].span_id, sizeof(s->links[i].span_id));
		json_object_end(j);
	}
	json_array_end(j);
	if (s->links_dropped) {
		json_key(j, "droppedLinksCount");
		json_u64(j, s->links_dropped);
	}
}

static void otlp_json_status(struct json *j, const struct span *s)
{
	json_key(j, "status");
	json_object(j);
	if (s->status_message.len) {
		json_key(j, "message");
		json_slice(j, s->status_message);
	}
	if (s->status != SPAN_STATUS_UNSET) {
		json_key(j, "code");
		json_u64(j, s->status);
	}
	json_object_end(j);
}

static void otlp_json_span(struct json *j, const struct span *s)
{
	json_object(j);
	json_key(j, "traceId");
	json_hex(j, s->trace_id, sizeof(s->trace_id));
	json_key(j, "spanId");
	json_hex(j, s->span_id, sizeof(s->span_id));
	if (s->trace_state.len) {
		json_key(j, "traceState");
		json_slice(j, s->trace_state);
	}
	if (otlp_has_parent(s)) {
		json_key(j, "parentSpanId");
		json_hex(j, s->parent_id, sizeof(s->parent_id));
	}
	json_key(j, "flags");
	json_u64(j, otlp_span_flags(s));
	json_key(j, "name");
	json_slice(j, s->name);
	json_key(j, "kind");
	json_u64(j, s->kind);
	json_key(j, "startTimeUnixNano");
	json_u64_str(j, s->start_ns + s->realtime_offset_ns);
	json_key(j, "endTimeUnixNano");
	json_u64_str(j, s->end_ns + s->realtime_offset_ns);
	otlp_json_attrs(j, s);
	otlp_json_links(j, s);
	otlp_json_status(j, s);
	json_object_end(j);
}

void otlp_json_request(struct buffer *out, const struct span *s)
{
	struct json j;

	json_init(&j, out);
	json_object(&j);
	json_key(&j, "resourceSpans");
	json_array(&j);
	json_object(&j);
	otlp_json_resource(&j, s->process);
	json_key(&j, "scopeSpans");
	json_array(&j);
	json_object(&j);
	json_key(&j, "scope");
	json_object(&j);
	json_key(&j, "name");
	json_str(&j, "plumb");
	json_key(&j, "version");
	json_str(&j, PLUMB_VERSION);
	json_object_end(&j);
	json_key(&j, "spans");
	json_array(&j);
	otlp_json_span(&j, s);
	json_array_end(&j);
	json_object_end(&j);
	json_array_end(&j);
	json_object_end(&j);
	json_array_end(&j);
	json_object_end(&j);
}

static int otlp_json_open(const struct sink_config *c, struct sink **ret_sink, char *ret_error, size_t error_len)
{
	struct output_sink *s = calloc(1, sizeof(*s));

	if (!s) {
		snprintf(ret_error, error_len, "out of memory");
		return -ENOMEM;
	}
	s->sink.ops = &sink_otlp_json;
	output_init(&s->out, sink_otlp_json.name, c);
	*ret_sink = &s->sink;
	return 0;
}

static enum sink_result otlp_json_sink_span(struct sink *sink, const struct span *span)
{
	struct output_sink *s = (struct output_sink *)sink;

	otlp_json_request(&s->out.text, span);
	buffer_append_byte(&s->out.text, '\n');
	return output_span(&s->out);
}

static const struct sink_option otlp_json_options[] = { { .name = NULL } };

const struct sink_ops sink_otlp_json = {
	.name = "otlp-json",
	.help = "one OTLP/JSON ExportTraceServiceRequest a line on standard output",
	.options = otlp_json_options,
	.open = otlp_json_open,
	.span = otlp_json_sink_span,
	.tick = output_sink_tick,
	.flush = output_sink_flush,
	.stats = output_sink_stats,
	.close = output_sink_close,
};
