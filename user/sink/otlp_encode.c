/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/otlp_encode.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/utf8.h"
#include "sink/otlp.pb-c.h"
#include "sink/otlp_json.h"
#include "sink/resource.h"

#define NO_PROCESS UINT64_MAX /* generation of spans without a process */
#define NO_ENTRY UINT32_MAX

enum { VALUES_MAX = RESOURCE_ATTRS_MAX }; /* a process may have one more than a span */
_Static_assert((int)VALUES_MAX >= (int)SPAN_ATTRS_MAX, "a span's attributes fit");

struct otlp_resource { /* cache line */
	uint64_t generation;
	bool valid;
	struct buffer bytes;
};

struct otlp_encoder {
	struct otlp_resource resources[OTLP_RESOURCE_CACHE];
	size_t scratch_used;
	uint8_t scratch[OTLP_SCRATCH_BYTES];
};

int otlp_encoder_new(struct otlp_encoder **ret_encoder)
{
	struct otlp_encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	for (size_t i = 0; i < OTLP_RESOURCE_CACHE; i++)
		buffer_init(&e->resources[i].bytes, 4 * PROCESS_TEXT_MAX + 4096);
	*ret_encoder = e;
	return 0;
}

void otlp_encoder_free(struct otlp_encoder *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < OTLP_RESOURCE_CACHE; i++)
		buffer_done(&e->resources[i].bytes);
	free(e);
}

int otlp_batch_new(uint32_t max_spans, struct otlp_batch **ret_batch)
{
	struct otlp_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->max = max_spans < 1 ? 1 : max_spans > OTLP_BATCH_SPANS_MAX ? OTLP_BATCH_SPANS_MAX : max_spans;
	b->nslots = 2;
	while (b->nslots < 2 * b->max)
		b->nslots *= 2;
	b->entries = calloc(b->max, sizeof(*b->entries));
	b->groups = calloc(b->max, sizeof(*b->groups));
	b->slots = calloc(b->nslots, sizeof(*b->slots));
	/* Twice what makes a batch full: the span that fills it still fits. */
	buffer_init(&b->spans, 2ul * OTLP_BATCH_BYTES);
	buffer_init(&b->resources, 2ul * OTLP_BATCH_BYTES);
	if (!b->entries || !b->groups || !b->slots) {
		otlp_batch_free(b);
		return -ENOMEM;
	}
	*ret_batch = b;
	return 0;
}

void otlp_batch_free(struct otlp_batch *b)
{
	if (!b)
		return;
	buffer_done(&b->spans);
	buffer_done(&b->resources);
	free(b->entries);
	free(b->groups);
	free(b->slots);
	free(b);
}

void otlp_batch_clear(struct otlp_batch *b)
{
	buffer_clear(&b->spans);
	buffer_clear(&b->resources);
	memset(b->slots, 0, b->nslots * sizeof(*b->slots));
	b->nspans = b->ngroups = 0;
}

/*
 * A view of s that is UTF-8: s itself, or a copy in the scratch with U+FFFD for each bad byte, cut if the scratch is too small.
 */
static ProtobufCBinaryData otlp_text(struct otlp_encoder *e, struct slice s)
{
	size_t at = utf8_valid(s);

	if (at == s.len)
		return (ProtobufCBinaryData){ .len = s.len, .data = (uint8_t *)(uintptr_t)s.ptr };

	uint8_t *to = e->scratch + e->scratch_used;
	size_t room = sizeof(e->scratch) - e->scratch_used;
	size_t len = 0;
	for (size_t i = 0; i < s.len;) {
		size_t n = utf8_len(s.ptr + i, s.len - i);
		struct slice c = n ? slice_make(s.ptr + i, n) : SLICE_LIT("\xef\xbf\xbd");
		if (c.len > room - len)
			break;
		memcpy(to + len, c.ptr, c.len);
		len += c.len;
		i += n ? n : 1;
	}
	e->scratch_used += len;
	return (ProtobufCBinaryData){ .len = len, .data = to };
}

static ProtobufCBinaryData otlp_bytes(const void *data, size_t len)
{
	return (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)(uintptr_t)data };
}

struct otlp_values { /* the messages that a list of attributes is made of */
	Plumb__Otlp__KeyValue key_values[VALUES_MAX];
	Plumb__Otlp__AnyValue values[VALUES_MAX];
	Plumb__Otlp__KeyValue *list[VALUES_MAX];
	size_t n;
};

static Plumb__Otlp__AnyValue *otlp_value_next(struct otlp_values *v, ProtobufCBinaryData key)
{
	size_t i = v->n++;

	plumb__otlp__any_value__init(&v->values[i]);
	plumb__otlp__key_value__init(&v->key_values[i]);
	v->key_values[i].key = key;
	v->key_values[i].value = &v->values[i];
	v->list[i] = &v->key_values[i];
	return &v->values[i];
}

