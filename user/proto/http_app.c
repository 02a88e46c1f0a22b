/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http_app.h"

/* Whether `word`, in lower case, stands somewhere in s, in whatever case. */
static bool contains(struct slice s, struct slice word)
{
	for (size_t i = 0; s.len >= word.len && i <= s.len - word.len; i++)
		if (ascii_lower(s.ptr[i]) == word.ptr[0] && slice_ieq(slice_make(s.ptr + i, word.len), word))
			return true;
	return false;
}

void http_app_target(struct http_head *h, struct slice method, struct slice target)
{
	struct slice path = slice_head(target, slice_find(target, '?', 0));

	for (size_t at = slice_find(path, '_', 0); at != SIZE_MAX && !(h->signs & HTTP_SIGN_SEARCH); at = slice_find(path, '_', at + 1))
		if (at && path.ptr[at - 1] == '/')
			h->signs |= HTTP_SIGN_SEARCH;
	if (!slice_eq(method, SLICE_LIT("POST")))
		return;
	h->signs |= HTTP_SIGN_POST;
	if (contains(path, SLICE_LIT("graphql")))
		h->signs |= HTTP_SIGN_GRAPHQL;
}

/* RFC 9110, 8.3: the type without its parameters. */
static uint8_t content_type(struct slice value)
{
	size_t end = 0;

	while (end < value.len && value.ptr[end] != ';' && value.ptr[end] != ' ' && value.ptr[end] != ',')
		end++;
	value = slice_head(value, end);
	if (slice_ieq(value, SLICE_LIT("text/event-stream")))
		return HTTP_TYPE_EVENTS;
	if (slice_ieq(value, SLICE_LIT("application/json")))
		return HTTP_TYPE_JSON;
	if (!slice_ieq(slice_head(value, 12), SLICE_LIT("application/")))
		return HTTP_TYPE_OTHER;
	value = slice_from(value, 12);
	if (slice_ieq(value, SLICE_LIT("graphql")))
		return HTTP_TYPE_GRAPHQL;
	/* One text and not several: …+json, json-rpc, x-amz-json-1.0. */
	return contains(value, SLICE_LIT("json")) && !contains(value, SLICE_LIT("ndjson")) && !contains(value, SLICE_LIT("stream")) ? HTTP_TYPE_JSON : HTTP_TYPE_OTHER;
}

static uint8_t content_coding(struct slice value)
{
	if (slice_ieq(value, SLICE_LIT("gzip")) || slice_ieq(value, SLICE_LIT("deflate")) || slice_ieq(value, SLICE_LIT("x-gzip")))
		return HTTP_CODING_ZLIB;
	return !value.len || slice_ieq(value, SLICE_LIT("identity")) ? HTTP_CODING_NONE : HTTP_CODING_OTHER;
}

void http_app_field(struct http_head *h, struct slice name, struct slice value)
{
	if (slice_ieq(name, SLICE_LIT("content-type")))
		h->type = content_type(value);
	else if (slice_ieq(name, SLICE_LIT("content-encoding")))
		h->coding = content_coding(value);
	else if (slice_ieq(name, SLICE_LIT("mcp-session-id")) || slice_ieq(name, SLICE_LIT("mcp-protocol-version")))
		h->signs |= HTTP_SIGN_MCP;
}
