/* SPDX-License-Identifier: Apache-2.0 */
#include "span/semconv.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "span/address.h"
#include "span/aws.h"
#include "span/search.h"
#include "span/sql.h"
#include "span/url.h"

enum { STATEMENT_MAX = 4096, NAME_MAX = 128 };

/*
 * Where the span's next attribute goes, NULL if it has no room. Filled in place: an attribute made elsewhere and copied here makes the
 * processor wait, as a wide load cannot take what several narrow stores have just written.
 */
static struct attr *next_attr(struct semconv *s)
{
	if (s->span->nattrs < SPAN_ATTRS_MAX)
		return &s->span->attrs[s->span->nattrs++];
	s->counts->attrs_dropped++;
	return NULL;
}

static void put_str(struct semconv *s, enum attr_id id, struct slice value)
{
	struct attr *a = value.len ? next_attr(s) : NULL;

	if (a)
		*a = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_STR, .str = value };
}

static void put_int(struct semconv *s, enum attr_id id, int64_t value)
{
	struct attr *a = next_attr(s);

	if (a)
		*a = (struct attr){ .id = (uint16_t)id, .type = ATTR_TYPE_INT, .num = value };
}

static struct slice in_str(const struct semconv *s, enum attr_id id)
{
	const struct attr *a = s->in[id];

	return a && a->type == ATTR_TYPE_STR ? a->str : SLICE_NONE;
}

static bool in_int(const struct semconv *s, enum attr_id id, int64_t *ret_value)
{
	const struct attr *a = s->in[id];

	if (!a || a->type != ATTR_TYPE_INT)
		return false;
	*ret_value = a->num;
	return true;
}

/* Attributes that need no work. Only what is named here passes: a parser cannot leak what nobody has thought about. */
static void pass(struct semconv *s, const enum attr_id *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct attr *in = s->in[ids[i]];
		struct attr *a = in && (in->type != ATTR_TYPE_STR || in->str.len) ? next_attr(s) : NULL;
		if (a)
			*a = *in;
	}
}
#define PASS(s, ...)                                                                  \
	do {                                                                          \
		static const enum attr_id pass_ids[] = { __VA_ARGS__ };               \
		pass(s, pass_ids, sizeof(pass_ids) / sizeof(pass_ids[0]));            \
	} while (0)

/* Does this end answer? */
static bool is_server(const struct semconv *s) { return s->x->role == PLUMB_ROLE_SERVER; }

/* Is it the one that was connected to? Who asks is, almost always, who connected. */
static bool is_server_end(const struct semconv *s) { return is_server(s) != ((s->x->flags & EXCHANGE_REVERSED) != 0); }

static struct slice join2(struct semconv *s, struct slice a, struct slice b)
{
	if (!b.len)
		return a;
	if (!a.len)
		return b;
	struct text t = text_begin(s->text);
	text_add(&t, a);
	text_add_byte(&t, ' ');
	text_add(&t, b);
	return text_end(&t);
}

/* error.type is set if and only if the span's status is ERROR. */
static void put_error(struct semconv *s, struct slice type)
{
	if (!type.len)
		return;
	put_str(s, ATTR_ERROR_TYPE, type);
	s->span->status = SPAN_STATUS_ERROR;
	struct slice message = in_str(s, ATTR_RAW_STATUS_MESSAGE);
	if (message.len)
		s->span->status_message = s->options->show_statements ? message : redact_message(s->text, message);
}

static struct slice exchange_error(const struct semconv *s)
{
	return slice_make(s->x->error_type, strnlen(s->x->error_type, sizeof(s->x->error_type)));
}

/* network.peer.*: the other end of the socket, whatever names were used to get there. Returns its text. */
static struct slice put_peer(struct semconv *s)
{
	const struct exchange_ends *e = &s->x->ends;

	if (e->family == AF_UNIX) {
		struct slice path = slice_make(e->path, strnlen(e->path, sizeof(e->path)));
		put_str(s, ATTR_NETWORK_TRANSPORT, SLICE_LIT("unix"));
		put_str(s, ATTR_NETWORK_PEER_ADDRESS, path);
		return path;
	}
	struct slice text = address_text(s->text, e->family, e->remote.addr);
	put_str(s, ATTR_NETWORK_PEER_ADDRESS, text);
	if (text.len && e->remote.port)
		put_int(s, ATTR_NETWORK_PEER_PORT, e->remote.port);
	return text;
}

