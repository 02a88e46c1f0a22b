/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and answers whose pairs are known, in every style of sending them, of which records are lost: a request with another's answer is marked as incomplete, and no
 * failure is made of a loss. How many pairs are still right, and that others are not shifted by one loss, is held as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proto/engine.h"

enum { MS = 1000 * 1000, STEP_NS = MS / 10, SENT = 600, ROUNDS = 60, TEXT = 8192 };
enum protocol { REDIS, HTTP, MEMCACHED, NUMBERED, MONGODB, ZOOKEEPER, LDAP, COUCHBASE, PROTOCOLS }; /* NUMBERED: memcached's binary protocol, by a client that numbers its requests */
enum style { ONE, JOINED, APART, MIXED, WINDOW, STYLES }; /* at a time; several, in one call; several, each in its own; either; never resting */

static const char *const names[PROTOCOLS] = { "redis", "http", "memcached", "memcached binary", "mongodb", "zookeeper", "ldap", "couchbase" };

struct fixture {
	struct process_table *processes;
	struct conn_table *conns;
	struct proto_engine *engine;
	enum protocol protocol;
	uint32_t random, loss; /* of 1000 records */
	uint64_t now, offset[2];
	uint64_t at[2][SENT + 64]; /* where request and answer of each number begin, by direction */
	int sent, got;
	unsigned right, wrong, marked, errors;
};

static int number_at(const struct fixture *f, enum plumb_direction dir, const struct exchange_side *s)
{
	for (int i = 0; s->start_ns && i < f->sent; i++)
		if (f->at[dir][i] == s->offset)
			return i;
	return -1;
}

static void on_begin(void *ctx, struct exchange *x) { (void)ctx, (void)x; }

static void on_end(void *ctx, struct exchange *x)
{
	struct fixture *f = ctx;
	int request = number_at(f, PLUMB_EGRESS, &x->request), answer = number_at(f, PLUMB_INGRESS, &x->response);

	f->errors += (x->flags & EXCHANGE_ERROR) != 0;
	if (x->flags & (EXCHANGE_HOLE | EXCHANGE_MALFORMED | EXCHANGE_NO_REQUEST | EXCHANGE_UNFINISHED))
		f->marked++;
	else
		*(request >= 0 && request == answer ? &f->right : &f->wrong) += 1;
	proto_engine_free_exchange(f->engine, x);
}

static void on_policy(void *ctx, uint64_t sock, const struct capture *capture) { (void)ctx, (void)sock, (void)capture; }

static void feed(struct fixture *f, struct record *r, uint16_t type, struct slice payload)
{
	r->u.h.type = type;
	r->u.h.time_ns = f->now;
	conn_table_record(f->conns, r, payload);
}

static void begin(struct fixture *f, enum protocol protocol, uint32_t seed, uint32_t loss)
{
	const struct proto_engine_handler h = { on_begin, on_end, on_policy, f };
	const struct conn_options conns = { 0 };
	struct conn_handler bytes;

	memset(f, 0, sizeof(*f));
	f->protocol = protocol;
	f->random = seed;
	f->loss = loss;
	f->now = 1000 * MS;
	f->offset[0] = f->offset[1] = 1ull << 32 | 7;
	assert_int_equal(process_table_new(0, &f->processes), 0);
	const struct proto_engine_options o = { .processes = f->processes };
	assert_int_equal(proto_engine_new(&o, &h, &f->engine), 0);
	proto_engine_conn_handler(f->engine, &bytes);
	assert_int_equal(conn_table_new(&conns, &bytes, f->processes, &f->conns), 0);
	static const uint16_t ports[PROTOCOLS] = { 6379, 6379, 11211, 11211, 27017, 2181, 389, 11210 };
	struct record r = { .u.sock = { .sock = 1, .family = AF_INET, .type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT, .remote_port = ports[protocol],
					.offset = { f->offset[0], f->offset[1] } } };
	feed(f, &r, PLUMB_REC_SOCK_OPEN, SLICE_NONE);
}

static void tick(struct fixture *f, uint64_t later_ns)
{
	struct record r = { 0 };

	f->now += later_ns;
	feed(f, &r, PLUMB_REC_TICK, SLICE_NONE);
	proto_engine_tick(f->engine, f->now);
}

static void end(struct fixture *f)
{
	struct record r = { .u.sock_stats = { .sock = 1, .offset = { f->offset[0], f->offset[1] } } };

	tick(f, 50 * MS);
	feed(f, &r, PLUMB_REC_SOCK_CLOSE, SLICE_NONE);
	conn_table_free(f->conns);
	proto_engine_free(f->engine);
	process_table_free(f->processes);
}

