/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP from bytes to exchanges: what is confirmed by number, what the broker asks, what comes before its time. Messages are tests/proto/amqp. */
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

static void put_frame(struct buffer *b, uint8_t type, uint16_t channel, const void *payload, size_t len)
{
	const uint8_t head[] = { type, (uint8_t)(channel >> 8), (uint8_t)channel, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };

	buffer_append(b, head, sizeof(head));
	buffer_append(b, payload, len);
	buffer_append_byte(b, 0xce);
}

static void send_frame(struct fixture *f, int dir, uint8_t type, uint16_t channel, const void *payload, size_t len)
{
	struct buffer b;

	buffer_init(&b, 1 << 20);
	put_frame(&b, type, channel, payload, len);
	io(f, dir, buffer_slice(&b), b.len);
	buffer_done(&b);
}

#define METHOD(f, dir, channel, bytes) send_frame(f, dir, 1, channel, bytes, sizeof(bytes) - 1)

static void open_channel(struct fixture *f, uint16_t channel)
{
	METHOD(f, TO_BROKER, channel, "\0\x14\0\x0a\0");
	METHOD(f, TO_CLIENT, channel, "\0\x14\0\x0b\0\0\0\0");
}

static void confirm_channel(struct fixture *f, uint16_t channel)
{
	METHOD(f, TO_BROKER, channel, "\0\x55\0\x0a\0");
	METHOD(f, TO_CLIENT, channel, "\0\x55\0\x0b");
}

static void publish(struct fixture *f, uint16_t channel)
{
	struct buffer b;

	buffer_init(&b, 4096);
	put_frame(&b, 1, channel, "\0\x3c\0\x28\0\0\0\1q\0", 10);
	put_frame(&b, 2, channel, "\0\x3c\0\0\0\0\0\0\0\0\0\1\0\0", 14);
	put_frame(&b, 3, channel, "x", 1);
	io(f, TO_BROKER, buffer_slice(&b), b.len);
	buffer_done(&b);
}

static void settle(struct fixture *f, int dir, uint16_t channel, uint64_t tag, bool multiple)
{
	uint8_t method[13] = { 0, 60, 0, 80 };

	for (int i = 0; i < 8; i++)
		method[4 + i] = (uint8_t)(tag >> (56 - 8 * i));
	method[12] = multiple;
	send_frame(f, dir, 1, channel, method, sizeof(method));
}

static void deliver(struct fixture *f, uint16_t channel, uint8_t tag)
{
	uint8_t method[] = { 0, 60, 0, 60, 1, 'c', 0, 0, 0, 0, 0, 0, 0, tag, 0, 0, 1, 'q' };
	struct buffer b;

	buffer_init(&b, 4096);
	put_frame(&b, 1, channel, method, sizeof(method));
	put_frame(&b, 2, channel, "\0\x3c\0\0\0\0\0\0\0\0\0\0\0\0", 14);
	io(f, TO_CLIENT, buffer_slice(&b), b.len);
	buffer_done(&b);
}

static void one_acknowledgement_answers_all_before_it(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	for (uint16_t channel = 1; channel <= 2; channel++) {
		open_channel(&f, channel);
		confirm_channel(&f, channel);
	}
	assert_int_equal(f.ended, 4);
	for (int i = 0; i < MANY; i++)
		publish(&f, 1);
	for (int i = 0; i < 101; i++)
		publish(&f, 2);
	assert_int_equal(f.ended, 4);
	settle(&f, TO_CLIENT, 1, 7, false);
	assert_int_equal(f.ended, 5);
	settle(&f, TO_CLIENT, 1, MANY, true);
	assert_int_equal(f.ended, 4 + MANY);
	settle(&f, TO_CLIENT, 2, 1000000, true); /* more than there are */
	assert_int_equal(f.ended, 4 + MANY + 101);
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
		uint8_t other = roles[!i];
		fixture_init(&f, roles[i]);
		open_channel(&f, 1);
		METHOD(&f, TO_BROKER, 1, "\0\x3c\0\x14\0\0\1q\1c\0\0\0\0\0");
		METHOD(&f, TO_CLIENT, 1, "\0\x3c\0\x15\1c");
		assert_int_equal(f.ended, 2);
		assert_int_equal(f.latest.role, roles[i]);
		for (uint8_t tag = 1; tag <= 23; tag++)
			deliver(&f, 1, tag);
		assert_int_equal(f.begun, 25);
		settle(&f, TO_BROKER, 1, 5, false);
		assert_int_equal(f.ended, 3);
		assert_int_equal(f.latest.role, other);
		assert_true(f.latest.flags & EXCHANGE_REVERSED);
		assert_true(f.latest.request.start_ns < f.latest.response.start_ns);
		settle(&f, TO_BROKER, 1, i ? 23 : 0, true);
		assert_int_equal(f.ended, 25);
		assert_int_equal(f.reversed, 23);
		assert_int_equal(f.errors + f.holes + f.no_request, 0);
		fixture_done(&f);
	}
}

