/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http_app.h"

#include "proto/grpc.h"

enum { METHOD_MAX = 128, SCOPE_MAX = 64 };

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
	if (slice_ieq(value, SLICE_LIT("x-www-form-urlencoded")))
		return HTTP_TYPE_FORM;
	if (slice_ieq(slice_head(value, 13), SLICE_LIT("grpc-web-text")))
		return HTTP_TYPE_GRPC_WEB_TEXT;
	if (slice_ieq(slice_head(value, 8), SLICE_LIT("grpc-web")))
		return HTTP_TYPE_GRPC_WEB;
	/* One text and not several: …+json, json-rpc, x-amz-json-1.0. */
	return contains(value, SLICE_LIT("json")) && !contains(value, SLICE_LIT("ndjson")) && !contains(value, SLICE_LIT("stream")) ? HTTP_TYPE_JSON : HTTP_TYPE_OTHER;
}

static uint8_t content_coding(struct slice value)
{
	if (slice_ieq(value, SLICE_LIT("gzip")) || slice_ieq(value, SLICE_LIT("deflate")) || slice_ieq(value, SLICE_LIT("x-gzip")))
		return HTTP_CODING_ZLIB;
	return !value.len || slice_ieq(value, SLICE_LIT("identity")) ? HTTP_CODING_NONE : HTTP_CODING_OTHER;
}

void http_app_grpc(unsigned code, struct message *m)
{
	struct slice name = grpc_status_name(code - 1);

	if (!code || !name.len)
		return;
	message_add_str(m, ATTR_RPC_RESPONSE_STATUS_CODE, name);
	if (code == 1)
		return;
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, name.ptr, name.len);
	m->error_type[name.len] = 0;
}

void http_app_head(const struct http_head *h, bool request, struct message *m)
{
	if (request && (h->type == HTTP_TYPE_GRPC_WEB || h->type == HTTP_TYPE_GRPC_WEB_TEXT))
		message_add_str(m, ATTR_RPC_SYSTEM_NAME, SLICE_LIT("grpc"));
	if (!request && h->grpc)
		http_app_grpc(h->grpc, m);
	if (!request && h->signs & HTTP_SIGN_ELASTIC)
		message_add_str(m, ATTR_DB_SYSTEM_NAME, SLICE_LIT("elasticsearch"));
}

/* The next part of s before the byte c. */
static struct slice cut(struct slice *s, uint8_t c)
{
	size_t end = slice_find(*s, c, 0);
	struct slice part = slice_head(*s, end);

	*s = end == SIZE_MAX ? SLICE_NONE : slice_from(*s, end + 1);
	return part;
}

/*
 * AWS's signature, version 4: "AWS4-HMAC-SHA256 Credential=KEY/date/region/service/aws4_request, …". Only the scope is taken. Version 2, "AWS key:signature",
 * is S3's alone by now.
 */
static size_t authorization(struct http_head *h, struct slice value, struct http_app_attr ret[HTTP_APP_ATTRS])
{
	static const struct slice word = { (const uint8_t *)"Credential=", 11 };

	if (slice_starts(value, SLICE_LIT("AWS "))) {
		h->signs |= HTTP_SIGN_AWS;
		ret[0] = (struct http_app_attr){ ATTR_RPC_SERVICE, SLICE_LIT("s3") };
		return 1;
	}
	if (!slice_starts(value, SLICE_LIT("AWS4-")))
		return 0;
	size_t at = 0;
	while (at < value.len && !slice_starts(slice_from(value, at), word))
		at++;
	struct slice scope = slice_from(value, at + word.len);
	scope = slice_head(scope, slice_find(scope, ',', 0));
	(void)cut(&scope, '/');
	(void)cut(&scope, '/');
	struct slice region = cut(&scope, '/'), service = cut(&scope, '/');
	if (!service.len || !slice_starts(scope, SLICE_LIT("aws4_request")))
		return 0;
	h->signs |= HTTP_SIGN_AWS;
	ret[0] = (struct http_app_attr){ ATTR_RPC_SERVICE, slice_head(service, SCOPE_MAX) };
	ret[1] = (struct http_app_attr){ ATTR_CLOUD_REGION, slice_head(region, SCOPE_MAX) };
	return 2;
}

