/* SPDX-License-Identifier: Apache-2.0 */
/* correlate: synthetic connections and exchanges in the orders in which records may tell of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "unit/correlate_fixture.h"

enum { CALLS = 10007 };

/* curl -> shop -> stock -> database; each record order of the two ends. */
static void chain(bool server_first)
{
	static struct call k[6]; /* curl's client, shop, shop's client, stock, stock's client, the database */
	struct fixture f;

	open_default(&f);
	for (int i = 0; i < 3; i++) {
		client(&k[2 * i], (uint32_t)(10 + i), (uint32_t)(100 + i), (uint64_t)(1000 + 100 * i), (uint16_t)(5000 + i));
		server(&k[2 * i + 1], (uint32_t)(11 + i), (uint32_t)(101 + i), (uint64_t)(1000 + 100 * i + (server_first ? -5 : 5)), (uint16_t)(5000 + i));
		begin(&f, &k[2 * i + server_first]);
		begin(&f, &k[2 * i + !server_first]);
	}
	for (int i = 5; i >= 0; i--)
		end(&f, &k[i], (uint64_t)(3000 - 10 * i));
	struct correlate_counts n = finish(&f);
	assert_root(&k[0]);
	for (int i = 1; i < 6; i++)
		assert_child(&k[i], &k[i - 1], i % 2 ? "socket" : "thread");
	assert_int_equal(n.joined_socket, 3);
	assert_int_equal(n.joined_thread, 2);
	assert_int_equal(n.roots, 1);
	assert_int_equal(n.ambiguous + n.contradicted + n.refused, 0);
	/* What had arrived had been sent. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(k[2 * i].x.request.start_ns, 1000 + 100 * i - (server_first ? 5 : 0));
}

static void three_services(void **state)
{
	(void)state;
	chain(false);
	chain(true);
}

static void a_child_may_be_settled_long_before_its_parent(void **state)
{
	struct call root, shop, query;
	struct fixture f;

	(void)state;
	open_default(&f);
	client(&root, 10, 100, 1000, 5000);
	server(&shop, 11, 101, 1010, 5000);
	client(&query, 11, 101, 1100, 6000);
	begin(&f, &root);
	begin(&f, &shop);
	begin(&f, &query);
	end(&f, &query, 1200);
	assert_true(query.released); /* its trace begins with a caller on this node: nothing can change it */
	assert_false(shop.released);
	end(&f, &shop, 1300 + HOLD);
	end(&f, &root, 1400 + HOLD);
	finish(&f);
	assert_root(&root);
	assert_child(&shop, &root, "socket");
	assert_child(&query, &shop, "thread");
}

/* Who called a server may be written down late: its own spans wait, and those of the calls that it makes. */
static void a_server_without_caller_is_held(void **state)
{
	struct call shop, query;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&shop, 11, 101, 1010, 5000);
	client(&query, 11, 101, 1100, 6000);
	begin(&f, &shop);
	begin(&f, &query);
	end(&f, &query, 1200);
	end(&f, &shop, 1300);
	correlate_tick(f.c, 1200 + HOLD - 1);
	assert_false(query.released);
	correlate_tick(f.c, 1200 + HOLD);
	assert_true(query.released);
	assert_false(shop.released);
	correlate_tick(f.c, 1300 + HOLD);
	assert_true(shop.released);
	finish(&f);
	assert_root(&shop);
	assert_child(&query, &shop, "thread");
}

/* The child's trace is fixed before its parent's parent is found: the late one joins, for its own trace is still open. */
static void a_late_parent_does_not_change_a_fixed_trace(void **state)
{
	struct call root, shop, query;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&shop, 11, 101, 1010, 5000);
	client(&query, 11, 101, 1100, 6000);
	begin(&f, &shop);
	begin(&f, &query);
	end(&f, &query, 1200);
	correlate_tick(f.c, 1200 + HOLD);
	client(&root, 10, 100, 1300 + HOLD, 5000);
	begin(&f, &root);
	end(&f, &shop, 1400 + HOLD);
	end(&f, &root, 1500 + HOLD);
	finish(&f);
	assert_child(&query, &shop, "thread");
	assert_child(&shop, &root, "socket");
}

