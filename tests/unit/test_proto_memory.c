/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers' memory: what is counted comes back, and nothing goes beyond the budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/engine.h"
#include "proto/memory.h"

enum { BUDGET = 4096, BEGIN_MAX = 9 << 10, CONNECTIONS = 10007, MS = 1000 * 1000 };

static void counts_what_is_taken(void **state)
{
	struct proto_memory m = { .max = BUDGET };

	(void)state;
	uint8_t *a = proto_memory_get(&m, 101);
	assert_non_null(a);
	uint64_t one = m.used;
	assert_in_range(one, 101, 101 + 32);
	memset(a, 7, 101);
	a = proto_memory_resize(&m, a, 1009);
	assert_int_equal(m.used, one + 1009 - 101);
	assert_int_equal(a[100], 7);
	a = proto_memory_resize(&m, a, 11);
	assert_int_equal(m.used, one + 11 - 101);
	proto_memory_put(&m, a);
	proto_memory_put(&m, NULL);
	assert_int_equal(m.used, 0);
	assert_int_equal(m.refused, 0);
}

static void refuses_what_is_beyond(void **state)
{
	struct proto_memory m = { .max = BUDGET };

	(void)state;
	assert_null(proto_memory_get(&m, BUDGET));
	assert_null(proto_memory_get(&m, SIZE_MAX));
	uint8_t *a = proto_memory_get(&m, 2003);
	assert_non_null(a);
	uint64_t used = m.used;
	assert_null(proto_memory_get(&m, 2203));
	assert_null(proto_memory_get_zeroed(&m, 2203));
	assert_null(proto_memory_resize(&m, a, BUDGET));
	assert_int_equal(m.used, used);
	assert_int_equal(m.refused, 5);
	proto_memory_put(&m, a);
	assert_int_equal(m.used, 0);
}

static void is_zero_where_that_is_asked_for(void **state)
{
	static const uint8_t zero[1009];
	struct proto_memory m = { .max = BUDGET };

	(void)state;
	for (int round = 0; round < 3; round++) { /* the block of the round before may come again */
		uint8_t *a = proto_memory_get_zeroed(&m, sizeof(zero));
		assert_non_null(a);
		assert_memory_equal(a, zero, sizeof(zero));
		memset(a, 7, sizeof(zero));
		proto_memory_put(&m, a);
	}
	assert_int_equal(m.used, 0);
}

/* What is kept is not for what grows, and what was taken while nothing was kept can still be given back. */
static void keeps_some_for_who_comes(void **state)
{
	struct proto_memory m = { .max = BUDGET, .kept = BUDGET / 4 };

	(void)state;
	uint8_t *a = proto_memory_get(&m, 2003);
	assert_non_null(a);
	assert_null(proto_memory_get(&m, 1103));
	m.kept = 0;
	uint8_t *b = proto_memory_get(&m, 1103);
	assert_non_null(b);
	m.kept = BUDGET / 4;
	assert_null(proto_memory_get(&m, 1)); /* more is taken than may be: no number goes below zero */
	proto_memory_put(&m, a);
	proto_memory_put(&m, b);
	assert_int_equal(m.used, 0);
}

/* Every parser that allocates: all comes out of the budget, little of it, and goes back; without room there is no parser, and no harm. */
static void each_parser_keeps_to_the_budget(void **state)
{
	unsigned parsers = 0;

	(void)state;
	for (uint16_t id = 0; id < PLUMB_PROTO_COUNT; id++) {
		const struct proto_ops *ops = proto_get(id);
		struct proto_memory m = { .max = 1 << 20 }, none = { 0 };
		if (!ops || !ops->open)
			continue;
		parsers++;
		void *external = ops->open(&m);
		assert_non_null(external);
		assert_in_range(m.used, 1, BEGIN_MAX);
		ops->close(external);
		assert_int_equal(m.used, 0);
		external = ops->open(&none);
		assert_int_equal(none.refused, 1);
		if (external) /* less is understood */
			ops->close(external);
		assert_int_equal(none.used, 0);
	}
	assert_in_range(parsers, 23, 200);
}

/* In the engine. */

struct fixture {
	struct process_table *processes;
	struct conn_table *conns;
	struct proto_engine *engine;
	uint64_t now, (*offset)[2]; /* of each socket */
	unsigned ended, whole;
};

static void on_begin(void *ctx, struct exchange *x) { (void)ctx, (void)x; }

static void on_end(void *ctx, struct exchange *x)
{
	struct fixture *f = ctx;

	f->ended++;
	f->whole += !(x->flags & (EXCHANGE_HOLE | EXCHANGE_NO_REQUEST | EXCHANGE_ERROR | EXCHANGE_UNFINISHED)) && x->response.start_ns;
	proto_engine_free_exchange(f->engine, x);
}