/* server.* where the protocol names no server: the server's end of the socket. Returns the address. */
static struct slice put_server_socket(struct semconv *s, struct slice peer)
{
	const struct exchange_ends *e = &s->x->ends;
	const struct endpoint *end = is_server_end(s) ? &e->local : &e->remote;
	struct slice text = e->family == AF_UNIX || !is_server_end(s) ? peer : address_text(s->text, e->family, end->addr);

	put_str(s, ATTR_SERVER_ADDRESS, text);
	if (text.len && end->port && e->family != AF_UNIX)
		put_int(s, ATTR_SERVER_PORT, end->port);
	return text;
}

/* What every family has: how long until the answer came, and what we did not see. */
static void put_common(struct semconv *s)
{
	const struct exchange *x = s->x;

	if (x->request.end_ns && x->response.start_ns >= x->request.end_ns)
		put_int(s, ATTR_PLUMB_TTFB_NS, (int64_t)(x->response.start_ns - x->request.end_ns));
	if (x->flags & EXCHANGE_NO_REQUEST)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("request_not_seen"));
	else if (x->flags & EXCHANGE_UNFINISHED)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("unanswered")); /* when plumb ended, or its input */
	else if (in_str(s, ATTR_PLUMB_INCOMPLETE).len) /* the parser knows better */
		PASS(s, ATTR_PLUMB_INCOMPLETE);
	else if (x->flags & EXCHANGE_HOLE)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("bytes_lost"));
	else if (x->flags & EXCHANGE_MALFORMED)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("malformed"));
	else if (x->flags & EXCHANGE_TRUNCATED)
		put_str(s, ATTR_PLUMB_INCOMPLETE, SLICE_LIT("attributes_cut"));
	if (x->request.tid)
		put_int(s, ATTR_THREAD_ID, x->request.tid);
}

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
	put_error(s, error);
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

/* It was read at a TLS library. */
static bool is_encrypted(const struct semconv *s) { return PLUMB_IS_SESSION(s->x->ends.sock); }

static uint16_t scheme_port(struct slice scheme)
{
	return slice_ieq(scheme, SLICE_LIT("https")) ? 443 : slice_ieq(scheme, SLICE_LIT("http")) ? 80 : 0;
}

/* server.address and server.port by the name the client used, else by the socket. */
static void http_server(struct semconv *s, const struct authority *a, struct slice scheme, struct slice peer)
{
	if (!a->host.len) {
		put_server_socket(s, peer);
		return;
	}
	/* Nobody listens on a port at the end of a Unix socket. */
	uint16_t port = a->port || s->x->ends.family == AF_UNIX ? a->port : scheme_port(scheme);
	put_str(s, ATTR_SERVER_ADDRESS, a->host);
	if (port)
		put_int(s, ATTR_SERVER_PORT, port);
}

static struct slice redacted_path(struct semconv *s, struct slice path)
{
	struct text t = text_begin(s->text);
	url_add_path(&t, path);
	return text_end(&t);
}

static void http_server_side(struct semconv *s, const struct url *u, struct slice method)
{
	int64_t status = 0;
	struct slice route = SLICE_NONE;

	struct slice path = redacted_path(s, u->path);
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
	s->span->name = join2(s, method, route);
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
		s->span->name = join2(s, type, operation);
}

static void semconv_http(struct semconv *s)
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
	struct slice peer = put_peer(s);
	http_server(s, &a, scheme, peer);
	if (is_server(s)) {
		struct slice client = forwarded_for(in_str(s, ATTR_RAW_FORWARDED_FOR));
		put_str(s, ATTR_CLIENT_ADDRESS, client.len ? client : peer);
	}
	/* "http2" is a version of HTTP, FastCGI is not. */
	bool fastcgi = slice_eq(slice_str(s->protocol), SLICE_LIT("fastcgi"));
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, fastcgi ? SLICE_LIT("fastcgi") : SLICE_LIT("http"));
	PASS(s, ATTR_NETWORK_PROTOCOL_VERSION, ATTR_HTTP_REQUEST_BODY_SIZE, ATTR_HTTP_RESPONSE_BODY_SIZE);
	http_events(s);
	http_graphql(s);
}

/* --- WebSocket: no conventions; as HTTP has it what was asked for, without what HTTP's metrics would take for a request --- */

static void semconv_websocket(struct semconv *s)
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
	put_error(s, exchange_error(s));
	http_server(s, &a, is_encrypted(s) ? SLICE_LIT("https") : SLICE_LIT("http"), put_peer(s));
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, SLICE_LIT("websocket"));
}