/* Messages that are handled together were sent by several: links, and no parent. What is no context is none. */
static void several_senders_are_links(void **state)
{
	static const char *const texts[] = { "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01",
					     "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-00" };
	struct call k;
	struct fixture f;

	(void)state;
	open_default(&f);
	client(&k, 1, 1, 1000, 40001);
	for (int i = 0; i < 3 + SPAN_LINKS_MAX; i++)
		k.x.attrs[k.x.nattrs++] = (struct attr){ .id = ATTR_RAW_LINK, .type = ATTR_TYPE_STR, .str = slice_str(texts[i < 3 ? i : 0]) };
	begin(&f, &k);
	end(&f, &k, 2000);
	assert_int_equal(finish(&f).roots, 1);
	assert_root(&k);
	assert_int_equal(k.span.nlinks, SPAN_LINKS_MAX);
	assert_int_equal(k.span.links_dropped, 2);
	assert_int_equal(k.span.links[0].trace_id[0], 0x0a);
	assert_int_equal(k.span.links[0].span_id[7], 0x31);
	assert_int_equal(k.span.links[1].trace_id[0], 0x1a);
}

static void wire_context(void **state)
{
	static const uint8_t trace[16] = { 0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c };
	static const uint8_t span[8] = { 0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31 };
	const char *sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	const char *unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
	struct call a, b, query;
	struct fixture f;

	(void)state;
	/* Server alone: the wire's ids, remote parent; its own calls follow. */
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	context(&a, unsampled);
	a.x.attrs[a.x.nattrs++] = (struct attr){ .id = ATTR_RAW_TRACESTATE, .type = ATTR_TYPE_STR, .str = SLICE_LIT("x=1") };
	client(&query, 11, 101, 1100, 6000);
	begin(&f, &a);
	begin(&f, &query);
	end(&f, &query, 1200);
	end(&f, &a, 1300);
	struct correlate_counts n = finish(&f);
	assert_memory_equal(a.span.trace_id, trace, 16);
	assert_memory_equal(a.span.parent_id, span, 8);
	assert_true(a.span.remote_parent);
	assert_false(a.span.sampled);
	assert_true(slice_eq(a.span.trace_state, SLICE_LIT("x=1")));
	assert_child(&query, &a, "thread");
	assert_false(query.span.sampled);
	assert_int_equal(n.joined_wire, 1);

	/* Both ends: the client hangs on the wire's span, the server on our client span. */
	open_default(&f);
	client(&a, 10, 100, 1000, 5000);
	server(&b, 11, 101, 1010, 5000);
	context(&a, sampled);
	context(&b, sampled);
	begin(&f, &a);
	begin(&f, &b);
	end(&f, &b, 1200);
	end(&f, &a, 1300);
	finish(&f);
	assert_memory_equal(a.span.trace_id, trace, 16);
	assert_memory_equal(a.span.parent_id, span, 8);
	assert_true(a.span.remote_parent && a.span.sampled);
	assert_child(&b, &a, "socket");
}

static void wire_outranks_the_thread(void **state)
{
	const char *first = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	const char *second = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01";
	const char *third = "00-0af7651916cd43dd8448eb211c80319c-d7ad6b7169203331-01";
	struct call a, own, handed_on, inner, late;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	context(&a, first);
	client(&own, 11, 101, 1100, 6000); /* the program started a trace of its own */
	context(&own, second);
	client(&handed_on, 11, 101, 1200, 6001); /* a proxy passes on what it got */
	context(&handed_on, first);
	client(&inner, 11, 101, 1250, 6003); /* the program has a span of its own between */
	context(&inner, third);
	client(&late, 11, 101, 1300, 6002); /* its headers are seen only at its end */
	begin(&f, &a);
	begin(&f, &own);
	begin(&f, &handed_on);
	begin(&f, &inner);
	begin(&f, &late);
	context(&late, second);
	end(&f, &late, 1400);
	end(&f, &inner, 1450);
	end(&f, &handed_on, 1500);
	end(&f, &own, 1600);
	end(&f, &a, 1700);
	struct correlate_counts n = finish(&f);
	assert_int_equal(n.contradicted, 0);
	assert_int_equal(inner.span.trace_id[0], 0x0a);
	assert_int_equal(inner.span.parent_id[0], 0xd7);
	assert_int_equal(own.span.trace_id[0], 0x1a);
	assert_int_equal(own.span.parent_id[0], 0xc7);
	assert_true(own.span.remote_parent);
	assert_child(&handed_on, &a, "thread");
	assert_int_equal(late.span.trace_id[0], 0x1a);
	assert_int_equal(late.span.parent_id[0], 0xc7);
}

