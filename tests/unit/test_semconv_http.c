/* SPDX-License-Identifier: Apache-2.0 */
/* span/builder and span/semconv of HTTP, FastCGI and what calls through HTTP: AWS, search engines, JSON-RPC, GraphQL, SOAP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "unit/semconv_fixture.h"

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
		cmocka_unit_test(fastcgi_server),
		cmocka_unit_test(http2_odd_requests),
		cmocka_unit_test(forwarded_addresses_only),
		cmocka_unit_test(routes_hold_no_secret),
	};
	return cmocka_run_group_tests_name("semconv_http", tests, setup, teardown);
}