static void otlp_value_str(Plumb__Otlp__AnyValue *value, ProtobufCBinaryData text)
{
	value->value_case = PLUMB__OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	value->string_value = text;
}

static void otlp_value_int(Plumb__Otlp__AnyValue *value, int64_t num)
{
	value->value_case = PLUMB__OTLP__ANY_VALUE__VALUE_INT_VALUE;
	value->int_value = num;
}

static void otlp_span_attr(struct otlp_encoder *e, struct otlp_values *v, const struct attr *a)
{
	if (a->id >= ATTR_COUNT || !attr_info[a->id].name[0])
		return;

	Plumb__Otlp__AnyValue *value = otlp_value_next(v, otlp_bytes(attr_info[a->id].name, strlen(attr_info[a->id].name)));
	switch (a->type) {
	case ATTR_TYPE_STR: otlp_value_str(value, otlp_text(e, a->str)); break;
	case ATTR_TYPE_INT: otlp_value_int(value, a->num); break;
	case ATTR_TYPE_BOOL:
		value->value_case = PLUMB__OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
		value->bool_value = a->num != 0;
		break;
	case ATTR_TYPE_DOUBLE:
		value->value_case = PLUMB__OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
		value->double_value = a->dbl;
		break;
	default: v->n--; break;
	}
}

static int otlp_pack(const ProtobufCMessage *m, struct buffer *out)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	int err = buffer_reserve(out, len);

	if (err)
		return err;
	out->len += protobuf_c_message_pack(m, out->data + out->len);
	return 0;
}

static int otlp_encode_resource(struct otlp_encoder *e, const struct process *p, struct buffer *out)
{
	struct resource_attr attrs[RESOURCE_ATTRS_MAX];
	struct otlp_values v;
	Plumb__Otlp__Resource r = PLUMB__OTLP__RESOURCE__INIT;
	size_t n = resource_attrs(p, attrs);

	v.n = 0;
	e->scratch_used = 0;
	for (size_t i = 0; i < n; i++) {
		Plumb__Otlp__AnyValue *value = otlp_value_next(&v, otlp_text(e, attrs[i].key));
		if (attrs[i].is_int)
			otlp_value_int(value, attrs[i].num);
		else
			otlp_value_str(value, otlp_text(e, attrs[i].str));
	}
	r.attributes = v.list;
	r.n_attributes = v.n;
	return otlp_pack(&r.base, out);
}

/* The encoded resource of p, from the cache if its description has not changed. */
static int otlp_resource_get(struct otlp_encoder *e, const struct process *p, struct slice *ret_bytes)
{
	uint64_t generation = p ? p->generation : NO_PROCESS;
	struct otlp_resource *r = &e->resources[generation % OTLP_RESOURCE_CACHE];

	if (!r->valid || r->generation != generation) {
		buffer_clear(&r->bytes);
		r->valid = false;
		int err = otlp_encode_resource(e, p, &r->bytes);
		if (err)
			return err;
		r->generation = generation;
		r->valid = true;
	}
	*ret_bytes = buffer_slice(&r->bytes);
	return 0;
}

/* The batch's group of p, made if it is the first span of p. */
static int otlp_group_get(struct otlp_encoder *e, struct otlp_batch *b, const struct process *p, struct otlp_group **ret_group)
{
	uint64_t generation = p ? p->generation : NO_PROCESS;
	uint32_t at = (uint32_t)((generation * 0x9e3779b97f4a7c15ULL) >> 32) & (b->nslots - 1);
	struct slice bytes;

	for (; b->slots[at]; at = (at + 1) & (b->nslots - 1))
		if (b->groups[b->slots[at] - 1].generation == generation) {
			*ret_group = &b->groups[b->slots[at] - 1];
			return 0;
		}

	if (b->ngroups >= b->max)
		return -ENOSPC;
	int err = otlp_resource_get(e, p, &bytes);
	if (err)
		return err;
	uint32_t offset = (uint32_t)b->resources.len;
	err = buffer_append_slice(&b->resources, bytes);
	if (err)
		return err;

	struct otlp_group *g = &b->groups[b->ngroups++];
	*g = (struct otlp_group){ .generation = generation, .offset = offset, .len = (uint32_t)bytes.len, .first = NO_ENTRY, .last = NO_ENTRY };
	b->slots[at] = b->ngroups;
	*ret_group = g;
	return 0;
}