/* A thread with several requests is an event loop. */
static void event_loop(void **state)
{
	struct call a, b, call_a, call_b, call_a2, neither;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	client(&call_a, 11, 101, 1010, 6000);
	server(&b, 11, 101, 1020, 5001);
	client(&call_b, 11, 101, 1030, 6001);
	client(&call_a2, 11, 101, 1050, 6002);
	client(&neither, 11, 101, 1070, 6003);
	begin(&f, &a);
	begin(&f, &call_a); /* a alone */
	begin(&f, &b);
	begin(&f, &call_b); /* a waits: b's */
	end(&f, &call_a, 1040);
	begin(&f, &call_a2); /* b waits: a's */
	end(&f, &call_a2, 1055);
	end(&f, &call_b, 1060);
	begin(&f, &neither); /* both may have gone on */
	end(&f, &neither, 1080);
	end(&f, &a, 1090);
	end(&f, &b, 1100);
	struct correlate_counts n = finish(&f);
	assert_child(&call_a, &a, "thread");
	assert_child(&call_b, &b, "thread");
	assert_child(&call_a2, &a, "thread");
	assert_root(&neither);
	assert_int_equal(n.ambiguous, 1);
}

enum { TENTH = 100 * 1000 * 1000 };

/* A server waits for a timer while another timer calls somebody: nobody is told whose it is. */
static void a_loop_that_has_slept_may_do_anything(void **state)
{
	static struct call before[7], a, same_turn, own, own_again, answer_turn, after_foreign;
	uint64_t at = 7 * TENTH;
	struct fixture f;

	(void)state;
	open_default(&f);
	for (int i = 0; i < 7; i++) { /* it does so without requests, too */
		loop_client(&before[i], 11, 101, (uint64_t)(i * TENTH), 5999);
		f.turn++;
		begin(&f, &before[i]);
		f.turn++;
		end(&f, &before[i], (uint64_t)(i * TENTH + 10));
	}
	loop_server(&a, 11, 101, at, 5000);
	loop_client(&same_turn, 11, 101, at + 10, 6000);
	loop_client(&own, 11, 101, at + TENTH, 6001);
	loop_client(&answer_turn, 11, 101, at + 2 * TENTH, 6002);
	loop_client(&own_again, 11, 101, at + 3 * TENTH, 6003);
	loop_client(&after_foreign, 11, 101, at + 3 * TENTH + 20, 6004);
	f.turn++;
	begin(&f, &a);
	begin(&f, &same_turn);
	f.turn++;
	begin(&f, &own);
	f.turn++;
	end(&f, &own, at + TENTH + 10);
	f.turn++;
	end(&f, &same_turn, at + 2 * TENTH - 10);
	begin(&f, &answer_turn);
	f.turn++;
	begin(&f, &own_again);
	f.turn++;
	end(&f, &answer_turn, at + 3 * TENTH); /* the request's, and somebody else's in one turn */
	end(&f, &own_again, at + 3 * TENTH + 10);
	begin(&f, &after_foreign);
	end(&f, &after_foreign, at + 3 * TENTH + 30);
	end(&f, &a, at + 4 * TENTH);
	struct correlate_counts n = finish(&f);
	for (int i = 0; i < 7; i++)
		assert_root(&before[i]);
	assert_child(&same_turn, &a, "thread");
	assert_child(&answer_turn, &a, "thread");
	assert_root(&own);
	assert_root(&own_again);
	assert_child(&after_foreign, &a, "process"); /* a moment after the request's own answer: likely its, but not certain */
	assert_int_equal(n.ambiguous, 2);
	assert_int_equal(n.joined_thread, 2);
}