static uint32_t below(struct fixture *f, uint32_t n)
{
	f->random = f->random * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(f->random >> 8) * n >> 24);
}

static void record(struct fixture *f, enum plumb_direction dir, const char *bytes, size_t len, bool lost)
{
	struct record r = { .u.data = { .sock = 1, .offset = f->offset[dir], .pid = 11, .tid = 11, .len = (uint32_t)len, .captured = (uint32_t)len, .direction = (uint8_t)dir } };

	f->now += STEP_NS;
	f->offset[dir] += len;
	if (lost)
		return;
	char *exact = malloc(len); /* so that reading behind it is caught */
	assert_non_null(exact);
	memcpy(exact, bytes, len);
	feed(f, &r, PLUMB_REC_DATA, slice_make(exact, len));
	free(exact);
}

/* In one record, or in two. */
static void send_bytes(struct fixture *f, enum plumb_direction dir, const char *bytes, size_t len)
{
	size_t cut = below(f, 3) == 0 ? 1 + below(f, (uint32_t)len - 1) : len;

	record(f, dir, bytes, cut, below(f, 1000) < f->loss);
	if (cut < len)
		record(f, dir, bytes + cut, len - cut, below(f, 1000) < f->loss);
}

static size_t mongodb_message(enum plumb_direction dir, int number, char *to, size_t room)
{
	static const char request[] = "\x24\0\0\0____\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x0f\0\0\0\x10ping\0\1\0\0\0";
	static const char answer[] = "\x26\0\0\0\7\0\0\0____\xdd\x07\0\0\0\0\0\0\0\x11\0\0\0\1ok\0\0\0\0\0\0\0\xf0\x3f";
	size_t n = dir == PLUMB_EGRESS ? sizeof(request) : sizeof(answer);
	uint32_t id = (uint32_t)number + 1;

	assert_true(n <= room);
	memcpy(to, dir == PLUMB_EGRESS ? request : answer, n);
	memcpy(to + (dir == PLUMB_EGRESS ? 4 : 8), &id, sizeof(id));
	return n;
}

static size_t zookeeper_message(enum plumb_direction dir, int number, char *to, size_t room)
{
	static const char request[] = "\0\0\0\x14\0\0__\0\0\0\4\0\0\0\7/orders";
	static const char answer[] = "\0\0\0\x5c\0\0__\0\0\0\1\0\0\0\7\0\0\0\0\0\0\0\4text";
	size_t n = dir == PLUMB_EGRESS ? 4 + 0x14 : 4 + 0x5c;

	assert_true(n <= room);
	memset(to, 0, n);
	memcpy(to, dir == PLUMB_EGRESS ? request : answer, dir == PLUMB_EGRESS ? n : sizeof(answer));
	to[6] = (char)((number + 1) >> 8);
	to[7] = (char)(number + 1);
	return n;
}

/* A search, and its answer of two messages. */
static size_t ldap_message(enum plumb_direction dir, int number, char *to, size_t room)
{
	static const char request[] = "\x30\x24\2\2__\x63\x1e\4\4dc=a\x0a\1\2\x0a\1\0\2\1\0\2\1\0\1\1\0\x87\5email\x30\0";
	static const char answer[] = "\x30\x1d\2\2__\x64\x17\4\4dc=a\x30\x0f\x30\x0d\4\5email\x31\4\4\2me" "\x30\x0d\2\2__\x65\7\x0a\1\0\4\0\4\0";
	size_t n = dir == PLUMB_EGRESS ? sizeof(request) - 1 : sizeof(answer) - 1;

	assert_true(n <= room);
	memcpy(to, dir == PLUMB_EGRESS ? request : answer, n);
	for (size_t at = 4; at < n; at += 0x1f) {
		to[at] = (char)((number + 1) >> 8);
		to[at + 1] = (char)(number + 1);
		if (dir == PLUMB_EGRESS)
			break;
	}
	return n;
}

