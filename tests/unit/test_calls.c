/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of libraries, record to span: what is told of each, whose they are, what is remembered and for how long, what a shared recording keeps of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pipeline.h"
#include "proto/calls_sqlite.h"
#include "proto/masker.h"
#include "sink/sink.h"
#include "unit/assert_slice.h"

#define MS 1000000ull
#define SECOND 1000000000ull

enum { LINES = 16, LINE = 5120, DB = 0xd0, STATEMENT = 0x50 };

struct fixture {
	struct sink sink;
	struct pipeline *p;
	struct recorder *recorder;
	uint64_t now;
	size_t spans;
	char line[LINES][LINE]; /* of the first ones */
	struct span span;       /* the latest one; its strings are gone */
	uint8_t parent[8];
	uint64_t hash_of_ids;
};

/* What a span says but for time and ids: name | attribute=value … */
static enum sink_result on_span(struct sink *sink, const struct span *s)
{
	struct fixture *f = (struct fixture *)(void *)sink;
	char *to = f->line[f->spans < LINES ? f->spans : LINES - 1];
	int n = snprintf(to, LINE, "%.*s |", (int)s->name.len, (const char *)s->name.ptr);

	for (uint32_t i = 0; i < s->nattrs; i++) {
		const struct attr *a = &s->attrs[i];
		if (a->id == ATTR_THREAD_ID || a->id == ATTR_DB_OPERATION_NAME || a->id == ATTR_DB_QUERY_SUMMARY || a->id == ATTR_DB_COLLECTION_NAME)
			continue;
		if (a->type == ATTR_TYPE_STR)
			n += snprintf(to + n, LINE - (size_t)n, " %s=%.*s", attr_info[a->id].name, (int)a->str.len, (const char *)a->str.ptr);
		else
			n += snprintf(to + n, LINE - (size_t)n, " %s=%lld", attr_info[a->id].name, (long long)a->num);
		assert_true(n < LINE);
	}
	f->span = *s;
	memcpy(f->parent, s->parent_id, sizeof(f->parent));
	for (size_t i = 0; i < 8; i++)
		f->hash_of_ids = f->hash_of_ids * 31 + s->span_id[i];
	f->spans++;
	return SINK_OK;
}

static const struct sink_ops lines_ops = { .name = "lines", .span = on_span };

static void fixture_init(struct fixture *f, const struct proto_engine_options *proto)
{
	static struct sink *sinks[2];
	struct pipeline_options o = { .sinks = sinks, .correlate = { .sampler = SAMPLER_ALWAYS_ON, .parent_based = true } };

	*f = (struct fixture){ .sink = { &lines_ops }, .now = SECOND };
	if (proto)
		o.proto = *proto;
	sinks[0] = &f->sink;
	assert_int_equal(pipeline_new(&o, &f->p), 0);
}

static struct metrics_self fixture_done(struct fixture *f)
{
	struct metrics_self n = { 0 };

	pipeline_finish(f->p);
	pipeline_counts(f->p, &n);
	assert_int_equal(n.proto.exchanges_open, 0);
	assert_int_equal(n.span.built, f->spans);
	pipeline_free(f->p);
	f->p = NULL;
	return n;
}

static void feed(struct fixture *f, struct record r, uint16_t type, struct slice payload)
{
	uint8_t raw[PLUMB_RECORD_MAX] = { 0 };
	struct record decoded;
	struct slice text;

	r.u.h = (struct plumb_rec_header){ .size = (uint32_t)(record_fixed_bytes(type) + payload.len + 7) & ~7u, .type = type, .time_ns = f->now };
	if (f->recorder)
		assert_int_equal(recorder_write(f->recorder, &r, payload), 0);
	memcpy(raw, &r, record_fixed_bytes(type));
	if (payload.len)
		memcpy(raw + record_fixed_bytes(type), payload.ptr, payload.len);
	assert_int_equal(record_decode(slice_make(raw, r.u.h.size), &decoded, &text), r.u.h.size);
	assert_int_equal(pipeline_record(f->p, &decoded, text), 0);
	f->now += 1000;
}

