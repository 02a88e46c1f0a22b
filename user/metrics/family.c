/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/family.h"

#include "../../bpf/abi/gpu.h"

/* https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ and …/dns/dns-metrics/, …/rpc/rpc-metrics/ */
static const uint64_t bounds_OTEL[] = { 5000000, 10000000, 25000000, 50000000, 75000000, 100000000, 250000000, 500000000, 750000000, 1000000000,
	2500000000, 5000000000, 7500000000, 10000000000 };
/* https://opentelemetry.io/docs/specs/semconv/database/database-metrics/ */
static const uint64_t bounds_DB[] = { 1000000, 5000000, 10000000, 50000000, 100000000, 500000000, 1000000000, 5000000000, 10000000000 };
static const uint64_t bounds_RTT[] = { 50, 100, 500, 1000, 5000, 10000, 50000, 100000, 500000, 1000000 };

#define BOUND(i, ns) ns,
static const uint64_t bounds_GPU[] = { PLUMB_GPU_BOUNDS(BOUND) };
#undef BOUND

#define bounds_NONE ((const uint64_t *)NULL)
#define COUNT_NONE 0
#define COUNT_OTEL (sizeof(bounds_OTEL) / sizeof(bounds_OTEL[0]))
#define COUNT_DB (sizeof(bounds_DB) / sizeof(bounds_DB[0]))
#define COUNT_GPU (sizeof(bounds_GPU) / sizeof(bounds_GPU[0]))
#define COUNT_RTT (sizeof(bounds_RTT) / sizeof(bounds_RTT[0]))
_Static_assert(COUNT_OTEL <= HISTOGRAM_BOUNDS_MAX && COUNT_DB <= HISTOGRAM_BOUNDS_MAX && COUNT_RTT <= HISTOGRAM_BOUNDS_MAX, "histogram too wide");
_Static_assert(COUNT_GPU + 1 == PLUMB_GPU_BUCKETS && COUNT_GPU <= HISTOGRAM_BOUNDS_MAX, "the kernel side's buckets");

static const char *const variants_CPU[] = { "user", "system", NULL };
static const char *const variants_IO[] = { "read", "write", NULL };
static const char *const variants_GPU[] = { "device", "host", NULL };
#define variants_NONE NULL

