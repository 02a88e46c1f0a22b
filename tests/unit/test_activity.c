/* SPDX-License-Identifier: Apache-2.0 */
/* Which request a call belongs to, by what its thread, its event loop, its goroutine, or its process is handling; through correlate, as the pipeline asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "unit/correlate_fixture.h"

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

/* Two requests of one turn: each call may be either's. One of an earlier turn is not meant if it waits for an answer, or long since for something else. */
static void a_turn_picks_among_several(void **state)
{
	static struct call timer, a, b, call_a, either, call_b;
	const uint64_t at = 21 * (uint64_t)TENTH;
	struct fixture f;

	(void)state;
	open_default(&f);
	loop_server(&timer, 11, 101, 1000, 5000);
	loop_server(&a, 11, 101, at, 5001);
	loop_client(&call_a, 11, 101, at + 20, 6000);
	loop_server(&b, 11, 101, at + 40, 5002);
	loop_client(&either, 11, 101, at + 50, 6001);
	loop_client(&call_b, 11, 101, at + 70, 6002);
	begin(&f, &timer);
	f.turn++;
	begin(&f, &a);
	begin(&f, &call_a);
	f.turn++;
	end(&f, &call_a, at + 30);
	begin(&f, &b);
	begin(&f, &either);
	f.turn++;
	end(&f, &either, at + 60);
	begin(&f, &call_b);
	end(&f, &call_b, at + 80);
	end(&f, &timer, at + 90);
	end(&f, &a, at + 100);
	end(&f, &b, at + 110);
	struct correlate_counts n = finish(&f);
	assert_child(&call_a, &a, "thread");
	assert_root(&either);
	assert_root(&call_b); /* in the turn of somebody's answer */
	assert_int_equal(n.ambiguous, 2);
}

/* A loop that does not sleep comes to what an earlier request has waited for, a timer or a name, in the turn in which it reads another: the call, or the connection, may be either's. Not so of one that waits for an answer, all of it or the rest. */
static void a_busy_loop_may_call_for_who_waits(void **state)
{
	enum { WAITS, CALLED, STREAMS, OPENED, READS_ON, ENDED, CASES };
	static struct call waiting, its, a, call;
	struct plumb_rec_sock open = { .role = PLUMB_ROLE_CLIENT, .tid = 101, .turn = 7, .h.time_ns = 1110 };
	struct fixture f;

	(void)state;
	for (int i = 0; i < 2 * CASES; i++) {
		int how = i / 2;
		bool opens = i % 2;
		open_default(&f);
		loop_server(&waiting, 11, 101, 1000, 5000);
		loop_client(&its, 11, 101, 1010, 6000);
		loop_server(&a, 11, 101, 1100, 5001);
		loop_client(&call, 11, 101, 1110, 6001);
		a.x.id = 7;
		f.turn = open.turn = 6;
		waiting.x.request.end_ns = how == READS_ON ? 0 : 1000;
		begin(&f, &waiting);
		if (how == CALLED || how == STREAMS)
			begin(&f, &its);
		if (how == STREAMS) {
			f.turn++;
			io(&f, &its, PLUMB_INGRESS, 101, 1050);
		}
		if (how == OPENED)
			correlate_open(f.c, &its.conn, &open);
		if (how == ENDED)
			end(&f, &waiting, 1020);
		open.turn = ++f.turn;
		begin(&f, &a);
		if (opens) {
			correlate_open(f.c, &call.conn, &open);
			f.turn++;
		}
		begin(&f, &call);
		end(&f, &call, 1120);
		if (how == CALLED || how == STREAMS)
			end(&f, &its, 1130);
		end(&f, &a, 1140);
		if (how != ENDED)
			end(&f, &waiting, 1150);
		finish(&f);
		if (how == WAITS)
			assert_root(&call);
		else
			assert_child(&call, &a, "thread");
	}
}