/* By thread 101 of process 100 unless the record says otherwise; 700 ns long. */
static void call(struct fixture *f, struct plumb_rec_call r, const char *text)
{
	r.pid = r.pid ? r.pid : 100;
	r.tid = r.tid ? r.tid : r.pid + 1;
	r.begin_ns = r.begin_ns ? r.begin_ns : f->now - 700;
	r.end_ns = f->now;
	r.captured = text ? (uint32_t)strlen(text) : 0;
	r.len = r.len ? r.len : r.captured;
	feed(f, (struct record){ .u.call = r }, PLUMB_REC_CALL, text ? slice_str(text) : SLICE_NONE);
}

#define CALL(f, fn, text, ...) call((f), (struct plumb_rec_call){ .function = PLUMB_FN_##fn, __VA_ARGS__ }, (text))

static void assert_lines(const struct fixture *f, const char *const *expect, size_t n)
{
	for (size_t i = 0; i < n && i < f->spans; i++)
		assert_string_equal(f->line[i], expect[i]);
	assert_int_equal(f->spans, n);
}

#define ASSERT_LINES(f, ...) assert_lines((f), (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void sqlite_says_what_it_does(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL);
	CALL(&f, SQLITE_OPEN, "file:/home/alice/shop.db?mode=ro&key=secret#secret", .object = DB);
	CALL(&f, SQLITE_PREPARE, "SELECT name FROM \"users\" WHERE email = 'a@b.c' AND age > ?1", .object = STATEMENT, .parent = DB);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .parent = DB, .count = 3, .result = 101);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .result = 100, .count = 1); /* no more of them were wanted; the database is the statement's */
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .result = 101);
	CALL(&f, SQLITE_FINALIZE, NULL, .object = STATEMENT);
	CALL(&f, SQLITE_PREPARE, "insert into users values (7, 'Bob')", .object = STATEMENT, .parent = DB);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .result = 101);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .result = 2067);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .result = 19 | 99 << 8);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .result = 9);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .result = -7);
	CALL(&f, SQLITE_FINALIZE, NULL, .object = STATEMENT, .result = 9);
	CALL(&f, SQLITE_PREPARE, "SELEC 'secret'", .parent = DB, .result = 1);
	CALL(&f, SQLITE_PREPARE, " -- nothing to do", .parent = DB); /* no statement, and no failure */
	CALL(&f, SQLITE_CLOSE, NULL, .object = DB);
	const struct metrics_self n = fixture_done(&f);
#define ABOUT " | db.system.name=sqlite db.query.text="
#define USERS "SELECT users" ABOUT "SELECT name FROM \"users\" WHERE email = ? AND age > ?1 db.namespace=shop.db"
#define BOB "insert users" ABOUT "insert into users values (?) db.namespace=shop.db"
	ASSERT_LINES(&f, USERS " db.response.returned_rows=3", USERS " db.response.returned_rows=1", USERS " db.response.returned_rows=0", BOB,
		     BOB " db.response.status_code=2067 error.type=SQLITE_CONSTRAINT_UNIQUE", BOB " db.response.status_code=25363 error.type=SQLITE_CONSTRAINT",
		     BOB " db.response.status_code=9 error.type=SQLITE_INTERRUPT", BOB " db.response.status_code=-7 error.type=-7",
		     "shop.db" ABOUT "SELEC ? db.namespace=shop.db db.response.status_code=1 error.type=SQLITE_ERROR");
	assert_int_equal(n.proto.exchanges[PLUMB_PROTO_SQLITE], 9);
	assert_int_equal(n.proto.calls.handles, 0);
	assert_int_equal(n.proto.calls.not_seen, 0);
}