/* The same by a process that was not seen calling on its own, in ten seconds in which it served nobody: that is evidence, and weak. */
static void a_quiet_process_calls_for_its_request(void **state)
{
	struct call a, call;
	struct fixture f;

	(void)state;
	open_default(&f);
	loop_server(&a, 11, 101, 100 * (uint64_t)TENTH, 5000);
	loop_client(&call, 11, 101, 101 * (uint64_t)TENTH, 6000);
	begin(&f, &a);
	f.turn++;
	begin(&f, &call);
	end(&f, &call, 102 * (uint64_t)TENTH);
	end(&f, &a, 103 * (uint64_t)TENTH);
	struct correlate_counts n = finish(&f);
	assert_child(&call, &a, "process");
	assert_int_equal(n.joined_process, 1);
}

/* A thread that serves one request after the other sleeps in each as it likes. Its clients' sockets may have timeouts, and not block; no epoll instance waits for them. */
static void threads_sleep_as_they_like(void **state)
{
	static const uint16_t ways[][2] = { { 0, PLUMB_DATA_NONBLOCK }, { PLUMB_DATA_NONBLOCK, PLUMB_DATA_NONBLOCK }, { PLUMB_DATA_NONBLOCK | PLUMB_DATA_WATCHED, PLUMB_DATA_NONBLOCK },
					    { 0, PLUMB_DATA_NONBLOCK | PLUMB_DATA_WATCHED } };

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct call own, a, call;
		struct fixture f;
		open_default(&f);
		client(&own, 11, 102, 10, 5999);
		server(&a, 11, 101, 1000, 5000);
		client(&call, 11, 101, TENTH, 6000);
		a.io_flags = ways[i][0];
		call.io_flags = ways[i][1];
		begin(&f, &own);
		end(&f, &own, 20);
		begin(&f, &a);
		f.turn++;
		begin(&f, &call);
		end(&f, &call, TENTH + 10);
		end(&f, &a, TENTH + 20);
		finish(&f);
		assert_child(&call, &a, "thread");
	}
}

/* Two requests of one turn: each call may be either's. Of those of earlier turns none can be meant, whether they wait for an answer or for a timer. */
static void a_turn_picks_among_several(void **state)
{
	struct call timer, a, b, call_a, either, call_b;
	struct fixture f;

	(void)state;
	open_default(&f);
	loop_server(&timer, 11, 101, 1000, 5000);
	loop_server(&a, 11, 101, 1010, 5001);
	loop_client(&call_a, 11, 101, 1020, 6000);
	loop_server(&b, 11, 101, 1040, 5002);
	loop_client(&either, 11, 101, 1050, 6001);
	loop_client(&call_b, 11, 101, 1070, 6002);
	begin(&f, &timer);
	f.turn++;
	begin(&f, &a);
	begin(&f, &call_a);
	f.turn++;
	end(&f, &call_a, 1030);
	begin(&f, &b);
	begin(&f, &either);
	f.turn++;
	end(&f, &either, 1060);
	begin(&f, &call_b);
	end(&f, &call_b, 1080);
	end(&f, &timer, 1090);
	end(&f, &a, 1100);
	end(&f, &b, 1110);
	struct correlate_counts n = finish(&f);
	assert_child(&call_a, &a, "thread");
	assert_root(&either);
	assert_root(&call_b); /* in the turn of somebody's answer */
	assert_int_equal(n.ambiguous, 2);
}

/* The loop sleeps until the connection is there: it belongs to who began to open it, and so does what is written first. */
static void a_connection_belongs_to_who_opened_it(void **state)
{
	static struct call own, a, call, second, other;
	struct plumb_rec_sock open = { .role = PLUMB_ROLE_CLIENT, .tid = 101 };
	struct fixture f;

	(void)state;
	open_default(&f);
	loop_client(&own, 11, 101, 10, 5999);
	loop_server(&a, 11, 101, 1000, 5000);
	loop_client(&call, 11, 101, TENTH, 6000);
	loop_client(&second, 11, 101, 2 * TENTH, 6000);
	loop_client(&other, 11, 101, 3 * TENTH, 6001);
	a.x.id = 7;
	begin(&f, &own);
	end(&f, &own, 20);
	f.turn = 5;
	begin(&f, &a);
	open.turn = 5;
	correlate_open(f.c, &call.conn, &open);
	f.turn = 6;
	begin(&f, &call);
	end(&f, &call, TENTH + 10);
	f.turn = 7;
	second.conn.opener = call.conn.opener; /* the same connection, which is anybody's by now */
	begin(&f, &second);
	end(&f, &second, 2 * TENTH + 10);
	open.turn = 8; /* a timer's */
	correlate_open(f.c, &other.conn, &open);
	f.turn = 8;
	io(&f, &a, PLUMB_INGRESS, 101, 3 * TENTH - 10);
	begin(&f, &other);
	end(&f, &other, 3 * TENTH + 10);
	end(&f, &a, 4 * TENTH);
	finish(&f);
	assert_child(&call, &a, "thread");
	assert_root(&second);
	assert_root(&other);
}