const struct metric_family metric_families[FAMILY_COUNT] = {
/* NOLINTBEGIN(bugprone-macro-parentheses): initialisers */
#define FAMILY(id, group_, name_, kind_, unit_, scale_, b_, label_, v_, help_) \
	[FAMILY_##id] = { .name = name_, .unit = unit_, .help = help_, .variant_label = label_, .variants = variants_##v_, \
		.bounds = bounds_##b_, .bounds_count = COUNT_##b_, .scale = scale_, .kind = METRIC_##kind_, .group = GROUP_##group_ },
#include "metrics/families.def"
#undef FAMILY
/* NOLINTEND(bugprone-macro-parentheses) */
};

#define PLAIN(name) { name, ATTR_COUNT }
#define SERVICE PLAIN("service_name")

const struct metric_group_info metric_groups[GROUP_COUNT] = {
	[GROUP_HTTP_SERVER] = { { SERVICE, { "http_request_method", ATTR_HTTP_REQUEST_METHOD }, { "http_route", ATTR_HTTP_ROUTE },
		{ "http_response_status_code", ATTR_HTTP_RESPONSE_STATUS_CODE }, { "url_scheme", ATTR_URL_SCHEME },
		{ "error_type", ATTR_ERROR_TYPE } }, 6, FAMILY_HTTP_SERVER },
	[GROUP_HTTP_CLIENT] = { { SERVICE, { "http_request_method", ATTR_HTTP_REQUEST_METHOD }, { "server_address", ATTR_SERVER_ADDRESS },
		{ "server_port", ATTR_SERVER_PORT }, { "http_response_status_code", ATTR_HTTP_RESPONSE_STATUS_CODE },
		{ "error_type", ATTR_ERROR_TYPE } }, 6, FAMILY_HTTP_CLIENT },
	[GROUP_DB_CLIENT] = { { SERVICE, { "db_system_name", ATTR_DB_SYSTEM_NAME }, { "db_namespace", ATTR_DB_NAMESPACE },
		{ "db_collection_name", ATTR_DB_COLLECTION_NAME }, { "db_operation_name", ATTR_DB_OPERATION_NAME },
		{ "db_response_status_code", ATTR_DB_RESPONSE_STATUS_CODE }, { "server_address", ATTR_SERVER_ADDRESS },
		{ "server_port", ATTR_SERVER_PORT }, { "error_type", ATTR_ERROR_TYPE } }, 9, FAMILY_DB_CLIENT },
	[GROUP_DB_SERVER] = { { SERVICE, { "db_system_name", ATTR_DB_SYSTEM_NAME }, { "db_namespace", ATTR_DB_NAMESPACE },
		{ "db_collection_name", ATTR_DB_COLLECTION_NAME }, { "db_operation_name", ATTR_DB_OPERATION_NAME },
		{ "db_response_status_code", ATTR_DB_RESPONSE_STATUS_CODE }, { "error_type", ATTR_ERROR_TYPE } }, 7, FAMILY_DB_SERVER },
	[GROUP_DNS_CLIENT] = { { SERVICE, { "dns_question_name", ATTR_DNS_QUESTION_NAME }, { "server_address", ATTR_SERVER_ADDRESS },
		{ "error_type", ATTR_ERROR_TYPE } }, 4, FAMILY_DNS_CLIENT },
	[GROUP_DNS_SERVER] = { { SERVICE, { "dns_question_name", ATTR_DNS_QUESTION_NAME }, { "error_type", ATTR_ERROR_TYPE } }, 3, FAMILY_DNS_SERVER },
	[GROUP_RPC_SERVER] = { { SERVICE, { "rpc_system_name", ATTR_RPC_SYSTEM_NAME }, { "rpc_method", ATTR_RPC_METHOD },
		{ "rpc_response_status_code", ATTR_RPC_RESPONSE_STATUS_CODE }, { "error_type", ATTR_ERROR_TYPE } }, 5, FAMILY_RPC_SERVER },
	[GROUP_RPC_CLIENT] = { { SERVICE, { "rpc_system_name", ATTR_RPC_SYSTEM_NAME }, { "rpc_method", ATTR_RPC_METHOD },
		{ "rpc_response_status_code", ATTR_RPC_RESPONSE_STATUS_CODE }, { "server_address", ATTR_SERVER_ADDRESS },
		{ "server_port", ATTR_SERVER_PORT }, { "error_type", ATTR_ERROR_TYPE } }, 7, FAMILY_RPC_CLIENT },
	[GROUP_MESSAGING_CLIENT] = { { SERVICE, { "messaging_system", ATTR_MESSAGING_SYSTEM }, { "messaging_operation_name", ATTR_MESSAGING_OPERATION_NAME },
		{ "messaging_destination_name", ATTR_MESSAGING_DESTINATION_NAME }, { "messaging_consumer_group_name", ATTR_MESSAGING_CONSUMER_GROUP_NAME },
		{ "server_address", ATTR_SERVER_ADDRESS }, { "server_port", ATTR_SERVER_PORT }, { "error_type", ATTR_ERROR_TYPE } }, 8, FAMILY_MESSAGING_CLIENT },
	[GROUP_MESSAGING_PROCESS] = { { SERVICE, { "messaging_system", ATTR_MESSAGING_SYSTEM }, { "messaging_operation_name", ATTR_MESSAGING_OPERATION_NAME },
		{ "messaging_destination_name", ATTR_MESSAGING_DESTINATION_NAME }, { "messaging_consumer_group_name", ATTR_MESSAGING_CONSUMER_GROUP_NAME },
		{ "server_address", ATTR_SERVER_ADDRESS }, { "server_port", ATTR_SERVER_PORT }, { "error_type", ATTR_ERROR_TYPE } }, 8, FAMILY_MESSAGING_PROCESS },
	[GROUP_MESSAGING_SERVER] = { { SERVICE, { "messaging_system", ATTR_MESSAGING_SYSTEM }, { "messaging_operation_name", ATTR_MESSAGING_OPERATION_NAME },
		{ "messaging_destination_name", ATTR_MESSAGING_DESTINATION_NAME }, { "error_type", ATTR_ERROR_TYPE } }, 5, FAMILY_MESSAGING_SERVER },
	[GROUP_SPAN] = { { SERVICE, PLAIN("span_kind"), { "network_protocol_name", ATTR_NETWORK_PROTOCOL_NAME },
		{ "server_address", ATTR_SERVER_ADDRESS }, { "error_type", ATTR_ERROR_TYPE } }, 5, FAMILY_SPAN },
	[GROUP_TCP] = { { SERVICE, PLAIN("role"), PLAIN("network_peer_address"), PLAIN("server_port") }, 4, FAMILY_TCP_SENT },
	[GROUP_TCP_FAILURE] = { { SERVICE, PLAIN("network_peer_address"), PLAIN("server_port"), PLAIN("error_type") }, 4, FAMILY_TCP_FAILURES },
	[GROUP_PROCESS] = { { SERVICE, PLAIN("process_pid") }, 2, FAMILY_PROCESS_CPU },
	[GROUP_GPU_CALL] = { { SERVICE, PLAIN("process_pid"), PLAIN("gpu_api"), PLAIN("gpu_call") }, 4, FAMILY_GPU_CALL },
	[GROUP_GPU_ERROR] = { { SERVICE, PLAIN("process_pid"), PLAIN("gpu_api"), PLAIN("gpu_call"), PLAIN("error_type") }, 5, FAMILY_GPU_ERRORS },
	[GROUP_GPU_BYTES] = { { SERVICE, PLAIN("process_pid"), PLAIN("gpu_api"), PLAIN("gpu_call") }, 4, FAMILY_GPU_BYTES },
	[GROUP_GPU_PROCESS] = { { SERVICE, PLAIN("process_pid") }, 2, FAMILY_GPU_ALLOCATED },
	[GROUP_GPU_KERNEL] = { { SERVICE, PLAIN("process_pid"), PLAIN("gpu_kernel_name") }, 3, FAMILY_GPU_KERNELS },
	[GROUP_TARGET] = { { SERVICE, PLAIN("process_pid") }, 2, FAMILY_TARGET },
	[GROUP_SELF] = { { { NULL, 0 } }, 0, FAMILY_BUILD },
};

static const char *const kind_names[] = { "counter", "gauge", "histogram", "info" };
static const char *const kind_suffix[] = { "_total", "", "", "_info" };

int metric_families_describe(struct buffer *out)
{
	buffer_append_str(out, "| family | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < FAMILY_COUNT; i++) {
		const struct metric_family *f = &metric_families[i];
		const struct metric_group_info *g = &metric_groups[f->group];
		const char *comma = "";

		buffer_printf(out, "| `%s%s` | %s | %s | ", f->name, kind_suffix[f->kind], kind_names[f->kind], f->unit);
		for (size_t k = 0; k < g->count; k++, comma = ", ")
			buffer_printf(out, "%s%s", comma, g->labels[k].name);
		if (f->variant_label[0])
			buffer_printf(out, "%s%s", comma, f->variant_label);
		if (f->group == GROUP_TARGET)
			buffer_append_str(out, ", resource attributes");
		buffer_printf(out, " | %s |\n", f->help);
	}
	return out->failed;
}