static void duckdb_says_what_it_does(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL);
	CALL(&f, DUCKDB_OPEN, "md:sales?motherduck_token=secret", .object = DB);
	CALL(&f, DUCKDB_CONNECT, NULL, .object = 0xc0, .parent = DB);
	CALL(&f, DUCKDB_QUERY, "SELECT sum(x) FROM 'a.csv' WHERE k = $$v$$ AND l = \"m\"", .parent = 0xc0);
	CALL(&f, DUCKDB_PREPARE, "INSERT INTO t VALUES ($1, 'x')", .object = STATEMENT, .parent = 0xc0);
	CALL(&f, DUCKDB_EXECUTE, NULL, .object = STATEMENT);
	CALL(&f, DUCKDB_EXECUTE, NULL, .object = STATEMENT, .result = 1);
	CALL(&f, DUCKDB_FORGET, NULL, .object = STATEMENT);
	CALL(&f, DUCKDB_PREPARE, "SELECT 'x", .parent = 0xc0, .result = 1);
	CALL(&f, DUCKDB_OPEN, NULL, .object = 0xd1);
	CALL(&f, DUCKDB_CONNECT, NULL, .object = 0xc1, .parent = 0xd1);
	CALL(&f, DUCKDB_QUERY, "SELECT 1", .parent = 0xc1);
	CALL(&f, DUCKDB_OPEN, "/var/lib/locked.duckdb", .result = 1);
	CALL(&f, DUCKDB_OPEN, "postgres:host=h password=secret/x", .result = 1);
	CALL(&f, DUCKDB_QUERY, NULL, .parent = 0xc1, .flags = PLUMB_CALL_NO_TEXT);
	CALL(&f, DUCKDB_CONNECT, NULL, .parent = DB, .result = 1);
	(void)fixture_done(&f);
#undef ABOUT
#define ABOUT " | db.system.name=duckdb "
	ASSERT_LINES(&f, "SELECT" ABOUT "db.query.text=SELECT sum(x) FROM ? WHERE k = ? AND l = \"m\" db.namespace=md:sales",
		     "INSERT t" ABOUT "db.query.text=INSERT INTO t VALUES ($1, ?) db.namespace=md:sales",
		     "INSERT t" ABOUT "db.query.text=INSERT INTO t VALUES ($1, ?) db.namespace=md:sales error.type=DuckDBError",
		     "SELECT" ABOUT "db.query.text=SELECT ? db.namespace=md:sales error.type=DuckDBError", "SELECT" ABOUT "db.query.text=SELECT ? db.namespace=:memory:",
		     "OPEN locked.duckdb" ABOUT "db.namespace=locked.duckdb error.type=DuckDBError", "OPEN postgres" ABOUT "db.namespace=postgres error.type=DuckDBError",
		     "QUERY :memory:" ABOUT "db.namespace=:memory: plumb.incomplete=statement_not_seen", "CONNECT md:sales" ABOUT "db.namespace=md:sales error.type=DuckDBError");
}

/* Each call that is told of: no handle, no statement. What is no name is not shown. */
static void gpu_drivers_say_what_fails(void **state)
{
	struct fixture f;
	uint64_t grid = 70000 | 3ull << 32 | 5ull << 48, block = 128 | 2ull << 16 | 1ull << 32;

	(void)state;
	fixture_init(&f, NULL);
#define GPU(id, text, ...) call(&f, (struct plumb_rec_call){ .function = PLUMB_FN_GPU + PLUMB_GPU_##id, __VA_ARGS__ }, (text))
	GPU(CU_LAUNCH_KERNEL, "_Z10vector_addPfS_i", .object = grid, .parent = block, .count = 4096, .result = 719);
	GPU(CU_LAUNCH_KERNEL_EX, "no name!", .object = grid, .parent = block);
	GPU(CU_MEM_ALLOC, NULL, .count = 1ull << 40, .result = 2);
	GPU(CU_STREAM_SYNCHRONIZE, NULL, .count = 7, .result = 4711);
	GPU(HIP_MALLOC, NULL, .count = 1009, .result = 2);
	const struct metrics_self n = fixture_done(&f);
#define LAUNCHED "plumb.gpu.kernel.grid=70000,3,5 plumb.gpu.kernel.block=128,2,1 plumb.gpu.kernel.shared_memory="
	ASSERT_LINES(&f, "cuLaunchKernel | plumb.gpu.api=cuda code.function.name=cuLaunchKernel plumb.gpu.kernel.name=_Z10vector_addPfS_i " LAUNCHED "4096 error.type=CUDA_ERROR_LAUNCH_FAILED",
		     "cuLaunchKernelEx | plumb.gpu.api=cuda code.function.name=cuLaunchKernelEx " LAUNCHED "0",
		     "cuMemAlloc | plumb.gpu.api=cuda code.function.name=cuMemAlloc plumb.gpu.bytes=1099511627776 error.type=CUDA_ERROR_OUT_OF_MEMORY",
		     "cuStreamSynchronize | plumb.gpu.api=cuda code.function.name=cuStreamSynchronize error.type=4711",
		     "hipMalloc | plumb.gpu.api=hip code.function.name=hipMalloc plumb.gpu.bytes=1009 error.type=hipErrorOutOfMemory");
	assert_int_equal(f.span.kind, SPAN_INTERNAL);
	assert_int_equal(f.span.status, SPAN_STATUS_ERROR);
	assert_int_equal(n.proto.exchanges[PLUMB_PROTO_CUDA], 4);
	assert_int_equal(n.proto.exchanges[PLUMB_PROTO_HIP], 1);
	assert_int_equal(n.proto.calls.handles, 0);
}

