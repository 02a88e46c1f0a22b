/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header blocks: HPACK (RFC 7541) by nghttp2's decoder.
 *
 * Of a connection that was joined in its middle, or lost bytes, the table is not known. It is then filled with placeholders, as many as a
 * table of that size can hold: what comes later is counted from the newest entry, so that every index still means what the peer means
 * by it, and a field that comes from a placeholder is known to be unknown.
 */
#include "proto/http2.h"

enum {
	TABLE_DEFAULT = 4096,
	TABLE_MAX = 65536,   /* of what a peer may agree to */
	ENTRY_MIN = 33,      /* bytes that the shortest entry counts for */
	PLACEHOLDER = 1,     /* its name, which no header can have */
	TEXT_FIRST = 512,
	TEXT_MAX = 8192,
	BATCH = 32,          /* placeholders put into the table with one call */
	GRPC_STATUS_DIGITS = 10,
	FAILURES_MAX = 16,   /* then the peer's blocks are left alone: a table is filled at some cost */
};

enum field { FIELD_OTHER, FIELD_TEXT, FIELD_STATUS, FIELD_LENGTH, FIELD_TYPE, FIELD_GRPC_STATUS, FIELD_GRPC_MESSAGE, FIELD_GRPC_TIMEOUT, FIELD_APP };

#define NAME(s) { (const uint8_t *)(s), sizeof(s) - 1 }
static const struct known {
	struct slice name;
	uint16_t id; /* of FIELD_TEXT; enum http_field of FIELD_APP */
	uint8_t field;
	uint16_t flag;
} known[] = {
	{ NAME(":method"), ATTR_HTTP_REQUEST_METHOD, FIELD_TEXT, HTTP2_HAS_METHOD },
	{ NAME(":path"), ATTR_RAW_TARGET, FIELD_TEXT, HTTP2_HAS_PATH },
	{ NAME(":scheme"), ATTR_URL_SCHEME, FIELD_TEXT, 0 },
	{ NAME(":authority"), ATTR_RAW_HOST, FIELD_TEXT, HTTP2_HAS_HOST },
	{ NAME(":status"), 0, FIELD_STATUS, HTTP2_HAS_STATUS },
	{ NAME("host"), ATTR_RAW_HOST, FIELD_TEXT, HTTP2_HAS_HOST },
	{ NAME("user-agent"), ATTR_USER_AGENT_ORIGINAL, FIELD_TEXT, 0 },
	{ NAME("traceparent"), ATTR_RAW_TRACEPARENT, FIELD_TEXT, 0 },
	{ NAME("tracestate"), ATTR_RAW_TRACESTATE, FIELD_TEXT, 0 },
	{ NAME("b3"), ATTR_RAW_B3, FIELD_TEXT, 0 },
	{ NAME("x-b3-traceid"), ATTR_RAW_B3_TRACE_ID, FIELD_TEXT, 0 },
	{ NAME("x-b3-spanid"), ATTR_RAW_B3_SPAN_ID, FIELD_TEXT, 0 },
	{ NAME("x-b3-sampled"), ATTR_RAW_B3_SAMPLED, FIELD_TEXT, 0 },
	{ NAME("uber-trace-id"), ATTR_RAW_UBER_TRACE_ID, FIELD_TEXT, 0 },
	{ NAME("x-forwarded-for"), ATTR_RAW_FORWARDED_FOR, FIELD_TEXT, 0 },
	{ NAME("content-length"), 0, FIELD_LENGTH, 0 },
	{ NAME("content-type"), 0, FIELD_TYPE, 0 },
	{ NAME("content-encoding"), HTTP_FIELD_CODING, FIELD_APP, 0 },
	{ NAME("mcp-session-id"), HTTP_FIELD_MCP, FIELD_APP, 0 },
	{ NAME("mcp-protocol-version"), HTTP_FIELD_MCP, FIELD_APP, 0 },
	{ NAME("x-amz-target"), HTTP_FIELD_TARGET, FIELD_APP, 0 },
	{ NAME("x-amz-request-id"), HTTP_FIELD_REQUEST_ID, FIELD_APP, 0 },
	{ NAME("x-amzn-requestid"), HTTP_FIELD_REQUEST_ID, FIELD_APP, 0 },
	{ NAME("x-amzn-request-id"), HTTP_FIELD_REQUEST_ID, FIELD_APP, 0 },
	{ NAME("x-amz-id-2"), HTTP_FIELD_EXTENDED_ID, FIELD_APP, 0 },
	{ NAME("x-amz-copy-source"), HTTP_FIELD_COPY_SOURCE, FIELD_APP, 0 },
	{ NAME("authorization"), HTTP_FIELD_AUTHORIZATION, FIELD_APP, 0 },
	{ NAME("x-elastic-product"), HTTP_FIELD_ELASTIC, FIELD_APP, 0 },
	{ NAME("soapaction"), HTTP_FIELD_SOAP, FIELD_APP, 0 },
	{ NAME("grpc-status"), 0, FIELD_GRPC_STATUS, 0 },
	{ NAME("grpc-message"), ATTR_RAW_STATUS_MESSAGE, FIELD_GRPC_MESSAGE, 0 },
	{ NAME("grpc-timeout"), 0, FIELD_GRPC_TIMEOUT, 0 },
};

