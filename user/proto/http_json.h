/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON bodies of what is spoken inside HTTP: JSON-RPC 2.0 (jsonrpc.org/specification) and with it MCP (modelcontextprotocol.io), GraphQL over HTTP
 * (graphql.github.io/graphql-over-http), the responses of Elasticsearch and OpenSearch, and AWS's JSON protocols. Of a body only names, numbers of
 * elements and codes of errors are kept.
 */
#ifndef PLUMB_PROTO_HTTP_JSON_H
#define PLUMB_PROTO_HTTP_JSON_H

#include "lib/json_read.h"
#include "proto/graphql.h"
#include "proto/http_app.h"
#include "proto/http_text.h"

struct http_json {
	struct json_read read;
	uint8_t app;      /* enum http_app; of a request what it may be (AWS) */
	uint8_t signs;    /* HTTP_SIGN_* of the request's head */
	bool response;
	bool version_ok;  /* of the call under way: it says that it is JSON-RPC */
	bool has_method, has_error, has_result;
	bool mixed;       /* the calls of a batch have different methods */
	bool has_errors;  /* GraphQL's */
	bool tool_error;
	uint16_t search;  /* members that such a response has, one bit each */
	uint32_t calls, failed, elements;
	uint8_t same;     /* bytes of the method that are those of the first call */
	struct http_text version, method, id, target, protocol, code, operation;
	struct graphql graphql;
};

void http_json_request(struct http_json *j, const struct http_head *h);
/* app: of the request. */
void http_json_response(struct http_json *j, enum http_app app);
void http_json_feed(struct http_json *j, struct slice in);
/* Another text of the same response begins (an event's data). */
void http_json_next(struct http_json *j);
/* The body is over, or as much of it as is looked at: what it tells. Returns what the request is. */
enum http_app http_json_end(struct http_json *j, struct message *m);

#endif