static void names_of_databases(void **state)
{
	static const char *const names[][2] = {
		{ ":memory:", ":memory:" }, { "file::memory:?cache=shared", ":memory:" }, { "a.db", "a.db" }, { "/x/y=z/a.db", "a.db" }, { "FILE:///x/a.db#k", "a.db" },
		{ "/x/a.db?key=s", "a.db" }, { "", "" }, { "/x/", "" }, { "file:", "" }, { "?", "" }, { "s3://b/k.duckdb?secret=s", "k.duckdb" }, { "c:/x/a=b.db", "a=b.db" },
		{ "postgres:password=s/t", "postgres" }, { "postgres://u:s@h/db", "db" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct fixture f;
		char expect[128];
		fixture_init(&f, NULL);
		CALL(&f, SQLITE_OPEN, names[i][0], .object = DB);
		CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .parent = DB, .result = 101);
		(void)fixture_done(&f);
		snprintf(expect, sizeof(expect), "EXECUTE | db.system.name=sqlite plumb.incomplete=statement_not_seen");
		if (names[i][1][0])
			snprintf(expect, sizeof(expect), "EXECUTE %s | db.system.name=sqlite db.namespace=%s plumb.incomplete=statement_not_seen", names[i][1], names[i][1]);
		ASSERT_LINES(&f, expect);
	}
}

static void codes_have_names(void **state)
{
	(void)state;
	assert_true(sqlite_succeeded(0) && sqlite_succeeded(100) && sqlite_succeeded(101) && sqlite_succeeded(512));
	assert_false(sqlite_succeeded(1) || sqlite_succeeded(102) || sqlite_succeeded(-256) || sqlite_succeeded(101 | 1 << 8) || sqlite_succeeded(INT32_MIN));
	assert_string_equal(sqlite_code_name(5), "SQLITE_BUSY");
	assert_string_equal(sqlite_code_name(517), "SQLITE_BUSY_SNAPSHOT");
	assert_string_equal(sqlite_code_name(8458), "SQLITE_IOERR_CORRUPTFS");
	assert_string_equal(sqlite_code_name(INT32_MAX - 0xff + 14), "SQLITE_CANTOPEN");
	assert_null(sqlite_code_name(102));
	assert_null(sqlite_code_name(-1));
	assert_null(sqlite_code_name(INT32_MIN + 5));
	assert_null(sqlite_code_name(0xff));
}