static void fixture_init(struct fixture *f, uint64_t max_parser_bytes, size_t sockets)
{
	const struct proto_engine_handler h = { on_begin, on_end, NULL, f };
	const struct conn_options conns = { 0 };
	struct conn_handler bytes;

	memset(f, 0, sizeof(*f));
	f->now = 1000 * MS;
	f->offset = calloc(sockets, sizeof(*f->offset));
	assert_non_null(f->offset);
	assert_int_equal(process_table_new(0, &f->processes), 0);
	assert_int_equal(proto_engine_new(&(struct proto_engine_options){ .max_parser_bytes = max_parser_bytes, .processes = f->processes }, &h, &f->engine), 0);
	proto_engine_conn_handler(f->engine, &bytes);
	assert_int_equal(conn_table_new(&conns, &bytes, f->processes, &f->conns), 0);
	for (uint64_t sock = 0; sock < sockets; sock++) {
		struct record r = { .u.sock = { .h = { .type = PLUMB_REC_SOCK_OPEN, .time_ns = f->now }, .sock = 1 + sock, .family = AF_INET, .type = SOCK_STREAM,
						.role = PLUMB_ROLE_CLIENT, .remote_port = 5432 } };
		conn_table_record(f->conns, &r, SLICE_NONE);
	}
}

static struct proto_counts counts(const struct fixture *f)
{
	struct proto_counts n;

	proto_engine_counts(f->engine, &n);
	return n;
}

static void fixture_done(struct fixture *f)
{
	conn_table_free(f->conns);
	assert_int_equal(counts(f).exchanges_open, 0);
	assert_int_equal(counts(f).parser_bytes, 0);
	proto_engine_free(f->engine);
	process_table_free(f->processes);
	free(f->offset);
}

static void io(struct fixture *f, uint64_t sock, enum plumb_direction dir, const char *bytes, size_t len)
{
	struct record r = { .u.data = { .h = { .type = PLUMB_REC_DATA, .time_ns = f->now += MS / 10 }, .sock = 1 + sock, .offset = f->offset[sock][dir], .pid = 11, .tid = 11,
					.len = (uint32_t)len, .captured = (uint32_t)len, .direction = (uint8_t)dir } };

	f->offset[sock][dir] += len;
	conn_table_record(f->conns, &r, slice_make(bytes, len));
}
#define IO(f, sock, dir, bytes) io(f, sock, dir, bytes, sizeof(bytes) - 1)

static void query(struct fixture *f, uint64_t sock)
{
	IO(f, sock, PLUMB_EGRESS, "Q\0\0\0\rSELECT 1\0");
	IO(f, sock, PLUMB_INGRESS, "C\0\0\0\rSELECT 1\0Z\0\0\0\5I");
}

static void close_socket(struct fixture *f, uint64_t sock)
{
	struct record r = { .u.sock_stats = { .sock = 1 + sock, .offset = { f->offset[sock][0], f->offset[sock][1] } } };

	r.u.h.type = PLUMB_REC_SOCK_CLOSE;
	r.u.h.time_ns = f->now += MS / 10;
	conn_table_record(f->conns, &r, SLICE_NONE);
}

/* A connection without memory is counted once, and parsed as soon as another one leaves its own, however long that takes. */
static void the_refused_come_back(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 4096, 2);
	for (int i = 0; i < 101; i++) {
		query(&f, 0);
		query(&f, 1);
	}
	assert_int_equal(f.whole, 101);
	assert_int_equal(counts(&f).parsers_refused, 1);
	assert_in_range(counts(&f).parser_bytes, 1, 4096);
	close_socket(&f, 0);
	assert_int_equal(counts(&f).parser_bytes, 0);
	for (int i = 0; i < 23; i++)
		query(&f, 1);
	assert_int_equal(f.whole, 101 + 23);
	assert_int_equal(counts(&f).parsers_refused, 1);
	assert_int_equal(counts(&f).opaque, 0);
	fixture_done(&f);
}

/* The budget that is the default. */
static void many_connections_have_room(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, 0, CONNECTIONS);
	for (uint64_t sock = 0; sock < CONNECTIONS; sock++)
		query(&f, sock);
	assert_int_equal(f.whole, CONNECTIONS);
	assert_int_equal(counts(&f).parsers_refused, 0);
	assert_int_equal(counts(&f).parser_bytes_refused, 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_what_is_taken),
		cmocka_unit_test(refuses_what_is_beyond),
		cmocka_unit_test(is_zero_where_that_is_asked_for),
		cmocka_unit_test(keeps_some_for_who_comes),
		cmocka_unit_test(each_parser_keeps_to_the_budget),
		cmocka_unit_test(the_refused_come_back),
		cmocka_unit_test(many_connections_have_room),
	};
	return cmocka_run_group_tests_name("proto memory", tests, NULL, NULL);
}
