/* SPDX-License-Identifier: Apache-2.0 */
/* correlate: how the two ends of a connection find each other, by addresses and bytes, early and late, and when they must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "unit/correlate_fixture.h"

/* What was sent without waiting for an answer may be read much later: its span is made by then. What waited for an answer had been read. */
static void what_nobody_answers_may_be_read_late(void **state)
{
	const uint64_t later = UINT64_C(40) * HOLD + 1010; /* two seconds behind its end */
	struct call told, read, asked, reused;
	struct fixture f;

	(void)state;
	for (int late = 0; late < 2; late++) {
		open_default(&f);
		client(&told, 10, 100, 1000, 5000);
		begin(&f, &told);
		told.x.response.end_ns = told.x.request.end_ns;
		correlate_end(f.c, &told.x);
		assert_true(told.released);
		correlate_tick(f.c, later - !late);
		server(&read, 11, 101, later, 5000);
		begin(&f, &read);
		end(&f, &read, later + 1000);
		struct correlate_counts n = finish(&f);
		assert_int_equal(n.joined_socket, !late);
		if (late)
			assert_root(&read);
		else
			assert_child(&read, &told, "socket");
	}
	open_default(&f);
	client(&asked, 10, 100, 1000, 5000);
	begin(&f, &asked);
	end(&f, &asked, 2000);
	server(&reused, 11, 101, 3000, 5000);
	begin(&f, &reused);
	end(&f, &reused, 4000);
	assert_int_equal(finish(&f).joined_socket, 0);
	/* No more of them than there is room for. */
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_ON, .parent_based = true, .max_nodes = 64 });
	for (uint16_t i = 0; i < 64; i++) {
		client(&told, 10, 100, 1000u + 20u * i, (uint16_t)(5000 + i));
		begin(&f, &told);
		told.x.response.end_ns = told.x.request.end_ns;
		correlate_end(f.c, &told.x);
	}
	server(&read, 11, 101, 3000, 5000 + 64 - 9);
	begin(&f, &read);
	end(&f, &read, 3100);
	server(&reused, 11, 101, 3200, 5000 + 64 - 8);
	begin(&f, &reused);
	end(&f, &reused, 3300);
	struct correlate_counts n = finish(&f);
	assert_int_equal(n.refused, 0);
	assert_int_equal(n.joined_socket, 1);
	assert_root(&read);
}

/* What lingers keeps no more than itself. */
static void who_called_what_lingers_does_not(void **state)
{
	enum { HOPS = 3, ROUNDS = 8, NODES = 64, OPEN = 50 };
	const uint64_t later = UINT64_C(3) * HOLD; /* nothing is held any more */
	static struct call k[ROUNDS][2 * HOPS], told[ROUNDS], open[OPEN];
	struct fixture f;

	(void)state;
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_ON, .parent_based = true, .max_nodes = NODES });
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t t = 1000 + 10000 * (uint64_t)round;
		for (uint32_t h = 0; h < HOPS; h++, t += 100) {
			client(&k[round][2 * h], 10 + h, 100 + h, t, (uint16_t)(5000 + 10 * round + h));
			server(&k[round][2 * h + 1], 11 + h, 101 + h, t + 5, (uint16_t)(5000 + 10 * round + h));
			begin(&f, &k[round][2 * h]);
			begin(&f, &k[round][2 * h + 1]);
		}
		client(&told[round], 10 + HOPS, 100 + HOPS, t, (uint16_t)(5000 + 10 * round + HOPS));
		begin(&f, &told[round]);
		told[round].x.response.end_ns = told[round].x.request.end_ns;
		correlate_end(f.c, &told[round].x);
		for (uint32_t i = 2 * HOPS; i-- > 0;)
			end(&f, &k[round][i], t + 100 * (uint64_t)(2 * HOPS - i));
	}
	correlate_tick(f.c, later);
	for (uint32_t round = 0; round < ROUNDS; round++)
		assert_child(&told[round], &k[round][2 * HOPS - 1], "thread");
	for (uint32_t i = 0; i < OPEN; i++) {
		client(&open[i], 10, 200 + i, later + 20 * i, (uint16_t)(7000 + i));
		begin(&f, &open[i]);
	}
	for (uint32_t i = 0; i < OPEN; i++)
		end(&f, &open[i], later + 10000 + 20 * i);
	assert_int_equal(finish(&f).refused, 0);
}

