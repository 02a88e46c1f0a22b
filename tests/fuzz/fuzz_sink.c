/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile text on its way out: spans and processes whose every string is the input's. JSON lines are JSON, protobuf can be read again, text is UTF-8, and a
 * terminal gets no control character but the line's end.
 */
#include "fuzz/records.h"

#include "lib/utf8.h"
#include "sink/otlp.pb-c.h"
#include "sink/otlp_encode.h"
#include "sink/sinks.h"

enum { OUT_MAX = 1 << 20, DEPTH_MAX = 16 };

static uint8_t out[OUT_MAX];

/* RFC 8259, whole. */
static const uint8_t *json_value(const uint8_t *p, const uint8_t *end, int depth);

static const uint8_t *json_string(const uint8_t *p, const uint8_t *end)
{
	REQUIRE(p < end && *p++ == '"');
	while (p < end && *p != '"') {
		REQUIRE(*p >= 0x20);
		if (*p++ != '\\')
			continue;
		REQUIRE(p < end && strchr("\"\\/bfnrtu", *p));
		for (int i = 0; *p == 'u' && i < 4; i++)
			REQUIRE(p + 1 + i < end && strchr("0123456789abcdefABCDEF", p[1 + i]));
		p += *p == 'u' ? 5 : 1;
	}
	REQUIRE(p < end);
	return p + 1;
}

static const uint8_t *json_number(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *start = p += *p == '-';

	while (p < end && (strchr("+-.eE", *p) || (*p >= '0' && *p <= '9')))
		p++;
	REQUIRE(p > start && *start >= '0' && *start <= '9' && (*start != '0' || p == start + 1 || strchr(".eE", start[1])));
	return p;
}

static const uint8_t *json_members(const uint8_t *p, const uint8_t *end, int depth)
{
	bool object = *p == '{';
	uint8_t close = object ? '}' : ']';

	REQUIRE(depth < DEPTH_MAX);
	if (p[1] == close)
		return p + 2;
	do {
		p++;
		if (object) {
			p = json_string(p, end);
			REQUIRE(p < end && *p++ == ':');
		}
		p = json_value(p, end, depth + 1);
		REQUIRE(p < end);
	} while (*p == ',');
	REQUIRE(*p == close);
	return p + 1;
}

static const uint8_t *json_value(const uint8_t *p, const uint8_t *end, int depth)
{
	REQUIRE(p < end);
	if (*p == '"')
		return json_string(p, end);
	if (*p == '{' || *p == '[')
		return json_members(p, end, depth);
	struct slice rest = slice_make(p, (size_t)(end - p));
	if (slice_starts(rest, SLICE_LIT("true")) || slice_starts(rest, SLICE_LIT("null")))
		return p + 4;
	if (slice_starts(rest, SLICE_LIT("false")))
		return p + 5;
	return json_number(p, end);
}

/* What the sink wrote, all of it. */
static struct slice print(const struct sink_ops *ops, const struct span *s)
{
	const char *values[16] = { NULL };
	char path[64], error[256];
	int fd = fuzz_file(SLICE_NONE, path);
	struct sink_config c = { .values = values, .spool_dir = "", .out_fd = fd, .patient = true };
	struct sink *sink;

	for (size_t k = 0; ops->options[k].name; k++)
		values[k] = ops->options[k].value;
	REQUIRE(ops->open(&c, &sink, error, sizeof(error)) == 0 && ops->span(sink, s) == SINK_OK);
	REQUIRE(ops->flush(sink, 1000) == 0);
	ops->close(sink);
	ssize_t n = pread(fd, out, sizeof(out), 0);
	close(fd);
	REQUIRE(n > 0 && out[n - 1] == '\n');
	struct slice text = slice_make(out, (size_t)n);
	REQUIRE(utf8_valid(text) == text.len);
	return text;
}

/* The terminal's sink also shows nothing that turns the rest of the line around. */
static void check_controls(struct slice text, bool directions)
{
	for (size_t i = 0, n; i < text.len; i += n) {
		n = utf8_len(text.ptr + i, text.len - i);
		uint32_t point = utf8_point(text.ptr + i, n);
		REQUIRE(point == '\n' || (point >= ' ' && (point < 0x7f || point > 0x9f)));
		REQUIRE(directions || point < 0x202a || point > 0x202e);
	}
}

