/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is spoken inside HTTP, as far as heads tell it: shared by http1.c and http2.c, which know nothing else of it. What bodies tell is http_content.h.
 */
#ifndef PLUMB_PROTO_HTTP_APP_H
#define PLUMB_PROTO_HTTP_APP_H

#include "model/message.h"

/* What a request turned out to be, and how its response is read. */
enum http_app {
	HTTP_APP_NONE,
	HTTP_APP_JSONRPC,
	HTTP_APP_MCP,     /* JSON-RPC of the Model Context Protocol */
	HTTP_APP_GRAPHQL,
	HTTP_APP_SEARCH,  /* a path as Elasticsearch and OpenSearch have them: the response says whether it is one of them */
	HTTP_APP_AWS,     /* an API of AWS in JSON */
	HTTP_APP_COUNT
};

enum http_type { HTTP_TYPE_OTHER, HTTP_TYPE_JSON, HTTP_TYPE_EVENTS, HTTP_TYPE_GRAPHQL, HTTP_TYPE_FORM, HTTP_TYPE_XML, HTTP_TYPE_GRPC_WEB, HTTP_TYPE_GRPC_WEB_TEXT };
enum http_coding { HTTP_CODING_NONE, HTTP_CODING_ZLIB, HTTP_CODING_OTHER };

#define HTTP_SIGN_POST 1u
#define HTTP_SIGN_MCP 2u     /* a header of MCP */
#define HTTP_SIGN_SEARCH 4u  /* a path with a name that begins with _ */
#define HTTP_SIGN_GRAPHQL 8u /* a path that has the word in it */
#define HTTP_SIGN_AWS 16u    /* signed as AWS wants it */
#define HTTP_SIGN_TARGET 32u /* X-Amz-Target */
#define HTTP_SIGN_ELASTIC 64u /* the response names the product */

/* What the head of a message says of its content; zero at its start. */
struct http_head {
	uint8_t type, coding; /* enum http_type, enum http_coding */
	uint8_t signs;
	uint8_t grpc; /* 1 + grpc-status, of gRPC-Web; 0 = none */
};

/* The request line's part of it. */
void http_app_target(struct http_head *h, struct slice method, struct slice target);
enum { HTTP_APP_ATTRS = 2 };

struct http_app_attr {
	uint16_t id;
	struct slice value;
};

/* grpc-status of a head or a body to attributes and error. code: 1 + the status. */
void http_app_grpc(unsigned code, struct message *m);
/* The head is over: what else it says. */
void http_app_head(const struct http_head *h, bool request, struct message *m);
/* Fields that say something of the content. */
enum http_field { HTTP_FIELD_OTHER, HTTP_FIELD_TYPE, HTTP_FIELD_CODING, HTTP_FIELD_MCP, HTTP_FIELD_AUTHORIZATION, HTTP_FIELD_TARGET, HTTP_FIELD_REQUEST_ID, HTTP_FIELD_EXTENDED_ID,
	HTTP_FIELD_COPY_SOURCE, HTTP_FIELD_ELASTIC, HTTP_FIELD_SOAP, HTTP_FIELD_GRPC_STATUS };

/* By the name, in any case. */
enum http_field http_app_name(struct slice name);
/* The value of a field, without blanks around it. Returns how many attributes it gives, as views into the value. */
size_t http_app_field(struct http_head *h, enum http_field field, struct slice value, struct http_app_attr ret_attrs[HTTP_APP_ATTRS]);

#endif
