/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http_content.h"

#include <zlib.h>

#include "proto/grpc_web.h"
#include "proto/http_form.h"
#include "proto/http_json.h"
#include "proto/sse.h"

enum {
	REQUEST_MAX = 8192,       /* bytes that are read, behind the coding */
	RESPONSE_MAX = 8192,
	PACKED_MAX = 1 << 20,     /* of events or gRPC-Web in a coding */
	GRPC_WEB_MAX = 1 << 24,   /* its trailers are what comes last */
	UNPACKED_TIMES = 64,      /* more than so many bytes made of one are an attack on the reader */
	PLAIN_BYTES = 2048,
};

enum reader { READER_JSON, READER_DOCUMENT, READER_EVENTS, READER_FORM, READER_GRPC_WEB };

struct http_content {
	struct proto_memory *memory; /* not owned */
	z_stream z;
	uint64_t left;    /* bytes that may still be read */
	uint64_t first_event_ns;
	uint8_t reader;   /* enum reader */
	bool packed, done, gap, any;
	bool calls;       /* the events' data are answers */
	union {
		struct sse sse;
		struct http_form form;
		struct grpc_web web;
	};
	struct http_json json;
};

static bool is_grpc_web(const struct http_head *h) { return h->type == HTTP_TYPE_GRPC_WEB || h->type == HTTP_TYPE_GRPC_WEB_TEXT; }

bool http_content_of_request(const struct http_head *h)
{
	if (!(h->signs & HTTP_SIGN_POST) || h->coding == HTTP_CODING_OTHER)
		return false;
	return h->type == HTTP_TYPE_JSON || h->type == HTTP_TYPE_GRAPHQL || is_grpc_web(h) || (h->type == HTTP_TYPE_FORM && h->signs & HTTP_SIGN_AWS);
}

bool http_content_of_response(const struct http_head *h, enum http_app app)
{
	if (h->coding == HTTP_CODING_OTHER)
		return false;
	return h->type == HTTP_TYPE_EVENTS || is_grpc_web(h) || (h->type == HTTP_TYPE_JSON && app != HTTP_APP_NONE && !(h->signs & HTTP_SIGN_ELASTIC));
}

static voidpf take(voidpf memory, uInt items, uInt size)
{
	return items && size > UINT32_MAX / items ? Z_NULL : proto_memory_get(memory, (size_t)items * size);
}

static void leave(voidpf memory, voidpf p) { proto_memory_put(memory, p); }

static void end_packed(struct http_content *c)
{
	if (c->packed)
		inflateEnd(&c->z);
	c->packed = false;
}

static bool begin(struct http_content **content, struct proto_memory *memory, const struct http_head *h, enum reader reader, uint64_t max)
{
	struct http_content *c = *content ? *content : proto_memory_get(memory, sizeof(*c));

	if (!c)
		return false;
	if (*content)
		end_packed(c);
	*content = c;
	c->memory = memory;
	c->left = max;
	c->first_event_ns = 0;
	c->reader = (uint8_t)reader;
	c->packed = c->done = c->gap = c->any = c->calls = false;
	if (h->coding != HTTP_CODING_ZLIB)
		return true;
	c->z = (z_stream){ .zalloc = take, .zfree = leave, .opaque = memory };
	c->packed = inflateInit2(&c->z, MAX_WBITS + 32) == Z_OK; /* either head */
	if (c->packed)
		return true;
	http_content_free(c);
	*content = NULL;
	return false;
}

static enum reader reader_of(const struct http_head *h)
{
	switch ((enum http_type)h->type) {
	case HTTP_TYPE_EVENTS: return READER_EVENTS;
	case HTTP_TYPE_GRAPHQL: return READER_DOCUMENT;
	case HTTP_TYPE_FORM: return READER_FORM;
	case HTTP_TYPE_GRPC_WEB:
	case HTTP_TYPE_GRPC_WEB_TEXT: return READER_GRPC_WEB;
	case HTTP_TYPE_JSON:
	case HTTP_TYPE_OTHER:
	case HTTP_TYPE_XML: break;
	}
	return READER_JSON;
}

bool http_content_begin_request(struct http_content **c, struct proto_memory *memory, const struct http_head *h)
{
	enum reader reader = reader_of(h);

	if (!begin(c, memory, h, reader, reader != READER_GRPC_WEB ? REQUEST_MAX : h->coding ? PACKED_MAX : GRPC_WEB_MAX))
		return false;
	if (reader == READER_FORM)
		(*c)->form = (struct http_form){ 0 };
	if (reader == READER_GRPC_WEB)
		(*c)->web = (struct grpc_web){ .text = h->type == HTTP_TYPE_GRPC_WEB_TEXT };
	http_json_request(&(*c)->json, h);
	return true;
}

static void on_event_data(void *ctx, struct slice data, bool last)
{
	struct http_content *c = ctx;

	if (last)
		http_json_next(&c->json);
	else
		http_json_feed(&c->json, data);
}

