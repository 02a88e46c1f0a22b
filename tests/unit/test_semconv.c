/* SPDX-License-Identifier: Apache-2.0 */
/* span/builder and span/semconv: exchanges as parsers make them, and every attribute of the spans that must result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>

#include "span/builder.h"
#include "span/semconv.h"
#include "span/url.h"
#include "unit/assert_slice.h"

struct fixture {
	struct span_builder *builder;
	struct exchange x;
	struct process process;
	struct span span;
};

static void add_str(struct exchange *x, enum attr_id id, const char *value)
{
	x->attrs[x->nattrs++] = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_STR, .str = slice_str(value) };
}

static void add_int(struct exchange *x, enum attr_id id, int64_t value)
{
	x->attrs[x->nattrs++] = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_INT, .num = value };
}

/* An exchange between 10.0.0.1:40001 and 10.0.0.2:8080 that took 1000 to 5000 ns. */
static void begin(struct fixture *f, uint16_t protocol, uint8_t role)
{
	struct endpoint client = { { 10, 0, 0, 1 }, 40001 }, server = { { 10, 0, 0, 2 }, 8080 };

	f->process.service = SLICE_LIT("shop");
	f->x = (struct exchange){
		.protocol = protocol,
		.role = role,
		.process = &f->process,
		.request = { .start_ns = 1000, .end_ns = 2000, .bytes = 97, .tid = 31 },
		.response = { .start_ns = 4000, .end_ns = 5000, .bytes = 211 },
		.ends = { .family = AF_INET, .type = SOCK_STREAM },
	};
	f->x.ends.local = role == PLUMB_ROLE_SERVER ? server : client;
	f->x.ends.remote = role == PLUMB_ROLE_SERVER ? client : server;
}

static void build(struct fixture *f) { span_build(f->builder, &f->x, &f->span); }

static struct slice str_of(const struct fixture *f, enum attr_id id)
{
	const struct attr *a = attr_find(f->span.attrs, f->span.nattrs, id);

	return a ? a->str : SLICE_NONE;
}

static int64_t int_of(const struct fixture *f, enum attr_id id)
{
	const struct attr *a = attr_find(f->span.attrs, f->span.nattrs, id);

	return a ? a->num : -1;
}

#define assert_attr(f, id, text) assert_slice(str_of(f, id), text)

static int setup(void **state)
{
	static struct fixture f;
	struct span_options o = { 0 };

	*state = &f;
	return span_builder_new(&o, &f.builder);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	span_builder_free(f->builder);
	return 0;
}

static void http_server(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_SERVER);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "GET");
	add_str(&f->x, ATTR_RAW_TARGET, "/orders/7919/items?page=2&token=s3cret&debug#part");
	add_str(&f->x, ATTR_RAW_HOST, "shop.example:8443");
	add_str(&f->x, ATTR_USER_AGENT_ORIGINAL, "curl/8");
	add_str(&f->x, ATTR_RAW_FORWARDED_FOR, " 203.0.113.7:1234 , 10.0.0.1");
	add_str(&f->x, ATTR_NETWORK_PROTOCOL_VERSION, "1.1");
	add_int(&f->x, ATTR_HTTP_RESPONSE_STATUS_CODE, 100);
	add_int(&f->x, ATTR_HTTP_RESPONSE_STATUS_CODE, 200);
	add_int(&f->x, ATTR_HTTP_RESPONSE_BODY_SIZE, 11);
	build(f);
	assert_int_equal(f->span.kind, SPAN_SERVER);
	assert_int_equal(f->span.status, SPAN_STATUS_UNSET);
	assert_slice(f->span.name, "GET /orders/{id}/items");
	assert_attr(f, ATTR_HTTP_ROUTE, "/orders/{id}/items");
	assert_attr(f, ATTR_HTTP_REQUEST_METHOD, "GET");
	assert_attr(f, ATTR_URL_PATH, "/orders/7919/items");
	assert_attr(f, ATTR_URL_QUERY, "page=REDACTED&token=REDACTED&debug");
	assert_attr(f, ATTR_URL_SCHEME, "http");
	assert_attr(f, ATTR_SERVER_ADDRESS, "shop.example");
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), 8443);
	assert_attr(f, ATTR_CLIENT_ADDRESS, "203.0.113.7");
	assert_attr(f, ATTR_NETWORK_PEER_ADDRESS, "10.0.0.1");
	assert_int_equal(int_of(f, ATTR_NETWORK_PEER_PORT), 40001);
	assert_attr(f, ATTR_NETWORK_PROTOCOL_NAME, "http");
	assert_attr(f, ATTR_NETWORK_PROTOCOL_VERSION, "1.1");
	assert_attr(f, ATTR_USER_AGENT_ORIGINAL, "curl/8");
	assert_int_equal(int_of(f, ATTR_HTTP_RESPONSE_STATUS_CODE), 200);
	assert_int_equal(int_of(f, ATTR_HTTP_RESPONSE_BODY_SIZE), 11);
	assert_int_equal(int_of(f, ATTR_PLUMB_TTFB_NS), 2000);
	assert_int_equal(f->span.start_ns, 1000);
	assert_int_equal(f->span.end_ns, 5000);
	assert_int_equal(f->span.request_bytes, 97);
	assert_ptr_equal(f->span.process, &f->process);
	for (uint32_t i = 0; i < f->span.nattrs; i++)
		assert_true(attr_info[f->span.attrs[i].id].name[0] != '\0');
}

static void fastcgi_server(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_FASTCGI, PLUMB_ROLE_SERVER);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "GET");
	add_str(&f->x, ATTR_RAW_TARGET, "/orders/7919/items?token=s3cret");
	add_str(&f->x, ATTR_RAW_FORWARDED_FOR, "203.0.113.7");
	add_int(&f->x, ATTR_HTTP_RESPONSE_STATUS_CODE, 500);
	build(f);
	assert_slice(f->span.name, "GET /orders/{id}/items");
	assert_attr(f, ATTR_URL_QUERY, "token=REDACTED");
	assert_attr(f, ATTR_NETWORK_PROTOCOL_NAME, "fastcgi");
	assert_attr(f, ATTR_CLIENT_ADDRESS, "203.0.113.7");
	assert_attr(f, ATTR_ERROR_TYPE, "500");
}

static void http_client(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_CLIENT);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "POST");
	add_str(&f->x, ATTR_RAW_TARGET, "http://bob:pw@api.example/v1/x;sid=abc/y?q=1");
	add_str(&f->x, ATTR_RAW_HOST, "ignored.example");
	add_int(&f->x, ATTR_HTTP_RESPONSE_STATUS_CODE, 404);
	build(f);
	assert_int_equal(f->span.kind, SPAN_CLIENT);
	assert_slice(f->span.name, "POST");
	assert_attr(f, ATTR_URL_FULL, "http://REDACTED:REDACTED@api.example/v1/x;REDACTED/y?q=REDACTED");
	assert_attr(f, ATTR_SERVER_ADDRESS, "api.example");
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), 80);
	assert_int_equal(f->span.status, SPAN_STATUS_ERROR);
	assert_attr(f, ATTR_ERROR_TYPE, "404");
	assert_null(attr_find(f->span.attrs, f->span.nattrs, ATTR_HTTP_ROUTE));
	assert_null(attr_find(f->span.attrs, f->span.nattrs, ATTR_URL_PATH));
}

