/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP 1.0 from bytes to exchanges: what is settled together, what the broker asks, what comes before its time, what a peer cannot make grow. Messages are tests/proto/amqp10. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>

#include "lib/buffer.h"
#include "proto/engine.h"

enum { MS = 1000 * 1000, MANY = 10007, TO_BROKER = PLUMB_EGRESS, TO_CLIENT = PLUMB_INGRESS };

struct fixture {
	struct process_table *processes;
	struct conn_table *conns;
	struct proto_engine *engine;
	uint64_t now, offset[2];
	bool broker; /* this end is it */
	unsigned begun, ended, errors, no_request, holes, answered, reversed;
	struct exchange latest; /* without its memory */
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
	f->no_request += (x->flags & EXCHANGE_NO_REQUEST) != 0;
	f->holes += (x->flags & EXCHANGE_HOLE) != 0;
	f->reversed += (x->flags & EXCHANGE_REVERSED) != 0;
	f->answered += x->response.start_ns != 0;
	f->latest = *x;
	proto_engine_free_exchange(f->engine, x);
}

static void fixture_init(struct fixture *f, uint8_t role)
{
	const struct proto_engine_handler h = { on_begin, on_end, NULL, f };
	const struct conn_options conns = { 0 };
	struct proto_engine_options o = { 0 };
	struct conn_handler bytes;
	struct record r = { .u.sock = { .sock = 1, .family = AF_INET, .type = SOCK_STREAM, .role = role, .local_port = 40000, .remote_port = 5672 } };

	memset(f, 0, sizeof(*f));
	f->now = 1000 * MS;
	f->broker = role == PLUMB_ROLE_SERVER;
	assert_int_equal(process_table_new(0, &f->processes), 0);
	o.processes = f->processes;
	assert_int_equal(proto_engine_new(&o, &h, &f->engine), 0);
	proto_engine_conn_handler(f->engine, &bytes);
	assert_int_equal(conn_table_new(&conns, &bytes, f->processes, &f->conns), 0);
	r.u.h.type = PLUMB_REC_SOCK_OPEN;
	r.u.h.time_ns = f->now;
	conn_table_record(f->conns, &r, SLICE_NONE);
}

static void fixture_done(struct fixture *f)
{
	struct proto_counts n;

	conn_table_free(f->conns);
	proto_engine_counts(f->engine, &n);
	assert_int_equal(n.exchanges_open, 0);
	assert_int_equal(n.parser_bytes, 0);
	assert_int_equal(f->begun, f->ended);
	proto_engine_free(f->engine);
	process_table_free(f->processes);
}

/* One I/O of `len` bytes, of which the first were captured. */
static void io(struct fixture *f, int dir, struct slice bytes, size_t len)
{
	int way = f->broker ? !dir : dir;
	struct record r = { .u.data = { .sock = 1, .offset = f->offset[way], .pid = 11, .tid = 11, .len = (uint32_t)len, .captured = (uint32_t)bytes.len, .direction = (uint8_t)way } };

	f->now += MS / 10;
	f->offset[way] += len;
	r.u.h.type = PLUMB_REC_DATA;
	r.u.h.time_ns = f->now;
	conn_table_record(f->conns, &r, bytes);
}