/* One thread sends while another receives: the answer may be told first. */
static void what_is_early_finds_its_request(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	open_channel(&f, 1);
	confirm_channel(&f, 1);
	for (uint64_t i = 1; i <= 5; i++) {
		settle(&f, TO_CLIENT, 1, i, i % 2);
		publish(&f, 1);
	}
	METHOD(&f, TO_CLIENT, 1, "\0\x3c\0\x0b");
	METHOD(&f, TO_BROKER, 1, "\0\x3c\0\x0a\0\0\0\0\0\1\0");
	assert_int_equal(f.ended, 2 + 5 + 1);
	assert_int_equal(f.answered, f.ended);
	assert_int_equal(f.errors + f.holes + f.no_request, 0);
	/* Not when it is long ago: that one's request was not seen. */
	METHOD(&f, TO_CLIENT, 1, "\0\x3c\0\x0b");
	f.now += 10 * MS;
	proto_engine_tick(f.engine, f.now);
	assert_int_equal(f.no_request, 1);
	METHOD(&f, TO_BROKER, 1, "\0\x3c\0\x0a\0\0\0\0\0\1\0");
	METHOD(&f, TO_CLIENT, 1, "\0\x3c\0\x0b");
	assert_int_equal(f.ended, 10);
	assert_int_equal(f.holes, 0);
	assert_int_equal(f.no_request, 1);
	fixture_done(&f);
}

/* Joined later: which number a publish has shows once the channel has rested. */
static void numbers_are_learnt_after_a_rest(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	publish(&f, 1);
	settle(&f, TO_CLIENT, 1, 4711, false);
	publish(&f, 1);
	assert_int_equal(f.answered, 0);
	settle(&f, TO_CLIENT, 1, 4712, false);
	f.now += 6000ull * MS;
	publish(&f, 1);
	publish(&f, 1);
	assert_int_equal(f.ended, 2);
	settle(&f, TO_CLIENT, 1, 4714, true);
	assert_int_equal(f.ended, 4);
	assert_int_equal(f.answered, 2);
	assert_int_equal(f.errors + f.holes + f.no_request, 0);
	fixture_done(&f);
}

/* Of a consumer that was there before, it is not known whether it confirms: silence is no failure, and does not pile up. */
static void silence_of_an_unknown_consumer_is_no_failure(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	for (uint8_t tag = 1; tag <= 101; tag++)
		deliver(&f, 1, tag);
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.exchanges_open, 64);
	METHOD(&f, TO_BROKER, 1, "\0\x14\0\x28\0\xc8\0\0\0\0\0");
	METHOD(&f, TO_CLIENT, 1, "\0\x14\0\x29");
	assert_int_equal(f.ended, 102);
	assert_int_equal(f.reversed, 101);
	assert_int_equal(f.errors + f.holes + f.no_request, 0);
	fixture_done(&f);
}

/* In one I/O of a broker the heads of a body's later frames may not be captured. */
static void a_body_of_many_frames_is_stepped_over(void **state)
{
	static uint8_t bytes[131072];
	struct fixture f;
	struct buffer b;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	open_channel(&f, 1);
	METHOD(&f, TO_BROKER, 1, "\0\x3c\0\x46\0\0\1q\1");
	buffer_init(&b, 1 << 20);
	put_frame(&b, 1, 1, "\0\x3c\0\x47\0\0\0\0\0\0\0\1\0\0\1q\0\0\0\0", 20);
	put_frame(&b, 2, 1, "\0\x3c\0\0\0\0\0\0\0\4\x93\xe0\0\0", 14); /* 300,000 */
	put_frame(&b, 3, 1, bytes, 131064);
	put_frame(&b, 3, 1, bytes, 131064);
	put_frame(&b, 3, 1, bytes, 300000 - 2 * 131064);
	io(&f, TO_CLIENT, slice_head(buffer_slice(&b), 16384), b.len);
	assert_int_equal(f.ended, 2);
	METHOD(&f, TO_BROKER, 1, "\0\x3c\0\x0a\0\0\0\0\0\1\0");
	METHOD(&f, TO_CLIENT, 1, "\0\x3c\0\x0b");
	assert_int_equal(f.ended, 3);
	assert_int_equal(f.errors + f.holes + f.no_request, 0);
	buffer_done(&b);
	fixture_done(&f);
}

/* Channels and consumers beyond what is kept: less is known of them, and no message is lost. */
static void many_channels_and_consumers_are_bounded(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, PLUMB_ROLE_CLIENT);
	for (uint16_t channel = 1; channel <= 2047; channel++)
		open_channel(&f, channel);
	assert_int_equal(f.answered, 2047);
	for (int i = 0; i < 300; i++) {
		uint8_t method[] = { 0, 60, 0, 20, 0, 0, 1, 'q', 3, 'c', (uint8_t)('0' + i / 26), (uint8_t)('a' + i % 26), 0, 0, 0, 0, 0 };
		uint8_t ok[] = { 0, 60, 0, 21, 3, 'c', method[10], method[11] };
		send_frame(&f, TO_BROKER, 1, 1, method, sizeof(method));
		send_frame(&f, TO_CLIENT, 1, 1, ok, sizeof(ok));
	}
	assert_int_equal(f.answered, 2347);
	assert_int_equal(f.errors + f.holes + f.no_request, 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_acknowledgement_answers_all_before_it), cmocka_unit_test(a_broker_asks_with_what_it_delivers),
		cmocka_unit_test(what_is_early_finds_its_request),           cmocka_unit_test(numbers_are_learnt_after_a_rest),
		cmocka_unit_test(silence_of_an_unknown_consumer_is_no_failure), cmocka_unit_test(a_body_of_many_frames_is_stepped_over),
		cmocka_unit_test(many_channels_and_consumers_are_bounded),
	};
	return cmocka_run_group_tests_name("amqp", tests, NULL, NULL);
}