static void http_status_is_an_error_by_kind(void **state)
{
	static const struct {
		uint8_t role;
		int status;
		const char *error;
	} cases[] = { { PLUMB_ROLE_SERVER, 404, "" },    { PLUMB_ROLE_SERVER, 499, "" },    { PLUMB_ROLE_SERVER, 500, "500" },
		      { PLUMB_ROLE_SERVER, 503, "503" }, { PLUMB_ROLE_CLIENT, 399, "" },    { PLUMB_ROLE_CLIENT, 400, "400" },
		      { PLUMB_ROLE_CLIENT, 502, "502" } };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(f, PLUMB_PROTO_HTTP1, cases[i].role);
		add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "GET");
		add_int(&f->x, ATTR_HTTP_RESPONSE_STATUS_CODE, cases[i].status);
		/* Whatever the parser takes for an error, the kind decides. */
		memcpy(f->x.error_type, "404", 4);
		build(f);
		assert_attr(f, ATTR_ERROR_TYPE, cases[i].error);
		assert_int_equal(f->span.status, cases[i].error[0] ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET);
	}
}

static void http_odd_requests(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_SERVER);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "BREW");
	add_str(&f->x, ATTR_RAW_TARGET, "/pot");
	memcpy(f->x.error_type, "connection_reset", 17);
	f->x.response = (struct exchange_side){ 0 };
	f->x.request.end_ns = 3000;
	build(f);
	assert_slice(f->span.name, "HTTP /pot");
	assert_attr(f, ATTR_HTTP_REQUEST_METHOD, "_OTHER");
	assert_attr(f, ATTR_HTTP_REQUEST_METHOD_ORIGINAL, "BREW");
	assert_attr(f, ATTR_ERROR_TYPE, "connection_reset");
	assert_int_equal(f->span.end_ns, 3000);
	assert_attr(f, ATTR_SERVER_ADDRESS, "10.0.0.2"); /* no Host: the socket's own end */
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), 8080);
	assert_null(attr_find(f->span.attrs, f->span.nattrs, ATTR_PLUMB_TTFB_NS));

	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_CLIENT);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "CONNECT");
	add_str(&f->x, ATTR_RAW_TARGET, "[2001:db8::1]:443");
	build(f);
	assert_slice(f->span.name, "CONNECT");
	assert_attr(f, ATTR_SERVER_ADDRESS, "2001:db8::1");
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), 443);
	assert_null(attr_find(f->span.attrs, f->span.nattrs, ATTR_URL_FULL));

	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_SERVER);
	f->x.request = (struct exchange_side){ 0 };
	f->x.flags = EXCHANGE_NO_REQUEST;
	build(f);
	assert_slice(f->span.name, "HTTP");
	assert_attr(f, ATTR_PLUMB_INCOMPLETE, "request_not_seen");
	assert_int_equal(f->span.start_ns, 4000);

	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_SERVER);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "GET");
	add_str(&f->x, ATTR_RAW_TARGET, "*");
	add_str(&f->x, ATTR_RAW_FORWARDED_FOR, "<script>");
	build(f);
	assert_slice(f->span.name, "GET");
	assert_attr(f, ATTR_CLIENT_ADDRESS, "10.0.0.1");
}

static void request(struct fixture *f, uint8_t role, const char *method, const char *target, const char *host)
{
	begin(f, PLUMB_PROTO_HTTP1, role);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, method);
	add_str(&f->x, ATTR_RAW_TARGET, target);
	add_str(&f->x, ATTR_RAW_HOST, host);
	add_int(&f->x, ATTR_HTTP_RESPONSE_STATUS_CODE, 200);
}

static void s3(struct fixture *f, const char *method, const char *target, const char *host, const char *name, const char *bucket, const char *key)
{
	request(f, PLUMB_ROLE_CLIENT, method, target, host);
	add_str(&f->x, ATTR_RPC_SERVICE, "s3");
	build(f);
	assert_slice(f->span.name, name);
	assert_attr(f, ATTR_RPC_SYSTEM_NAME, "aws-api");
	assert_attr(f, ATTR_AWS_S3_BUCKET, bucket);
	assert_attr(f, ATTR_AWS_S3_KEY, key);
	assert_int_equal(f->span.family, PROTO_FAMILY_RPC);
}

static void aws_calls(void **state)
{
	struct fixture *f = *state;

	s3(f, "GET", "/", "s3.eu-west-1.amazonaws.com", "S3.ListBuckets", "", "");
	s3(f, "GET", "/?list-type=2&prefix=a", "my.photos.s3.eu-west-1.amazonaws.com", "S3.ListObjectsV2", "my.photos", "");
	s3(f, "GET", "/photos/?location", "minio:9000", "S3.GetBucketLocation", "photos", "");
	s3(f, "PUT", "/photos?policy", "minio:9000", "S3.PutBucketPolicy", "photos", "");
	s3(f, "DELETE", "/photos?lifecycle", "minio:9000", "S3.DeleteBucketLifecycle", "photos", "");
	s3(f, "PUT", "/a/b.jpg?partNumber=3&uploadId=u", "photos.s3.amazonaws.com", "S3.UploadPart", "photos", "a/b.jpg");
	assert_int_equal(int_of(f, ATTR_AWS_S3_PART_NUMBER), 3);
	assert_attr(f, ATTR_AWS_S3_UPLOAD_ID, "u");
	s3(f, "POST", "/photos/a?uploads", "minio:9000", "S3.CreateMultipartUpload", "photos", "a");
	s3(f, "GET", "/photos/a?tagging", "minio:9000", "S3.GetObjectTagging", "photos", "a");
	s3(f, "PATCH", "/photos/a", "minio:9000", "PATCH", "photos", "a");

	/* What is signed in its URL. */
	request(f, PLUMB_ROLE_SERVER, "GET", "/photos/a?X-Amz-Credential=AKIAEXAMPLE%2F20250101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=secret", "minio:9000");
	build(f);
	assert_slice(f->span.name, "S3.GetObject");
	assert_attr(f, ATTR_CLOUD_REGION, "us-east-1");
	request(f, PLUMB_ROLE_SERVER, "GET", "/photos/a?X-Amz-Credential=a%2Fs3%2Faws4_request", "minio:9000");
	build(f);
	assert_slice(f->span.name, "GET /photos/a");

	request(f, PLUMB_ROLE_CLIENT, "POST", "/", "sqs");
	add_str(&f->x, ATTR_RPC_SERVICE, "sqs");
	add_str(&f->x, ATTR_RAW_AWS_ACTION, "SendMessage");
	add_str(&f->x, ATTR_RAW_AWS_QUEUE, "https%3A%2F%2Fsqs.us-east-1.amazonaws.com%2F123456789012%2Forders");
	build(f);
	assert_slice(f->span.name, "SQS.SendMessage");
	assert_attr(f, ATTR_MESSAGING_DESTINATION_NAME, "orders");
	assert_attr(f, ATTR_MESSAGING_OPERATION_TYPE, "send");

	request(f, PLUMB_ROLE_CLIENT, "POST", "/", "dynamodb");
	add_str(&f->x, ATTR_RPC_SERVICE, "dynamodb");
	add_str(&f->x, ATTR_RAW_AWS_TARGET, "DynamoDB_20120810.GetItem");
	build(f);
	assert_slice(f->span.name, "DynamoDB.GetItem");
}

