/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http_json.h"

/* Nodes of a request. */
enum { ROOT, VERSION, METHOD, ID, PARAMS, NAME, PROTOCOL, QUERY, OPERATION, QUEUE, ENTRIES, ENTRY, REQUEST_NODES };

static const struct json_wanted request_nodes[] = {
	{ ROOT, "jsonrpc" }, { ROOT, "method" }, { ROOT, "id" }, { ROOT, "params" }, { PARAMS, "name" }, { PARAMS, "protocolVersion" },
	{ ROOT, "query" }, { ROOT, "operationName" }, { ROOT, "QueueUrl" }, { ROOT, "Entries" }, { ENTRIES, "*" },
};

/* Nodes of a response. */
enum { R_VERSION = 1, R_ERROR, R_CODE, R_RESULT, R_TOOL_ERROR, R_PROTOCOL, R_ERRORS, R_ERRORS_ITEM, R_EXTENSIONS, R_EXTENSION_CODE, R_MESSAGES, R_MESSAGE,
	R_SEARCH_FIRST, R_TOOK = R_SEARCH_FIRST, R_COUNT, R_SHARDS, R_INDEX, R_ID, R_ITEMS, R_CLUSTER, R_NODES, R_NODE_COUNT, R_STATUS, R_CAUSE, RESPONSE_NODES };

static const struct json_wanted response_nodes[] = {
	{ ROOT, "jsonrpc" }, { ROOT, "error" }, { R_ERROR, "code" }, { ROOT, "result" }, { R_RESULT, "isError" }, { R_RESULT, "protocolVersion" },
	{ ROOT, "errors" }, { R_ERRORS, "*" }, { R_ERRORS_ITEM, "extensions" }, { R_EXTENSIONS, "code" }, { ROOT, "Messages" }, { R_MESSAGES, "*" },
	{ ROOT, "took" }, { ROOT, "count" }, { ROOT, "_shards" }, { ROOT, "_index" }, { ROOT, "_id" }, { ROOT, "items" }, { ROOT, "cluster_name" }, { ROOT, "_nodes" },
	{ ROOT, "number_of_nodes" }, { ROOT, "status" }, { R_ERROR, "root_cause" },
};

/* What kind each of Elasticsearch's members is. */
static const uint8_t search_kinds[] = { JSON_NUMBER, JSON_NUMBER, JSON_OBJECT, JSON_STRING, JSON_STRING, JSON_ARRAY, JSON_STRING, JSON_OBJECT, JSON_NUMBER, JSON_NUMBER, JSON_ARRAY };
_Static_assert(sizeof(search_kinds) == RESPONSE_NODES - R_SEARCH_FIRST, "members of search");

_Static_assert(sizeof(request_nodes) / sizeof(request_nodes[0]) == REQUEST_NODES - 1, "nodes of requests");
_Static_assert(sizeof(response_nodes) / sizeof(response_nodes[0]) == RESPONSE_NODES - 1, "nodes of responses");

/* The first value of a name counts. */
static void add_first(struct http_json *j, struct http_text *t, struct slice s)
{
	if (j->calls == 0)
		http_text_add(t, s);
}

static void add_method(struct http_json *j, struct slice s, bool last)
{
	if (j->calls == 0) {
		http_text_add(&j->method, s);
		return;
	}
	struct slice first = http_text_view(&j->method), rest = slice_from(first, j->same);
	struct slice here = slice_head(s, HTTP_TEXT_MAX - j->same);
	j->mixed |= !slice_starts(rest, here) || (last && j->same + here.len != first.len);
	j->same = (uint8_t)(j->same + here.len);
}

static void end_call(struct http_json *j)
{
	if (j->version_ok && j->has_method && j->calls < UINT32_MAX)
		j->calls++;
	j->version_ok = j->has_method = false;
	j->same = 0;
}

static void in_request(void *ctx, uint8_t node, enum json_kind kind, struct slice text, bool last)
{
	struct http_json *j = ctx;
	bool string = kind == JSON_STRING;

	switch (node) {
	case ROOT:
		if (last && kind == JSON_OBJECT)
			end_call(j);
		break;
	case VERSION:
		add_first(j, &j->version, text);
		j->version_ok = string;
		break;
	case METHOD:
		j->has_method = string;
		if (string)
			add_method(j, text, last);
		break;
	case ID:
		if (string || kind == JSON_NUMBER)
			add_first(j, &j->id, text);
		break;
	case NAME:
		if (string && j->app != HTTP_APP_AWS)
			add_first(j, &j->target, text);
		break;
	case PROTOCOL:
		if (string)
			add_first(j, &j->protocol, text);
		break;
	case QUERY:
		if (string)
			graphql_feed(&j->graphql, text);
		else
			j->graphql.broken = true;
		break;
	case OPERATION:
		if (string)
			http_text_add(&j->operation, text);
		break;
	case QUEUE:
		if (string && j->app == HTTP_APP_AWS)
			http_text_add(&j->target, text);
		break;
	case ENTRY: j->elements += last; break;
	default: break;
	}
}

