/* SPDX-License-Identifier: Apache-2.0 */
/* span/builder and span/semconv: exchanges as parsers make them, and every attribute of the spans that must result. HTTP is test_semconv_http.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "unit/semconv_fixture.h"

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

/* What is done with a statement, and executing it, are not named alike. */
static void what_is_done_with_a_statement(void **state)
{
	static const struct {
		uint16_t protocol;
		const char *operation, *sql, *name;
	} cases[] = {
		{ PLUMB_PROTO_POSTGRES, NULL, "SELECT name FROM orders WHERE id = $1", "SELECT orders" },
		{ PLUMB_PROTO_POSTGRES, "PREPARE", "SELECT name FROM orders WHERE id = $1", "PREPARE SELECT orders" },
		{ PLUMB_PROTO_POSTGRES, "DESCRIBE", "SELECT name FROM orders WHERE id = $1", "DESCRIBE SELECT orders" },
		{ PLUMB_PROTO_MYSQL, "FETCH", "SELECT 1 FROM a, b", "FETCH SELECT a b" },
		{ PLUMB_PROTO_MYSQL, "PREPARE", "PREPARE s FROM 'SELECT 1'", NULL },
		{ PLUMB_PROTO_CASSANDRA, "BATCH INSERT", "INSERT INTO notes (id) VALUES (7)", "BATCH INSERT notes" },
		{ PLUMB_PROTO_CASSANDRA, "BATCH", "INSERT INTO notes (id) VALUES (7)", "BATCH INSERT notes" },
	};
	char sql[512] = "SELECT 1 FROM ", name[300] = "DESCRIBE SELECT";
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(f, cases[i].protocol, PLUMB_ROLE_CLIENT);
		if (cases[i].operation)
			add_str(&f->x, ATTR_DB_OPERATION_NAME, cases[i].operation);
		add_str(&f->x, ATTR_RAW_STATEMENT, cases[i].sql);
		build(f);
		if (cases[i].name)
			assert_slice(f->span.name, cases[i].name);
		assert_true(slice_eq(f->span.name, str_of(f, ATTR_DB_QUERY_SUMMARY)));
		if (cases[i].operation)
			assert_attr(f, ATTR_DB_OPERATION_NAME, cases[i].operation);
		if (!cases[i].name) /* it says so itself, and once is enough */
			assert_false(slice_starts(f->span.name, SLICE_LIT("PREPARE PREPARE")));
	}
	/* Whole names up to the longest that a summary may be. */
	for (int i = 0; i < 22; i++)
		snprintf(sql + strlen(sql), sizeof(sql) - strlen(sql), "%sorders_of_%02d", i ? ", " : "", i);
	for (int i = 0; strlen(name) + sizeof(" orders_of_00") - 1 <= 255; i++)
		snprintf(name + strlen(name), sizeof(name) - strlen(name), " orders_of_%02d", i);
	begin(f, PLUMB_PROTO_POSTGRES, PLUMB_ROLE_CLIENT);
	add_str(&f->x, ATTR_DB_OPERATION_NAME, "DESCRIBE");
	add_str(&f->x, ATTR_RAW_STATEMENT, sql);
	build(f);
	assert_attr(f, ATTR_DB_QUERY_SUMMARY, name);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_sensitive_passes),
		cmocka_unit_test(database_sql),
		cmocka_unit_test(statements_are_not_mixed_up),
		cmocka_unit_test(quoted_values_cannot_break_out),
		cmocka_unit_test(what_is_done_with_a_statement),
		cmocka_unit_test(database_names),
		cmocka_unit_test(unknown_operations_are_one),
		cmocka_unit_test(grpc),
		cmocka_unit_test(thrift),
		cmocka_unit_test(brpc),
		cmocka_unit_test(dubbo),
		cmocka_unit_test(grpc_errors),
		cmocka_unit_test(dns),
		cmocka_unit_test(messaging),
		cmocka_unit_test(messaging_templates),
		cmocka_unit_test(messages),
		cmocka_unit_test(messaging_kafka),
		cmocka_unit_test(messaging_errors),
		cmocka_unit_test(dialogues),
		cmocka_unit_test(addresses),
		cmocka_unit_test(huge_text_is_cut_and_counted),
	};
	return cmocka_run_group_tests_name("semconv", tests, setup, teardown);
}