static void search(struct fixture *f, const char *method, const char *target, const char *name, const char *index)
{
	request(f, PLUMB_ROLE_CLIENT, method, target, "es:9200");
	add_str(&f->x, ATTR_DB_SYSTEM_NAME, "elasticsearch");
	build(f);
	assert_slice(f->span.name, name);
	assert_attr(f, ATTR_DB_COLLECTION_NAME, index);
	assert_int_equal(f->span.family, PROTO_FAMILY_DB);
}

static void search_endpoints(void **state)
{
	struct fixture *f = *state;

	search(f, "GET", "/", "info", "");
	search(f, "HEAD", "/shop", "indices.exists", "shop");
	search(f, "POST", "/a,b*/_search?size=1", "search", "a,b*");
	search(f, "POST", "/_search", "search", "");
	search(f, "DELETE", "/_search/scroll", "clear_scroll", "");
	search(f, "PUT", "/shop/_doc/1", "index", "shop");
	search(f, "GET", "/shop/_doc/1", "get", "shop");
	search(f, "GET", "/_cat/indices/shop", "cat.indices", "");
	search(f, "PUT", "/_index_template/t", "indices.put_index_template", "");
	search(f, "POST", "/shop/_searches", "POST", "shop");

	request(f, PLUMB_ROLE_CLIENT, "POST", "/shop/_count", "os:9200");
	add_str(&f->x, ATTR_DB_SYSTEM_NAME, "elasticsearch");
	add_str(&f->x, ATTR_USER_AGENT_ORIGINAL, "opensearch-py/2.4.0 (Python 3.11)");
	f->x.attrs[3].num = 404;
	build(f);
	assert_attr(f, ATTR_DB_SYSTEM_NAME, "opensearch");
	assert_attr(f, ATTR_DB_RESPONSE_STATUS_CODE, "404");
	assert_attr(f, ATTR_ERROR_TYPE, "404");
}

static void calls_inside_http(void **state)
{
	struct fixture *f = *state;

	request(f, PLUMB_ROLE_SERVER, "POST", "/mcp", "a");
	add_str(&f->x, ATTR_RPC_SYSTEM_NAME, "jsonrpc");
	add_str(&f->x, ATTR_RPC_METHOD, "tools/call");
	add_str(&f->x, ATTR_MCP_METHOD_NAME, "tools/call");
	add_str(&f->x, ATTR_GEN_AI_TOOL_NAME, "weather");
	add_int(&f->x, ATTR_SSE_EVENTS, 3);
	add_int(&f->x, ATTR_RAW_FIRST_EVENT_NS, 4500);
	f->x.flags |= EXCHANGE_ERROR;
	memcpy(f->x.error_type, "1001", 5);
	build(f);
	assert_slice(f->span.name, "tools/call weather");
	assert_attr(f, ATTR_ERROR_TYPE, "1001");
	assert_attr(f, ATTR_HTTP_ROUTE, "/mcp");
	assert_int_equal(int_of(f, ATTR_SSE_FIRST_EVENT), 2500);
	assert_int_equal(f->span.family, PROTO_FAMILY_RPC);

	request(f, PLUMB_ROLE_SERVER, "POST", "/rpc", "a");
	add_str(&f->x, ATTR_RPC_SYSTEM_NAME, "jsonrpc");
	add_str(&f->x, ATTR_RPC_METHOD, "invented");
	add_str(&f->x, ATTR_RPC_RESPONSE_STATUS_CODE, "-32601");
	build(f);
	assert_slice(f->span.name, "jsonrpc");
	assert_attr(f, ATTR_RPC_METHOD, "_OTHER");
	assert_attr(f, ATTR_RPC_METHOD_ORIGINAL, "invented");

	request(f, PLUMB_ROLE_SERVER, "POST", "/graphql", "a");
	add_str(&f->x, ATTR_GRAPHQL_OPERATION_TYPE, "query");
	add_str(&f->x, ATTR_GRAPHQL_OPERATION_NAME, "Hero");
	build(f);
	assert_slice(f->span.name, "query Hero");
	assert_int_equal(f->span.family, PROTO_FAMILY_HTTP);

	request(f, PLUMB_ROLE_CLIENT, "POST", "/stock", "a");
	add_str(&f->x, ATTR_RPC_SYSTEM_NAME, "soap");
	add_str(&f->x, ATTR_RPC_METHOD, "GetPrice");
	build(f);
	assert_slice(f->span.name, "GetPrice");
	assert_attr(f, ATTR_URL_FULL, "http://a/stock");
}

static void nothing_sensitive_passes(void **state)
{
	struct fixture *f = *state;

	/* A parser that hands over raw and unknown things: none of it comes out. */
	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_SERVER);
	for (int id = 0; id < ATTR_COUNT && f->x.nattrs < EXCHANGE_ATTRS_MAX; id++)
		if (attr_info[id].name[0] == '\0' && attr_info[id].type == ATTR_TYPE_STR && id != ATTR_RAW_HOST && id != ATTR_RAW_TARGET)
			add_str(&f->x, (enum attr_id)id, "hunter2hunter2");
	add_str(&f->x, ATTR_URL_QUERY, "hunter2hunter2");
	add_str(&f->x, ATTR_URL_FULL, "hunter2hunter2");
	add_str(&f->x, ATTR_DB_QUERY_TEXT, "hunter2hunter2");
	build(f);
	for (uint32_t i = 0; i < f->span.nattrs; i++)
		if (f->span.attrs[i].type == ATTR_TYPE_STR && f->span.attrs[i].id != ATTR_CLIENT_ADDRESS)
			assert_false(slice_eq(f->span.attrs[i].str, SLICE_LIT("hunter2hunter2")));
}