/* Whose statement it is, how long it is known, and what is not confused. */
static void handles_live_and_die(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL);
	CALL(&f, SQLITE_PREPARE, "SELECT 1 FROM a", .object = STATEMENT);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .pid = 200); /* another process */
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT);
	CALL(&f, SQLITE_PREPARE, "SELECT 1 FROM b", .object = STATEMENT); /* its end was not told */
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT);
	CALL(&f, SQLITE_OPEN, "c.db", .object = STATEMENT); /* nor this one's */
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT);
	CALL(&f, SQLITE_CLOSE, NULL, .object = STATEMENT, .result = 5); /* busy: it stays */
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 1, .parent = STATEMENT);
	CALL(&f, SQLITE_PREPARE, "SELECT 1 FROM d", .object = 2, .parent = STATEMENT);
	CALL(&f, SQLITE_PREPARE, "SELECT 1 FROM e", .object = 2, .pid = 200);
	feed(&f, (struct record){ .u.exec.pid = 100 }, PLUMB_REC_EXEC, SLICE_NONE);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 2, .parent = STATEMENT);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 2, .pid = 200);
	feed(&f, (struct record){ .u.exit.pid = 200 }, PLUMB_REC_EXIT, SLICE_NONE);
	CALL(&f, SQLITE_PREPARE, "SELECT 1 FROM f", .object = 2, .pid = 200); /* comes late: nobody would tell of its end */
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 2, .pid = 200);
	/* A process that got the same pid, and the end of the one before was lost. */
	CALL(&f, SQLITE_PREPARE, "SELECT 1 FROM g", .object = 3, .pid = 300);
	feed(&f, (struct record){ .u.fork = { .parent_pid = 100, .pid = 300 } }, PLUMB_REC_FORK, SLICE_NONE);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 3, .pid = 300);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 0);
	const struct metrics_self n = fixture_done(&f);
	static const char *const names[] = { "EXECUTE", "SELECT a", "SELECT b", "EXECUTE", "EXECUTE c.db", "EXECUTE", "SELECT e", "EXECUTE", "EXECUTE", "EXECUTE" };
	assert_int_equal(f.spans, sizeof(names) / sizeof(names[0]));
	for (size_t i = 0; i < f.spans; i++) {
		f.line[i][strlen(names[i])] = 0;
		assert_string_equal(f.line[i], names[i]);
	}
	assert_int_equal(n.proto.calls.handles, 0);
	assert_int_equal(n.proto.calls.not_seen, 7);
	assert_int_equal(n.proto.calls.evicted, 0);
}

static void what_is_long_is_cut(void **state)
{
	static char text[PLUMB_CALL_TEXT_MAX + 1];
	struct fixture f;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "SELECT b, ", 10);
	fixture_init(&f, NULL);
	for (uint32_t len = 1; len <= PLUMB_CALL_TEXT_MAX; len = len * 3 + 1) {
		char *part = strndup(text, len + 9);
		CALL(&f, SQLITE_PREPARE, part, .object = STATEMENT);
		CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT);
		assert_true(strstr(f.line[f.spans - 1], "returned_rows=0") && !strstr(f.line[f.spans - 1], "incomplete"));
		free(part);
	}
	CALL(&f, SQLITE_PREPARE, "SELECT 'a", .object = STATEMENT, .len = 5000, .flags = PLUMB_CALL_CUT);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT);
	assert_string_equal(f.line[f.spans - 1], "SELECT | db.system.name=sqlite db.query.text=SELECT ? db.response.returned_rows=0 plumb.incomplete=attributes_cut");
	assert_true(fixture_done(&f).proto.attrs_cut >= 1);
}

static void tables_are_bounded(void **state)
{
	enum { MAX = 16, MANY = 1009 };
	const struct proto_engine_options o = { .max_handles = MAX };
	struct fixture f;

	(void)state;
	fixture_init(&f, &o);
	CALL(&f, SQLITE_OPEN, "a.db", .object = 1);
	for (uint64_t i = 0; i < MANY; i++) {
		CALL(&f, SQLITE_PREPARE, "SELECT 1 FROM t", .object = 1000 + i, .parent = 1, .pid = 100 + (i & 1));
		CALL(&f, SQLITE_EXECUTE, NULL, .object = 1000 + i, .pid = 100 + (i & 1));
		if (i >= MAX) /* the one unused for longest is gone, the one before is not */
			CALL(&f, SQLITE_EXECUTE, NULL, .object = 1000 + i - MAX, .pid = 100 + (i & 1));
		if (i)
			CALL(&f, SQLITE_EXECUTE, NULL, .object = 1000 + i - 1, .pid = 100 + !(i & 1));
	}
	struct metrics_self n = { 0 };
	pipeline_counts(f.p, &n);
	assert_int_equal(n.proto.calls.handles, MAX);
	assert_int_equal(n.proto.calls.evicted, 1 + MANY - MAX);
	assert_int_equal(n.proto.calls.refused, 0);
	assert_int_equal(n.proto.calls.not_seen, MANY - MAX);
	assert_int_equal(f.spans, 3 * MANY - MAX - 1);
	(void)fixture_done(&f);
}

