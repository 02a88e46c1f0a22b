/* SPDX-License-Identifier: Apache-2.0 */
/* Memcached (and Couchbase) from records to exchanges: quiet requests, answers that are read before their requests, and what is not Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>

#include "proto/engine.h"

enum { MS = 1000 * 1000, ENDED_MAX = 16 };

struct ended {
	char statement[64];
	char error[MESSAGE_ERROR_TYPE_LEN];
	uint32_t flags;
	bool answered;
	int64_t rows; /* -1: not said */
};

struct fixture {
	struct process_table *processes;
	struct conn_table *conns;
	struct proto_engine *engine;
	uint64_t now, offset[2];
	size_t count;
	struct ended ended[ENDED_MAX];
};

static void on_begin(void *ctx, struct exchange *x) { (void)ctx, (void)x; }

static void on_end(void *ctx, struct exchange *x)
{
	struct fixture *f = ctx;
	const struct attr *text = attr_find(x->attrs, x->nattrs, ATTR_RAW_STATEMENT), *rows = attr_find(x->attrs, x->nattrs, ATTR_DB_RESPONSE_RETURNED_ROWS);

	assert_true(f->count < ENDED_MAX);
	if (!text) /* Couchbase's are not shown */
		text = attr_find(x->attrs, x->nattrs, ATTR_DB_OPERATION_NAME);
	struct ended *e = &f->ended[f->count++];
	*e = (struct ended){ .flags = x->flags, .answered = x->response.start_ns != 0, .rows = rows ? rows->num : -1 };
	if (text)
		snprintf(e->statement, sizeof(e->statement), "%.*s", (int)text->str.len, (const char *)text->str.ptr);
	memcpy(e->error, x->error_type, sizeof(e->error));
	proto_engine_free_exchange(f->engine, x);
}

static void feed(struct fixture *f, struct record *r, uint16_t type, struct slice payload)
{
	r->u.h.type = type;
	r->u.h.time_ns = f->now;
	conn_table_record(f->conns, r, payload);
}

static void begin(struct fixture *f, uint16_t port)
{
	const struct proto_engine_handler h = { .begin = on_begin, .end = on_end, .ctx = f };
	struct record r = { .u.sock = { .sock = 1, .family = AF_INET, .type = SOCK_STREAM, .remote_port = port, .role = PLUMB_ROLE_CLIENT } };
	const struct conn_options conns = { 0 };
	struct proto_engine_options o = { 0 };
	struct conn_handler bytes;

	memset(f, 0, sizeof(*f));
	f->now = 1000ull * MS;
	assert_int_equal(process_table_new(0, &f->processes), 0);
	o.processes = f->processes;
	assert_int_equal(proto_engine_new(&o, &h, &f->engine), 0);
	proto_engine_conn_handler(f->engine, &bytes);
	assert_int_equal(conn_table_new(&conns, &bytes, f->processes, &f->conns), 0);
	feed(f, &r, PLUMB_REC_SOCK_OPEN, SLICE_NONE);
}

static void end(struct fixture *f)
{
	struct record r = { .u.sock_stats = { .sock = 1, .offset = { f->offset[0], f->offset[1] } } };

	f->now += MS;
	feed(f, &r, PLUMB_REC_SOCK_CLOSE, SLICE_NONE);
	conn_table_free(f->conns);
	proto_engine_free(f->engine);
	process_table_free(f->processes);
}

static void io(struct fixture *f, enum plumb_direction dir, const void *bytes, size_t len, size_t captured)
{
	struct record r = { .u.data = { .sock = 1, .offset = f->offset[dir], .pid = 11, .tid = 11, .len = (uint32_t)len, .captured = (uint32_t)captured,
					.direction = (uint8_t)dir } };

	f->now += MS / 10;
	f->offset[dir] += len;
	feed(f, &r, PLUMB_REC_DATA, slice_make(bytes, captured));
}

static void ask(struct fixture *f, const char *s) { io(f, PLUMB_EGRESS, s, strlen(s), strlen(s)); }
static void reply(struct fixture *f, const char *s) { io(f, PLUMB_INGRESS, s, strlen(s), strlen(s)); }

/* A binary request or answer whose opaque is 0. */
static void binary(struct fixture *f, enum plumb_direction dir, uint8_t opcode, uint16_t status, unsigned extras, const char *key)
{
	uint8_t b[128] = { dir == PLUMB_EGRESS ? 0x80 : 0x81, opcode };
	size_t n = 24 + extras + strlen(key);

	b[3] = (uint8_t)strlen(key);
	b[4] = (uint8_t)extras;
	b[7] = (uint8_t)status;
	b[11] = (uint8_t)(n - 24);
	memcpy(b + 24 + extras, key, strlen(key));
	io(f, dir, b, n, n);
}