/* A library's thread reads a delivery and writes, to the same connection, what another thread has queued. No epoll instance is needed for that. */
static void what_the_network_thread_writes(void **state)
{
	struct call own, delivery, own_again, reply;
	struct fixture f;

	(void)state;
	open_default(&f);
	client(&own, 11, 101, 10, 5999);
	server(&delivery, 11, 101, 1000, 5000);
	client(&reply, 11, 101, 1010, 6000);
	client(&own_again, 11, 101, TENTH, 6001);
	reply.x.conn = own_again.x.conn = &delivery.conn;
	begin(&f, &own);
	end(&f, &own, 20);
	f.turn++;
	begin(&f, &delivery);
	io(&f, &delivery, PLUMB_EGRESS, 101, 1010);
	correlate_begin(f.c, &reply.x);
	f.turn++;
	io(&f, &delivery, PLUMB_EGRESS, 101, TENTH);
	correlate_begin(f.c, &own_again.x);
	correlate_end(f.c, &own_again.x);
	correlate_end(f.c, &reply.x);
	correlate_end(f.c, &delivery.x);
	finish(&f);
	assert_child(&reply, &delivery, "thread");
	assert_root(&own_again);
}

/* A message without answer is over when all of it is there: nothing that is done before that is done for it. */
static void a_one_way_message_is_handled_by_nobody(void **state)
{
	struct call message, call;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&message, 11, 101, 1000, 5000);
	message.x.flags = EXCHANGE_ONE_WAY;
	message.x.request.end_ns = 0;
	client(&call, 11, 101, 1010, 6000);
	begin(&f, &message);
	begin(&f, &call);
	end(&f, &call, 1020);
	end(&f, &message, 1030);
	struct correlate_counts n = finish(&f);
	assert_root(&call);
	assert_int_equal(n.ambiguous, 0);
}

/* The thread that carries a library's bytes never runs the program: who is alone in the process may be meant, and that is weak. */
static void a_carrier_is_no_evidence(void **state)
{
	struct call a, b, alone, crowded;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	client(&alone, 11, 101, 1010, 6000);
	server(&b, 11, 102, 1020, 5001);
	client(&crowded, 11, 102, 1030, 6001);
	a.x.flags = alone.x.flags = crowded.x.flags = EXCHANGE_CARRIED;
	begin(&f, &a);
	begin(&f, &alone);
	begin(&f, &b);
	begin(&f, &crowded);
	end(&f, &alone, 1040);
	end(&f, &crowded, 1050);
	end(&f, &b, 1060);
	end(&f, &a, 1070);
	finish(&f);
	assert_child(&alone, &a, "process");
	assert_root(&crowded);
}

static void fan_out_belongs_to_one_turn(void **state)
{
	struct call a, b, one, two, three, other;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	client(&one, 11, 101, 1010, 6000);
	server(&b, 11, 101, 1020, 5001);
	client(&two, 11, 101, 1030, 6001);
	client(&three, 11, 101, 1040, 6002);
	client(&other, 11, 101, 1060, 6003);
	begin(&f, &a);
	begin(&f, &one);
	begin(&f, &b);
	begin(&f, &two);
	begin(&f, &three); /* nothing was read since b called */
	io(&f, &other, PLUMB_INGRESS, 101, 1050); /* something unrelated was */
	begin(&f, &other);
	end(&f, &one, 1070);
	end(&f, &two, 1080);
	end(&f, &three, 1090);
	end(&f, &other, 1100);
	end(&f, &a, 1110);
	end(&f, &b, 1120);
	finish(&f);
	assert_child(&one, &a, "thread");
	assert_child(&two, &b, "thread");
	assert_child(&three, &b, "thread");
	assert_root(&other);
}