static void database_sql(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_POSTGRES, PLUMB_ROLE_CLIENT);
	add_str(&f->x, ATTR_RAW_STATEMENT, "SELECT name FROM users WHERE email = 'a@example.com' AND age > 41");
	add_str(&f->x, ATTR_DB_NAMESPACE, "shop");
	add_str(&f->x, ATTR_DB_RESPONSE_STATUS_CODE, "22P02");
	add_str(&f->x, ATTR_RAW_STATUS_MESSAGE, "invalid input syntax for type integer: \"4111 1111\" at 17; Key (email)=(a@b.c)");
	add_int(&f->x, ATTR_DB_RESPONSE_RETURNED_ROWS, 3);
	memcpy(f->x.error_type, "22P02", 6);
	build(f);
	assert_slice(f->span.name, "SELECT users");
	assert_attr(f, ATTR_DB_SYSTEM_NAME, "postgresql");
	assert_attr(f, ATTR_DB_QUERY_TEXT, "SELECT name FROM users WHERE email = ? AND age > ?");
	assert_attr(f, ATTR_DB_QUERY_SUMMARY, "SELECT users");
	assert_attr(f, ATTR_DB_OPERATION_NAME, "SELECT");
	assert_attr(f, ATTR_DB_COLLECTION_NAME, "users");
	assert_attr(f, ATTR_DB_NAMESPACE, "shop");
	assert_attr(f, ATTR_DB_RESPONSE_STATUS_CODE, "22P02");
	assert_attr(f, ATTR_ERROR_TYPE, "22P02");
	assert_attr(f, ATTR_SERVER_ADDRESS, "10.0.0.2");
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), 8080);
	assert_int_equal(int_of(f, ATTR_DB_RESPONSE_RETURNED_ROWS), 3);
	assert_int_equal(f->span.status, SPAN_STATUS_ERROR);
	assert_slice(f->span.status_message, "invalid input syntax for type integer: ? at ?; Key (email)=?");
}

/* PostgreSQL and MySQL do not escape what they quote: quote marks within a value must not bring the value's rest to light. */
static void quoted_values_cannot_break_out(void **state)
{
	static const struct {
		const char *message;
		const char *want;
	} cases[] = {
		{ "invalid input syntax for type integer: \"a\" canary \"b\"", "invalid input syntax for type integer: ?" },
		{ "Key (email)=(o)canary) already exists.", "Key (email)=? already exists." },
		{ "Key (a, b)=(1, x)=(canary), y) is not present in table \"t\".", "Key (a, b)=? is not present in table ?." },
		{ "Duplicate entry 'o' canary' for key 'users.email'", "Duplicate entry ?" },
		{ "near `a` canary ` can't 17", "near ? can't ?" },
		{ "unterminated quoted string at or near \"canary", "unterminated quoted string at or near ?" },
		{ "ends with \"", "ends with ?" },
		{ "ends with =(", "ends with =?" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(f, PLUMB_PROTO_POSTGRES, PLUMB_ROLE_CLIENT);
		add_str(&f->x, ATTR_RAW_STATUS_MESSAGE, cases[i].message);
		memcpy(f->x.error_type, "22P02", 6);
		build(f);
		assert_slice(f->span.status_message, cases[i].want);
	}
}

/* More different statements than the cache has slots, short and long, each twice in a row: never another one's text. */
static void statements_are_not_mixed_up(void **state)
{
	struct fixture *f = *state;
	char sql[900], want[900], name[32];

	for (int i = 0; i < 2 * 1009; i++) {
		int n = i / 2, pad = n % 3 ? 0 : 600;
		snprintf(sql, sizeof(sql), "SELECT %*s a FROM t%d WHERE b = '%d'", pad, "", n, n);
		snprintf(want, sizeof(want), "SELECT a FROM t%d WHERE b = ?", n);
		snprintf(name, sizeof(name), "SELECT t%d", n);
		begin(f, PLUMB_PROTO_POSTGRES, PLUMB_ROLE_CLIENT);
		add_str(&f->x, ATTR_RAW_STATEMENT, sql);
		build(f);
		assert_attr(f, ATTR_DB_QUERY_TEXT, want);
		assert_slice(f->span.name, name);
		assert_attr(f, ATTR_DB_COLLECTION_NAME, name + 7);
	}
}

static void database_names(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_REDIS, PLUMB_ROLE_SERVER);
	add_str(&f->x, ATTR_DB_OPERATION_NAME, "HSET");
	add_str(&f->x, ATTR_DB_NAMESPACE, "0");
	add_str(&f->x, ATTR_RAW_STATEMENT, "HSET k ? ?");
	build(f);
	assert_int_equal(f->span.kind, SPAN_SERVER);
	assert_slice(f->span.name, "HSET");
	assert_attr(f, ATTR_DB_QUERY_TEXT, "HSET k ? ?");
	assert_attr(f, ATTR_DB_SYSTEM_NAME, "redis");
	assert_attr(f, ATTR_NETWORK_PEER_ADDRESS, "10.0.0.1");
	assert_attr(f, ATTR_SERVER_ADDRESS, "10.0.0.2");

	begin(f, PLUMB_PROTO_POSTGRES, PLUMB_ROLE_CLIENT);
	build(f);
	assert_slice(f->span.name, "postgresql");
}

/* What a client may have invented is one name for aggregates, unless a server knew it. The span says what was sent. */
static void unknown_operations_are_one(void **state)
{
	static const struct {
		const char *name;
		int known;
		bool error, answered;
		const char *want;
	} rows[] = {
		{ "XYZZY42", 0, true, true, "_OTHER" },    { "XYZZY42", 0, false, false, "_OTHER" }, { "JSON.SET", 0, false, true, "" },
		{ "CLIENT XYZZY", 6, true, true, "CLIENT" }, { "CLIENT LIST", 6, false, true, "" },   { "HSET", -1, true, true, "" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(f, PLUMB_PROTO_REDIS, PLUMB_ROLE_SERVER);
		add_str(&f->x, ATTR_DB_OPERATION_NAME, rows[i].name);
		if (rows[i].known >= 0)
			add_int(&f->x, ATTR_RAW_OPERATION_KNOWN, rows[i].known);
		if (rows[i].error) {
			f->x.flags |= EXCHANGE_ERROR;
			memcpy(f->x.error_type, "ERR", 4);
		}
		if (!rows[i].answered)
			f->x.response = (struct exchange_side){ 0 };
		build(f);
		assert_attr(f, ATTR_DB_OPERATION_NAME, rows[i].name);
		assert_slice(f->span.operation, rows[i].want);
	}
}

static void grpc_call(struct fixture *f, uint8_t role, const char *path, const char *status)
{
	begin(f, PLUMB_PROTO_HTTP2, role);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "POST");
	add_str(&f->x, ATTR_RAW_TARGET, path);
	add_str(&f->x, ATTR_RAW_HOST, "shop.example:8080");
	add_str(&f->x, ATTR_URL_SCHEME, "http");
	add_str(&f->x, ATTR_NETWORK_PROTOCOL_VERSION, "2");
	add_str(&f->x, ATTR_RPC_SYSTEM_NAME, "grpc");
	add_int(&f->x, ATTR_RPC_TIMEOUT, 250000000);
	add_int(&f->x, ATTR_RPC_REQUEST_MESSAGES, 1);
	add_int(&f->x, ATTR_HTTP_RESPONSE_STATUS_CODE, status ? 200 : 503);
	if (!status)
		return;
	add_str(&f->x, ATTR_RPC_RESPONSE_STATUS_CODE, status);
	if (strcmp(status, "OK") != 0) {
		f->x.flags |= EXCHANGE_ERROR;
		snprintf(f->x.error_type, sizeof(f->x.error_type), "%s", status);
	}
}

