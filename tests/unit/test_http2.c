/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 from bytes to exchanges: what the fixtures cannot show, as it needs the engine, more streams than fit a file, or no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "lib/buffer.h"
#include "proto/engine.h"

enum { MS = 1000 * 1000, SENT_MAX = 1 << 20, MINUTE_MS = 60 * 1000 };
enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, END_STREAM = 1, END_HEADERS = 4 };

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define GET "\x82\x86\x84\x41\4shop" /* GET http / of shop, which is added to the table */

struct fixture {
	struct process_table *processes;
	struct conn_table *conns;
	struct proto_engine *engine;
	uint64_t now, offset[2];
	struct buffer out[2]; /* of the next I/O */
	unsigned begun, ended, errors, holes, unknown;
	struct exchange latest;
};

static void on_begin(void *ctx, struct exchange *x)
{
	(void)x;
	((struct fixture *)ctx)->begun++;
}

static void on_end(void *ctx, struct exchange *x)
{
	struct fixture *f = ctx;

	f->ended++;
	f->errors += (x->flags & EXCHANGE_ERROR) != 0;
	f->holes += (x->flags & EXCHANGE_HOLE) != 0;
	f->unknown += attr_find(x->attrs, x->nattrs, ATTR_PLUMB_INCOMPLETE) != NULL;
	f->latest = *x;
	proto_engine_free_exchange(f->engine, x);
}

static void fixture_init(struct fixture *f, struct proto_engine_options o)
{
	const struct proto_engine_handler h = { on_begin, on_end, NULL, f };
	const struct conn_options conns = { 0 };
	struct conn_handler bytes;
	struct record r = { .u.sock = { .h = { .type = PLUMB_REC_SOCK_OPEN, .time_ns = 1000 * MS }, .sock = 1, .family = AF_INET, .type = SOCK_STREAM,
					.role = PLUMB_ROLE_CLIENT, .remote_port = 8080 } };

	memset(f, 0, sizeof(*f));
	f->now = 1000 * MS;
	buffer_init(&f->out[0], SENT_MAX);
	buffer_init(&f->out[1], SENT_MAX);
	assert_int_equal(process_table_new(0, &f->processes), 0);
	o.processes = f->processes;
	assert_int_equal(proto_engine_new(&o, &h, &f->engine), 0);
	proto_engine_conn_handler(f->engine, &bytes);
	assert_int_equal(conn_table_new(&conns, &bytes, f->processes, &f->conns), 0);
	conn_table_record(f->conns, &r, SLICE_NONE);
}

static struct proto_counts counts(const struct fixture *f)
{
	struct proto_counts n;

	proto_engine_counts(f->engine, &n);
	return n;
}

/* All memory comes back with the connection. */
static void fixture_done(struct fixture *f)
{
	conn_table_free(f->conns);
	assert_int_equal(counts(f).exchanges_open, 0);
	assert_int_equal(counts(f).parser_bytes, 0);
	assert_int_equal(f->begun, f->ended);
	proto_engine_free(f->engine);
	process_table_free(f->processes);
	buffer_done(&f->out[0]);
	buffer_done(&f->out[1]);
}

static void put(struct fixture *f, enum plumb_direction dir, const char *bytes, size_t len) { buffer_append(&f->out[dir], bytes, len); }