static void expect(const struct fixture *f, size_t i, const char *statement, int64_t rows)
{
	assert_true(i < f->count);
	assert_string_equal(f->ended[i].statement, statement);
	assert_int_equal(f->ended[i].rows, rows);
	assert_string_equal(f->ended[i].error, "");
	assert_true(f->ended[i].answered);
	assert_int_equal(f->ended[i].flags, 0);
}

enum { GETK = 0x0c, GETKQ = 0x0d, NOOP = 0x0a };

/* As bmemcached has it: all have the opaque 0, and the last is not quiet. */
static void quiet_ones_are_told_by_their_keys(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 4711);
	for (int i = 0; i < 2; i++) {
		f.count = 0;
		binary(&f, PLUMB_EGRESS, GETKQ, 0, 0, "one");
		binary(&f, PLUMB_EGRESS, GETKQ, 0, 0, "two");
		binary(&f, PLUMB_EGRESS, GETKQ, 0, 0, "three");
		binary(&f, PLUMB_EGRESS, GETK, 0, 0, "four");
		binary(&f, PLUMB_INGRESS, GETKQ, 0, 4, "two");
		binary(&f, PLUMB_INGRESS, GETK, 1, 0, "");
		assert_int_equal(f.count, 4);
		expect(&f, 0, "GETKQ one", -1);
		expect(&f, 1, "GETKQ two", 1);
		expect(&f, 2, "GETKQ three", -1);
		expect(&f, 3, "GETK four", 0);
	}
	end(&f);
}

/* What was silent, and what was lost, is not known behind a hole. */
static void silence_behind_a_hole_is_marked(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 4711);
	ask(&f, "mn\r\n");
	reply(&f, "MN\r\n");
	ask(&f, "mg a v q O1\r\nmg b v q O2\r\nmn\r\n");
	io(&f, PLUMB_INGRESS, NULL, 19, 0);
	reply(&f, "MN\r\n");
	ask(&f, "get c\r\n");
	reply(&f, "END\r\n");
	assert_int_equal(f.count, 5);
	expect(&f, 0, "mn", -1);
	for (size_t i = 1; i < 4; i++)
		assert_true(f.ended[i].flags & EXCHANGE_HOLE);
	expect(&f, 4, "GET c", 0);
	end(&f);
}

/* Requests with numbers go on at once; the quiet ones between may have been answered in the hole. */
static void numbered_ones_go_on_behind_a_hole(void **state)
{
	static const uint8_t get[] = { 0x80, 0x00, 0, 1, [11] = 1, [24] = 'k' }, getq[] = { 0x80, 0x09, 0, 1, [11] = 1, [24] = 'k' };
	static const uint8_t miss[] = { 0x81, 0x00, [7] = 1, [23] = 0 };
	struct fixture f;
	uint8_t b[25];

	(void)state;
	begin(&f, 4711);
	for (uint8_t i = 1; i <= 7; i++) {
		memcpy(b, i == 6 ? getq : get, sizeof(b));
		b[15] = i;
		io(&f, PLUMB_EGRESS, b, 25, 25);
	}
	for (uint8_t i = 1; i <= 7; i++) {
		memcpy(b, miss, sizeof(miss));
		b[15] = i;
		if (i != 6)
			io(&f, PLUMB_INGRESS, b, 24, i == 4 ? 0 : 24);
	}
	assert_int_equal(f.count, 7);
	for (size_t i = 0; i < 3; i++)
		expect(&f, i, "GET k", 0);
	expect(&f, 4, "GET k", 0);
	expect(&f, 6, "GET k", 0);
	for (size_t i = 3; i < 7; i += 2) {
		assert_string_equal(f.ended[i].error, "");
		assert_int_equal(f.ended[i].rows, -1);
		assert_true(f.ended[i].flags & EXCHANGE_HOLE);
	}
	end(&f);
}

static void what_silence_answered_is_no_failure(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 11211);
	ask(&f, "ms a 1 q\r\nx\r\nms b 1 q\r\nx\r\n");
	assert_int_equal(f.count, 0);
	end(&f);
	assert_int_equal(f.count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(f.ended[i].error, "");
}

/* Of a document, or its answer; extras of 8 bytes. */
static void numbered(struct fixture *f, enum plumb_direction dir, uint8_t opcode, uint16_t status, uint8_t opaque)
{
	bool asks = dir == PLUMB_EGRESS;
	uint8_t b[24 + 8 + 2] = { asks ? 0x80 : 0x81, opcode, [3] = asks ? 2 : 0, [4] = asks ? 8 : 0, [7] = (uint8_t)status, [11] = asks ? 10 : 0, [15] = opaque };

	b[33] = 'k';
	io(f, dir, b, asks ? sizeof(b) : 24, asks ? sizeof(b) : 24);
}