/* A frame of list32, its fields as they are on the wire. */
static void put(struct buffer *b, uint16_t channel, uint8_t code, uint8_t n, struct slice fields, struct slice payload)
{
	uint32_t size = (uint32_t)(8 + 3 + 9 + fields.len + payload.len), list = (uint32_t)(4 + fields.len);
	const uint8_t head[] = { (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, 2, 0, (uint8_t)(channel >> 8), (uint8_t)channel,
				 0, 0x53, code, 0xd0, (uint8_t)(list >> 24), (uint8_t)(list >> 16), (uint8_t)(list >> 8), (uint8_t)list, 0, 0, 0, n };

	buffer_append(b, head, sizeof(head));
	buffer_append(b, fields.ptr, fields.len);
	if (payload.len)
		buffer_append(b, payload.ptr, payload.len);
}

static void say(struct fixture *f, int dir, uint16_t channel, uint8_t code, uint8_t n, const void *fields, size_t len)
{
	struct buffer b;

	buffer_init(&b, 4096);
	put(&b, channel, code, n, slice_make(fields, len), SLICE_NONE);
	io(f, dir, buffer_slice(&b), b.len);
	buffer_done(&b);
}

#define SAY(f, dir, channel, code, n, fields) say(f, dir, channel, code, n, fields, sizeof(fields) - 1)

static void number(uint8_t to[5], uint32_t n)
{
	const uint8_t wire[] = { 0x70, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };

	memcpy(to, wire, sizeof(wire));
}

static void begin(struct fixture *f, uint16_t channel)
{
	const uint8_t answer[] = { 0x60, (uint8_t)(channel >> 8), (uint8_t)channel, 0x43, 0x43, 0x43 };

	SAY(f, TO_BROKER, channel, 0x11, 4, "\x40\x43\x43\x43");
	say(f, TO_CLIENT, channel, 0x11, 4, answer, sizeof(answer));
}

static void attach(struct fixture *f, uint16_t channel, uint32_t handle, bool receives)
{
	for (int dir = 0; dir < 2; dir++) {
		uint8_t fields[7 + 5 + 1 + 2] = { 0xa1, 5, (uint8_t)('a' + handle / 17576 % 26), (uint8_t)('a' + handle / 676 % 26), (uint8_t)('a' + handle / 26 % 26), (uint8_t)('a' + handle % 26), '.' };
		number(fields + 7, handle);
		fields[12] = receives == (dir == 0) ? 0x41 : 0x42;
		fields[13] = fields[14] = 0x40;
		uint8_t more[sizeof(fields) + 8] = { 0 };
		memcpy(more, fields, sizeof(fields));
		memcpy(more + sizeof(fields), "\0\x53\x28\x45\0\x53\x29\x45", 8);
		say(f, dir ? TO_CLIENT : TO_BROKER, channel, 0x12, 7, more, sizeof(more));
	}
}

static void transfer(struct fixture *f, int dir, uint32_t handle, uint32_t id, bool more)
{
	uint8_t fields[5 + 5 + 4] = { 0 };
	struct buffer b;

	number(fields, handle);
	number(fields + 5, id);
	memcpy(fields + 10, more ? "\x40\x40\x42\x41" : "\x40\x40\x42\x42", 4);
	buffer_init(&b, 4096);
	put(&b, 0, 0x14, 6, slice_make(fields, sizeof(fields)), SLICE_LIT("\0\x53\x75\xa0\1x"));
	io(f, dir, buffer_slice(&b), b.len);
	buffer_done(&b);
}

static void settle(struct fixture *f, int dir, uint32_t first, uint32_t last)
{
	uint8_t fields[1 + 5 + 5 + 1 + 4] = { 0x41 };

	number(fields + 1, first);
	number(fields + 6, last);
	memcpy(fields + 11, "\x41\0\x53\x24\x45", 5);
	say(f, dir, 0, 0x15, 5, fields, sizeof(fields));
}

static void one_disposition_settles_many(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	begin(&f, 0);
	attach(&f, 0, 0, false);
	assert_int_equal(f.ended, 1);
	for (uint32_t i = 0; i < MANY; i++)
		transfer(&f, TO_BROKER, 0, UINT32_MAX - 499 + i, false);
	settle(&f, TO_CLIENT, UINT32_MAX - 300, UINT32_MAX - 300);
	assert_int_equal(f.ended, 2);
	settle(&f, TO_CLIENT, UINT32_MAX - 499, MANY - 501); /* their numbers wrap */
	assert_int_equal(f.ended, 1 + MANY);
	assert_int_equal(f.answered, f.ended);
	assert_int_equal(f.errors + f.holes + f.no_request + f.reversed, 0);
	fixture_done(&f);
}

/* At both ends: who is given what is delivered answers, whoever connected. */
static void a_broker_asks_with_what_it_delivers(void **state)
{
	static const uint8_t roles[] = { PLUMB_ROLE_CLIENT, PLUMB_ROLE_SERVER };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fixture f;
		fixture_init(&f, roles[i]);
		begin(&f, 0);
		attach(&f, 0, 0, true);
		for (uint32_t id = 0; id < 23; id++)
			transfer(&f, TO_CLIENT, 0, id, false);
		assert_int_equal(f.begun, 24);
		settle(&f, TO_BROKER, 4, 4);
		assert_int_equal(f.latest.role, roles[!i]);
		assert_true(f.latest.flags & EXCHANGE_REVERSED);
		settle(&f, TO_BROKER, 0, 22);
		assert_int_equal(f.ended, 24);
		assert_int_equal(f.reversed, 23);
		assert_int_equal(f.errors + f.holes + f.no_request, 0);
		fixture_done(&f);
	}
}

/* One thread sends while another receives: the outcome may be told first. */
static void what_is_early_finds_its_request(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	begin(&f, 0);
	attach(&f, 0, 0, false);
	for (uint32_t i = 0; i < 7; i++) {
		settle(&f, TO_CLIENT, i, i);
		transfer(&f, TO_BROKER, 0, i, false);
	}
	settle(&f, TO_CLIENT, 7, 9);
	for (uint32_t i = 7; i < 10; i++)
		transfer(&f, TO_BROKER, 0, i, false);
	assert_int_equal(f.ended, 1 + 10);
	assert_int_equal(f.answered, f.ended);
	assert_int_equal(f.errors + f.holes + f.no_request, 0);
	fixture_done(&f);
}

/* Whoever settles the same over and over makes no work of it: of so many ranges all but the first few are passed. */
static void ranges_that_are_covered_cost_nothing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	begin(&f, 0);
	attach(&f, 0, 0, false);
	for (uint32_t i = 0; i < 16000; i++)
		transfer(&f, TO_BROKER, 0, i, i % 2);
	for (int i = 0; i < 20000; i++)
		settle(&f, TO_CLIENT, 1, 15999);
	settle(&f, TO_CLIENT, 0, 0);
	assert_in_range(f.ended, 2, 16001);
	fixture_done(&f);
}

/* Sessions and links beyond what is kept: less is known, and what was taken is given back. */
static void sessions_and_links_are_bounded(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	for (uint16_t channel = 0; channel < 2000; channel++)
		begin(&f, channel);
	for (uint32_t handle = 0; handle < 3000; handle++)
		attach(&f, (uint16_t)(handle % 300), handle / 10, handle % 2);
	proto_engine_counts(f.engine, &n);
	assert_in_range(n.parser_bytes, 1, 8 << 20);
	assert_int_equal(f.errors + f.holes + f.no_request, 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_disposition_settles_many),        cmocka_unit_test(a_broker_asks_with_what_it_delivers),
		cmocka_unit_test(what_is_early_finds_its_request),     cmocka_unit_test(ranges_that_are_covered_cost_nothing),
		cmocka_unit_test(sessions_and_links_are_bounded),
	};
	return cmocka_run_group_tests_name("amqp10", tests, NULL, NULL);
}