static void check_json(struct slice text)
{
	const uint8_t *end = text.ptr + text.len - 1;

	REQUIRE(json_value(text.ptr, end, 0) == end);
	check_controls(text, true);
}


static void check_text(ProtobufCBinaryData d)
{
	struct slice s = slice_make(d.data, d.len);

	REQUIRE(utf8_valid(s) == s.len);
}

static void check_attributes(Plumb__Otlp__KeyValue **attrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		check_text(attrs[i]->key);
		if (attrs[i]->value->value_case == PLUMB__OTLP__ANY_VALUE__VALUE_STRING_VALUE)
			check_text(attrs[i]->value->string_value);
	}
}

static void check_protobuf(const struct span *s)
{
	struct otlp_encoder *e;
	struct otlp_batch *b;
	struct buffer request;

	buffer_init(&request, 4 << 20);
	REQUIRE(otlp_encoder_new(&e) == 0 && otlp_batch_new(8, &b) == 0);
	REQUIRE(otlp_encode_span(e, b, s) == 0 && otlp_encode_span(e, b, s) == 0 && otlp_batch_request(b, &request) == 0);
	Plumb__Otlp__ExportTraceServiceRequest *r = plumb__otlp__export_trace_service_request__unpack(NULL, request.len, request.data);
	REQUIRE(r && r->n_resource_spans == 1 && r->resource_spans[0]->n_scope_spans == 1 && r->resource_spans[0]->scope_spans[0]->n_spans == 2);
	check_attributes(r->resource_spans[0]->resource->attributes, r->resource_spans[0]->resource->n_attributes);
	const Plumb__Otlp__Span *got = r->resource_spans[0]->scope_spans[0]->spans[1];
	check_text(got->name);
	check_text(got->trace_state);
	if (got->status)
		check_text(got->status->message);
	check_attributes(got->attributes, got->n_attributes);
	plumb__otlp__export_trace_service_request__free_unpacked(r, NULL);
	buffer_done(&request);
	otlp_batch_free(b);
	otlp_encoder_free(e);
}

static struct slice text_of(struct slice *in) { return fuzz_take(in, fuzz_number(in, 1)); }

static void make_span(struct slice *in, struct span *s, struct process *p)
{
	*s = (struct span){ .sampled = true, .kind = 1 + fuzz_byte(in) % 5, .protocol = PLUMB_PROTO_HTTP1, .family = PROTO_FAMILY_HTTP,
		.status = fuzz_byte(in) % 3, .start_ns = fuzz_number(in, 7), .realtime_offset_ns = fuzz_number(in, 7), .process = p };
	s->end_ns = s->start_ns + fuzz_number(in, 7);
	s->remote_parent = fuzz_byte(in) & 1;
	s->request_bytes = fuzz_number(in, 8);
	memset(s->trace_id, fuzz_byte(in) | 1, sizeof(s->trace_id));
	memset(s->span_id, 0xab, sizeof(s->span_id));
	s->name = text_of(in);
	s->trace_state = text_of(in);
	s->status_message = text_of(in);
	p->pid = 7;
	p->generation = 3;
	p->service = text_of(in);
	for (uint8_t n = fuzz_byte(in) % PROCESS_ATTRS_MAX; p->nattrs < n; p->nattrs++)
		p->attrs[p->nattrs] = (struct process_attr){ text_of(in), text_of(in) };
	for (; in->len && s->nattrs < SPAN_ATTRS_MAX; s->nattrs++) {
		struct attr *a = &s->attrs[s->nattrs];
		a->id = fuzz_byte(in) % ATTR_COUNT;
		a->type = (uint8_t)attr_info[a->id].type;
		if (a->type == ATTR_TYPE_STR)
			a->str = text_of(in);
		else
			a->num = (int64_t)fuzz_number(in, 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct process p;
	static struct span s;
	uint8_t *copy = fuzz_copy(slice_make(data, size));
	struct slice in = slice_make(copy, size);

	memset(&p, 0, sizeof(p));
	make_span(&in, &s, &p);
	check_json(print(&sink_json, &s));
	check_json(print(&sink_otlp_json, &s));
	check_controls(print(&sink_console, &s), false);
	check_protobuf(&s);
	free(copy);
	return 0;
}