static void two_requests_read_before_a_call_are_ambiguous(void **state)
{
	struct call a, b, call;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	server(&b, 11, 101, 1010, 5001);
	client(&call, 11, 101, 1020, 6000);
	begin(&f, &a);
	begin(&f, &b);
	begin(&f, &call);
	end(&f, &call, 1030);
	end(&f, &b, 1040);
	end(&f, &a, 1050);
	struct correlate_counts n = finish(&f);
	assert_root(&call);
	assert_int_equal(n.ambiguous, 1);
	assert_int_equal(n.joined_thread, 0);
}

static void another_thread_of_the_process(void **state)
{
	struct call a, b, lone, crowded, after;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	client(&lone, 11, 102, 1010, 6000);
	server(&b, 11, 103, 1020, 5001);
	client(&crowded, 11, 102, 1030, 6001);
	client(&after, 11, 102, 1060, 6002);
	begin(&f, &a);
	begin(&f, &lone);
	begin(&f, &b);
	begin(&f, &crowded);
	end(&f, &lone, 1035);
	end(&f, &crowded, 1040);
	end(&f, &b, 1050);
	begin(&f, &after); /* a is alone again, but was not */
	end(&f, &after, 1070);
	end(&f, &a, 1080);
	struct correlate_counts n = finish(&f);
	assert_child(&lone, &a, "process");
	assert_root(&crowded);
	assert_root(&after);
	assert_int_equal(n.joined_process, 1);
	assert_int_equal(n.ambiguous, 2);
}

/* A response whose request was lost is begun and ended at once: it tells nothing of what the process does meanwhile. */
static void a_lost_request_disturbs_nobody(void **state)
{
	struct call a, lost, call;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	server(&lost, 11, 103, 1005, 5001);
	lost.x.flags = EXCHANGE_NO_REQUEST;
	client(&call, 11, 102, 1010, 6000);
	begin(&f, &a);
	begin(&f, &lost);
	end(&f, &lost, 1006);
	begin(&f, &call);
	end(&f, &call, 1020);
	end(&f, &a, 1030);
	finish(&f);
	assert_root(&lost);
	assert_child(&call, &a, "process");
}

static void after_the_response_nothing_is_joined(void **state)
{
	struct call a, call;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	client(&call, 11, 101, 1100, 6000);
	begin(&f, &a);
	end(&f, &a, 1050);
	begin(&f, &call);
	end(&f, &call, 1200);
	struct correlate_counts n = finish(&f);
	assert_root(&call);
	assert_int_equal(n.ambiguous, 0);
}

static void goroutines_change_threads(void **state)
{
	struct call a, b, call;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	a.conn.streams[PLUMB_INGRESS].flow = a.x.request.flow = 7;
	server(&b, 11, 101, 1010, 5001);
	b.conn.streams[PLUMB_INGRESS].flow = b.x.request.flow = 8;
	client(&call, 11, 102, 1020, 6000);
	call.x.request.flow = 7;
	begin(&f, &a);
	begin(&f, &b);
	begin(&f, &call);
	end(&f, &call, 1030);
	end(&f, &b, 1040);
	end(&f, &a, 1050);
	finish(&f);
	assert_child(&call, &a, "flow");
}

static void a_request_moves_to_the_thread_that_reads_on(void **state)
{
	struct call a, call;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	a.x.request.end_ns = 0;
	client(&call, 11, 102, 1020, 6000);
	begin(&f, &a);
	io(&f, &a, PLUMB_INGRESS, 102, 1010);
	begin(&f, &call);
	end(&f, &call, 1030);
	end(&f, &a, 1050);
	finish(&f);
	assert_child(&call, &a, "thread");
}