/* What makes room for a handle may be the last one that its process had: the process is known anew, and what it has goes with it. */
static void a_process_may_lose_its_last_handle_to_its_next(void **state)
{
	const struct proto_engine_options o = { .max_handles = 1 };
	struct metrics_self n = { 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, &o);
	for (uint64_t i = 0; i < 101; i++) {
		CALL(&f, SQLITE_PREPARE, "SELECT 1 FROM t", .object = STATEMENT + i % 3); /* an address is used again, and its end was not told */
		CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT + i % 3);
		CALL(&f, SQLITE_PREPARE, "SELECT 1 FROM u", .object = STATEMENT + i % 3);
		CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT + i % 3);
	}
	pipeline_counts(f.p, &n);
	assert_int_equal(n.proto.calls.handles, 1);
	assert_int_equal(n.proto.calls.evicted, 100);
	assert_int_equal(n.proto.calls.not_seen, 0);
	feed(&f, (struct record){ .u.exec.pid = 100 }, PLUMB_REC_EXEC, SLICE_NONE);
	pipeline_counts(f.p, &n);
	assert_int_equal(n.proto.calls.handles, 0);
	assert_int_equal(n.proto.calls.refused, 0);
	assert_int_equal(f.spans, 202);
	(void)fixture_done(&f);
}

static void every_execution_is_a_span(void **state)
{
	enum { EXECUTIONS = 10007 };
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL);
	CALL(&f, SQLITE_PREPARE, "SELECT 1", .object = STATEMENT);
	for (int i = 0; i < EXECUTIONS; i++)
		CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .tid = 101 + (uint32_t)i % 7, .result = 101);
	const struct metrics_self n = fixture_done(&f);
	assert_int_equal(f.spans, EXECUTIONS);
	assert_int_equal(n.proto.exchanges[PLUMB_PROTO_SQLITE], EXECUTIONS);
	assert_int_equal(n.correlate.roots, EXECUTIONS);
	assert_int_equal(n.proto.messages[PLUMB_PROTO_SQLITE], EXECUTIONS + 1);
}

/* --- whose they are --- */

static void socket_io(struct fixture *f, uint64_t sock, uint32_t tid, bool answer)
{
	const char *text = answer ? "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" : "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
	struct record data = { .u.data = { .sock = sock, .offset = 1, .pid = 100, .tid = tid, .len = (uint32_t)strlen(text), .captured = (uint32_t)strlen(text),
		.direction = answer ? PLUMB_EGRESS : PLUMB_INGRESS } };

	if (!answer)
		feed(f, (struct record){ .u.sock = { .sock = sock, .pid = 100, .family = AF_INET, .type = SOCK_STREAM, .role = PLUMB_ROLE_SERVER, .local_port = 80,
			.remote_port = (uint16_t)(40000 + sock), .local_addr = { 10, 0, 0, 1 }, .remote_addr = { 10, 0, 0, 2 } } }, PLUMB_REC_SOCK_OPEN, SLICE_NONE);
	feed(f, data, PLUMB_REC_DATA, slice_str(text));
}

static const char *join_of(const struct fixture *f, size_t i) { return strstr(f->line[i], "plumb.join="); }

static void calls_belong_to_the_request_of_their_thread(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL);
	socket_io(&f, 1, 101, false);
	socket_io(&f, 2, 102, false);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 1, .tid = 101);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 2, .tid = 102);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 3, .tid = 103);                       /* handles none, and two are under way */
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 4, .tid = 101, .begin_ns = SECOND - 5); /* has begun before the request */
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 5, .tid = 201, .pid = 200);
	f.now += MS;
	socket_io(&f, 1, 101, true);
	socket_io(&f, 2, 102, true);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 6, .tid = 101); /* the request is over */
	f.now += 100 * MS;
	feed(&f, (struct record){ 0 }, PLUMB_REC_TICK, SLICE_NONE);
	const struct metrics_self n = fixture_done(&f);
	assert_int_equal(f.spans, 8);
	assert_int_equal(n.correlate.joined_thread, 2);
	assert_int_equal(n.correlate.joined_process, 0);
	assert_int_equal(n.correlate.roots, 6);
	assert_int_equal(n.correlate.joined_socket, 0);
	size_t joined = 0;
	for (size_t i = 0; i < f.spans; i++)
		joined += join_of(&f, i) && strncmp(join_of(&f, i), "plumb.join=thread", 17) == 0;
	assert_int_equal(joined, 2);
}