static void put_frame(struct fixture *f, enum plumb_direction dir, uint8_t type, uint8_t flags, uint32_t stream, const char *payload, size_t len)
{
	const uint8_t head[] = { (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags, (uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
		(uint8_t)(stream >> 8), (uint8_t)stream };

	buffer_append(&f->out[dir], head, sizeof(head));
	buffer_append(&f->out[dir], payload, len);
}
#define FRAME(f, dir, type, flags, stream, payload) put_frame(f, dir, type, flags, stream, payload, sizeof(payload) - 1)

/* What was put is moved, or, not `seen`, moved and lost. */
static void io(struct fixture *f, enum plumb_direction dir, bool seen)
{
	struct slice in = buffer_slice(&f->out[dir]);
	struct record r = { .u.data = { .h = { .type = PLUMB_REC_DATA }, .sock = 1, .offset = f->offset[dir], .pid = 11, .tid = 11, .len = (uint32_t)in.len,
					.captured = (uint32_t)in.len, .direction = (uint8_t)dir } };

	f->now += MS / 10;
	f->offset[dir] += in.len;
	r.u.h.time_ns = f->now;
	if (seen && in.len)
		conn_table_record(f->conns, &r, in);
	buffer_consume(&f->out[dir], in.len);
}

static void both(struct fixture *f)
{
	io(f, PLUMB_EGRESS, true);
	io(f, PLUMB_INGRESS, true);
}

static void tick(struct fixture *f, uint64_t later_ns)
{
	struct record r = { .u.h = { .type = PLUMB_REC_TICK } };

	f->now += later_ns;
	r.u.h.time_ns = f->now;
	conn_table_record(f->conns, &r, SLICE_NONE);
	proto_engine_tick(f->engine, f->now);
}

static void begin(struct fixture *f)
{
	put(f, PLUMB_EGRESS, PREFACE, sizeof(PREFACE) - 1);
	put(f, PLUMB_INGRESS, SETTINGS, sizeof(SETTINGS) - 1);
	both(f);
}

static void bytes_are_those_of_the_stream(void **state)
{
	struct fixture f;
	char body[20000] = { 0 };

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 });
	begin(&f);
	FRAME(&f, PLUMB_EGRESS, HEADERS, END_HEADERS | END_STREAM, 1, GET);
	FRAME(&f, PLUMB_EGRESS, HEADERS, END_HEADERS | END_STREAM, 3, "\x82\x86\x84\xbe");
	FRAME(&f, PLUMB_INGRESS, HEADERS, END_HEADERS, 3, "\x88");
	FRAME(&f, PLUMB_INGRESS, HEADERS, END_HEADERS, 1, "\x88");
	put_frame(&f, PLUMB_INGRESS, DATA, 0, 1, body, 7001);
	put_frame(&f, PLUMB_INGRESS, DATA, END_STREAM, 3, body, 1009);
	put(&f, PLUMB_INGRESS, SETTINGS, sizeof(SETTINGS) - 1);
	both(&f);
	assert_int_equal(f.ended, 1);
	assert_int_equal(f.latest.key, 3);
	assert_int_equal(f.latest.request.bytes, 9 + 4);
	assert_int_equal(f.latest.response.bytes, 9 + 1 + 9 + 1009);
	/* The rest of the other one in pieces. */
	put_frame(&f, PLUMB_INGRESS, DATA, END_STREAM, 1, body, 16384);
	struct buffer rest = f.out[PLUMB_INGRESS];
	buffer_init(&f.out[PLUMB_INGRESS], SENT_MAX);
	for (size_t at = 0; at < rest.len; at += 997) {
		put(&f, PLUMB_INGRESS, (const char *)rest.data + at, rest.len - at < 997 ? rest.len - at : 997);
		io(&f, PLUMB_INGRESS, true);
	}
	buffer_done(&rest);
	assert_int_equal(f.ended, 2);
	assert_int_equal(f.latest.response.bytes, 9 + 1 + 9 + 7001 + 9 + 16384);
	assert_int_equal(f.latest.response.end_ns, f.now);
	assert_int_equal(f.holes + f.errors + f.unknown, 0);
	fixture_done(&f);
}

static void a_reset_ends_both_sides(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 });
	begin(&f);
	FRAME(&f, PLUMB_EGRESS, HEADERS, END_HEADERS, 1, "\x83\x86\x84\x41\4shop");
	FRAME(&f, PLUMB_INGRESS, HEADERS, END_HEADERS, 1, "\x88");
	both(&f);
	FRAME(&f, PLUMB_EGRESS, RST_STREAM, 0, 1, "\0\0\0\x08");
	FRAME(&f, PLUMB_INGRESS, DATA, END_STREAM, 1, "on its way");
	both(&f);
	assert_int_equal(f.ended, 1);
	assert_string_equal(f.latest.error_type, "cancel");
	assert_int_equal(f.latest.response.end_ns, f.now - MS / 10);
	/* No answer at all. */
	FRAME(&f, PLUMB_EGRESS, HEADERS, END_HEADERS | END_STREAM, 3, "\x82\x86\x84\xbe");
	FRAME(&f, PLUMB_INGRESS, RST_STREAM, 0, 3, "\0\0\0\7");
	both(&f);
	assert_int_equal(f.ended, 2);
	assert_string_equal(f.latest.error_type, "refused_stream");
	assert_int_equal(counts(&f).unanswered[PLUMB_PROTO_HTTP2], 1);
	assert_int_equal(counts(&f).unmatched[PLUMB_PROTO_HTTP2], 0);
	fixture_done(&f);
}

