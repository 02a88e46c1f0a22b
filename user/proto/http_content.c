/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http_content.h"

#include <zlib.h>

#include "proto/http_json.h"
#include "proto/sse.h"

enum {
	REQUEST_MAX = 8192,       /* bytes that are read, behind the coding */
	RESPONSE_MAX = 8192,
	PACKED_EVENTS_MAX = 1 << 20, /* of events in a coding: few bytes become many */
	PLAIN_BYTES = 2048,
};

enum reader { READER_JSON, READER_DOCUMENT, READER_EVENTS };

struct http_content {
	struct proto_memory *memory; /* not owned */
	z_stream z;
	uint64_t left;    /* bytes that may still be read */
	uint64_t first_event_ns;
	uint8_t reader;   /* enum reader */
	bool packed, done, gap, any;
	bool calls;       /* the events' data are answers */
	struct sse sse;
	struct http_json json;
};

bool http_content_of_request(const struct http_head *h)
{
	return h->signs & HTTP_SIGN_POST && (h->type == HTTP_TYPE_JSON || h->type == HTTP_TYPE_GRAPHQL) && h->coding != HTTP_CODING_OTHER;
}

bool http_content_of_response(const struct http_head *h, enum http_app app)
{
	if (h->coding == HTTP_CODING_OTHER)
		return false;
	return h->type == HTTP_TYPE_EVENTS || (h->type == HTTP_TYPE_JSON && app != HTTP_APP_NONE && !(h->signs & HTTP_SIGN_ELASTIC));
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

bool http_content_begin_request(struct http_content **c, struct proto_memory *memory, const struct http_head *h)
{
	if (!begin(c, memory, h, h->type == HTTP_TYPE_GRAPHQL ? READER_DOCUMENT : READER_JSON, REQUEST_MAX))
		return false;
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
	bool events = h->type == HTTP_TYPE_EVENTS;
	uint64_t max = !events ? RESPONSE_MAX : h->coding ? PACKED_EVENTS_MAX : UINT64_MAX;

	if (!begin(c, memory, h, events ? READER_EVENTS : READER_JSON, max))
		return false;
	http_json_response(&(*c)->json, app);
	(*c)->calls = app == HTTP_APP_JSONRPC || app == HTTP_APP_MCP;
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
		c->gap |= c->reader == READER_EVENTS;
		n = in.len;
	}
	return n;
}

void http_content_gap(struct http_content *c)
{
	c->gap = c->any = c->done = true;
}

bool http_content_done(const struct http_content *c) { return c->done; }

bool http_content_over(const struct http_content *c)
{
	return c->reader == READER_EVENTS && !c->gap && !c->sse.has_data && (c->sse.over || (c->calls && c->json.calls));
}

enum http_app http_content_end(struct http_content *c, struct message *m)
{
	/* None where there are bytes: it was blanked in a recording, or is something else. */
	if (c->reader == READER_EVENTS && !c->gap && (c->sse.events || !c->any))
		message_add_int(m, ATTR_SSE_EVENTS, c->sse.events > INT64_MAX ? INT64_MAX : (int64_t)c->sse.events);
	if (c->first_event_ns)
		message_add_int(m, ATTR_RAW_FIRST_EVENT_NS, (int64_t)c->first_event_ns);
	return http_json_end(&c->json, m);
}