void http2_table_done(struct http2_table *t)
{
	if (t->inflater)
		nghttp2_hd_inflate_del(t->inflater);
	t->inflater = NULL;
}

void http2_table_lost(struct http2_table *t)
{
	if (t->inflater)
		t->bytes = (uint32_t)nghttp2_hd_inflate_get_max_dynamic_table_size(t->inflater);
	http2_table_done(t);
	t->midway = true;
}

static bool feed(nghttp2_hd_inflater *inflater, const uint8_t *p, size_t n)
{
	nghttp2_nv nv;
	int flags = 0;

	while (n || !(flags & NGHTTP2_HD_INFLATE_FINAL)) {
		ssize_t used = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, p, n, 1);
		if (used < 0)
			return false;
		p += used;
		n -= (size_t)used;
	}
	return nghttp2_hd_inflate_end_headers(inflater) == 0;
}

static size_t put_table_size(uint8_t *to, uint32_t size)
{
	size_t n = 0;

	to[n++] = 0x3f;
	for (size -= 31; size >= 0x80; size >>= 7)
		to[n++] = (uint8_t)(0x80 | size);
	to[n++] = (uint8_t)size;
	return n;
}

static bool fill(nghttp2_hd_inflater *inflater, uint32_t bytes)
{
	static const uint8_t literal[] = { 0x40, 1, PLACEHOLDER, 0 };
	uint8_t batch[BATCH * sizeof(literal)], size[8];

	if (bytes < 31 + ENTRY_MIN) /* a peer that keeps none */
		return true;
	if (!feed(inflater, size, put_table_size(size, bytes)))
		return false;
	for (size_t i = 0; i < BATCH; i++)
		memcpy(batch + i * sizeof(literal), literal, sizeof(literal));
	for (uint32_t left = bytes / ENTRY_MIN; left;) {
		uint32_t n = left < BATCH ? left : BATCH;
		if (!feed(inflater, batch, n * sizeof(literal)))
			return false;
		left -= n;
	}
	return true;
}

static bool make(struct http2_table *t, nghttp2_mem *mem)
{
	if (nghttp2_hd_inflate_new2(&t->inflater, mem))
		return false;
	/* The peer's own word on its table's size is followed, up to this. */
	if (nghttp2_hd_inflate_change_table_size(t->inflater, TABLE_MAX) == 0 && (!t->midway || fill(t->inflater, t->bytes ? t->bytes : TABLE_DEFAULT)))
		return true;
	http2_table_done(t);
	return false;
}

void http2_block_clear(struct http2_block *b)
{
	b->flags = b->nfields = b->text_len = 0;
	b->length = b->grpc_status = b->grpc_timeout_ns = 0;
	b->status = 0;
	b->head = (struct http_head){ 0 };
}

struct slice http2_block_value(const struct http2_block *b, enum attr_id id)
{
	for (uint32_t i = 0; i < b->nfields; i++)
		if (b->field[i].id == id)
			return slice_make(b->text + b->field[i].at, b->field[i].len);
	return SLICE_NONE;
}

static bool has(const struct http2_block *b, uint16_t id)
{
	for (uint32_t i = 0; i < b->nfields; i++)
		if (b->field[i].id == id)
			return true;
	return false;
}

static bool text_room(struct http2_block *b, struct proto_memory *memory, size_t len)
{
	uint32_t cap = b->text_cap ? b->text_cap : TEXT_FIRST;

	while (cap - b->text_len < len && cap < TEXT_MAX)
		cap *= 2;
	if (cap - b->text_len < len)
		return false;
	if (cap == b->text_cap)
		return true;
	uint8_t *text = proto_memory_resize(memory, b->text, cap);
	if (!text)
		return false;
	b->text = text;
	b->text_cap = cap;
	return true;
}

/* Only the first of a name counts. */
static void keep_text(struct http2_block *b, struct proto_memory *memory, uint16_t id, struct slice value)
{
	value = slice_head(value, HTTP2_VALUE_MAX);
	if (has(b, id))
		return;
	if (b->nfields == HTTP2_FIELDS_MAX || !text_room(b, memory, value.len)) {
		b->flags |= HTTP2_IS_CUT;
		return;
	}
	if (value.len)
		memcpy(b->text + b->text_len, value.ptr, value.len);
	b->field[b->nfields].id = id;
	b->field[b->nfields].at = b->text_len;
	b->field[b->nfields++].len = (uint16_t)value.len;
	b->text_len += (uint32_t)value.len;
}