static size_t varint_len(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

static int otlp_pack_span(struct otlp_encoder *e, const struct span *s, struct buffer *out)
{
	struct otlp_values v;
	Plumb__Otlp__Span m = PLUMB__OTLP__SPAN__INIT;
	Plumb__Otlp__Link links[SPAN_LINKS_MAX], *link_list[SPAN_LINKS_MAX];
	Plumb__Otlp__Status status = PLUMB__OTLP__STATUS__INIT;

	v.n = 0;
	e->scratch_used = 0;
	m.trace_id = otlp_bytes(s->trace_id, sizeof(s->trace_id));
	m.span_id = otlp_bytes(s->span_id, sizeof(s->span_id));
	if (otlp_has_parent(s))
		m.parent_span_id = otlp_bytes(s->parent_id, sizeof(s->parent_id));
	m.trace_state = otlp_text(e, s->trace_state);
	m.name = otlp_text(e, s->name);
	m.kind = s->kind;
	m.start_time_unix_nano = s->start_ns + s->realtime_offset_ns;
	m.end_time_unix_nano = s->end_ns + s->realtime_offset_ns;
	m.flags = otlp_span_flags(s);
	for (uint32_t i = 0; i < s->nattrs && i < SPAN_ATTRS_MAX; i++)
		otlp_span_attr(e, &v, &s->attrs[i]);
	m.attributes = v.list;
	m.n_attributes = v.n;
	for (uint32_t i = 0; i < s->nlinks; i++) {
		plumb__otlp__link__init(&links[i]);
		links[i].trace_id = otlp_bytes(s->links[i].trace_id, sizeof(s->links[i].trace_id));
		links[i].span_id = otlp_bytes(s->links[i].span_id, sizeof(s->links[i].span_id));
		link_list[i] = &links[i];
	}
	m.links = link_list;
	m.n_links = s->nlinks;
	m.dropped_links_count = s->links_dropped;
	status.code = s->status;
	status.message = otlp_text(e, s->status_message);
	m.status = &status;
	return otlp_pack(&m.base, out);
}

int otlp_encode_span(struct otlp_encoder *e, struct otlp_batch *b, const struct span *s)
{
	struct otlp_group *g;

	if (otlp_batch_full(b))
		return -ENOSPC;
	/* The group first: without spans it costs nothing in the request. */
	int err = otlp_group_get(e, b, s->process, &g);
	if (err)
		goto failed;

	uint32_t offset = (uint32_t)b->spans.len;
	err = otlp_pack_span(e, s, &b->spans);
	if (err)
		goto failed;

	uint32_t at = b->nspans++;
	uint32_t len = (uint32_t)b->spans.len - offset;
	b->entries[at] = (struct otlp_entry){ .offset = offset, .len = len, .next = NO_ENTRY };
	if (g->first == NO_ENTRY)
		g->first = at;
	else
		b->entries[g->last].next = at;
	g->last = at;
	g->framed += 1 + varint_len(len) + len;
	return 0;

failed:
	b->spans.failed = b->resources.failed = 0;
	return err;
}

/* Key and length of an embedded message. */
static void put_message(struct buffer *out, uint32_t field, uint64_t len)
{
	buffer_append_byte(out, (uint8_t)(field << 3 | 2));
	while (len >= 0x80) {
		buffer_append_byte(out, (uint8_t)(len | 0x80));
		len >>= 7;
	}
	buffer_append_byte(out, (uint8_t)len);
}

static void put_group(const struct otlp_batch *b, const struct otlp_group *g, struct slice scope, struct buffer *out)
{
	uint64_t scope_spans = 1 + varint_len(scope.len) + scope.len + g->framed;
	uint64_t resource_spans = 1 + varint_len(g->len) + g->len + 1 + varint_len(scope_spans) + scope_spans;

	put_message(out, 1, resource_spans); /* ExportTraceServiceRequest.resource_spans */
	put_message(out, 1, g->len);         /* ResourceSpans.resource */
	buffer_append(out, b->resources.data + g->offset, g->len);
	put_message(out, 2, scope_spans);    /* ResourceSpans.scope_spans */
	put_message(out, 1, scope.len);      /* ScopeSpans.scope */
	buffer_append_slice(out, scope);
	for (uint32_t i = g->first; i != NO_ENTRY; i = b->entries[i].next) {
		put_message(out, 2, b->entries[i].len); /* ScopeSpans.spans */
		buffer_append(out, b->spans.data + b->entries[i].offset, b->entries[i].len);
	}
}

int otlp_batch_request(const struct otlp_batch *b, struct buffer *out)
{
	Plumb__Otlp__InstrumentationScope scope = PLUMB__OTLP__INSTRUMENTATION_SCOPE__INIT;
	uint8_t packed[128];
	size_t start = out->len;

	scope.name = otlp_bytes("plumb", 5);
	scope.version = otlp_bytes(PLUMB_VERSION, strlen(PLUMB_VERSION));
	_Static_assert(sizeof(PLUMB_VERSION) < 64, "scope fits");
	size_t len = plumb__otlp__instrumentation_scope__pack(&scope, packed);
	for (uint32_t i = 0; i < b->ngroups; i++)
		if (b->groups[i].first != NO_ENTRY)
			put_group(b, &b->groups[i], slice_make(packed, len), out);
	if (out->failed) {
		out->len = start;
		return out->failed;
	}
	return 0;
}