static void grpc(void **state)
{
	struct fixture *f = *state;

	grpc_call(f, PLUMB_ROLE_SERVER, "/shop.Cart/Add", "OK");
	build(f);
	assert_slice(f->span.name, "shop.Cart/Add");
	assert_int_equal(f->span.kind, SPAN_SERVER);
	assert_int_equal(f->span.family, PROTO_FAMILY_RPC);
	assert_int_equal(f->span.status, SPAN_STATUS_UNSET);
	assert_attr(f, ATTR_RPC_SYSTEM_NAME, "grpc");
	assert_attr(f, ATTR_RPC_METHOD, "shop.Cart/Add");
	assert_attr(f, ATTR_RPC_RESPONSE_STATUS_CODE, "OK");
	assert_attr(f, ATTR_SERVER_ADDRESS, "shop.example");
	assert_attr(f, ATTR_NETWORK_PROTOCOL_NAME, "http");
	assert_attr(f, ATTR_NETWORK_PROTOCOL_VERSION, "2");
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), 8080);
	assert_int_equal(int_of(f, ATTR_RPC_TIMEOUT), 250000000);
	assert_int_equal(int_of(f, ATTR_RPC_REQUEST_MESSAGES), 1);
	assert_attr(f, ATTR_HTTP_REQUEST_METHOD, "");
	assert_attr(f, ATTR_URL_PATH, "");
}

/* Of a protocol of its own: the method that the server does not know is no name. */
static void thrift(void **state)
{
	struct fixture *f = *state;

	for (int unknown = 0; unknown < 2; unknown++) {
		begin(f, PLUMB_PROTO_THRIFT, PLUMB_ROLE_SERVER);
		add_str(&f->x, ATTR_RPC_SYSTEM_NAME, "thrift");
		add_str(&f->x, ATTR_RPC_METHOD, "Shop/buy");
		if (unknown)
			memcpy(f->x.error_type, "UNKNOWN_METHOD", sizeof("UNKNOWN_METHOD"));
		build(f);
		assert_int_equal(f->span.family, PROTO_FAMILY_RPC);
		assert_slice(f->span.name, unknown ? "thrift" : "Shop/buy");
		assert_attr(f, ATTR_RPC_METHOD, unknown ? "_OTHER" : "Shop/buy");
		assert_attr(f, ATTR_RPC_METHOD_ORIGINAL, unknown ? "Shop/buy" : "");
		assert_attr(f, ATTR_ERROR_TYPE, unknown ? "UNKNOWN_METHOD" : "");
	}
}

/* Its errors are those of both ends. */
static void brpc(void **state)
{
	struct fixture *f = *state;

	for (int unknown = 0; unknown < 2; unknown++) {
		const char *error = unknown ? "ENOMETHOD" : "ERPCAUTH";
		begin(f, PLUMB_PROTO_BRPC, PLUMB_ROLE_SERVER);
		add_str(&f->x, ATTR_RPC_SYSTEM_NAME, "brpc");
		add_str(&f->x, ATTR_RPC_METHOD, "shop.Basket/Add");
		add_str(&f->x, ATTR_RPC_RESPONSE_STATUS_CODE, error);
		memcpy(f->x.error_type, error, strlen(error) + 1);
		build(f);
		assert_slice(f->span.name, unknown ? "brpc" : "shop.Basket/Add");
		assert_attr(f, ATTR_RPC_METHOD, unknown ? "_OTHER" : "shop.Basket/Add");
		assert_attr(f, ATTR_RPC_METHOD_ORIGINAL, unknown ? "shop.Basket/Add" : "");
		assert_attr(f, ATTR_RPC_RESPONSE_STATUS_CODE, error);
		assert_attr(f, ATTR_ERROR_TYPE, error);
	}
}

/* Which statuses are the server's failures; behind two of them the method need not be one. */
static void dubbo(void **state)
{
	static const struct { const char *status; bool servers, known; } cases[] = {
		{ "SERVICE_ERROR", true, true }, { "SERVER_TIMEOUT", true, true }, { "SERVER_THREADPOOL_EXHAUSTED_ERROR", true, true }, { "SERVER_ERROR", true, true },
		{ "BAD_RESPONSE", false, true }, { "BAD_REQUEST", false, false }, { "SERVICE_NOT_FOUND", false, false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int server = 0; server < 2; server++) {
			begin(f, PLUMB_PROTO_DUBBO, server ? PLUMB_ROLE_SERVER : PLUMB_ROLE_CLIENT);
			add_str(&f->x, ATTR_RPC_SYSTEM_NAME, "dubbo");
			add_str(&f->x, ATTR_RPC_METHOD, "shop.Shop/buy");
			add_str(&f->x, ATTR_RPC_SERVICE_VERSION, "1.7.0");
			add_str(&f->x, ATTR_RPC_RESPONSE_STATUS_CODE, cases[i].status);
			memcpy(f->x.error_type, cases[i].status, strlen(cases[i].status) + 1);
			build(f);
			assert_slice(f->span.name, cases[i].known ? "shop.Shop/buy" : "dubbo");
			assert_attr(f, ATTR_RPC_METHOD, cases[i].known ? "shop.Shop/buy" : "_OTHER");
			assert_attr(f, ATTR_RPC_SERVICE_VERSION, "1.7.0");
			assert_attr(f, ATTR_RPC_RESPONSE_STATUS_CODE, cases[i].status);
			assert_attr(f, ATTR_ERROR_TYPE, !server || cases[i].servers ? cases[i].status : "");
		}
}

/* The client's fault is none of the server; a method that nobody knows is no name. */
static void grpc_errors(void **state)
{
	static const struct { const char *path, *status, *name, *method, *original, *client, *server; } cases[] = {
		{ "/shop.Cart/Add", "NOT_FOUND", "shop.Cart/Add", "shop.Cart/Add", "", "NOT_FOUND", "" },
		{ "/shop.Cart/Add", "CANCELLED", "shop.Cart/Add", "shop.Cart/Add", "", "CANCELLED", "" },
		{ "/shop.Cart/Add", "INTERNAL", "shop.Cart/Add", "shop.Cart/Add", "", "INTERNAL", "INTERNAL" },
		{ "/shop.Cart/Add", "DEADLINE_EXCEEDED", "shop.Cart/Add", "shop.Cart/Add", "", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED" },
		{ "/shop.Cart/Hack", "UNIMPLEMENTED", "grpc", "_OTHER", "shop.Cart/Hack", "UNIMPLEMENTED", "UNIMPLEMENTED" },
		{ "/card/4711/pin?x=secret", "OK", "grpc", "_OTHER", "", "", "" },
		{ "/shop.Cart/Add", NULL, "shop.Cart/Add", "shop.Cart/Add", "", "503", "503" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (int server = 0; server < 2; server++) {
			const char *error = server ? cases[i].server : cases[i].client;
			grpc_call(f, server ? PLUMB_ROLE_SERVER : PLUMB_ROLE_CLIENT, cases[i].path, cases[i].status);
			build(f);
			assert_slice(f->span.name, cases[i].name);
			assert_attr(f, ATTR_RPC_METHOD, cases[i].method);
			assert_attr(f, ATTR_RPC_METHOD_ORIGINAL, cases[i].original);
			assert_attr(f, ATTR_ERROR_TYPE, error);
			assert_int_equal(f->span.status, error[0] ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET);
		}
}

static void http2_odd_requests(void **state)
{
	struct fixture *f = *state;

	/* RFC 8441: a way to another protocol, with a path. */
	begin(f, PLUMB_PROTO_HTTP2, PLUMB_ROLE_CLIENT);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "CONNECT");
	add_str(&f->x, ATTR_RAW_TARGET, "/chat");
	add_str(&f->x, ATTR_RAW_HOST, "shop");
	add_str(&f->x, ATTR_URL_SCHEME, "https");
	build(f);
	assert_attr(f, ATTR_URL_FULL, "https://shop/chat");
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), 443);
	/* Joined in the middle. */
	begin(f, PLUMB_PROTO_HTTP2, PLUMB_ROLE_CLIENT);
	add_str(&f->x, ATTR_URL_SCHEME, "http");
	add_str(&f->x, ATTR_PLUMB_INCOMPLETE, "headers_unknown");
	build(f);
	assert_attr(f, ATTR_HTTP_REQUEST_METHOD, "_OTHER");
	assert_attr(f, ATTR_URL_FULL, "");
	assert_attr(f, ATTR_PLUMB_INCOMPLETE, "headers_unknown");
}

static void dns(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_DNS, PLUMB_ROLE_CLIENT);
	f->x.ends.type = SOCK_DGRAM;
	add_str(&f->x, ATTR_DNS_QUESTION_NAME, "db.example");
	add_str(&f->x, ATTR_DNS_QUESTION_TYPE, "AAAA");
	memcpy(f->x.error_type, "NXDOMAIN", 9);
	build(f);
	assert_slice(f->span.name, "DNS AAAA");
	assert_attr(f, ATTR_DNS_QUESTION_NAME, "db.example");
	assert_attr(f, ATTR_NETWORK_TRANSPORT, "udp");
	assert_attr(f, ATTR_ERROR_TYPE, "NXDOMAIN");
}