/* A request that ends without a word (its peer died) may not be taken for the one that makes the next call. */
static void what_has_ended_makes_no_calls(void **state)
{
	static struct call request[3], call[3], stray;
	struct fixture f;

	(void)state;
	open_default(&f);
	for (int i = 0; i < 3; i++) {
		server(&request[i], 11, 101, (uint64_t)(1000 + 20 * i), (uint16_t)(5000 + i));
		client(&call[i], 11, 101, (uint64_t)(1010 + 20 * i), (uint16_t)(6000 + i));
		begin(&f, &request[i]);
		begin(&f, &call[i]);
	}
	correlate_end(f.c, &request[2].x); /* no I/O tells of it */
	client(&stray, 11, 101, 1100, 6003);
	begin(&f, &stray);
	correlate_end(f.c, &stray.x);
	for (int i = 0; i < 3; i++) {
		correlate_end(f.c, &call[i].x);
		if (i < 2)
			correlate_end(f.c, &request[i].x);
	}
	struct correlate_counts n = finish(&f);
	for (int i = 0; i < 3; i++)
		assert_child(&call[i], &request[i], "thread");
	assert_root(&stray);
	assert_int_equal(n.ambiguous, 1);
}

/* A program that calls itself, the server's record first: the call must not become its own ancestor. */
static void no_cycles(void **state)
{
	struct call a, call;
	struct fixture f;

	(void)state;
	open_default(&f);
	server(&a, 11, 101, 1000, 5000);
	client(&call, 11, 102, 1001, 5000);
	begin(&f, &a);
	begin(&f, &call);
	end(&f, &a, 1040);
	end(&f, &call, 1050);
	finish(&f);
	assert_root(&call);
	assert_child(&a, &call, "socket");
}

static void samplers(void **state)
{
	struct fixture f;
	int sampled = 0;

	(void)state;
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_RATIO, .ratio = 0.25, .parent_based = true });
	for (int i = 0; i < 4001; i++) {
		static struct call k, below;
		server(&k, 11, 101, (uint64_t)(1000 + i * 100), 5000);
		client(&below, 11, 101, (uint64_t)(1010 + i * 100), 6000);
		begin(&f, &k);
		begin(&f, &below);
		end(&f, &below, 1020);
		end(&f, &k, 1050);
		correlate_flush(f.c);
		assert_int_equal(k.span.sampled, below.span.sampled);
		sampled += k.span.sampled;
	}
	finish(&f);
	assert_in_range(sampled, 900, 1100);

	struct call k;
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_OFF, .parent_based = true });
	server(&k, 11, 101, 1000, 5000);
	context(&k, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	begin(&f, &k);
	end(&f, &k, 1100);
	finish(&f);
	assert_true(k.span.sampled); /* the wire's decision is obeyed … */
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_OFF });
	server(&k, 11, 101, 1000, 5000);
	context(&k, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	begin(&f, &k);
	end(&f, &k, 1100);
	finish(&f);
	assert_false(k.span.sampled); /* … unless the operator says otherwise */
}

static void responses_alone_and_early_release(void **state)
{
	static struct call k[7];
	struct fixture f;

	(void)state;
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_ON, .max_held = 5 });
	for (int i = 0; i < 7; i++) {
		server(&k[i], 10, 100, 1000, (uint16_t)(5000 + i));
		k[i].x.request = (struct exchange_side){ 0 };
		k[i].x.response.start_ns = 1000;
		k[i].x.flags = EXCHANGE_NO_REQUEST;
		end(&f, &k[i], 1100); /* without a begin */
	}
	assert_true(k[1].released && !k[2].released);
	struct correlate_counts n = finish(&f);
	assert_int_equal(n.released_early, 2);
	assert_int_equal(n.held, 0);
	for (int i = 0; i < 7; i++) {
		assert_root(&k[i]);
		assert_int_equal(k[i].order, i);
		if (i)
			assert_memory_not_equal(k[i].span.trace_id, k[i - 1].span.trace_id, 16);
	}
}

static void without_room_an_exchange_is_a_root(void **state)
{
	static struct call k[5];
	struct fixture f;

	(void)state;
	open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_ON, .max_nodes = 3 });
	for (int i = 0; i < 5; i++) {
		server(&k[i], 10, 100, 1000, (uint16_t)(5000 + i));
		begin(&f, &k[i]);
	}
	for (int i = 4; i >= 0; i--)
		end(&f, &k[i], 1100);
	struct correlate_counts n = finish(&f);
	for (int i = 0; i < 5; i++)
		assert_root(&k[i]);
	assert_int_equal(n.refused, 2);
	assert_int_equal(n.roots, 3);
}