/* A call within the process changes nothing of who waits for whom: an event loop with two requests cannot tell before it, and can after it what it could before. */
static void event_loops_are_not_confused(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL);
	socket_io(&f, 1, 101, false);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 1);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 2);
	socket_io(&f, 2, 101, false);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 3); /* both run */
	socket_io(&f, 1, 101, true);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = 4);
	socket_io(&f, 2, 101, true);
	const struct metrics_self n = fixture_done(&f);
	assert_int_equal(n.correlate.joined_thread, 3);
	assert_int_equal(n.correlate.ambiguous, 1);
	assert_int_equal(n.correlate.roots, 3);
}

static void what_is_not_wanted_costs_nothing(void **state)
{
	static bool enabled[PLUMB_PROTO_COUNT] = { [PLUMB_PROTO_DUCKDB] = true };
	const struct proto_engine_options o = { .enabled = enabled };
	struct fixture f;

	(void)state;
	fixture_init(&f, &o);
	CALL(&f, SQLITE_PREPARE, "SELECT 1", .object = STATEMENT);
	CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT);
	CALL(&f, DUCKDB_QUERY, "SELECT 1");
	call(&f, (struct plumb_rec_call){ .function = PLUMB_FN_NONE }, "x");
	call(&f, (struct plumb_rec_call){ .function = PLUMB_FUNCTIONS }, "x");
	call(&f, (struct plumb_rec_call){ .function = 0xffff }, NULL);
	const struct metrics_self n = fixture_done(&f);
	assert_int_equal(f.spans, 1);
	assert_int_equal(n.proto.calls.unknown, 3);
	assert_int_equal(n.proto.calls.handles, 0);
}

/* At the maximum of exchanges held, and when everything in a record lies. */
static void hostile_records_are_survived(void **state)
{
	const struct proto_engine_options o = { .max_handles = 3, .max_exchanges = 2, .max_per_connection = 1 };
	uint64_t x = 0x9e3779b97f4a7c15u;
	struct fixture f;

	(void)state;
	fixture_init(&f, &o);
	for (int i = 0; i < 20011; i++) {
		char text[8] = "SELECT";
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		text[x % 7] = (char)(x >> 8);
		call(&f, (struct plumb_rec_call){ .function = (uint16_t)(x >> 16) % 13, .object = (x >> 20) % 5, .parent = (x >> 24) % 5, .pid = 1 + (uint32_t)(x >> 28) % 3,
			.result = (int32_t)(x >> 32) % 3 ? 0 : (int32_t)(x >> 32), .count = (x >> 30) % 2 ? INT64_MAX : 0, .flow = x % 3, .flags = (uint16_t)(x >> 40),
			.len = x % 11 ? 0 : UINT32_MAX, .tid = UINT32_MAX, .begin_ns = x % 5 ? 0 : 1 }, x % 3 ? text : NULL);
		if (x % 97 == 0)
			feed(&f, (struct record){ .u.exit.pid = 1 + (uint32_t)(x >> 50) % 3 }, PLUMB_REC_EXIT, SLICE_NONE);
		if (x % 89 == 0)
			feed(&f, (struct record){ .u.fork.pid = 1 + (uint32_t)(x >> 50) % 3 }, PLUMB_REC_FORK, SLICE_NONE);
	}
	const struct metrics_self n = fixture_done(&f);
	assert_true(f.spans > 5000);
	assert_true(n.proto.calls.handles <= 3 + 1 + 1);
}

/* --- recordings --- */

static char path[64];

static int replay_record(void *ctx, const struct record *rec, struct slice payload)
{
	struct fixture *f = ctx;

	return pipeline_record(f->p, rec, payload);
}

static int copy_bytes(void *ctx, const struct record *rec, struct slice payload)
{
	fwrite(rec, 1, record_fixed_bytes(rec->u.h.type), ctx);
	fwrite(payload.len ? payload.ptr : (const uint8_t *)"", 1, payload.len, ctx);
	return 0;
}