/* --- TLS handshakes: attributes as in https://opentelemetry.io/docs/specs/semconv/registry/attributes/tls/; no span is defined there --- */

static void semconv_tls(struct semconv *s)
{
	struct authority a;

	s->span->name = SLICE_LIT("TLS handshake");
	PASS(s, ATTR_TLS_PROTOCOL_VERSION, ATTR_TLS_CIPHER, ATTR_TLS_ESTABLISHED, ATTR_TLS_RESUMED, ATTR_TLS_NEXT_PROTOCOL, ATTR_TLS_SERVER_NOT_AFTER, ATTR_TLS_CLIENT_NEXT_PROTOCOLS);
	put_error(s, exchange_error(s));
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, SLICE_LIT("tls"));
	/* The name that the client asks for, and where it has connected to. */
	url_parse_authority(in_str(s, ATTR_RAW_HOST), &a);
	struct slice peer = put_peer(s);
	const struct endpoint *end = is_server_end(s) ? &s->x->ends.local : &s->x->ends.remote;
	if (!a.host.len) {
		put_server_socket(s, peer);
		return;
	}
	put_str(s, ATTR_SERVER_ADDRESS, a.host);
	if (end->port && s->x->ends.family != AF_UNIX)
		put_int(s, ATTR_SERVER_PORT, end->port);
}

/* --- Databases: https://opentelemetry.io/docs/specs/semconv/database/database-spans/ --- */

/*
 * "{db.query.summary}", else "{operation} {target}", else the system. The namespace of Redis is a number and left out of names.
 */
static struct slice db_name(struct semconv *s, struct slice system, struct slice summary, struct slice operation, struct slice collection)
{
	if (summary.len)
		return summary;
	struct slice target = collection;
	if (!target.len)
		target = in_str(s, ATTR_DB_STORED_PROCEDURE_NAME);
	if (!target.len && !slice_eq(system, SLICE_LIT("redis")))
		target = in_str(s, ATTR_DB_NAMESPACE);
	struct slice name = join2(s, operation, target);
	return name.len ? name : system;
}

struct db_query {
	struct slice summary, operation, collection, text;
};

/* A statement that is too long to be remembered: read each time. Returns the redacted text. */
static struct slice db_read_long(struct semconv *s, struct slice raw, enum sql_dialect dialect, struct sql_description *ret)
{
	char *out = (char *)s->text->base + s->text->used;
	size_t room = s->text->cap - s->text->used;
	size_t len = sql_redact(raw, dialect, out, room < STATEMENT_MAX ? room : STATEMENT_MAX);

	s->text->used += (uint32_t)len;
	sql_describe(raw, dialect, ret);
	return slice_make(out, len);
}

/* What the parser said outranks what the statement says of itself. */
static void db_describe_sql(struct semconv *s, struct slice raw, enum sql_dialect dialect, struct db_query *q)
{
	const struct statement *known = statement_get(s->statements, raw, dialect);
	struct sql_description read;
	const struct sql_description *d = known ? &known->description : &read;
	struct slice text = known ? slice_make(known->text, known->text_len) : db_read_long(s, raw, dialect, &read);

	q->text = s->options->show_statements ? raw : text;
	if (!q->summary.len && known)
		q->summary = slice_make(d->summary, d->summary_len);
	else if (!q->summary.len)
		q->summary = arena_copy(s->text, slice_make(d->summary, d->summary_len), NULL);
	if (!q->operation.len)
		q->operation = d->operation;
	if (!q->collection.len)
		q->collection = d->collection;
}

/* A name that the protocol does not define and no server has answered without an error may be anything, and another one with each request. */
static struct slice db_operation_class(const struct semconv *s, struct slice operation)
{
	int64_t known;

	if (!in_int(s, ATTR_RAW_OPERATION_KNOWN, &known) || (s->x->response.start_ns && !(s->x->flags & EXCHANGE_ERROR)))
		return SLICE_NONE;
	return known > 0 ? slice_head(operation, (size_t)known) : SLICE_LIT("_OTHER");
}

