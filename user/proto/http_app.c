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
	bool post = method.len == 4 && memcmp(method.ptr, "POST", 4) == 0;
	size_t at = slice_find(target, '_', 0);

	if (!post && at == SIZE_MAX)
		return;
	struct slice path = slice_head(target, slice_find(target, '?', 0));
	for (; at < path.len && !(h->signs & HTTP_SIGN_SEARCH); at = slice_find(path, '_', at + 1))
		if (at && path.ptr[at - 1] == '/')
			h->signs |= HTTP_SIGN_SEARCH;
	if (!post)
		return;
	h->signs |= HTTP_SIGN_POST;
	if (contains(path, SLICE_LIT("graphql")))
		h->signs |= HTTP_SIGN_GRAPHQL;
}

/* RFC 9110, 8.3: the type without its parameters. Most of what is served leaves here at its first bytes. */
static uint8_t content_type(struct slice value)
{
	static const struct slice application = { (const uint8_t *)"application/", 12 };
	uint8_t first = value.len > application.len ? ascii_lower(value.ptr[0]) : 0;
	size_t end = 0;

	if ((first != 't' || ascii_lower(value.ptr[5]) != 'e') && first != 'a')
		return HTTP_TYPE_OTHER;
	while (end < value.len && value.ptr[end] != ';' && value.ptr[end] != ' ' && value.ptr[end] != ',')
		end++;
	value = slice_head(value, end);
	if (first == 't')
		return slice_ieq(value, SLICE_LIT("text/event-stream")) ? HTTP_TYPE_EVENTS : HTTP_TYPE_OTHER;
	if (!slice_ieq(slice_head(value, application.len), application))
		return HTTP_TYPE_OTHER;
	value = slice_from(value, application.len);
	if (slice_ieq(value, SLICE_LIT("json")))
		return HTTP_TYPE_JSON;
	if (slice_ieq(slice_head(value, 4), SLICE_LIT("grpc"))) {
		if (slice_ieq(slice_head(value, 13), SLICE_LIT("grpc-web-text")))
			return HTTP_TYPE_GRPC_WEB_TEXT;
		return slice_ieq(slice_head(value, 8), SLICE_LIT("grpc-web")) ? HTTP_TYPE_GRPC_WEB : HTTP_TYPE_OTHER;
	}
	if (slice_ieq(value, SLICE_LIT("soap+xml")))
		return HTTP_TYPE_XML;
	if (slice_ieq(value, SLICE_LIT("graphql")))
		return HTTP_TYPE_GRAPHQL;
	if (slice_ieq(value, SLICE_LIT("x-www-form-urlencoded")))
		return HTTP_TYPE_FORM;
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

/* A name, and no query or text of the request. */
static bool is_method(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t l = ascii_lower(s.ptr[i]);
		if (!(l >= 'a' && l <= 'z') && !(l >= '0' && l <= '9') && !(l && strchr("_.-", l)))
			return false;
	}
	return s.len > 0;
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
	if (!is_method(action))
		return 0;
	ret[0] = (struct http_app_attr){ ATTR_RPC_SYSTEM_NAME, SLICE_LIT("soap") };
	ret[1] = (struct http_app_attr){ ATTR_RPC_METHOD, slice_head(action, METHOD_MAX) };
	return 2;
}

/* SOAP 1.2 (RFC 3902): the action is a parameter of the type. */
static size_t soap_action(struct slice type, struct http_app_attr ret[HTTP_APP_ATTRS])
{
	static const struct slice word = { (const uint8_t *)"action=", 7 };

	for (size_t at = 0; at < type.len; at++)
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

enum http_field http_app_name(struct slice name)
{
	static const struct { struct slice name; uint8_t field; } names[] = {
		{ { (const uint8_t *)"content-type", 12 }, HTTP_FIELD_TYPE }, { { (const uint8_t *)"content-encoding", 16 }, HTTP_FIELD_CODING },
		{ { (const uint8_t *)"authorization", 13 }, HTTP_FIELD_AUTHORIZATION }, { { (const uint8_t *)"mcp-session-id", 14 }, HTTP_FIELD_MCP },
		{ { (const uint8_t *)"mcp-protocol-version", 20 }, HTTP_FIELD_MCP }, { { (const uint8_t *)"x-amz-target", 12 }, HTTP_FIELD_TARGET },
		{ { (const uint8_t *)"x-amz-request-id", 16 }, HTTP_FIELD_REQUEST_ID }, { { (const uint8_t *)"x-amzn-requestid", 16 }, HTTP_FIELD_REQUEST_ID },
		{ { (const uint8_t *)"x-amzn-request-id", 17 }, HTTP_FIELD_REQUEST_ID }, { { (const uint8_t *)"x-amz-id-2", 10 }, HTTP_FIELD_EXTENDED_ID },
		{ { (const uint8_t *)"x-amz-copy-source", 17 }, HTTP_FIELD_COPY_SOURCE }, { { (const uint8_t *)"x-elastic-product", 17 }, HTTP_FIELD_ELASTIC },
		{ { (const uint8_t *)"soapaction", 10 }, HTTP_FIELD_SOAP }, { { (const uint8_t *)"grpc-status", 11 }, HTTP_FIELD_GRPC_STATUS },
	};

	/* As everybody writes it. */
	if (name.len == 12 && (memcmp(name.ptr, "Content-Type", 12) == 0 || memcmp(name.ptr, "content-type", 12) == 0))
		return HTTP_FIELD_TYPE;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_ieq(name, names[i].name))
			return (enum http_field)names[i].field;
	return HTTP_FIELD_OTHER;
}

size_t http_app_field(struct http_head *h, enum http_field field, struct slice value, struct http_app_attr ret[HTTP_APP_ATTRS])
{
	switch (field) {
	case HTTP_FIELD_TYPE:
		h->type = content_type(value);
		return h->type == HTTP_TYPE_XML ? soap_action(value, ret) : 0;
	case HTTP_FIELD_CODING: h->coding = content_coding(value); break;
	case HTTP_FIELD_MCP: h->signs |= HTTP_SIGN_MCP; break;
	case HTTP_FIELD_AUTHORIZATION: return authorization(h, value, ret);
	case HTTP_FIELD_TARGET:
		h->signs |= HTTP_SIGN_TARGET;
		return one(ret, ATTR_RAW_AWS_TARGET, value);
	case HTTP_FIELD_REQUEST_ID: return one(ret, ATTR_AWS_REQUEST_ID, value);
	case HTTP_FIELD_EXTENDED_ID: return one(ret, ATTR_AWS_EXTENDED_REQUEST_ID, value);
	case HTTP_FIELD_COPY_SOURCE: return one(ret, ATTR_AWS_S3_COPY_SOURCE, value);
	case HTTP_FIELD_ELASTIC: elastic_product(h, value); break;
	case HTTP_FIELD_SOAP: return soap_method(value, ret);
	case HTTP_FIELD_GRPC_STATUS: grpc_status(h, value); break;
	case HTTP_FIELD_OTHER: break;
	}
	return 0;
}