bool http_content_begin_response(struct http_content **c, struct proto_memory *memory, const struct http_head *h, enum http_app app)
{
	enum reader reader = reader_of(h);
	bool long_one = reader == READER_GRPC_WEB || reader == READER_EVENTS;
	uint64_t max = !long_one ? RESPONSE_MAX : h->coding ? PACKED_MAX : reader == READER_EVENTS ? UINT64_MAX : GRPC_WEB_MAX;

	if (!begin(c, memory, h, reader, max))
		return false;
	http_json_response(&(*c)->json, app);
	(*c)->calls = app == HTTP_APP_JSONRPC || app == HTTP_APP_MCP;
	if (reader == READER_GRPC_WEB)
		(*c)->web = (struct grpc_web){ .text = h->type == HTTP_TYPE_GRPC_WEB_TEXT };
	else
		(*c)->sse = (struct sse){ .data = (*c)->calls ? on_event_data : NULL, .ctx = *c };
	return true;
}

void http_content_free(struct http_content *c)
{
	if (!c)
		return;
	end_packed(c);
	proto_memory_put(c->memory, c);
}

/* Plain bytes. Returns how many are taken. */
static size_t feed_plain(struct http_content *c, struct slice in, uint64_t time_ns, bool may_pause)
{
	size_t n = in.len < c->left ? in.len : (size_t)c->left;

	in = slice_head(in, n);
	switch ((enum reader)c->reader) {
	case READER_JSON:
		http_json_feed(&c->json, in);
		c->done = c->json.read.done || c->json.read.broken;
		break;
	case READER_DOCUMENT:
		graphql_feed(&c->json.graphql, in);
		break;
	case READER_FORM: http_form_feed(&c->form, in); break;
	case READER_GRPC_WEB:
		grpc_web_feed(&c->web, in);
		c->done = c->web.odd;
		break;
	case READER_EVENTS:
		n = sse_feed(&c->sse, in, may_pause && !c->first_event_ns);
		if (c->sse.events && !c->first_event_ns)
			c->first_event_ns = time_ns;
		break;
	}
	if (c->left != UINT64_MAX)
		c->left -= n;
	return n;
}

static void feed_packed(struct http_content *c, struct slice in, uint64_t time_ns)
{
	uint8_t plain[PLAIN_BYTES];
	int status = Z_OK;

	c->z.next_in = (z_const Bytef *)in.ptr;
	c->z.avail_in = (uInt)in.len;
	while (!c->done && status == Z_OK) {
		c->z.next_out = plain;
		c->z.avail_out = sizeof(plain);
		status = inflate(&c->z, Z_SYNC_FLUSH);
		size_t made = sizeof(plain) - c->z.avail_out;
		if (made)
			feed_plain(c, slice_make(plain, made), time_ns, false);
		if (c->z.total_out > RESPONSE_MAX && c->z.total_out / UNPACKED_TIMES > c->z.total_in)
			c->done = c->gap = true;
		if (!made || c->left == 0)
			break;
	}
	if (status != Z_OK && status != Z_BUF_ERROR)
		c->done = true;
	c->gap |= status < 0 && status != Z_BUF_ERROR;
}

size_t http_content_feed(struct http_content *c, struct slice in, uint64_t time_ns)
{
	size_t n = in.len;

	c->any |= n > 0;
	if (c->done)
		return n;
	if (c->packed)
		feed_packed(c, slice_head(in, UINT32_MAX), time_ns);
	else
		n = feed_plain(c, in, time_ns, true);
	if (c->left == 0) {
		c->done = true;
		c->gap = true;
		n = in.len;
	}
	if (c->done)
		end_packed(c); /* its window is large, and the connection may live on */
	return n;
}

void http_content_gap(struct http_content *c)
{
	c->gap = c->any = c->done = true;
	end_packed(c);
}

bool http_content_done(const struct http_content *c) { return c->done; }

bool http_content_over(const struct http_content *c)
{
	return c->reader == READER_EVENTS && !c->gap && !c->sse.has_data && (c->sse.over || (c->calls && c->json.calls));
}

static void end_form(struct http_content *c, struct message *m)
{
	if (c->form.action.len)
		message_add_str(m, ATTR_RAW_AWS_ACTION, http_text_view(&c->form.action));
	if (c->form.queue.len)
		message_add_str(m, ATTR_RAW_AWS_QUEUE, http_text_view(&c->form.queue));
}

static void end_grpc_web(struct http_content *c, struct message *m)
{
	if (!c->gap && !c->web.odd)
		message_add_int(m, c->json.response ? ATTR_RPC_RESPONSE_MESSAGES : ATTR_RPC_REQUEST_MESSAGES, c->web.messages);
	if (c->json.response)
		http_app_grpc(c->web.status, m);
}

enum http_app http_content_end(struct http_content *c, struct message *m)
{
	end_packed(c);
	/* None where there are bytes: it was blanked in a recording, or is something else. */
	if (c->reader == READER_EVENTS && !c->gap && (c->sse.events || !c->any))
		message_add_int(m, ATTR_SSE_EVENTS, c->sse.events > INT64_MAX ? INT64_MAX : (int64_t)c->sse.events);
	if (c->first_event_ns)
		message_add_int(m, ATTR_RAW_FIRST_EVENT_NS, (int64_t)c->first_event_ns);
	switch ((enum reader)c->reader) {
	case READER_FORM: end_form(c, m); return HTTP_APP_NONE;
	case READER_GRPC_WEB: end_grpc_web(c, m); return HTTP_APP_NONE;
	case READER_JSON:
	case READER_DOCUMENT:
	case READER_EVENTS: break;
	}
	return http_json_end(&c->json, m);
}