static bool file_has(const char *word)
{
	struct source *s;
	char error[256], *found = NULL;
	size_t len = 0;
	FILE *all = open_memstream(&found, &len);

	assert_int_equal(recording_open(path, &s, error, sizeof(error)), 0);
	while (s->ops->read(s, 64, 0, copy_bytes, all) >= 0)
		;
	s->ops->close(s);
	fclose(all);
	bool has = memmem(found, len, word, strlen(word));
	free(found);
	return has;
}

static void recordings_replay(void **state)
{
	static struct fixture f, again;
	char error[256];

	(void)state;
	for (int way = 0; way < 3; way++) { /* as it is, redacted, and without a masker */
		struct masker *m = NULL;
		assert_int_equal(masker_new(0, 47, &m), 0);
		struct recorder_options o = { .redact = way > 0, .mask = way == 1 ? masker_record : NULL, .mask_ctx = m };
		struct source *s;
		fixture_init(&f, NULL);
		assert_int_equal(recorder_open(path, &o, &f.recorder, error, sizeof(error)), 0);
		feed(&f, (struct record){ .u.start = { .seed = { 7 }, .abi_version = 1 } }, PLUMB_REC_START, SLICE_NONE);
		CALL(&f, SQLITE_OPEN, "/home/CANARY/CANARY.db", .object = DB);
		CALL(&f, SQLITE_PREPARE, "\n SELECT CANARY FROM t WHERE a = 'CANARY'", .object = STATEMENT, .parent = DB);
		CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .result = 101, .count = 7);
		CALL(&f, SQLITE_EXECUTE, NULL, .object = STATEMENT, .result = 5);
		CALL(&f, DUCKDB_QUERY, "CANARY", .result = 1);
		CALL(&f, DUCKDB_QUERY, "selectCANARY");
		CALL(&f, DUCKDB_OPEN, ":memory:", .object = 9);
		CALL(&f, DUCKDB_QUERY, "COMMIT", .parent = 9);
		call(&f, (struct plumb_rec_call){ .function = 999 }, "select CANARY");
		call(&f, (struct plumb_rec_call){ .function = PLUMB_FN_GPU + 255 }, "CANARY");
		GPU(CU_GRAPH_LAUNCH, "CANARY is no name");
		GPU(CU_LAUNCH_KERNEL, "kept");
		assert_int_equal(recorder_close(f.recorder), 0);
		f.recorder = NULL;
		(void)fixture_done(&f);

		fixture_init(&again, NULL);
		assert_int_equal(recording_open(path, &s, error, sizeof(error)), 0);
		while (s->ops->read(s, 64, 0, replay_record, &again) >= 0)
			;
		s->ops->close(s);
		(void)fixture_done(&again);
		masker_free(m);

		assert_int_equal(again.spans, 7);
		assert_int_equal(strstr(again.line[6], "plumb.gpu.kernel.name=kept") != NULL, way < 2);
		assert_true(again.hash_of_ids == f.hash_of_ids);
		assert_int_equal(file_has("CANARY"), way == 0);
		assert_int_equal(file_has("COMMIT"), way < 2);
		if (way == 0)
			for (size_t i = 0; i < f.spans; i++)
				assert_string_equal(again.line[i], f.line[i]);
		if (way == 1)
			assert_string_equal(again.line[0], "SELECT | db.system.name=sqlite db.query.text=SELECT xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "
				"db.namespace=xxxxxxxxxxxxxxxxxxxxxx db.response.returned_rows=7");
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sqlite_says_what_it_does), cmocka_unit_test(duckdb_says_what_it_does), cmocka_unit_test(gpu_drivers_say_what_fails), cmocka_unit_test(names_of_databases), cmocka_unit_test(codes_have_names),
		cmocka_unit_test(handles_live_and_die), cmocka_unit_test(what_is_long_is_cut), cmocka_unit_test(tables_are_bounded), cmocka_unit_test(a_process_may_lose_its_last_handle_to_its_next), cmocka_unit_test(every_execution_is_a_span),
		cmocka_unit_test(calls_belong_to_the_request_of_their_thread), cmocka_unit_test(event_loops_are_not_confused), cmocka_unit_test(what_is_not_wanted_costs_nothing),
		cmocka_unit_test(hostile_records_are_survived), cmocka_unit_test(recordings_replay),
	};

	snprintf(path, sizeof(path), "/tmp/plumb-calls-%d", (int)getpid());
	return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
