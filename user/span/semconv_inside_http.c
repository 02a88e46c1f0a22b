/* SPDX-License-Identifier: Apache-2.0 */
#include "span/semconv_put.h"

#include "span/aws.h"
#include "span/search.h"

enum { NAME_MAX = 128 };

/* --- JSON-RPC: https://opentelemetry.io/docs/specs/semconv/rpc/json-rpc/, MCP: …/gen-ai/mcp/; and what HTTP has --- */

static void jsonrpc_name(struct semconv *s, struct slice method, bool unknown)
{
	struct slice mcp = in_str(s, ATTR_MCP_METHOD_NAME), tool = in_str(s, ATTR_GEN_AI_TOOL_NAME);

	if (unknown || !method.len)
		s->span->name = in_str(s, ATTR_RPC_SYSTEM_NAME);
	else
		s->span->name = mcp.len ? semconv_join(s, mcp, tool.len ? tool : in_str(s, ATTR_GEN_AI_PROMPT_NAME)) : method;
}

static void semconv_jsonrpc(struct semconv *s)
{
	struct slice method = in_str(s, ATTR_RPC_METHOD);
	bool unknown = slice_eq(in_str(s, ATTR_RPC_RESPONSE_STATUS_CODE), SLICE_LIT("-32601")); /* anybody can call any method */

	semconv_http(s);
	jsonrpc_name(s, method, unknown);
	put_str(s, ATTR_RPC_METHOD, unknown ? SLICE_LIT("_OTHER") : method);
	if (unknown)
		put_str(s, ATTR_RPC_METHOD_ORIGINAL, method);
	PASS(s, ATTR_RPC_SYSTEM_NAME, ATTR_RPC_RESPONSE_STATUS_CODE, ATTR_JSONRPC_PROTOCOL_VERSION, ATTR_JSONRPC_REQUEST_ID, ATTR_RPC_BATCH_SIZE, ATTR_RPC_BATCH_ERRORS,
	     ATTR_MCP_METHOD_NAME, ATTR_MCP_PROTOCOL_VERSION, ATTR_GEN_AI_OPERATION_NAME, ATTR_GEN_AI_TOOL_NAME, ATTR_GEN_AI_PROMPT_NAME);
}

/* --- SOAP: no conventions; the name of what is called, and what HTTP has --- */

static void semconv_soap(struct semconv *s)
{
	semconv_http(s);
	PASS(s, ATTR_RPC_SYSTEM_NAME, ATTR_RPC_METHOD);
	s->span->name = in_str(s, ATTR_RPC_METHOD);
}

/* --- AWS: https://opentelemetry.io/docs/specs/semconv/cloud-providers/aws-sdk/, …/object-stores/s3/, …/messaging/sqs/; and what HTTP has --- */

static void put_sqs(struct semconv *s, const struct aws_call *call)
{
	static const struct { const char *method, *type; } types[] = { { "SendMessage", "send" }, { "SendMessageBatch", "send" }, { "ReceiveMessage", "receive" },
		{ "DeleteMessage", "settle" }, { "DeleteMessageBatch", "settle" }, { "ChangeMessageVisibility", "settle" }, { "ChangeMessageVisibilityBatch", "settle" } };

	put_str(s, ATTR_MESSAGING_SYSTEM, SLICE_LIT("aws_sqs"));
	put_str(s, ATTR_MESSAGING_DESTINATION_NAME, slice_head(call->queue, NAME_MAX));
	put_str(s, ATTR_MESSAGING_OPERATION_NAME, call->method);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (slice_eq(call->method, slice_str(types[i].method)))
			put_str(s, ATTR_MESSAGING_OPERATION_TYPE, slice_str(types[i].type));
	PASS(s, ATTR_MESSAGING_BATCH_MESSAGE_COUNT);
}

static void put_s3(struct semconv *s, const struct aws_call *call)
{
	put_str(s, ATTR_AWS_S3_BUCKET, slice_head(call->bucket, NAME_MAX));
	put_str(s, ATTR_AWS_S3_KEY, semconv_path(s, call->key));
	put_str(s, ATTR_AWS_S3_UPLOAD_ID, call->upload_id);
	if (call->part_number)
		put_int(s, ATTR_AWS_S3_PART_NUMBER, (int64_t)call->part_number);
	struct slice source = in_str(s, ATTR_AWS_S3_COPY_SOURCE);
	put_str(s, ATTR_AWS_S3_COPY_SOURCE, semconv_path(s, slice_head(source, slice_find(source, '?', 0))));
}

