/* SPDX-License-Identifier: Apache-2.0 */
#include "span/semconv_put.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* --- HTTP: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ --- */

static bool http_method_known(struct slice method)
{
	/* RFC 9110, PATCH (RFC 5789) and QUERY; methods are case-sensitive. */
	static const char *const known[] = { "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq(method, slice_str(known[i])))
			return true;
	return false;
}

/* The method as the span's name has it. */
static struct slice http_method(struct semconv *s)
{
	struct slice method = in_str(s, ATTR_HTTP_REQUEST_METHOD);

	if (http_method_known(method)) {
		put_str(s, ATTR_HTTP_REQUEST_METHOD, method);
		return method;
	}
	put_str(s, ATTR_HTTP_REQUEST_METHOD, SLICE_LIT("_OTHER"));
	put_str(s, ATTR_HTTP_REQUEST_METHOD_ORIGINAL, method);
	return SLICE_LIT("HTTP");
}

/* Status and error: 5xx is the server's failure, 4xx only its client's. */
static void http_status(struct semconv *s)
{
	int64_t status = 0;
	struct slice error = exchange_error(s);
	uint64_t number;

	if (slice_u64(error, &number) && !s->in[ATTR_RPC_SYSTEM_NAME])
		error = SLICE_NONE; /* a status that the parser took for a failure: which ones are is decided here */
	if (in_int(s, ATTR_HTTP_RESPONSE_STATUS_CODE, &status)) {
		put_int(s, ATTR_HTTP_RESPONSE_STATUS_CODE, status);
		if (!error.len && status >= (is_server(s) ? 500 : 400)) {
			struct text t = text_begin(s->text);
			text_add_u64(&t, (uint64_t)status);
			error = text_end(&t);
		}
	}
	semconv_error(s, error);
}

static bool is_address(struct slice s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr any;

	if (s.len == 0 || s.len >= sizeof(text) || memchr(s.ptr, 0, s.len))
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = 0;
	return inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1;
}

/* First element of X-Forwarded-For without port and brackets; nothing that is no address. */
static struct slice forwarded_for(struct slice header)
{
	struct authority a;

	header = slice_head(header, slice_find(header, ',', 0));
	while (header.len && (header.ptr[0] == ' ' || header.ptr[0] == '\t'))
		header = slice_from(header, 1);
	while (header.len && (header.ptr[header.len - 1] == ' ' || header.ptr[header.len - 1] == '\t'))
		header.len--;
	if (is_address(header))
		return header; /* IPv6 without brackets, too */
	url_parse_authority(header, &a);
	return is_address(a.host) ? a.host : SLICE_NONE;
}

static void http_server_side(struct semconv *s, const struct url *u, struct slice method)
{
	int64_t status = 0;
	struct slice route = SLICE_NONE;

	struct slice path = semconv_path(s, u->path);
	put_str(s, ATTR_URL_PATH, path);
	if (u->query.len) {
		struct text t = text_begin(s->text);
		url_add_query(&t, u->query, s->options->show_query);
		put_str(s, ATTR_URL_QUERY, text_end(&t));
	}
	if (u->path.len && u->path.ptr[0] == '/') {
		in_int(s, ATTR_HTTP_RESPONSE_STATUS_CODE, &status);
		route = route_learn(s->routes, s->x->process ? s->x->process->service : SLICE_NONE, path, status == 404 || status == 405);
		s->counts->route_overflow += route.len == 0;
	}
	put_str(s, ATTR_HTTP_ROUTE, route);
	s->span->name = semconv_join(s, method, route);
	put_str(s, ATTR_USER_AGENT_ORIGINAL, in_str(s, ATTR_USER_AGENT_ORIGINAL));
}

static void http_url_full(struct semconv *s, const struct url *u, struct slice scheme, const struct authority *a)
{
	struct text t = text_begin(s->text);

	if (!a->host.len || !u->path.len || u->path.ptr[0] != '/')
		return; /* CONNECT, OPTIONS * and requests without Host have no URL */
	bool v6 = slice_find(a->host, ':', 0) != SIZE_MAX;
	text_add(&t, scheme);
	text_add(&t, SLICE_LIT("://"));
	if (a->has_user)
		text_add(&t, SLICE_LIT("REDACTED:REDACTED@"));
	text_add(&t, v6 ? SLICE_LIT("[") : SLICE_NONE);
	text_add(&t, a->host);
	text_add(&t, v6 ? SLICE_LIT("]") : SLICE_NONE);
	if (a->port) {
		text_add_byte(&t, ':');
		text_add_u64(&t, a->port);
	}
	url_add_path(&t, u->path);
	if (u->has_query) {
		text_add_byte(&t, '?');
		url_add_query(&t, u->query, s->options->show_query);
	}
	put_str(s, ATTR_URL_FULL, text_end(&t));
}

/* Server-sent events: how many, and how long until the first one was whole. */
static void http_events(struct semconv *s)
{
	int64_t first = 0;

	if (!s->in[ATTR_SSE_EVENTS] && !s->in[ATTR_RAW_FIRST_EVENT_NS])
		return;
	PASS(s, ATTR_SSE_EVENTS);
	if (in_int(s, ATTR_RAW_FIRST_EVENT_NS, &first) && s->x->request.end_ns && (uint64_t)first >= s->x->request.end_ns)
		put_int(s, ATTR_SSE_FIRST_EVENT, first - (int64_t)s->x->request.end_ns);
}

/* https://opentelemetry.io/docs/specs/semconv/graphql/graphql-spans/ */
static void http_graphql(struct semconv *s)
{
	struct slice type = in_str(s, ATTR_GRAPHQL_OPERATION_TYPE), operation = in_str(s, ATTR_GRAPHQL_OPERATION_NAME);

	if (!s->in[ATTR_GRAPHQL_OPERATION_TYPE] && !s->in[ATTR_GRAPHQL_OPERATION_NAME])
		return;
	PASS(s, ATTR_GRAPHQL_OPERATION_TYPE, ATTR_GRAPHQL_OPERATION_NAME);
	if (type.len || operation.len)
		s->span->name = semconv_join(s, type, operation);
}

void semconv_http(struct semconv *s)
{
	struct slice method = http_method(s), scheme = in_str(s, ATTR_URL_SCHEME);
	struct url u;
	struct authority a;

	struct slice target = in_str(s, ATTR_RAW_TARGET);
	/* With a path it asks for another protocol on this stream (RFC 8441), not for a way to another place. */
	bool connect = slice_eq(method, SLICE_LIT("CONNECT")) && target.len && target.ptr[0] != '/';
	url_parse_target(target, connect, &u);
	if (!scheme.len)
		scheme = u.scheme.len ? u.scheme : is_encrypted(s) ? SLICE_LIT("https") : SLICE_LIT("http");
	/* The target's authority outranks the Host header (RFC 9112, 3.2.2). */
	url_parse_authority(u.authority.len ? u.authority : in_str(s, ATTR_RAW_HOST), &a);
	s->span->name = method;
	http_status(s);
	put_str(s, ATTR_URL_SCHEME, scheme);
	if (is_server(s))
		http_server_side(s, &u, method);
	else
		http_url_full(s, &u, scheme, &a);
	struct slice peer = semconv_peer(s);
	semconv_server_named(s, &a, scheme, peer);
	if (is_server(s)) {
		struct slice client = forwarded_for(in_str(s, ATTR_RAW_FORWARDED_FOR));
		put_str(s, ATTR_CLIENT_ADDRESS, client.len ? client : peer);
	}
	/* "http2" is a version of HTTP, FastCGI is not. */
	bool fastcgi = s->span->protocol == PLUMB_PROTO_FASTCGI;
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, fastcgi ? SLICE_LIT("fastcgi") : SLICE_LIT("http"));
	PASS(s, ATTR_NETWORK_PROTOCOL_VERSION, ATTR_HTTP_REQUEST_BODY_SIZE, ATTR_HTTP_RESPONSE_BODY_SIZE);
	http_events(s);
	http_graphql(s);
}

/* --- WebSocket: no conventions; as HTTP has it what was asked for, without what HTTP's metrics would take for a request --- */

void semconv_websocket(struct semconv *s)
{
	struct slice scheme = is_encrypted(s) ? SLICE_LIT("wss") : SLICE_LIT("ws");
	struct url u;
	struct authority a;

	url_parse_target(in_str(s, ATTR_RAW_TARGET), false, &u);
	url_parse_authority(u.authority.len ? u.authority : in_str(s, ATTR_RAW_HOST), &a);
	s->span->name = SLICE_LIT("websocket");
	put_str(s, ATTR_URL_SCHEME, scheme);
	if (is_server(s))
		http_server_side(s, &u, SLICE_LIT("websocket"));
	else
		http_url_full(s, &u, scheme, &a);
	PASS(s, ATTR_WEBSOCKET_CLIENT_MESSAGES, ATTR_WEBSOCKET_SERVER_MESSAGES, ATTR_WEBSOCKET_CLOSE_CODE);
	semconv_error(s, exchange_error(s));
	semconv_server_named(s, &a, is_encrypted(s) ? SLICE_LIT("https") : SLICE_LIT("http"), semconv_peer(s));
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, SLICE_LIT("websocket"));
}