static size_t one(struct http_app_attr ret[HTTP_APP_ATTRS], enum attr_id id, struct slice value)
{
	ret[0] = (struct http_app_attr){ (uint16_t)id, value };
	return 1;
}

/* The name of what is called: of "http://example.com/Stock#GetPrice" what stands behind the last mark. */
static size_t soap_method(struct slice action, struct http_app_attr ret[HTTP_APP_ATTRS])
{
	while (action.len && strchr("\"/ ", action.ptr[action.len - 1]))
		action.len--;
	for (size_t i = action.len; i > 0; i--)
		if (strchr("/#:\"?", action.ptr[i - 1])) {
			action = slice_from(action, i);
			break;
		}
	if (!action.len)
		return 0;
	ret[0] = (struct http_app_attr){ ATTR_RPC_SYSTEM_NAME, SLICE_LIT("soap") };
	ret[1] = (struct http_app_attr){ ATTR_RPC_METHOD, slice_head(action, METHOD_MAX) };
	return 2;
}

/* SOAP 1.2 (RFC 3902): the action is a parameter of the type. */
static size_t soap_action(struct slice type, struct http_app_attr ret[HTTP_APP_ATTRS])
{
	static const struct slice word = { (const uint8_t *)"action=", 7 };

	if (!slice_ieq(slice_head(type, 20), SLICE_LIT("application/soap+xml")))
		return 0;
	for (size_t at = 20; at < type.len; at++)
		if (slice_ieq(slice_head(slice_from(type, at), word.len), word)) {
			type = slice_from(type, at + word.len);
			return soap_method(slice_head(type, slice_find(type, ';', 0)), ret);
		}
	return 0;
}

static void elastic_product(struct http_head *h, struct slice value)
{
	if (slice_ieq(value, SLICE_LIT("elasticsearch")))
		h->signs |= HTTP_SIGN_ELASTIC;
}

static void grpc_status(struct http_head *h, struct slice value)
{
	uint64_t code;

	if (slice_u64(value, &code) && code < 17)
		h->grpc = (uint8_t)(code + 1);
}

size_t http_app_field(struct http_head *h, struct slice name, struct slice value, struct http_app_attr ret[HTTP_APP_ATTRS])
{
	static const struct { struct slice name; enum attr_id id; } plain[] = {
		{ { (const uint8_t *)"x-amz-target", 12 }, ATTR_RAW_AWS_TARGET }, { { (const uint8_t *)"x-amz-request-id", 16 }, ATTR_AWS_REQUEST_ID },
		{ { (const uint8_t *)"x-amzn-requestid", 16 }, ATTR_AWS_REQUEST_ID }, { { (const uint8_t *)"x-amzn-request-id", 17 }, ATTR_AWS_REQUEST_ID },
		{ { (const uint8_t *)"x-amz-id-2", 10 }, ATTR_AWS_EXTENDED_REQUEST_ID }, { { (const uint8_t *)"x-amz-copy-source", 17 }, ATTR_AWS_S3_COPY_SOURCE },
	};

	if (slice_ieq(name, SLICE_LIT("content-type"))) {
		h->type = content_type(value);
		return soap_action(value, ret);
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (slice_ieq(name, plain[i].name)) {
			h->signs |= plain[i].id == ATTR_RAW_AWS_TARGET ? HTTP_SIGN_TARGET : 0;
			return one(ret, plain[i].id, value);
		}
	if (slice_ieq(name, SLICE_LIT("soapaction")))
		return soap_method(value, ret);
	if (slice_ieq(name, SLICE_LIT("authorization")))
		return authorization(h, value, ret);
	if (slice_ieq(name, SLICE_LIT("content-encoding")))
		h->coding = content_coding(value);
	else if (slice_ieq(name, SLICE_LIT("mcp-session-id")) || slice_ieq(name, SLICE_LIT("mcp-protocol-version")))
		h->signs |= HTTP_SIGN_MCP;
	else if (slice_ieq(name, SLICE_LIT("x-elastic-product")))
		elastic_product(h, value);
	else if (slice_ieq(name, SLICE_LIT("grpc-status")))
		grpc_status(h, value);
	return 0;
}
