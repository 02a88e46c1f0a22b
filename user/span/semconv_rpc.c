/* SPDX-License-Identifier: Apache-2.0 */
#include "span/semconv_put.h"

/* --- RPC: https://opentelemetry.io/docs/specs/semconv/rpc/rpc-spans/ --- */

/*
 * gRPC: the path is /package.Service/Method. Anything else in it is not shown: it is what a client made up.
 */
static struct slice grpc_method(struct slice path)
{
	size_t slashes = 0;

	if (path.len < 4 || path.ptr[0] != '/')
		return SLICE_NONE;
	path = slice_from(path, 1);
	for (size_t i = 0; i < path.len; i++) {
		uint8_t c = path.ptr[i], low = ascii_lower(c);
		slashes += c == '/';
		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && !(c && strchr("._-/", c)))
			return SLICE_NONE;
	}
	return slashes == 1 && path.ptr[0] != '/' && path.ptr[path.len - 1] != '/' ? path : SLICE_NONE;
}

/*
 * Thrift's and bRPC's words for it; Dubbo's two statuses are that of an unknown service, and what there is for an unknown method and for arguments that cannot be
 * read alike.
 */
static bool rpc_nobody_has(struct slice error)
{
	return slice_eq(error, SLICE_LIT("UNKNOWN_METHOD")) || slice_eq(error, SLICE_LIT("ENOSERVICE")) || slice_eq(error, SLICE_LIT("ENOMETHOD")) ||
	       slice_eq(error, SLICE_LIT("SERVICE_NOT_FOUND")) || slice_eq(error, SLICE_LIT("BAD_REQUEST"));
}

/*
 * A method that the server does not know is no name for a series: anybody can call any. An incomplete exchange may lack the
 * path, which is then no other method.
 */
static void rpc_method(struct semconv *s, struct slice status)
{
	struct slice method = in_str(s, ATTR_RPC_METHOD), path = in_str(s, ATTR_RAW_TARGET);

	if (!method.len)
		method = grpc_method(path);
	bool unknown = (path.len && (!method.len || slice_eq(status, SLICE_LIT("UNIMPLEMENTED")))) || rpc_nobody_has(exchange_error(s));
	put_str(s, ATTR_RPC_METHOD, unknown ? SLICE_LIT("_OTHER") : method);
	if (unknown)
		put_str(s, ATTR_RPC_METHOD_ORIGINAL, method);
	s->span->name = unknown ? SLICE_NONE : method;
}

/* https://opentelemetry.io/docs/specs/semconv/rpc/grpc/, …/dubbo/: to the server only these are its failures. */
static bool rpc_server_error(struct slice status)
{
	static const char *const errors[] = { "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
		"SERVER_ERROR", "SERVER_THREADPOOL_EXHAUSTED_ERROR", "SERVER_TIMEOUT", "SERVICE_ERROR" };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (slice_eq(status, slice_str(errors[i])))
			return true;
	return false;
}

static void rpc_error(struct semconv *s, struct slice status)
{
	struct slice error = exchange_error(s);
	int64_t http = 0;

	/* No status of its own: what stood in between has answered. */
	if (!status.len && !error.len && in_int(s, ATTR_HTTP_RESPONSE_STATUS_CODE, &http) && http != 200) {
		struct text t = text_begin(s->text);
		text_add_u64(&t, (uint64_t)http);
		error = text_end(&t);
	}
	struct slice system = in_str(s, ATTR_RPC_SYSTEM_NAME);
	bool told_by_status = slice_eq(system, SLICE_LIT("grpc")) || slice_eq(system, SLICE_LIT("dubbo"));
	if (status.len && slice_eq(status, error) && is_server(s) && told_by_status && !rpc_server_error(status))
		error = SLICE_NONE;
	semconv_error(s, error);
}

void semconv_rpc(struct semconv *s)
{
	struct slice system = in_str(s, ATTR_RPC_SYSTEM_NAME), status = in_str(s, ATTR_RPC_RESPONSE_STATUS_CODE);
	struct authority a;

	rpc_method(s, status);
	if (!s->span->name.len)
		s->span->name = system.len ? system : slice_str(s->protocol);
	put_str(s, ATTR_RPC_SYSTEM_NAME, system);
	put_str(s, ATTR_RPC_RESPONSE_STATUS_CODE, status);
	if (!s->options->show_statements)
		s->in[ATTR_RAW_STATUS_MESSAGE] = NULL; /* the program's own words, with whatever it puts into them */
	rpc_error(s, status);
	PASS(s, ATTR_RPC_REQUEST_MESSAGES, ATTR_RPC_RESPONSE_MESSAGES, ATTR_RPC_TIMEOUT, ATTR_RPC_SERVICE_VERSION, ATTR_BRPC_LOG_ID, ATTR_BRPC_TRACE_ID);
	url_parse_authority(in_str(s, ATTR_RAW_HOST), &a);
	struct slice peer = semconv_peer(s);
	semconv_server_named(s, &a, in_str(s, ATTR_URL_SCHEME), peer);
	if (in_str(s, ATTR_NETWORK_PROTOCOL_VERSION).len)
		put_str(s, ATTR_NETWORK_PROTOCOL_NAME, SLICE_LIT("http"));
	PASS(s, ATTR_NETWORK_PROTOCOL_VERSION, ATTR_USER_AGENT_ORIGINAL);
}