/* Only what was open when bytes were lost is in doubt; what lost its end stands still, and ends when its time is up twice. */
static void losses_concern_what_was_open(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 });
	begin(&f);
	FRAME(&f, PLUMB_EGRESS, HEADERS, END_HEADERS | END_STREAM, 1, GET);
	FRAME(&f, PLUMB_EGRESS, HEADERS, END_HEADERS | END_STREAM, 3, "\x82\x86\x84\xbe");
	FRAME(&f, PLUMB_INGRESS, HEADERS, END_HEADERS, 1, "\x88");
	FRAME(&f, PLUMB_INGRESS, HEADERS, END_HEADERS, 3, "\x88");
	both(&f);
	FRAME(&f, PLUMB_INGRESS, DATA, END_STREAM, 1, "this is never seen");
	io(&f, PLUMB_INGRESS, false);
	FRAME(&f, PLUMB_EGRESS, HEADERS, END_HEADERS | END_STREAM, 5, "\x82\x86\x84\xbe");
	FRAME(&f, PLUMB_INGRESS, HEADERS, END_HEADERS | END_STREAM, 5, "\x8d");
	FRAME(&f, PLUMB_INGRESS, DATA, END_STREAM, 3, "end");
	both(&f);
	for (int i = 0; i < 7; i++)
		tick(&f, 11 * MS); /* a gap is waited at for some milliseconds */
	assert_int_equal(f.ended, 2);
	assert_int_equal(f.holes, 1);
	tick(&f, 61ull * 1000 * MS);
	assert_int_equal(f.ended, 2);
	tick(&f, 61ull * 1000 * MS);
	assert_int_equal(f.ended, 3);
	assert_int_equal(f.latest.key, 1);
	assert_int_equal(f.holes, 2);
	assert_int_equal(f.errors, 0);
	fixture_done(&f);
}

static void no_memory_is_no_guess(void **state)
{
	enum { VALUE = 0x7f + 0x71 + (0x0e << 7) };
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ .max_parser_bytes = 512 });
	begin(&f);
	assert_int_equal(counts(&f).parsers_refused, 1);
	assert_int_equal(counts(&f).parser_bytes, 0);
	fixture_done(&f);
	/* Enough to begin with, too little for what the peer would like to be remembered. */
	fixture_init(&f, (struct proto_engine_options){ .max_parser_bytes = 16384 });
	begin(&f);
	FRAME(&f, PLUMB_EGRESS, HEADERS, END_HEADERS | END_STREAM, 1, "\x3f\xe1\xff\3" GET); /* 64 KiB of table */
	FRAME(&f, PLUMB_INGRESS, HEADERS, END_HEADERS | END_STREAM, 1, "\x89");
	both(&f);
	for (uint32_t stream = 3; stream < 2003; stream += 2) {
		char block[4096] = GET "\x40\4long\x7f\xf1\x0e"; /* and 2032 bytes */
		size_t head = sizeof(GET) - 1 + 9;

		memset(block + head, 'a' + (int)(stream / 2 % 26), VALUE);
		put_frame(&f, PLUMB_EGRESS, HEADERS, END_HEADERS | END_STREAM, stream, block, head + VALUE);
		FRAME(&f, PLUMB_INGRESS, HEADERS, END_HEADERS | END_STREAM, stream, "\x89");
		both(&f);
		assert_true(counts(&f).parser_bytes <= 16384);
	}
	assert_true(counts(&f).parser_bytes_refused > 0);
	assert_true(f.unknown > 0);
	assert_int_equal(f.ended, 1001);
	fixture_done(&f);
}

/* More streams at once than are followed: the oldest end as those of which bytes were lost. */
static void streams_beyond_the_table_are_marked(void **state)
{
	enum { STREAMS = 5003, KEPT = 4096 };
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 });
	begin(&f);
	for (uint32_t i = 0; i < STREAMS; i++) {
		FRAME(&f, PLUMB_EGRESS, HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, GET);
		io(&f, PLUMB_EGRESS, true);
	}
	assert_int_equal(f.ended, STREAMS - KEPT);
	assert_int_equal(f.holes, f.ended);
	for (uint32_t i = 0; i < STREAMS; i++) {
		FRAME(&f, PLUMB_INGRESS, HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, "\x89");
		io(&f, PLUMB_INGRESS, true);
	}
	assert_int_equal(f.holes, STREAMS - KEPT);
	assert_int_equal(f.errors, 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_those_of_the_stream),
		cmocka_unit_test(a_reset_ends_both_sides),
		cmocka_unit_test(losses_concern_what_was_open),
		cmocka_unit_test(no_memory_is_no_guess),
		cmocka_unit_test(streams_beyond_the_table_are_marked),
	};
	return cmocka_run_group_tests_name("http2", tests, NULL, NULL);
}