static void end_answer(struct http_json *j)
{
	if (j->version_ok && (j->has_error || j->has_result)) {
		j->calls += j->calls < UINT32_MAX;
		j->failed += j->has_error;
	}
	j->version_ok = j->has_error = j->has_result = false;
}

static void in_response(void *ctx, uint8_t node, enum json_kind kind, struct slice text, bool last)
{
	struct http_json *j = ctx;
	bool number = kind == JSON_NUMBER, string = kind == JSON_STRING;

	switch (node) {
	case ROOT:
		if (last && kind == JSON_OBJECT)
			end_answer(j);
		break;
	case R_VERSION: j->version_ok = string; break;
	case R_ERROR: j->has_error |= kind != JSON_NULL; break;
	case R_CODE:
		if (number && j->failed == 0)
			http_text_add(&j->code, text);
		break;
	case R_RESULT: j->has_result = true; break;
	case R_TOOL_ERROR: j->tool_error |= kind == JSON_TRUE; break;
	case R_PROTOCOL:
		if (string)
			http_text_add(&j->protocol, text);
		break;
	case R_ERRORS_ITEM: j->has_errors = true; break;
	case R_EXTENSION_CODE:
		if (string && j->elements == 0)
			http_text_add(&j->code, text);
		j->elements += last && string;
		break;
	case R_MESSAGE: j->elements += last; break;
	default:
		if (node >= R_SEARCH_FIRST && kind == search_kinds[node - R_SEARCH_FIRST])
			j->search |= (uint16_t)(1u << (node - R_SEARCH_FIRST));
		break;
	}
}

void http_json_request(struct http_json *j, const struct http_head *h)
{
	memset(j, 0, sizeof(*j));
	j->signs = h->signs;
	j->app = h->signs & HTTP_SIGN_TARGET ? HTTP_APP_AWS : HTTP_APP_NONE;
	json_read_init(&j->read, request_nodes, REQUEST_NODES - 1, in_request, j);
}

void http_json_response(struct http_json *j, enum http_app app)
{
	memset(j, 0, sizeof(*j));
	j->response = true;
	j->app = (uint8_t)app;
	http_json_next(j);
}

void http_json_next(struct http_json *j) { json_read_init(&j->read, response_nodes, RESPONSE_NODES - 1, in_response, j); }

void http_json_feed(struct http_json *j, struct slice in) { json_read_feed(&j->read, in); }

static void fail(struct message *m, struct slice error)
{
	error = slice_head(error, MESSAGE_ERROR_TYPE_LEN - 1);
	m->flags |= MESSAGE_ERROR;
	memcpy(m->error_type, error.ptr, error.len);
	m->error_type[error.len] = 0;
}

/* JSON-RPC. */

static bool is_mcp(const struct http_json *j)
{
	return j->signs & HTTP_SIGN_MCP || (slice_eq(http_text_view(&j->method), SLICE_LIT("initialize")) && j->protocol.len);
}

static void add_mcp(const struct http_json *j, struct message *m)
{
	struct slice method = http_text_view(&j->method), target = http_text_view(&j->target);
	bool tool = slice_eq(method, SLICE_LIT("tools/call"));

	message_add_str(m, ATTR_MCP_METHOD_NAME, method);
	if (tool)
		message_add_str(m, ATTR_GEN_AI_OPERATION_NAME, SLICE_LIT("execute_tool"));
	if (target.len && (tool || slice_eq(method, SLICE_LIT("prompts/get"))))
		message_add_str(m, tool ? ATTR_GEN_AI_TOOL_NAME : ATTR_GEN_AI_PROMPT_NAME, target);
	if (j->protocol.len)
		message_add_str(m, ATTR_MCP_PROTOCOL_VERSION, http_text_view(&j->protocol));
}

static enum http_app end_rpc_request(struct http_json *j, struct message *m)
{
	bool mcp = is_mcp(j);

	message_add_str(m, ATTR_RPC_SYSTEM_NAME, SLICE_LIT("jsonrpc"));
	if (!j->mixed)
		message_add_str(m, ATTR_RPC_METHOD, http_text_view(&j->method));
	message_add_str(m, ATTR_JSONRPC_PROTOCOL_VERSION, http_text_view(&j->version));
	if (j->read.batch)
		message_add_int(m, ATTR_RPC_BATCH_SIZE, j->calls);
	else if (j->id.len)
		message_add_str(m, ATTR_JSONRPC_REQUEST_ID, http_text_view(&j->id));
	if (mcp && !j->read.batch)
		add_mcp(j, m);
	return mcp ? HTTP_APP_MCP : HTTP_APP_JSONRPC;
}