static void semconv_aws(struct semconv *s, struct slice service, struct slice region)
{
	struct url u;
	struct authority a;
	struct aws_call call;

	url_parse_target(in_str(s, ATTR_RAW_TARGET), false, &u);
	url_parse_authority(u.authority.len ? u.authority : in_str(s, ATTR_RAW_HOST), &a);
	aws_describe(service, in_str(s, ATTR_HTTP_REQUEST_METHOD), &u, a.host, in_str(s, ATTR_RAW_AWS_TARGET), in_str(s, ATTR_RAW_AWS_ACTION), in_str(s, ATTR_RAW_AWS_QUEUE),
		     in_str(s, ATTR_AWS_S3_COPY_SOURCE).len > 0, &call);
	semconv_http(s);
	put_str(s, ATTR_RPC_SYSTEM_NAME, SLICE_LIT("aws-api"));
	put_str(s, ATTR_RPC_SERVICE, call.service);
	put_str(s, ATTR_RPC_METHOD, call.method);
	if (call.method.len) {
		struct text t = text_begin(s->text);
		text_add(&t, call.service);
		text_add_byte(&t, '.');
		text_add(&t, call.method);
		s->span->name = text_end(&t);
	}
	put_str(s, ATTR_CLOUD_REGION, region);
	PASS(s, ATTR_AWS_REQUEST_ID, ATTR_AWS_EXTENDED_REQUEST_ID);
	if (slice_eq(service, SLICE_LIT("s3")))
		put_s3(s, &call);
	else if (slice_eq(service, SLICE_LIT("sqs")))
		put_sqs(s, &call);
}

/* --- Elasticsearch and OpenSearch: https://opentelemetry.io/docs/specs/semconv/database/elasticsearch/; and what HTTP has --- */

static void semconv_search(struct semconv *s)
{
	struct slice system = in_str(s, ATTR_DB_SYSTEM_NAME), index;
	bool open = slice_ieq(slice_head(in_str(s, ATTR_USER_AGENT_ORIGINAL), 10), SLICE_LIT("opensearch"));
	struct url u;
	int64_t status = 0;

	url_parse_target(in_str(s, ATTR_RAW_TARGET), false, &u);
	struct slice operation = search_endpoint(in_str(s, ATTR_HTTP_REQUEST_METHOD), u.path, &index);
	semconv_http(s);
	put_str(s, ATTR_DB_SYSTEM_NAME, open ? SLICE_LIT("opensearch") : system);
	put_str(s, ATTR_DB_OPERATION_NAME, operation);
	put_str(s, ATTR_DB_COLLECTION_NAME, slice_head(semconv_path(s, index), NAME_MAX));
	if (in_int(s, ATTR_HTTP_RESPONSE_STATUS_CODE, &status) && status >= 400) {
		struct text t = text_begin(s->text);
		text_add_u64(&t, (uint64_t)status);
		put_str(s, ATTR_DB_RESPONSE_STATUS_CODE, text_end(&t));
	}
	if (operation.len)
		s->span->name = operation;
}

bool semconv_inside_http(struct semconv *s)
{
	struct slice service = in_str(s, ATTR_RPC_SERVICE), region = in_str(s, ATTR_CLOUD_REGION), target = in_str(s, ATTR_RAW_TARGET);
	size_t query = slice_find(target, '?', 0);

	if (!service.len && query != SIZE_MAX)
		service = aws_presigned(slice_from(target, query + 1), &region);
	s->span->family = PROTO_FAMILY_RPC;
	if (s->in[ATTR_DB_SYSTEM_NAME]) {
		s->span->family = PROTO_FAMILY_DB;
		semconv_search(s);
	} else if (service.len) {
		semconv_aws(s, service, region);
	} else if (slice_eq(in_str(s, ATTR_RPC_SYSTEM_NAME), SLICE_LIT("jsonrpc"))) {
		semconv_jsonrpc(s);
	} else if (slice_eq(in_str(s, ATTR_RPC_SYSTEM_NAME), SLICE_LIT("soap"))) {
		semconv_soap(s);
	} else if (s->in[ATTR_RPC_SYSTEM_NAME]) {
		semconv_rpc(s);
	} else {
		s->span->family = PROTO_FAMILY_HTTP;
		return false;
	}
	return true;
}