/* Where a call came, or a connection was opened, in a turn in which nothing was read, one may follow anything: a request that waits for an answer may call meanwhile, too. */
static void a_loop_that_calls_unprompted(void **state)
{
	enum { NOT, CALLS, OPENS, CASES };
	static struct call waiting, its, other, a, call;
	struct plumb_rec_sock open = { .role = PLUMB_ROLE_CLIENT, .tid = 101, .h.time_ns = 1050 };
	struct fixture f;

	(void)state;
	for (int does = 0; does < CASES; does++) {
		open_default(&f);
		loop_server(&waiting, 11, 101, 1000, 5000);
		loop_client(&its, 11, 101, 1010, 6000);
		loop_client(&other, 11, 101, 1020, 6001);
		loop_server(&a, 11, 101, 1100, 5001);
		loop_client(&call, 11, 101, 1110, 6002);
		f.turn = 1;
		begin(&f, &waiting);
		begin(&f, &its);
		f.turn += does == CALLS;
		begin(&f, &other);
		f.turn++;
		end(&f, &other, 1030);
		open.turn = ++f.turn;
		if (does == OPENS)
			correlate_open(f.c, &other.conn, &open);
		f.turn++;
		begin(&f, &a);
		begin(&f, &call);
		end(&f, &call, 1120);
		end(&f, &a, 1130);
		end(&f, &its, 1140);
		end(&f, &waiting, 1150);
		finish(&f);
		assert_child(&its, &waiting, "thread");
		if (does != NOT)
			assert_root(&call);
		else
			assert_child(&call, &a, "thread");
	}
}

/* As many calls as requests could have made: each has made its own, and what comes then is not theirs. */
static void who_has_called_does_not_wait(void **state)
{
	static struct call two[2], theirs[2], a, call;
	struct fixture f;

	(void)state;
	for (int made = 1; made <= 2; made++) {
		open_default(&f);
		for (uint16_t i = 0; i < 2; i++) {
			loop_server(&two[i], 11, 101, 1000u + i, (uint16_t)(5000 + i));
			loop_client(&theirs[i], 11, 101, 1010u + i, (uint16_t)(6000 + i));
		}
		loop_server(&a, 11, 101, 1100, 5002);
		loop_client(&call, 11, 101, 1110, 6002);
		begin(&f, &two[0]);
		begin(&f, &two[1]);
		for (int i = 0; i < made; i++)
			begin(&f, &theirs[i]);
		f.turn++;
		begin(&f, &a);
		begin(&f, &call);
		end(&f, &call, 1120);
		end(&f, &a, 1130);
		for (int i = 0; i < made; i++)
			end(&f, &theirs[i], 1140);
		end(&f, &two[0], 1150);
		end(&f, &two[1], 1160);
		finish(&f);
		assert_root(&theirs[0]);
		if (made == 2)
			assert_child(&call, &a, "thread");
		else
			assert_root(&call);
	}
}

/* The loop sleeps until the connection is there: it belongs to who began to open it, and so does what is written first. */
/* What keeps a server's connection going, before its request or behind it (HTTP/2's preface, settings, windows), is no reason to call anybody. All else that is read in the turn may be, and what a client's server says. */
static void upkeep_is_no_reason_to_call(void **state)
{
	enum { BEFORE, BEHIND, READ, ANOTHER, OF_CLIENT, CASES };
	struct call a, other, call;
	struct fixture f;

	(void)state;
	for (int i = 0; i < CASES; i++) {
		open_default(&f);
		loop_server(&a, 11, 101, 1000, 5000);
		(i == OF_CLIENT ? loop_client : loop_server)(&other, 11, 101, 1000, 5001);
		loop_client(&call, 11, 101, 1010, 6000);
		if (i == BEHIND)
			begin(&f, &a);
		struct call *of = i == ANOTHER || i == OF_CLIENT ? &other : &a;
		io(&f, of, PLUMB_INGRESS, 101, 1001);
		if (i != READ && i != ANOTHER)
			correlate_upkeep(f.c, &of->conn);
		if (i != BEHIND)
			begin(&f, &a);
		begin(&f, &call);
		end(&f, &call, 1020);
		end(&f, &a, 1030);
		(void)finish(&f);
		assert_child(&call, &a, i <= BEHIND ? "thread" : "process"); /* weak: the process serves nothing else, and was idle */
	}
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_loop),
		cmocka_unit_test(a_loop_that_has_slept_may_do_anything),
		cmocka_unit_test(a_quiet_process_calls_for_its_request),
		cmocka_unit_test(threads_sleep_as_they_like),
		cmocka_unit_test(a_turn_picks_among_several),
		cmocka_unit_test(a_busy_loop_may_call_for_who_waits),
		cmocka_unit_test(who_has_called_does_not_wait),
		cmocka_unit_test(a_loop_that_calls_unprompted),
		cmocka_unit_test(upkeep_is_no_reason_to_call),
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
	};
	return cmocka_run_group_tests_name("correlate", tests, NULL, NULL);
}