static void end_rpc_response(const struct http_json *j, struct message *m)
{
	if (j->read.batch && j->failed)
		message_add_int(m, ATTR_RPC_BATCH_ERRORS, j->failed);
	if (j->app == HTTP_APP_MCP && j->protocol.len)
		message_add_str(m, ATTR_MCP_PROTOCOL_VERSION, http_text_view(&j->protocol));
	if (j->failed) {
		if (j->code.len)
			message_add_str(m, ATTR_RPC_RESPONSE_STATUS_CODE, http_text_view(&j->code));
		fail(m, j->code.len ? http_text_view(&j->code) : SLICE_LIT("_OTHER"));
	} else if (j->app == HTTP_APP_MCP && j->tool_error) {
		fail(m, SLICE_LIT("tool_error"));
	}
}

/* GraphQL. */

static bool is_graphql(const struct http_json *j)
{
	const struct graphql *g = &j->graphql;

	if (g->broken)
		return false;
	/* Without a document: its hash was sent alone. */
	return g->operations ? !g->shorthand || j->signs & HTTP_SIGN_GRAPHQL : j->operation.len && j->signs & HTTP_SIGN_GRAPHQL;
}

/* https://spec.graphql.org/October2021/#Name: anything else may be a text of the request. */
static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t l = ascii_lower(s.ptr[i]);
		if (!(l >= 'a' && l <= 'z') && l != '_' && !(i && s.ptr[i] >= '0' && s.ptr[i] <= '9'))
			return false;
	}
	return s.len > 0;
}

static enum http_app end_graphql_request(const struct http_json *j, struct message *m)
{
	struct slice name = is_name(http_text_view(&j->operation)) ? http_text_view(&j->operation) : SLICE_NONE;
	struct slice type = graphql_type_name(graphql_type_of(&j->graphql, name));

	if (!name.len && j->graphql.operations == 1)
		name = slice_make(j->graphql.name, j->graphql.name_len);
	if (type.len)
		message_add_str(m, ATTR_GRAPHQL_OPERATION_TYPE, type);
	if (name.len)
		message_add_str(m, ATTR_GRAPHQL_OPERATION_NAME, name);
	if (!type.len && !name.len)
		return HTTP_APP_NONE;
	return HTTP_APP_GRAPHQL;
}

/* A code as servers write them: anything else may be a text of the request. */
static bool is_code(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t l = ascii_lower(s.ptr[i]);
		if (!(l >= 'a' && l <= 'z') && !(s.ptr[i] >= '0' && s.ptr[i] <= '9') && s.ptr[i] != '_' && s.ptr[i] != '-')
			return false;
	}
	return s.len > 0 && s.len < MESSAGE_ERROR_TYPE_LEN;
}

static void end_graphql_response(const struct http_json *j, struct message *m)
{
	if (j->has_errors)
		fail(m, is_code(http_text_view(&j->code)) ? http_text_view(&j->code) : SLICE_LIT("graphql_error"));
}

/* AWS's JSON. */

static void end_aws_request(const struct http_json *j, struct message *m)
{
	if (j->target.len)
		message_add_str(m, ATTR_RAW_AWS_QUEUE, http_text_view(&j->target));
	if (j->elements)
		message_add_int(m, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, j->elements);
}

static unsigned search_bit(unsigned node) { return 1u << (node - R_SEARCH_FIRST); }

/* One member may stand in anybody's JSON, and so may some together: one that nobody else has is among them, or a bulk's two. */
static void end_search_response(const struct http_json *j, struct message *m)
{
	const unsigned own = search_bit(R_SHARDS) | search_bit(R_INDEX) | search_bit(R_CLUSTER) | search_bit(R_NODES) | search_bit(R_NODE_COUNT) | search_bit(R_CAUSE);
	const unsigned bulk = search_bit(R_TOOK) | search_bit(R_ITEMS);

	if (j->search & (j->search - 1u) && (j->search & own || (j->search & bulk) == bulk))
		message_add_str(m, ATTR_DB_SYSTEM_NAME, SLICE_LIT("elasticsearch"));
}

enum http_app http_json_end(struct http_json *j, struct message *m)
{
	if (!j->response) {
		if (j->app == HTTP_APP_AWS) {
			end_aws_request(j, m);
			return HTTP_APP_AWS;
		}
		if (j->calls == 0)
			end_call(j); /* cut */
		if (j->calls)
			return end_rpc_request(j, m);
		return is_graphql(j) ? end_graphql_request(j, m) : HTTP_APP_NONE;
	}
	end_answer(j);
	switch ((enum http_app)j->app) {
	case HTTP_APP_JSONRPC:
	case HTTP_APP_MCP: end_rpc_response(j, m); break;
	case HTTP_APP_GRAPHQL: end_graphql_response(j, m); break;
	case HTTP_APP_SEARCH: end_search_response(j, m); break;
	case HTTP_APP_AWS:
		if (j->elements)
			message_add_int(m, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, j->elements);
		break;
	case HTTP_APP_NONE:
	case HTTP_APP_COUNT: break;
	}
	return (enum http_app)j->app;
}