static void keep_message(struct http2_block *b, struct proto_memory *memory, uint16_t id, struct slice value)
{
	uint32_t before = b->nfields;

	keep_text(b, memory, id, value);
	if (b->nfields > before)
		b->field[before].len = (uint16_t)grpc_unescape(b->text + b->field[before].at, b->field[before].len);
}

static void keep_app(struct http2_block *b, struct proto_memory *memory, enum http_field field, struct slice value)
{
	struct http_app_attr attrs[HTTP_APP_ATTRS];
	size_t n = http_app_field(&b->head, field, slice_head(value, HTTP2_VALUE_MAX), attrs);

	for (size_t i = 0; i < n; i++)
		keep_text(b, memory, attrs[i].id, attrs[i].value);
}

static void take_text(struct http2_block *b, struct proto_memory *memory, const struct known *k, struct slice value)
{
	if (k->flag == HTTP2_HAS_METHOD && !(b->flags & HTTP2_HAS_METHOD)) {
		b->flags |= slice_eq(value, SLICE_LIT("HEAD")) ? HTTP2_IS_HEAD : 0;
		b->flags |= slice_eq(value, SLICE_LIT("CONNECT")) ? HTTP2_IS_CONNECT : 0;
	}
	b->flags |= k->flag;
	keep_text(b, memory, k->id, value);
}

static void take(struct http2_block *b, struct proto_memory *memory, const struct known *k, struct slice value)
{
	uint64_t n;

	switch ((enum field)k->field) {
	case FIELD_TEXT: take_text(b, memory, k, value); break;
	case FIELD_STATUS:
		if (value.len == 3 && slice_u64(value, &n) && n >= 100) {
			b->status = (uint32_t)n;
			b->flags |= HTTP2_HAS_STATUS;
		}
		break;
	case FIELD_LENGTH:
		if (slice_u64(value, &n) && n <= INT64_MAX) {
			b->length = n;
			b->flags |= HTTP2_HAS_LENGTH;
		}
		break;
	case FIELD_TYPE:
		if (grpc_is_content_type(value))
			b->flags |= HTTP2_HAS_GRPC;
		else
			keep_app(b, memory, HTTP_FIELD_TYPE, value);
		break;
	case FIELD_APP: keep_app(b, memory, (enum http_field)k->id, value); break;
	case FIELD_GRPC_STATUS:
		if (value.len <= GRPC_STATUS_DIGITS && slice_u64(value, &n)) {
			b->grpc_status = n;
			b->flags |= HTTP2_HAS_GRPC_STATUS;
		}
		break;
	case FIELD_GRPC_MESSAGE: keep_message(b, memory, k->id, value); break;
	case FIELD_GRPC_TIMEOUT:
		if (grpc_timeout_ns(value, &n))
			b->grpc_timeout_ns = n;
		break;
	case FIELD_OTHER: break;
	}
}

static void take_field(struct http2_block *b, struct proto_memory *memory, const nghttp2_nv *nv)
{
	struct slice name = slice_make(nv->name, nv->namelen), value = slice_make(nv->value, nv->valuelen);

	if (name.len == 1 && name.ptr[0] == PLACEHOLDER) {
		b->flags |= HTTP2_HAS_UNKNOWN;
		return;
	}
	if (name.len && name.ptr[0] == ':')
		b->flags |= HTTP2_HAS_PSEUDO;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].name.len == name.len && memcmp(known[i].name.ptr, name.ptr, name.len) == 0) {
			take(b, memory, &known[i], value);
			return;
		}
}

/*
 * The block cannot be read. Where the table was only assumed, the peer's may be larger than that, and the next assumption is the largest.
 * Without memory it is the same: what the table held is gone.
 */
static void fail(struct http2_table *t)
{
	bool midway = t->midway, guessed = midway && t->inflater && nghttp2_hd_inflate_get_max_dynamic_table_size(t->inflater) <= TABLE_DEFAULT;

	http2_table_lost(t);
	if (midway)
		t->bytes = guessed ? TABLE_MAX : TABLE_DEFAULT;
	t->failures++;
}

bool http2_table_read(struct http2_table *t, nghttp2_mem *mem, struct slice part, bool last, struct http2_block *b)
{
	int flags = 0;
	nghttp2_nv nv;

	if (t->failures >= FAILURES_MAX)
		return false;
	if (!t->inflater && !make(t, mem)) {
		fail(t);
		return false;
	}
	while (part.len || (last && !(flags & NGHTTP2_HD_INFLATE_FINAL))) {
		ssize_t used = nghttp2_hd_inflate_hd2(t->inflater, &nv, &flags, part.ptr, part.len, last);
		if (used < 0) {
			fail(t);
			return false;
		}
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			take_field(b, mem->mem_user_data, &nv);
		else if (used == 0 && !(flags & NGHTTP2_HD_INFLATE_FINAL))
			break;
		part = slice_from(part, (size_t)used);
	}
	if (last)
		nghttp2_hd_inflate_end_headers(t->inflater);
	return true;
}