/* Some protocols are known by request and answer together, at each end; and the server may tell of its answer later than the caller of having it. */
static void a_call_that_is_known_late_waits_for_its_server(void **state)
{
	struct call a, b;
	struct fixture f;

	(void)state;
	open_default(&f);
	client(&a, 1, 1, 1000, 40001);
	server(&b, 2, 2, 1020, 40001);
	io(&f, &a, PLUMB_INGRESS, 1, 1100); /* the answer: only now it begins */
	correlate_begin(f.c, &a.x);
	end(&f, &a, 1100);
	io(&f, &b, PLUMB_EGRESS, 2, 1105);
	correlate_begin(f.c, &b.x);
	end(&f, &b, 1105);
	assert_int_equal(finish(&f).joined_socket, 1);
	assert_child(&b, &a, "socket");
}

static void traces_that_differ_stay_apart(void **state)
{
	struct call a, b;
	struct fixture f;

	(void)state;
	open_default(&f);
	client(&a, 10, 100, 1000, 5000);
	server(&b, 11, 101, 1010, 5000);
	context(&a, "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01");
	context(&b, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	begin(&f, &a);
	begin(&f, &b);
	end(&f, &b, 1200);
	end(&f, &a, 1300);
	struct correlate_counts n = finish(&f);
	assert_int_equal(b.span.trace_id[0], 0x0a);
	assert_int_equal(b.span.parent_id[0], 0xb7);
	assert_int_equal(n.contradicted, 1);
	assert_int_equal(n.joined_socket, 0);
}

static void ends_find_each_other_by_any_family(void **state)
{
	struct call a, b;
	struct fixture f;

	(void)state;
	/* IPv4 client, dual-stack server. */
	open_default(&f);
	client(&a, 10, 100, 1000, 5000);
	server(&b, 11, 101, 1010, 5000);
	b.conn.family = AF_INET6;
	b.conn.local = (struct endpoint){ { [10] = 0xff, 0xff, 127, 0, 0, 1 }, 8080 };
	b.conn.remote = (struct endpoint){ { [10] = 0xff, 0xff, 127, 0, 0, 1 }, 5000 };
	begin(&f, &a);
	begin(&f, &b);
	end(&f, &b, 1200);
	end(&f, &a, 1300);
	finish(&f);
	assert_child(&b, &a, "socket");

	/* The same addresses, another byte. */
	open_default(&f);
	client(&a, 10, 100, 1000, 5000);
	server(&b, 11, 101, 1010, 5000);
	b.x.request.offset++;
	begin(&f, &a);
	begin(&f, &b);
	end(&f, &b, 1200);
	end(&f, &a, 1300);
	finish(&f);
	assert_root(&a);
	assert_root(&b);
}

/* The two ends of a Unix stream, older than plumb as all of them may be, both counted from when plumb saw them first. */
static void unix_ends(struct call *a, struct call *b)
{
	client(a, 10, 100, 1000, 0);
	server(b, 11, 101, 1010, 0);
	a->x.request.offset = b->x.request.offset = 0;
	a->conn.family = b->conn.family = AF_UNIX;
	a->conn.pair = b->conn.pair = 4711;
	a->conn.flags = PLUMB_SOCK_PREEXISTING | PLUMB_SOCK_SENT_FIRST;
	b->conn.flags = PLUMB_SOCK_PREEXISTING;
}

static void the_ends_of_a_unix_stream_find_each_other(void **state)
{
	struct call a, b;
	struct fixture f;

	(void)state;
	for (int server_first = 0; server_first < 2; server_first++) {
		open_default(&f);
		unix_ends(&a, &b);
		begin(&f, server_first ? &b : &a);
		begin(&f, server_first ? &a : &b);
		end(&f, &b, 1200);
		end(&f, &a, 1300);
		finish(&f);
		assert_child(&b, &a, "socket");
	}
	/* The server has answered before the client's record comes: it was on another CPU. */
	open_default(&f);
	unix_ends(&a, &b);
	a.x.request.start_ns = 1300;
	begin(&f, &b);
	end(&f, &b, 1200);
	begin(&f, &a);
	end(&f, &a, 1400);
	finish(&f);
	assert_child(&b, &a, "socket");
}

/* Where the ends may count differently, or what one sent cannot be what the other got, they are left alone. */
static void unix_ends_that_may_disagree_stay_apart(void **state)
{
	enum { ANSWER_SEEN_FIRST, SERVER_SENT_FIRST, NO_PAIR, ANOTHER_PAIR, ANOTHER_BYTE, ANOTHER_SIZE, AFTER_THE_ANSWER, CASES };

	(void)state;
	for (int i = 0; i < CASES; i++) {
		struct call a, b;
		struct fixture f;

		open_default(&f);
		unix_ends(&a, &b);
		a.x.request.bytes = b.x.request.bytes = 100;
		if (i == ANSWER_SEEN_FIRST)
			a.conn.flags &= ~PLUMB_SOCK_SENT_FIRST;
		if (i == SERVER_SENT_FIRST)
			b.conn.flags |= PLUMB_SOCK_SENT_FIRST;
		if (i == NO_PAIR)
			a.conn.pair = b.conn.pair = 0;
		if (i == ANOTHER_PAIR)
			b.conn.pair++;
		if (i == ANOTHER_BYTE)
			b.x.request.offset++;
		if (i == ANOTHER_SIZE)
			b.x.request.bytes++;
		if (i == AFTER_THE_ANSWER)
			b.x.request.start_ns = 1301;
		begin(&f, &a);
		if (i == AFTER_THE_ANSWER) {
			a.x.response.end_ns = 1300; /* it waits for its own server still */
			begin(&f, &b);
			end(&f, &a, 1300);
			end(&f, &b, 1400);
		} else {
			begin(&f, &b);
			end(&f, &b, 1200);
			end(&f, &a, 1300);
		}
		struct correlate_counts n = finish(&f);
		assert_int_equal(n.contradicted, i == ANOTHER_SIZE || i == AFTER_THE_ANSWER);
		assert_int_equal(n.joined_socket, 0);
		assert_root(&a);
		assert_root(&b);
	}
}

/* Sockets whose open record was lost: their addresses are unknown, not equal. */
static void unknown_addresses_are_not_equal(void **state)
{
	enum { UNKNOWN_FAMILY, UNKNOWN_PORTS, UNKNOWN_LOCAL_PORT, UNKNOWN_REMOTE_PORT, CASES };

	(void)state;
	for (int i = 0; i < CASES; i++) {
		struct call a, b;
		struct call *calls[] = { &a, &b };
		struct fixture f;

		open_default(&f);
		client(&a, 10, 100, 1000, 5000);
		server(&b, 11, 101, 1010, 5000);
		for (int k = 0; k < 2; k++) {
			struct connection *c = &calls[k]->conn;
			bool caller = k == 0;
			if (i == UNKNOWN_FAMILY) {
				c->family = 0;
				memset(&c->local, 0, sizeof(c->local));
				memset(&c->remote, 0, sizeof(c->remote));
			}
			if (i == UNKNOWN_PORTS || (i == UNKNOWN_LOCAL_PORT && caller) || (i == UNKNOWN_REMOTE_PORT && !caller))
				c->local.port = 0;
			if (i == UNKNOWN_PORTS || (i == UNKNOWN_LOCAL_PORT && !caller) || (i == UNKNOWN_REMOTE_PORT && caller))
				c->remote.port = 0;
		}
		begin(&f, &a);
		begin(&f, &b);
		end(&f, &b, 1200);
		end(&f, &a, 1300);
		struct correlate_counts n = finish(&f);
		assert_root(&a);
		assert_root(&b);
		assert_int_equal(n.joined_socket, 0);
		assert_int_equal(n.roots, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_answers_may_be_read_late),
		cmocka_unit_test(who_called_what_lingers_does_not),
		cmocka_unit_test(a_call_that_is_known_late_waits_for_its_server),
		cmocka_unit_test(traces_that_differ_stay_apart),
		cmocka_unit_test(ends_find_each_other_by_any_family),
		cmocka_unit_test(the_ends_of_a_unix_stream_find_each_other),
		cmocka_unit_test(unix_ends_that_may_disagree_stay_apart),
		cmocka_unit_test(unknown_addresses_are_not_equal),
	};
	return cmocka_run_group_tests_name("ends", tests, NULL, NULL);
}