/* What a broker's two ends and its clients' are called, and whose address server.address is: role is that of this end, and who asks has CLIENT. */
static void messaging(void **state)
{
	static const struct {
		const char *operation, *type, *said;
		uint8_t role;
		bool reversed;
		enum span_kind kind;
	} cases[] = {
		{ "publish", "send", "send", PLUMB_ROLE_CLIENT, false, SPAN_PRODUCER }, { "publish", "send", "send", PLUMB_ROLE_SERVER, false, SPAN_SERVER },
		{ "deliver", "process", "process", PLUMB_ROLE_SERVER, true, SPAN_CONSUMER }, { "deliver", "process", "send", PLUMB_ROLE_CLIENT, true, SPAN_PRODUCER },
		{ "ack", "settle", "settle", PLUMB_ROLE_CLIENT, false, SPAN_CLIENT }, { "ack", "settle", "settle", PLUMB_ROLE_SERVER, false, SPAN_SERVER },
		{ "subscribe", "", "", PLUMB_ROLE_CLIENT, false, SPAN_CLIENT }, { "disconnect", "", "", PLUMB_ROLE_CLIENT, true, SPAN_CLIENT },
		{ "disconnect", "", "", PLUMB_ROLE_SERVER, true, SPAN_SERVER }, /* asked by the broker, and no message */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(f, PLUMB_PROTO_NATS, cases[i].role);
		if (cases[i].reversed) {
			struct endpoint local = f->x.ends.local;
			f->x.ends.local = f->x.ends.remote;
			f->x.ends.remote = local;
			f->x.flags |= EXCHANGE_REVERSED;
		}
		add_str(&f->x, ATTR_MESSAGING_OPERATION_NAME, cases[i].operation);
		add_str(&f->x, ATTR_MESSAGING_OPERATION_TYPE, cases[i].type);
		add_str(&f->x, ATTR_MESSAGING_DESTINATION_NAME, "orders");
		add_int(&f->x, ATTR_MESSAGING_MESSAGE_BODY_SIZE, 7);
		build(f);
		bool server_end = (cases[i].role == PLUMB_ROLE_SERVER) != cases[i].reversed;
		char name[32];
		snprintf(name, sizeof(name), "%s orders", cases[i].operation);
		assert_slice(f->span.name, name);
		assert_int_equal(f->span.kind, cases[i].kind);
		assert_int_equal(f->span.server_end, server_end);
		assert_attr(f, ATTR_MESSAGING_SYSTEM, "nats");
		assert_attr(f, ATTR_MESSAGING_OPERATION_NAME, cases[i].operation);
		assert_attr(f, ATTR_MESSAGING_OPERATION_TYPE, cases[i].said);
		assert_attr(f, ATTR_MESSAGING_DESTINATION_NAME, "orders");
		assert_int_equal(int_of(f, ATTR_MESSAGING_MESSAGE_BODY_SIZE), 7);
		assert_attr(f, ATTR_SERVER_ADDRESS, "10.0.0.2");
		assert_int_equal(int_of(f, ATTR_SERVER_PORT), 8080);
		assert_attr(f, ATTR_NETWORK_PEER_ADDRESS, server_end ? "10.0.0.1" : "10.0.0.2");
	}
}

static void messaging_templates(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_NATS, PLUMB_ROLE_CLIENT);
	add_str(&f->x, ATTR_MESSAGING_OPERATION_NAME, "publish");
	add_str(&f->x, ATTR_MESSAGING_DESTINATION_NAME, "_INBOX.a1b2");
	add_str(&f->x, ATTR_MESSAGING_DESTINATION_TEMPLATE, "_INBOX.>");
	f->x.attrs[f->x.nattrs++] = (struct attr){ .id = ATTR_MESSAGING_DESTINATION_TEMPORARY, .type = ATTR_TYPE_BOOL, .num = 1 };
	snprintf(f->x.error_type, sizeof(f->x.error_type), "no_responders");
	build(f);
	assert_slice(f->span.name, "publish _INBOX.>");
	assert_attr(f, ATTR_MESSAGING_DESTINATION_TEMPLATE, "_INBOX.>");
	assert_int_equal(int_of(f, ATTR_MESSAGING_DESTINATION_TEMPORARY), 1);
	assert_attr(f, ATTR_ERROR_TYPE, "no_responders");
	assert_int_equal(f->span.status, SPAN_STATUS_ERROR);
}