/* False if what the protocol sends as a statement is no text of SQL's kind. */
static bool sql_dialect_of(enum proto_statement kind, enum sql_dialect *ret_dialect)
{
	switch (kind) {
	case PROTO_STATEMENT_ANSI: *ret_dialect = SQL_ANSI; return true;
	case PROTO_STATEMENT_MYSQL: *ret_dialect = SQL_MYSQL; return true;
	case PROTO_STATEMENT_CQL: *ret_dialect = SQL_CQL; return true;
	case PROTO_STATEMENT_CLICKHOUSE: *ret_dialect = SQL_CLICKHOUSE; return true;
	case PROTO_STATEMENT_TSQL: *ret_dialect = SQL_TSQL; return true;
	case PROTO_STATEMENT_SQLITE: *ret_dialect = SQL_SQLITE; return true;
	default: return false;
	}
}

static void semconv_db(struct semconv *s)
{
	struct slice system = in_str(s, ATTR_DB_SYSTEM_NAME), raw = in_str(s, ATTR_RAW_STATEMENT);
	struct db_query q = {
		.summary = in_str(s, ATTR_DB_QUERY_SUMMARY),
		.operation = in_str(s, ATTR_DB_OPERATION_NAME),
		.collection = in_str(s, ATTR_DB_COLLECTION_NAME),
	};
	enum proto_statement kind = (enum proto_statement)s->statement;
	enum sql_dialect dialect;

	if (!system.len)
		system = kind == PROTO_STATEMENT_TSQL ? SLICE_LIT("microsoft.sql_server") : slice_str(s->protocol);
	if (raw.len && sql_dialect_of(kind, &dialect))
		db_describe_sql(s, raw, dialect, &q);
	else if (kind == PROTO_STATEMENT_CLEAN || s->options->show_statements)
		q.text = raw;
	put_str(s, ATTR_DB_SYSTEM_NAME, system);
	put_str(s, ATTR_DB_OPERATION_NAME, q.operation);
	put_str(s, ATTR_DB_COLLECTION_NAME, q.collection);
	put_str(s, ATTR_DB_QUERY_SUMMARY, q.summary);
	put_str(s, ATTR_DB_QUERY_TEXT, q.text);
	PASS(s, ATTR_DB_NAMESPACE, ATTR_DB_OPERATION_BATCH_SIZE, ATTR_DB_STORED_PROCEDURE_NAME, ATTR_DB_RESPONSE_STATUS_CODE,
	     ATTR_DB_RESPONSE_RETURNED_ROWS, ATTR_PLUMB_ROWS_AFFECTED, ATTR_DB_REDIRECTED_TO, ATTR_CASSANDRA_CONSISTENCY_LEVEL,
	     ATTR_CASSANDRA_PAGE_SIZE, ATTR_ORACLE_DB_SERVICE, ATTR_ORACLE_DB_INSTANCE_NAME, ATTR_DB_DURABILITY, ATTR_DB_SERVER_DURATION);
	s->span->name = db_name(s, system, q.summary, q.operation, q.collection);
	s->span->operation = db_operation_class(s, q.operation);
	put_error(s, exchange_error(s));
	put_server_socket(s, put_peer(s));
}

/* --- DNS: as in https://opentelemetry.io/docs/specs/semconv/dns/; no span is defined there, so its name is ours --- */

static void semconv_dns(struct semconv *s)
{
	struct slice type = in_str(s, ATTR_DNS_QUESTION_TYPE);

	/* Without the name asked for, which is unbounded. */
	s->span->name = join2(s, SLICE_LIT("DNS"), type);
	PASS(s, ATTR_DNS_QUESTION_NAME, ATTR_DNS_QUESTION_TYPE, ATTR_DNS_ANSWERS, ATTR_DNS_RESPONSE_CODE);
	put_error(s, exchange_error(s));
	if (s->x->ends.family != AF_UNIX)
		put_str(s, ATTR_NETWORK_TRANSPORT, s->x->ends.type == SOCK_DGRAM ? SLICE_LIT("udp") : SLICE_LIT("tcp"));
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, SLICE_LIT("dns"));
	put_server_socket(s, put_peer(s));
}

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
	put_error(s, error);
}

static void semconv_rpc(struct semconv *s)
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
	struct slice peer = put_peer(s);
	http_server(s, &a, in_str(s, ATTR_URL_SCHEME), peer);
	if (in_str(s, ATTR_NETWORK_PROTOCOL_VERSION).len)
		put_str(s, ATTR_NETWORK_PROTOCOL_NAME, SLICE_LIT("http"));
	PASS(s, ATTR_NETWORK_PROTOCOL_VERSION, ATTR_USER_AGENT_ORIGINAL);
}