/* Its request or its answer of this number. */
static size_t message(const struct fixture *f, enum plumb_direction dir, int number, char *to, size_t room)
{
	static const char *const forms[][2] = { { "$4\r\n%04d\r\n", "*2\r\n$3\r\nGET\r\n$4\r\n%04d\r\n" },
						{ "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%04d", "GET /%04d HTTP/1.1\r\nHost: a\r\n\r\n" },
						{ "VALUE key 0 4\r\n%04d\r\nEND\r\n", "get %04d\r\n" } };
	if (f->protocol == MONGODB)
		return mongodb_message(dir, number, to, room);
	if (f->protocol == ZOOKEEPER)
		return zookeeper_message(dir, number, to, room);
	if (f->protocol == LDAP)
		return ldap_message(dir, number, to, room);
	char binary[29] = { (char)(dir == PLUMB_EGRESS ? 0x80 : 0x81), [11] = 4, [14] = (char)(number >> 8), (char)number };

	if (f->protocol == COUCHBASE && dir == PLUMB_EGRESS) { /* vbucket 513 */
		binary[6] = 2;
		binary[7] = 1;
	}
	if (f->protocol == NUMBERED || f->protocol == COUCHBASE) {
		binary[3] = dir == PLUMB_EGRESS ? 4 : 0;
		binary[4] = dir == PLUMB_EGRESS ? 0 : 4;
		snprintf(binary + 24, 5, "%04d", number);
		assert_true(room > 28);
		memcpy(to, binary, 28);
		return 28;
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	int n = snprintf(to, room, forms[f->protocol][dir], number);
#pragma GCC diagnostic pop
	assert_true(n > 0 && (size_t)n < room);
	return (size_t)n;
}

static void send_messages(struct fixture *f, enum plumb_direction dir, int count, bool joined)
{
	char text[TEXT];
	size_t used = 0;
	int *number = dir == PLUMB_EGRESS ? &f->sent : &f->got;

	for (int i = 0; i < count; i++, (*number)++) {
		f->at[dir][*number] = f->offset[dir] + used;
		used += message(f, dir, *number, text + used, sizeof(text) - used);
		if (!joined || i == count - 1) {
			send_bytes(f, dir, text, used);
			used = 0;
		}
	}
}

static void converse(struct fixture *f, enum style style)
{
	while (f->sent < SENT) {
		int count = style == ONE ? 1 : 1 + (int)below(f, 6);
		if (style != WINDOW) {
			send_messages(f, PLUMB_EGRESS, count, style == JOINED || (style == MIXED && below(f, 2)));
			send_messages(f, PLUMB_INGRESS, count, style == JOINED || (style == MIXED && below(f, 2)));
		} else {
			if (f->sent - f->got < 8)
				send_messages(f, PLUMB_EGRESS, count, below(f, 2));
			send_messages(f, PLUMB_INGRESS, 1 + (int)below(f, (uint32_t)(f->sent - f->got)), below(f, 2));
		}
		if (below(f, 20) == 0)
			tick(f, below(f, 20) * MS);
		else
			f->now += below(f, 5) * STEP_NS;
	}
	f->loss = 0;
	send_messages(f, PLUMB_INGRESS, f->sent - f->got, true);
}

/*
 * Of ROUNDS * SENT requests. Not all wrong pairs can be told: of HTTP with three records lost in a row nothing is left that tells, and a client whose first pipeline is hit is
 * taken for one that waits. What cannot be told is few.
 */
static const struct {
	enum style style;
	unsigned wrong_most, right_least;
} expected[PROTOCOLS][STYLES] = {
	{ { ONE, 0, 19000 }, { JOINED, 0, 21000 }, { APART, 0, 14000 }, { MIXED, 0, 16700 }, { WINDOW, 400, 2500 } },
	{ { ONE, 10, 32000 }, { JOINED, 0, 30000 }, { APART, 120, 24500 }, { MIXED, 120, 27000 }, { WINDOW, 750, 2500 } },
	{ { ONE, 0, 29000 }, { JOINED, 0, 29000 }, { APART, 0, 24500 }, { MIXED, 0, 26700 }, { WINDOW, 200, 2500 } },
	{ { ONE, 0, 30500 }, { JOINED, 0, 31500 }, { APART, 0, 31000 }, { MIXED, 0, 31000 }, { WINDOW, 0, 28000 } },
	{ { ONE, 0, 32000 }, { JOINED, 0, 32700 }, { APART, 0, 32000 }, { MIXED, 0, 32300 }, { WINDOW, 0, 32400 } },
	{ { ONE, 0, 32500 }, { JOINED, 0, 33000 }, { APART, 0, 32500 }, { MIXED, 0, 32700 }, { WINDOW, 0, 32800 } },
	{ { ONE, 0, 31000 }, { JOINED, 0, 31500 }, { APART, 0, 28700 }, { MIXED, 0, 30100 }, { WINDOW, 0, 28500 } },
	{ { ONE, 0, 31500 }, { JOINED, 0, 32800 }, { APART, 0, 32100 }, { MIXED, 0, 32400 }, { WINDOW, 0, 31900 } },
};

static void pairs_are_right_or_marked(void **state)
{
	static const uint32_t losses[] = { 5, 20, 100 };

	(void)state;
	for (enum protocol p = 0; p < PROTOCOLS; p++)
		for (int i = 0; i < STYLES; i++) {
			unsigned right = 0, wrong = 0, errors = 0;
			for (uint32_t seed = 1; seed <= ROUNDS; seed++) {
				struct fixture f;
				begin(&f, p, seed * 7919u, 0);
				send_messages(&f, PLUMB_EGRESS, 1, true);
				send_messages(&f, PLUMB_INGRESS, 1, true);
				f.loss = losses[seed % 3];
				converse(&f, expected[p][i].style);
				end(&f);
				right += f.right;
				wrong += f.wrong;
				errors += f.errors;
			}
			print_message("%s, style %d: %u right, %u wrong and not marked\n", names[p], i, right, wrong);
			assert_true(wrong <= expected[p][i].wrong_most);
			assert_true(right >= expected[p][i].right_least);
			assert_int_equal(errors, 0);
		}
}

/* One answer, the last of its batch: two hundred batches later the connection is not doubted any more. */
static void one_loss_is_over_soon(void **state)
{
	enum { BATCHES = 199, BATCH = 3 };

	(void)state;
	for (enum protocol p = 0; p < PROTOCOLS; p++) {
		struct fixture f;
		begin(&f, p, 3, 0);
		for (int b = 0; b < BATCHES; b++) {
			send_messages(&f, PLUMB_EGRESS, BATCH, true);
			send_messages(&f, PLUMB_INGRESS, BATCH - 1, false);
			f.loss = b == 2 ? 1000 : 0;
			send_messages(&f, PLUMB_INGRESS, 1, false);
			f.loss = 0;
			tick(&f, 21 * MS);
		}
		end(&f);
		print_message("%s: %u right, %u marked, %u wrong\n", names[p], f.right, f.marked, f.wrong);
		assert_int_equal(f.wrong + f.errors, 0);
		assert_true(f.right >= BATCH * (BATCHES - 2));
		assert_true(f.marked >= 1);
	}
}

/* The end of an answer, the whole of the next one: no hole is told before another answer comes, which is not the second request's. */
static void an_answer_is_lost_behind_another(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0001\r\n", tail[] = "0\r\n\r\n";
	struct fixture f;

	(void)state;
	begin(&f, HTTP, 3, 0);
	send_messages(&f, PLUMB_EGRESS, 1, true);
	send_messages(&f, PLUMB_INGRESS, 1, true);
	send_messages(&f, PLUMB_EGRESS, 1, true);
	f.at[PLUMB_INGRESS][f.got++] = f.offset[PLUMB_INGRESS];
	record(&f, PLUMB_INGRESS, head, sizeof(head) - 1, false);
	record(&f, PLUMB_INGRESS, tail, sizeof(tail) - 1, true);
	send_messages(&f, PLUMB_EGRESS, 1, true);
	f.loss = 1000;
	send_messages(&f, PLUMB_INGRESS, 1, true);
	f.loss = 0;
	send_messages(&f, PLUMB_EGRESS, 1, true);
	send_messages(&f, PLUMB_INGRESS, 1, true);
	end(&f);
	assert_int_equal(f.right, 2);
	assert_int_equal(f.marked, 2);
	assert_int_equal(f.wrong + f.errors, 0);
}

/* The end of a wait is no failure either where the answer may have been lost. */
static void a_lost_answer_is_no_timeout(void **state)
{
	(void)state;
	for (enum protocol p = 0; p <= HTTP; p++)
		for (int lost = 0; lost < 2; lost++) {
			struct fixture f;
			begin(&f, p, 5, 0);
			send_messages(&f, PLUMB_EGRESS, 1, true);
			send_messages(&f, PLUMB_INGRESS, 1, true);
			send_messages(&f, PLUMB_EGRESS, 1, true);
			if (lost) {
				f.at[PLUMB_INGRESS][1] = f.offset[PLUMB_INGRESS];
				record(&f, PLUMB_INGRESS, "$4\r\n", 4, true); /* the head */
				record(&f, PLUMB_INGRESS, "0001\r\n", 6, false);
			}
			tick(&f, 50 * MS);
			tick(&f, 61000ull * MS);
			assert_int_equal(f.right + f.marked + f.errors, 2);
			assert_int_equal(f.errors, !lost);
			end(&f);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_right_or_marked),
		cmocka_unit_test(one_loss_is_over_soon),
		cmocka_unit_test(an_answer_is_lost_behind_another),
		cmocka_unit_test(a_lost_answer_is_no_timeout),
	};
	return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