/* Many chains with overlapping lives; no node may stay, so with room for few of them all are served. Twice: the ids are the same. */
static void many_exchanges_leave_nothing(void **state)
{
	enum { AT_ONCE = 16 };
	static struct call k[AT_ONCE][3];
	static uint8_t ids[CALLS][16];

	(void)state;
	for (int run = 0; run < 2; run++) {
		struct fixture f;
		next_sock = 1000000;
		open_with(&f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_ON, .max_nodes = AT_ONCE * 3 });
		for (int i = 0; i < CALLS + AT_ONCE; i++) {
			struct call *c = k[i % AT_ONCE];
			uint64_t now = (uint64_t)i * HOLD;
			if (i >= AT_ONCE) { /* ends what began AT_ONCE rounds ago */
				end(&f, &c[2], now + 1);
				end(&f, &c[1], now + 2);
				end(&f, &c[0], now + 3);
				correlate_tick(f.c, now + 3 + HOLD);
				assert_child(&c[1], &c[0], "socket");
				assert_child(&c[2], &c[1], "thread");
				if (run == 0)
					memcpy(ids[i - AT_ONCE], c[2].span.trace_id, 16);
				else
					assert_memory_equal(ids[i - AT_ONCE], c[2].span.trace_id, 16);
			}
			if (i >= CALLS)
				continue;
			client(&c[0], 10, 100, now + 4, (uint16_t)(5000 + i % 30000));
			server(&c[1], 11, (uint32_t)(200 + i % AT_ONCE), now + 5, (uint16_t)(5000 + i % 30000));
			client(&c[2], 11, (uint32_t)(200 + i % AT_ONCE), now + 6, (uint16_t)(40000 + i % 20000));
			begin(&f, &c[0]);
			begin(&f, &c[1]);
			begin(&f, &c[2]);
		}
		struct correlate_counts n = finish(&f);
		assert_int_equal(f.released, CALLS * 3);
		assert_int_equal(n.refused, 0);
		assert_int_equal(n.joined_socket, CALLS);
		assert_int_equal(n.joined_thread, CALLS);
		assert_int_equal(n.roots, CALLS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_services),
		cmocka_unit_test(a_child_may_be_settled_long_before_its_parent),
		cmocka_unit_test(a_server_without_caller_is_held),
		cmocka_unit_test(a_late_parent_does_not_change_a_fixed_trace),
		cmocka_unit_test(several_senders_are_links),
		cmocka_unit_test(wire_context),
		cmocka_unit_test(wire_outranks_the_thread),
		cmocka_unit_test(event_loop),
		cmocka_unit_test(a_loop_that_has_slept_may_do_anything),
		cmocka_unit_test(a_quiet_process_calls_for_its_request),
		cmocka_unit_test(threads_sleep_as_they_like),
		cmocka_unit_test(a_turn_picks_among_several),
		cmocka_unit_test(a_connection_belongs_to_who_opened_it),
		cmocka_unit_test(what_the_network_thread_writes),
		cmocka_unit_test(a_one_way_message_is_handled_by_nobody),
		cmocka_unit_test(a_carrier_is_no_evidence),
		cmocka_unit_test(fan_out_belongs_to_one_turn),
		cmocka_unit_test(two_requests_read_before_a_call_are_ambiguous),
		cmocka_unit_test(another_thread_of_the_process),
		cmocka_unit_test(a_lost_request_disturbs_nobody),
		cmocka_unit_test(after_the_response_nothing_is_joined),
		cmocka_unit_test(goroutines_change_threads),
		cmocka_unit_test(a_request_moves_to_the_thread_that_reads_on),
		cmocka_unit_test(what_has_ended_makes_no_calls),
		cmocka_unit_test(no_cycles),
		cmocka_unit_test(samplers),
		cmocka_unit_test(responses_alone_and_early_release),
		cmocka_unit_test(without_room_an_exchange_is_a_root),
		cmocka_unit_test(many_exchanges_leave_nothing),
	};
	return cmocka_run_group_tests_name("correlate", tests, NULL, NULL);
}