/* --- JSON-RPC: https://opentelemetry.io/docs/specs/semconv/rpc/json-rpc/, MCP: …/gen-ai/mcp/; and what HTTP has --- */

static void jsonrpc_name(struct semconv *s, struct slice method, bool unknown)
{
	struct slice mcp = in_str(s, ATTR_MCP_METHOD_NAME), tool = in_str(s, ATTR_GEN_AI_TOOL_NAME);

	if (unknown || !method.len)
		s->span->name = in_str(s, ATTR_RPC_SYSTEM_NAME);
	else
		s->span->name = mcp.len ? join2(s, mcp, tool.len ? tool : in_str(s, ATTR_GEN_AI_PROMPT_NAME)) : method;
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
	put_str(s, ATTR_AWS_S3_KEY, redacted_path(s, call->key));
	put_str(s, ATTR_AWS_S3_UPLOAD_ID, call->upload_id);
	if (call->part_number)
		put_int(s, ATTR_AWS_S3_PART_NUMBER, (int64_t)call->part_number);
	struct slice source = in_str(s, ATTR_AWS_S3_COPY_SOURCE);
	put_str(s, ATTR_AWS_S3_COPY_SOURCE, redacted_path(s, slice_head(source, slice_find(source, '?', 0))));
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
	put_str(s, ATTR_DB_COLLECTION_NAME, slice_head(redacted_path(s, index), NAME_MAX));
	if (in_int(s, ATTR_HTTP_RESPONSE_STATUS_CODE, &status) && status >= 400) {
		struct text t = text_begin(s->text);
		text_add_u64(&t, (uint64_t)status);
		put_str(s, ATTR_DB_RESPONSE_STATUS_CODE, text_end(&t));
	}
	if (operation.len)
		s->span->name = operation;
}

/* What is spoken inside HTTP, where that says more than HTTP does; the span's family follows. False: nothing that is known. */
static bool semconv_inside_http(struct semconv *s)
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

/* --- Messaging: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ --- */

/*
 * A client that sends is a producer; who is given what a broker delivers is a consumer, and the exchange lasts until it has confirmed that (for which the conventions
 * have the type "process"). The broker's own ends are not in the conventions: it serves what it is asked, and produces what it delivers.
 */
static void messaging_kind(struct semconv *s, struct slice *type)
{
	/* A broker also asks who somebody is, or to leave: no message is moved. */
	bool delivered = (s->x->flags & EXCHANGE_REVERSED) != 0 && slice_eq(*type, SLICE_LIT("process"));

	if (delivered && is_server_end(s))
		*type = SLICE_LIT("send");
	if (delivered)
		s->span->kind = is_server_end(s) ? SPAN_PRODUCER : SPAN_CONSUMER;
	else if (slice_eq(*type, SLICE_LIT("send")) && !is_server(s))
		s->span->kind = SPAN_PRODUCER;
	else if (slice_eq(*type, SLICE_LIT("send")) && slice_eq(slice_str(s->protocol), SLICE_LIT("zeromq"))) { /* no broker is in between */
		*type = SLICE_LIT("process");
		s->span->kind = SPAN_CONSUMER;
	}
}

static void semconv_messaging(struct semconv *s)
{
	struct slice operation = in_str(s, ATTR_MESSAGING_OPERATION_NAME), type = in_str(s, ATTR_MESSAGING_OPERATION_TYPE), system = in_str(s, ATTR_MESSAGING_SYSTEM);

	messaging_kind(s, &type);
	struct slice template = in_str(s, ATTR_MESSAGING_DESTINATION_TEMPLATE); /* names that differ with each message are not the span's */
	s->span->name = join2(s, operation, template.len ? template : in_str(s, ATTR_MESSAGING_DESTINATION_NAME));
	if (!s->span->name.len)
		s->span->name = slice_str(s->protocol);
	put_str(s, ATTR_MESSAGING_SYSTEM, system.len ? system : slice_str(s->protocol));
	put_str(s, ATTR_MESSAGING_OPERATION_TYPE, type);
	PASS(s, ATTR_MESSAGING_OPERATION_NAME, ATTR_MESSAGING_DESTINATION_NAME, ATTR_MESSAGING_DESTINATION_TEMPLATE,
	     ATTR_MESSAGING_DESTINATION_TEMPORARY, ATTR_MESSAGING_BATCH_MESSAGE_COUNT, ATTR_MESSAGING_DESTINATION_PARTITION_ID,
	     ATTR_MESSAGING_DESTINATION_SUBSCRIPTION_NAME, ATTR_MESSAGING_CONSUMER_GROUP_NAME, ATTR_MESSAGING_CLIENT_ID, ATTR_MESSAGING_MESSAGE_ID,
	     ATTR_MESSAGING_MESSAGE_CONVERSATION_ID, ATTR_MESSAGING_MESSAGE_BODY_SIZE, ATTR_MESSAGING_KAFKA_OFFSET, ATTR_MESSAGING_RABBITMQ_ROUTING_KEY,
	     ATTR_MESSAGING_RABBITMQ_DELIVERY_TAG, ATTR_MESSAGING_ROCKETMQ_MESSAGE_TYPE, ATTR_MESSAGING_ROCKETMQ_MESSAGE_TAG, ATTR_MESSAGING_ROCKETMQ_MESSAGE_DELAY_TIME_LEVEL,
	     ATTR_MESSAGING_RESPONSE_CODE, ATTR_ZEROMQ_SOURCE_TYPE, ATTR_ZEROMQ_DESTINATION_TYPE, ATTR_ZEROMQ_MECHANISM, ATTR_ZEROMQ_FRAMES);
	put_error(s, exchange_error(s));
	put_server_socket(s, put_peer(s));
}