/* What is published to a broker, and what it delivers: who asks, and who is the server, are two things. */
static void messages(void **state)
{
	static const struct {
		bool broker, delivered;
		const char *operation, *type, *want_type;
		enum span_kind kind;
	} rows[] = {
		{ false, false, "publish", "send", "send", SPAN_PRODUCER },    { true, false, "publish", "send", "send", SPAN_SERVER },
		{ false, true, "deliver", "process", "process", SPAN_CONSUMER }, { true, true, "deliver", "process", "send", SPAN_PRODUCER },
		{ false, false, "get", "receive", "receive", SPAN_CLIENT },    { true, false, "get", "receive", "receive", SPAN_SERVER },
		{ false, true, "connection.start", NULL, "", SPAN_SERVER },    { true, true, "connection.start", NULL, "", SPAN_CLIENT },
	};
	struct fixture *f = *state;
	char name[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool asks = rows[i].broker == rows[i].delivered;
		begin(f, PLUMB_PROTO_AMQP, rows[i].broker ? PLUMB_ROLE_SERVER : PLUMB_ROLE_CLIENT);
		f->x.role = asks ? PLUMB_ROLE_CLIENT : PLUMB_ROLE_SERVER;
		f->x.flags = rows[i].delivered ? EXCHANGE_REVERSED : 0;
		add_str(&f->x, ATTR_MESSAGING_SYSTEM, "rabbitmq");
		add_str(&f->x, ATTR_MESSAGING_OPERATION_NAME, rows[i].operation);
		if (rows[i].type)
			add_str(&f->x, ATTR_MESSAGING_OPERATION_TYPE, rows[i].type);
		add_str(&f->x, ATTR_MESSAGING_DESTINATION_NAME, "ex:key:q");
		add_str(&f->x, ATTR_MESSAGING_RABBITMQ_ROUTING_KEY, "key");
		add_int(&f->x, ATTR_MESSAGING_RABBITMQ_DELIVERY_TAG, 7);
		build(f);
		assert_int_equal(f->span.kind, rows[i].kind);
		snprintf(name, sizeof(name), "%s ex:key:q", rows[i].operation);
		assert_slice(f->span.name, name);
		assert_attr(f, ATTR_MESSAGING_OPERATION_TYPE, rows[i].want_type);
		assert_attr(f, ATTR_MESSAGING_RABBITMQ_ROUTING_KEY, "key");
		assert_int_equal(int_of(f, ATTR_MESSAGING_RABBITMQ_DELIVERY_TAG), 7);
		assert_attr(f, ATTR_SERVER_ADDRESS, "10.0.0.2");
		assert_int_equal(int_of(f, ATTR_SERVER_PORT), 8080);
		assert_attr(f, ATTR_NETWORK_PEER_ADDRESS, rows[i].broker ? "10.0.0.1" : "10.0.0.2");
	}
}

/* What Kafka's parser gives of a request that sends, one that fetches and one that commits. */
static void kafka(struct fixture *f, uint8_t role, const char *operation, const char *type)
{
	begin(f, PLUMB_PROTO_KAFKA, role);
	add_str(&f->x, ATTR_MESSAGING_OPERATION_NAME, operation);
	if (type)
		add_str(&f->x, ATTR_MESSAGING_OPERATION_TYPE, type);
	add_str(&f->x, ATTR_MESSAGING_CLIENT_ID, "shop");
	add_str(&f->x, ATTR_MESSAGING_DESTINATION_NAME, "orders");
	add_str(&f->x, ATTR_MESSAGING_DESTINATION_PARTITION_ID, "3");
	add_int(&f->x, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, 7);
	build(f);
	assert_attr(f, ATTR_MESSAGING_SYSTEM, "kafka");
	assert_attr(f, ATTR_MESSAGING_OPERATION_NAME, operation);
	assert_attr(f, ATTR_MESSAGING_CLIENT_ID, "shop");
	assert_attr(f, ATTR_MESSAGING_DESTINATION_NAME, "orders");
	assert_attr(f, ATTR_MESSAGING_DESTINATION_PARTITION_ID, "3");
	assert_int_equal(int_of(f, ATTR_MESSAGING_BATCH_MESSAGE_COUNT), 7);
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), 8080);
}

static void messaging_kafka(void **state)
{
	struct fixture *f = *state;

	kafka(f, PLUMB_ROLE_CLIENT, "send", "send");
	assert_int_equal(f->span.kind, SPAN_PRODUCER);
	assert_slice(f->span.name, "send orders");
	assert_attr(f, ATTR_MESSAGING_OPERATION_TYPE, "send");
	kafka(f, PLUMB_ROLE_SERVER, "send", "send");
	assert_int_equal(f->span.kind, SPAN_SERVER);
	kafka(f, PLUMB_ROLE_CLIENT, "poll", "receive");
	assert_int_equal(f->span.kind, SPAN_CLIENT);
	assert_slice(f->span.name, "poll orders");
	kafka(f, PLUMB_ROLE_CLIENT, "join_group", NULL);
	assert_int_equal(f->span.kind, SPAN_CLIENT);
	assert_slice(str_of(f, ATTR_MESSAGING_OPERATION_TYPE), "");
}

/* The code and the name of an error, and whose trace the one message is of. */
static void messaging_errors(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_KAFKA, PLUMB_ROLE_CLIENT);
	add_str(&f->x, ATTR_MESSAGING_OPERATION_NAME, "send");
	add_str(&f->x, ATTR_MESSAGING_OPERATION_TYPE, "send");
	add_str(&f->x, ATTR_MESSAGING_RESPONSE_CODE, "6");
	f->x.flags |= EXCHANGE_ERROR;
	memcpy(f->x.error_type, "NOT_LEADER_OR_FOLLOWER", sizeof("NOT_LEADER_OR_FOLLOWER"));
	build(f);
	assert_int_equal(f->span.status, SPAN_STATUS_ERROR);
	assert_attr(f, ATTR_ERROR_TYPE, "NOT_LEADER_OR_FOLLOWER");
	assert_attr(f, ATTR_MESSAGING_RESPONSE_CODE, "6");
	assert_slice(f->span.name, "send");
}