/* A quiet request says nothing when it went well: that a later one failed is not its error. */
static void only_what_failed_has_the_error(void **state)
{
	enum { SET = 0x01, SETQ = 0x11, NO_MEMORY = 0x82 };
	static const uint8_t hello[] = { 0x80, 0x1f, [11] = 4, [15] = 1, [24] = 0, 0x12, 0, 0x06 }, agreed[] = { 0x81, 0x1f, [11] = 4, [15] = 1, [24] = 0, 0x12, 0, 0x06 };
	struct fixture f;

	(void)state;
	for (int couchbase = 0; couchbase < 2; couchbase++) {
		begin(&f, couchbase ? 11210 : 11211);
		if (couchbase) {
			io(&f, PLUMB_EGRESS, hello, sizeof(hello), sizeof(hello));
			io(&f, PLUMB_INGRESS, agreed, sizeof(agreed), sizeof(agreed));
			assert_int_equal(f.count, 1);
			f.count = 0;
		}
		numbered(&f, PLUMB_EGRESS, SETQ, 0, 2);
		numbered(&f, PLUMB_EGRESS, SET, 0, 3);
		numbered(&f, PLUMB_INGRESS, SET, NO_MEMORY, 3);
		assert_int_equal(f.count, 2);
		assert_string_equal(f.ended[0].error, "");
		assert_string_not_equal(f.ended[1].error, "");
		assert_int_equal(strncmp(f.ended[0].statement, couchbase ? "upsert" : "SETQ", 4), 0);
		end(&f);
	}
}

/* The records of both directions come by different ways: the answer's may be first, and its time tells. */
static void an_answer_may_be_read_before_its_request(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 11211);
	ask(&f, "get a\r\n");
	reply(&f, "END\r\n");
	for (int i = 0; i < 5; i++) {
		f.now += MS / 2;
		reply(&f, "VALUE b 0 1\r\nx\r\nEND\r\n");
		f.now -= MS / 2;
		ask(&f, "get b\r\n");
		f.now += MS;
	}
	ask(&f, "get c\r\n");
	reply(&f, "END\r\n");
	assert_int_equal(f.count, 7);
	expect(&f, 0, "GET a", 0);
	for (size_t i = 1; i < 6; i++)
		expect(&f, i, "GET b", 1);
	expect(&f, 6, "GET c", 0);
	end(&f);
}

/* "get k" is Redis' inline command as well: without a port only the answer tells. */
static void answers_tell_memcached_from_redis(void **state)
{
	static const struct {
		const char *request, *answer;
		uint16_t protocol;
	} talks[] = {
		{ "get k\r\n", "END\r\n", PLUMB_PROTO_MEMCACHED },  { "get k\r\n", "$-1\r\n", PLUMB_PROTO_REDIS },
		{ "incr k 1\r\n", "5\r\n", PLUMB_PROTO_MEMCACHED }, { "get k\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n", PLUMB_PROTO_MEMCACHED },
		{ "incr k\r\n", ":5\r\n", PLUMB_PROTO_REDIS },      { "set k 0 0 1\r\nx\r\n", "STORED\r\n", PLUMB_PROTO_MEMCACHED },
		{ "mg k v\r\n", "EN\r\n", PLUMB_PROTO_MEMCACHED },  { "delete 5\r\n", "250 OK\r\n", PLUMB_PROTO_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++) {
		struct proto_counts n;
		struct fixture f;
		begin(&f, 4711);
		ask(&f, talks[i].request);
		reply(&f, talks[i].answer);
		proto_engine_counts(f.engine, &n);
		assert_int_equal(n.detected[PLUMB_PROTO_MEMCACHED], talks[i].protocol == PLUMB_PROTO_MEMCACHED);
		assert_int_equal(n.detected[PLUMB_PROTO_REDIS], talks[i].protocol == PLUMB_PROTO_REDIS);
		end(&f);
	}
}

/* Longer than what is waited for to tell protocols apart, on no usual port. */
static void a_first_batch_is_known(void **state)
{
	static char line[8192] = "get";
	struct fixture f;

	(void)state;
	size_t n = 3;
	for (; n + 16 < sizeof(line); n += 9)
		memcpy(line + n, " key:0001", 9);
	memcpy(line + n, "\r\n", 2);
	begin(&f, 4711);
	ask(&f, line);
	reply(&f, "END\r\n");
	assert_int_equal(f.count, 1);
	assert_int_equal(f.ended[0].rows, 0);
	assert_int_equal(f.ended[0].flags, 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet_ones_are_told_by_their_keys),
		cmocka_unit_test(silence_behind_a_hole_is_marked),
		cmocka_unit_test(numbered_ones_go_on_behind_a_hole),
		cmocka_unit_test(what_silence_answered_is_no_failure),
		cmocka_unit_test(only_what_failed_has_the_error),
		cmocka_unit_test(an_answer_may_be_read_before_its_request),
		cmocka_unit_test(answers_tell_memcached_from_redis),
		cmocka_unit_test(a_first_batch_is_known),
	};
	return cmocka_run_group_tests_name("memcached", tests, NULL, NULL);
}