/* --- Dialogues of commands and replies (SMTP, FTP): there are no conventions --- */

/* "local@domain" without whom it names: a person, mostly. */
static struct slice mailbox_redacted(struct semconv *s, struct slice mailbox)
{
	size_t at = mailbox.len;

	while (at && mailbox.ptr[at - 1] != '@')
		at--;
	if (!mailbox.len)
		return SLICE_NONE;
	struct text t = text_begin(s->text);
	text_add_byte(&t, '?');
	if (at)
		text_add(&t, slice_from(mailbox, at - 1));
	return text_end(&t);
}

static void semconv_dialog(struct semconv *s)
{
	struct slice target = in_str(s, ATTR_RAW_TARGET), smtp = in_str(s, ATTR_SMTP_COMMAND), ftp = in_str(s, ATTR_FTP_COMMAND);

	s->span->name = smtp.len ? smtp : ftp.len ? ftp : slice_str(s->protocol);
	if (ftp.len && target.len)
		put_str(s, ATTR_FILE_PATH, redacted_path(s, target));
	else
		put_str(s, ATTR_SMTP_MAILBOX, s->options->show_statements ? target : mailbox_redacted(s, target));
	PASS(s, ATTR_FTP_COMMAND, ATTR_FTP_RESPONSE_STATUS_CODE, ATTR_FTP_SECURITY_MECHANISM, ATTR_SMTP_COMMAND, ATTR_SMTP_MESSAGE_SIZE, ATTR_SMTP_RECIPIENTS, ATTR_SMTP_AUTH_MECHANISM, ATTR_SMTP_RESPONSE_STATUS_CODE, ATTR_SMTP_RESPONSE_ENHANCED_STATUS_CODE);
	if (!s->options->show_statements)
		s->in[ATTR_RAW_STATUS_MESSAGE] = NULL; /* replies name mailboxes and files without quotes */
	put_error(s, exchange_error(s));
	put_str(s, ATTR_NETWORK_PROTOCOL_NAME, slice_str(s->protocol));
	put_server_socket(s, put_peer(s));
}

void semconv_apply(struct semconv *s)
{
	s->span->kind = is_server(s) ? SPAN_SERVER : SPAN_CLIENT;
	s->span->server_end = is_server_end(s);
	switch ((enum proto_family)s->span->family) {
	case PROTO_FAMILY_HTTP:
		if (!semconv_inside_http(s))
			semconv_http(s);
		break;
	case PROTO_FAMILY_DB: semconv_db(s); break;
	case PROTO_FAMILY_DNS: semconv_dns(s); break;
	case PROTO_FAMILY_RPC: semconv_rpc(s); break;
	case PROTO_FAMILY_MESSAGING: semconv_messaging(s); break;
	case PROTO_FAMILY_WEBSOCKET: semconv_websocket(s); break;
	case PROTO_FAMILY_TLS: semconv_tls(s); break;
	case PROTO_FAMILY_DIALOG: semconv_dialog(s); break;
	case PROTO_FAMILY_NONE:
		s->span->name = slice_str(s->protocol);
		put_error(s, exchange_error(s));
		put_server_socket(s, put_peer(s));
		break;
	}
	put_common(s);
}