static void dialogues(void **state)
{
	static const struct { const char *mailbox, *want; } rows[] = {
		{ "Smith@bar.com", "?@bar.com" }, { "postmaster", "?" }, { "\"a@b c\"@bar.com", "?@bar.com" }, { "@a,@b:joe@d", "?@d" }, { "joe@", "?@" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(f, PLUMB_PROTO_SMTP, PLUMB_ROLE_CLIENT);
		add_str(&f->x, ATTR_SMTP_COMMAND, "RCPT");
		add_str(&f->x, ATTR_RAW_TARGET, rows[i].mailbox);
		add_int(&f->x, ATTR_SMTP_RESPONSE_STATUS_CODE, 550);
		add_str(&f->x, ATTR_RAW_STATUS_MESSAGE, "<Smith@bar.com>: no such user");
		memcpy(f->x.error_type, "550", sizeof("550"));
		f->x.flags |= EXCHANGE_ERROR;
		build(f);
		assert_slice(f->span.name, "RCPT");
		assert_int_equal(f->span.kind, SPAN_CLIENT);
		assert_attr(f, ATTR_SMTP_MAILBOX, rows[i].want);
		assert_attr(f, ATTR_ERROR_TYPE, "550");
		assert_attr(f, ATTR_NETWORK_PROTOCOL_NAME, "smtp");
		assert_attr(f, ATTR_SERVER_ADDRESS, "10.0.0.2");
		assert_int_equal(int_of(f, ATTR_SMTP_RESPONSE_STATUS_CODE), 550);
		assert_int_equal(f->span.status_message.len, 0);
	}
	begin(f, PLUMB_PROTO_FTP, PLUMB_ROLE_SERVER);
	add_str(&f->x, ATTR_FTP_COMMAND, "RETR");
	add_str(&f->x, ATTR_RAW_TARGET, "in/a.txt?token=secret");
	build(f);
	assert_slice(f->span.name, "RETR");
	assert_attr(f, ATTR_FILE_PATH, "in/a.txt?REDACTED");
	assert_attr(f, ATTR_SMTP_MAILBOX, "");
	assert_attr(f, ATTR_ERROR_TYPE, "");
	assert_int_equal(f->span.status, SPAN_STATUS_UNSET);
	begin(f, PLUMB_PROTO_FTP, PLUMB_ROLE_SERVER);
	build(f);
	assert_slice(f->span.name, "ftp");
}

static void addresses(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_REDIS, PLUMB_ROLE_CLIENT);
	f->x.ends.family = AF_INET6;
	f->x.ends.remote = (struct endpoint){ { [10] = 0xff, 0xff, 192, 0, 2, 255 }, 6379 };
	build(f);
	assert_attr(f, ATTR_NETWORK_PEER_ADDRESS, "192.0.2.255");
	f->x.ends.remote = (struct endpoint){ { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 6379 };
	build(f);
	assert_attr(f, ATTR_NETWORK_PEER_ADDRESS, "2001:db8::1");
	f->x.ends.family = AF_UNIX;
	memcpy(f->x.ends.path, "/run/redis.sock", 16);
	build(f);
	assert_attr(f, ATTR_NETWORK_PEER_ADDRESS, "/run/redis.sock");
	assert_attr(f, ATTR_SERVER_ADDRESS, "/run/redis.sock");
	assert_attr(f, ATTR_NETWORK_TRANSPORT, "unix");
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), -1);

	/* What the parser could not tell is told. */
	begin(f, PLUMB_PROTO_POSTGRES, PLUMB_ROLE_CLIENT);
	add_str(&f->x, ATTR_PLUMB_INCOMPLETE, "statement_not_seen");
	f->x.flags |= EXCHANGE_HOLE;
	build(f);
	assert_attr(f, ATTR_PLUMB_INCOMPLETE, "statement_not_seen");

	/* HTTP's own port is nobody's there; what Host says is kept. */
	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_CLIENT);
	f->x.ends.family = AF_UNIX;
	memcpy(f->x.ends.path, "/run/docker.sock", 17);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "GET");
	add_str(&f->x, ATTR_RAW_TARGET, "/v1/info");
	add_str(&f->x, ATTR_RAW_HOST, "docker");
	build(f);
	assert_attr(f, ATTR_SERVER_ADDRESS, "docker");
	assert_int_equal(int_of(f, ATTR_SERVER_PORT), -1);
}

static void huge_text_is_cut_and_counted(void **state)
{
	static char target[40000];
	struct fixture *f = *state;
	struct span_counts before, after;

	span_builder_counts(f->builder, &before);
	memset(target, 'a', sizeof(target) - 1);
	memcpy(target, "/p?x=", 5);
	for (size_t i = 100; i < sizeof(target) - 1; i += 100)
		target[i] = '&';
	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_SERVER);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "GET");
	add_str(&f->x, ATTR_RAW_TARGET, target);
	f->x.ends.local = f->x.ends.remote;
	build(f);
	span_builder_counts(f->builder, &after);
	assert_int_equal(after.built, before.built + 1);
	assert_int_equal(after.text_cut, before.text_cut);
	memset(target + 5, '&', sizeof(target) - 6);
	build(f);
	span_builder_counts(f->builder, &after);
	assert_int_equal(after.text_cut, before.text_cut + 1);
}

static void forwarded_addresses_only(void **state)
{
	static const struct {
		const char *header, *client;
	} cases[] = {
		{ "2001:db8::1", "2001:db8::1" },
		{ "[2001:db8::1]:443, 10.0.0.9", "2001:db8::1" },
		{ "192.0.2.1", "192.0.2.1" },
		{ "unknown", "10.0.0.1" },
		{ "_hidden", "10.0.0.1" },
		{ "pg07secret", "10.0.0.1" },
		{ "192.0.2.1.5", "10.0.0.1" },
		{ "", "10.0.0.1" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_SERVER);
		add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "GET");
		add_str(&f->x, ATTR_RAW_TARGET, "/");
		add_str(&f->x, ATTR_RAW_FORWARDED_FOR, cases[i].header);
		build(f);
		assert_attr(f, ATTR_CLIENT_ADDRESS, cases[i].client);
	}
}

static void routes_hold_no_secret(void **state)
{
	struct fixture *f = *state;

	begin(f, PLUMB_PROTO_HTTP1, PLUMB_ROLE_SERVER);
	add_str(&f->x, ATTR_HTTP_REQUEST_METHOD, "GET");
	add_str(&f->x, ATTR_RAW_TARGET, "/go/https://u:secret@h/x&key=value");
	build(f);
	assert_attr(f, ATTR_URL_PATH, "/go/https://REDACTED@h/x&REDACTED");
	assert_attr(f, ATTR_HTTP_ROUTE, "/go/https://REDACTED@h/x&REDACTED");
	assert_slice(f->span.name, "GET /go/https://REDACTED@h/x&REDACTED");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_server),
		cmocka_unit_test(http_client),
		cmocka_unit_test(http_status_is_an_error_by_kind),
		cmocka_unit_test(http_odd_requests),
		cmocka_unit_test(aws_calls),
		cmocka_unit_test(search_endpoints),
		cmocka_unit_test(calls_inside_http),
		cmocka_unit_test(nothing_sensitive_passes),
		cmocka_unit_test(database_sql),
		cmocka_unit_test(statements_are_not_mixed_up),
		cmocka_unit_test(quoted_values_cannot_break_out),
		cmocka_unit_test(database_names),
		cmocka_unit_test(unknown_operations_are_one),
		cmocka_unit_test(fastcgi_server), cmocka_unit_test(grpc), cmocka_unit_test(thrift), cmocka_unit_test(brpc), cmocka_unit_test(dubbo),
		cmocka_unit_test(grpc_errors),
		cmocka_unit_test(http2_odd_requests),
		cmocka_unit_test(dns),
		cmocka_unit_test(messaging),
		cmocka_unit_test(messaging_templates),
		cmocka_unit_test(messages),
		cmocka_unit_test(messaging_kafka),
		cmocka_unit_test(messaging_errors),
		cmocka_unit_test(dialogues),
		cmocka_unit_test(addresses),
		cmocka_unit_test(huge_text_is_cut_and_counted),
		cmocka_unit_test(forwarded_addresses_only),
		cmocka_unit_test(routes_hold_no_secret),
	};
	return cmocka_run_group_tests_name("semconv", tests, setup, teardown);
}
