/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to exchanges, with Redis as the protocol: every request ends in exactly one exchange. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

#include "unit/pairing_fixture.h"

/* Answers that nobody asked for: each is one of its own, early or not. */
static void unasked_answers_stand_alone(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	request(&f);
	response(&f);
	for (int i = 0; i < 1009; i++)
		response(&f);
	tick(&f, 10 * MS);
	assert_int_equal(f.ended, 1 + 1009);
	assert_int_equal(f.no_request, 1009);
	fixture_done(&f);
}

static void times_are_those_of_the_bytes(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	uint64_t t = f.now;
	text(&f, PLUMB_EGRESS, "*2\r\n$3\r\nGET\r\n$3");
	text(&f, PLUMB_EGRESS, "\r\nkey\r\n");
	text(&f, PLUMB_INGRESS, "$5\r\n");
	text(&f, PLUMB_INGRESS, "value\r\n");
	assert_int_equal(f.ended, 1);
	assert_int_equal(f.latest.request.start_ns, t + 1 * MS / 10);
	assert_int_equal(f.latest.request.end_ns, t + 2 * MS / 10);
	assert_int_equal(f.latest.response.start_ns, t + 3 * MS / 10);
	assert_int_equal(f.latest.response.end_ns, t + 4 * MS / 10);
	assert_int_equal(f.latest.request.bytes, 22);
	assert_int_equal(f.latest.response.bytes, 11);
	assert_int_equal(f.latest.role, PLUMB_ROLE_CLIENT);
	assert_int_equal(f.latest.process->pid, 11);
	fixture_done(&f);
}

static void pipeline_of_10007_pairs_in_order(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	for (int i = 0; i < 10007; i++)
		request(&f);
	assert_int_equal(f.begun, 10007);
	assert_int_equal(f.ended, 0);
	for (uint64_t i = 1; i <= 10007; i++) {
		response(&f);
		assert_int_equal(f.ended, i);
		assert_int_equal(f.latest.id, i);
	}
	assert_int_equal(f.errors + f.no_request + f.holes, 0);
	fixture_done(&f);
}

static void requests_beyond_the_limit_keep_the_order(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ .max_per_connection = 7 }, 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 23; i++)
			request(&f);
		for (int i = 0; i < 23; i++)
			response(&f);
		assert_int_equal(f.ended, 7 * (round + 1));
	}
	assert_int_equal(f.no_request, 0);
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.messages[PLUMB_PROTO_REDIS], 3 * 46);
	assert_int_equal(n.exchanges[PLUMB_PROTO_REDIS], 3 * 7);
	assert_int_equal(n.exchanges_refused, 3 * 16); /* each of them, not each run */
	fixture_done(&f);
}

static void ends_say_why(void **state)
{
	static const struct {
		int error;
		const char *reason;
	} cases[] = { { 0, "connection_closed" }, { ECONNRESET, "connection_reset" }, { ETIMEDOUT, "timeout" } };
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		request(&f);
		close_socket(&f, cases[i].error);
		assert_int_equal(f.ended, 1);
		assert_string_equal(f.latest.error_type, cases[i].reason);
		fixture_done(&f);
	}
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	request(&f);
	io(&f, PLUMB_INGRESS, "", 0, 0);
	assert_int_equal(f.ended, 1);
	assert_string_equal(f.latest.error_type, "connection_closed");
	fixture_done(&f);

	fixture_init(&f, (struct proto_engine_options){ .timeout_ns = 500 * MS }, 0);
	request(&f);
	tick(&f, 499 * MS);
	assert_int_equal(f.ended, 0);
	tick(&f, 2 * MS);
	assert_int_equal(f.ended, 1);
	assert_string_equal(f.latest.error_type, "timeout");
	request(&f);
	fixture_done(&f);
	assert_string_equal(f.latest.error_type, "evicted");

	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	request(&f);
	proto_engine_finish(f.engine, f.now);
	assert_int_equal(f.ended, 1);
	assert_string_equal(f.latest.error_type, "");
	assert_true(f.latest.flags & EXCHANGE_UNFINISHED);
	fixture_done(&f);
}

/* A reset ends what has no other end; what had come as a whole by then is none the worse for it. */
static void a_reset_behind_the_answer_is_no_failure(void **state)
{
#define CALL "POST /s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 37\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":1}"
#define EVENTS "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	static const struct {
		const char *answer, *error;
	} cases[] = {
		{ EVENTS "2c\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n\r\n", "" },
		{ EVENTS "26\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n\n\r\n", "connection_reset" },
		{ EVENTS "2b\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\r\n", "connection_reset" },
		{ "HTTP/1.1 200 OK\r\n\r\nuntil it closes", "connection_reset" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "connection_reset" },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		text(&f, PLUMB_EGRESS, CALL);
		text(&f, PLUMB_INGRESS, cases[i].answer);
		assert_int_equal(f.ended, 0);
		close_socket(&f, ECONNRESET);
		assert_int_equal(f.ended, 1);
		assert_string_equal(f.latest.error_type, cases[i].error);
		fixture_done(&f);
	}
#undef CALL
#undef EVENTS
}

/* An I/O of a socket, or of a session of TLS above none, that says what its field `turn`, or took_ns, is. */
static void said(struct fixture *f, uint64_t sock, enum plumb_direction dir, const char *bytes, uint32_t turn)
{
	struct record r = { .u.data = { .sock = sock, .offset = f->offset[dir], .pid = 11, .tid = 11, .len = (uint32_t)strlen(bytes), .captured = (uint32_t)strlen(bytes), .turn = turn,
					.direction = (uint8_t)dir } };

	f->now += MS / 10;
	f->offset[dir] += strlen(bytes);
	r.u.h.type = PLUMB_REC_DATA;
	r.u.h.time_ns = f->now;
	feed(f, &r, slice_str(bytes));
}

/*
 * Of a connection that is known from its middle: an answer without a request, and a request. It has its answer already if it left by a call of a library that had begun before that answer came, and was
 * told of behind it. How often the thread of a socket has slept is no length of a call; and who reads requests has waited for them.
 */
static void an_answer_that_came_before(void **state)
{
	static const struct {
		bool session, server;
		uint32_t turn; /* or took_ns */
		uint64_t alone; /* of two answers, those without a request */
	} cases[] = {
		{ true, false, 2 * MS, 2 }, /* the request's call began before */
		{ true, false, MS / 100, 1 },
		{ true, true, 2 * MS, 1 },
		{ false, false, 2 * MS, 1 },
		{ false, true, 2 * MS, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum plumb_direction ask = cases[i].server ? PLUMB_INGRESS : PLUMB_EGRESS, answer = cases[i].server ? PLUMB_EGRESS : PLUMB_INGRESS;
		uint64_t sock = cases[i].session ? UINT64_C(1) << PLUMB_SESSION_BIT | 7 : 7;
		struct record open = { .u.sock = { .sock = sock, .family = AF_INET, .type = SOCK_STREAM, .role = cases[i].server ? PLUMB_ROLE_SERVER : PLUMB_ROLE_CLIENT, .flags = PLUMB_SOCK_PREEXISTING } };
		struct fixture f;

		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		open.u.h.type = PLUMB_REC_SOCK_OPEN;
		open.u.h.time_ns = f.now;
		memcpy(open.u.sock.offset, f.offset, sizeof(f.offset));
		feed(&f, &open, SLICE_NONE);
		said(&f, sock, answer, "$5\r\nvalue\r\n", 0);
		said(&f, sock, ask, "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", cases[i].turn);
		said(&f, sock, answer, "$5\r\nvalue\r\n", 0);
		tick(&f, 10 * MS);
		assert_int_equal(f.ended, 2);
		assert_int_equal(f.no_request, cases[i].alone);
		fixture_done(&f);
	}
}

static void early_response_finds_its_request(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	request(&f);
	response(&f);
	response(&f); /* another CPU's record: its request comes next */
	assert_int_equal(f.ended, 1);
	request(&f);
	assert_int_equal(f.ended, 2);
	assert_int_equal(f.no_request, 0);
	response(&f); /* this one's request never comes */
	tick(&f, 5 * MS);
	assert_int_equal(f.ended, 3);
	assert_int_equal(f.no_request, 1);
	request(&f);
	response(&f);
	assert_int_equal(f.ended, 4);
	assert_int_equal(f.no_request, 1);
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.adopted, 1);
	fixture_done(&f);
}

/*
 * A message that goes on behind bytes that the parser skips: they need not be captured, and what comes
 * behind them is parsed as its rest.
 */
static void skips_within_a_message_are_no_holes(void **state)
{
	static const char head[] = "*5\r\n$4\r\nMSET\r\n$3\r\nkey\r\n$5003\r\nbeginning", tail[] = "\r\n$1\r\nk\r\n$1\r\nv\r\n";
	struct fixture f;

	(void)state;
	for (int captured = 0; captured < 2; captured++) {
		static char value[5003 - 9];
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		memset(value, '*', sizeof(value));
		io(&f, PLUMB_EGRESS, head, sizeof(head) - 1, sizeof(head) - 1);
		assert_int_equal(f.begun, 1);
		io(&f, PLUMB_EGRESS, value, sizeof(value), captured ? sizeof(value) : 0);
		io(&f, PLUMB_EGRESS, tail, sizeof(tail) - 1, sizeof(tail) - 1);
		response(&f);
		request(&f);
		response(&f);
		assert_int_equal(f.ended, 2);
		assert_int_equal(f.answered, 2);
		assert_int_equal(f.holes, 0);
		fixture_done(&f);
	}
}

/*
 * A value of a megabyte, written in small pieces. Once its length is known nothing more of it is asked for, up to the byte behind it; what begins in the
 * middle of the last piece is read.
 */
static void a_long_value_is_not_asked_for(void **state)
{
	enum { VALUE = 1000003, PIECE = 4096 };
	static const char set[] = "*3\r\n$3\r\nSET\r\n$4\r\nkey1\r\n$1000003\r\n", get[] = "\r\n*2\r\n$3\r\nGET\r\n$4\r\nkey1\r\n";
	static char stream[sizeof(set) - 1 + VALUE + sizeof(get) - 1];
	struct conn_counts n;
	struct fixture f;

	(void)state;
	memset(stream, 'v', sizeof(stream));
	memcpy(stream, set, sizeof(set) - 1);
	memcpy(stream + sizeof(stream) - (sizeof(get) - 1), get, sizeof(get) - 1);
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	const uint64_t begins = f.offset[PLUMB_EGRESS], end = begins + sizeof(set) - 1 + VALUE + 2;
	for (size_t at = 0; at < sizeof(stream); at += PIECE) {
		size_t len = sizeof(stream) - at < PIECE ? sizeof(stream) - at : PIECE;
		/* Before anything was asked for, a piece is captured whole; then as the kernel does. */
		bool needed = begins + at + len > f.capture.until[PLUMB_EGRESS];
		assert_int_equal(needed, at == 0 || begins + at + len > end);
		io(&f, PLUMB_EGRESS, needed ? stream + at : NULL, len, needed ? len : 0);
		assert_int_equal(f.capture.until[PLUMB_EGRESS], end);
	}
	assert_int_equal(f.capture.until[PLUMB_INGRESS], f.offset[PLUMB_INGRESS]);
	assert_int_equal(f.policies, 3); /* the protocol, the value, the pipeline */
	assert_int_equal(f.begun, 2);
	text(&f, PLUMB_INGRESS, "+OK\r\n");
	assert_int_equal(f.latest.request.bytes, end - begins);
	text(&f, PLUMB_INGRESS, "$-1\r\n");
	assert_int_equal(f.answered, 2);
	assert_int_equal(f.holes, 0);
	conn_table_counts(f.conns, &n);
	assert_int_equal(n.holes, 0);
	assert_int_equal(n.captured_bytes[PLUMB_EGRESS], PIECE + sizeof(stream) % PIECE);
	fixture_done(&f);
	assert_int_equal(f.policies_forgotten, 0);

	/* The socket goes in the middle of the value: its next life shall not begin with a gap. */
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	io(&f, PLUMB_EGRESS, stream, PIECE, PIECE);
	fixture_done(&f);
	assert_int_equal(f.policies_forgotten, 1);
}

#define GET "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"

/* Two requests in one write are a pipeline, in the middle of a connection's life too: both are answered, and from now on no I/O is captured in part. */
static void a_pipeline_is_captured_whole(void **state)
{
	const uint32_t flags[] = { 0, PLUMB_SOCK_PREEXISTING };
	struct proto_counts n;
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		fixture_init(&f, (struct proto_engine_options){ 0 }, flags[i]);
		for (int k = 0; k < 3; k++) {
			request(&f);
			response(&f);
		}
		assert_int_equal(f.policies, 1);
		assert_true(f.capture.want[0] != PLUMB_POLICY_ALL && f.capture.want[1] != PLUMB_POLICY_ALL);
		text(&f, PLUMB_EGRESS, GET GET);
		response(&f);
		response(&f);
		assert_int_equal(f.answered, 5);
		assert_int_equal(f.holes, 0);
		assert_int_equal(f.policies, 2);
		assert_int_equal(f.capture.want[0] & f.capture.want[1], PLUMB_POLICY_ALL);
		proto_engine_counts(f.engine, &n);
		assert_int_equal(n.policy_raised, 1);
		fixture_done(&f);
	}

	/* The first thing that is seen of a connection, its first half in another write. */
	fixture_init(&f, (struct proto_engine_options){ 0 }, PLUMB_SOCK_PREEXISTING);
	text(&f, PLUMB_EGRESS, "*2\r\n$3\r\nGE");
	text(&f, PLUMB_EGRESS, "T\r\n$3\r\nkey\r\n" GET GET "*2\r\n$3\r\nGET\r\n$");
	text(&f, PLUMB_EGRESS, "3\r\nkey\r\n");
	for (int k = 0; k < 4; k++)
		response(&f);
	assert_int_equal(f.answered, 4);
	assert_int_equal(f.holes, 0);
	assert_int_equal(f.capture.want[0] & f.capture.want[1], PLUMB_POLICY_ALL);
	fixture_done(&f);
}

/* A question of this id, or its answer, on a datagram socket. */
static void dns(struct fixture *f, enum plumb_direction dir, uint8_t id)
{
	uint8_t b[] = { 0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1 };
	struct record r = { .u.dgram = { .d = { .sock = 2, .pid = 11, .tid = 11, .len = sizeof(b), .captured = sizeof(b),
						.direction = (uint8_t)dir },
					 .peer_port = 53 } };

	if (dir == PLUMB_INGRESS) {
		b[2] = 0x81;
		b[3] = 0x80;
	}
	f->now += MS / 10;
	r.u.h.type = PLUMB_REC_DGRAM;
	r.u.h.time_ns = f->now;
	feed(f, &r, slice_make(b, sizeof(b)));
}

/* An id that is asked with again is looked for among the 64 next questions; further behind it has to wait for its time-out. */
static void an_id_used_twice_is_looked_for_nearby(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	for (int between = 63; between <= 64; between++) {
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		dns(&f, PLUMB_EGRESS, 200);
		for (int i = 0; i < between; i++)
			dns(&f, PLUMB_EGRESS, (uint8_t)i);
		dns(&f, PLUMB_EGRESS, 200);
		dns(&f, PLUMB_INGRESS, 200);
		assert_int_equal(f.answered, 1);
		dns(&f, PLUMB_INGRESS, 200);
		assert_int_equal(f.answered - f.no_request, between == 63 ? 2 : 1);
		for (int i = 0; i < between; i++)
			dns(&f, PLUMB_INGRESS, (uint8_t)i);
		tick(&f, 5 * MS);
		tick(&f, 61000ull * MS);
		proto_engine_counts(f.engine, &n);
		assert_int_equal(n.unanswered[PLUMB_PROTO_DNS], between == 63 ? 0 : 1);
		assert_int_equal(n.unmatched[PLUMB_PROTO_DNS], between == 63 ? 0 : 1);
		assert_int_equal(f.ended, between + (between == 63 ? 2 : 3));
		fixture_done(&f);
	}
}

/* The table is full of one connection's requests: another one is followed nevertheless, and both are answered in order. */
static void who_has_most_gives_way(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ .max_exchanges = 128, .max_per_connection = 128 }, 0);
	for (int i = 0; i < 131; i++)
		request(&f); /* the last 3 are refused: nobody has more */
	for (int i = 0; i < 5; i++)
		dns(&f, PLUMB_EGRESS, (uint8_t)i);
	assert_int_equal(f.ended, 5);
	assert_int_equal(f.latest.id, 124); /* the newest first: 128, 127, … */
	assert_string_equal(f.latest.error_type, "evicted");
	for (int i = 0; i < 5; i++)
		dns(&f, PLUMB_INGRESS, (uint8_t)i);
	assert_int_equal(f.ended, 10);
	for (uint64_t i = 1; i <= 123; i++) {
		response(&f);
		assert_int_equal(f.latest.id, i);
	}
	for (int i = 0; i < 8; i++)
		response(&f); /* to those that gave way or were refused */
	request(&f);
	response(&f);
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.exchanges_refused, 3);
	assert_int_equal(n.exchanges_evicted, 5);
	assert_int_equal(n.unanswered[PLUMB_PROTO_REDIS], 5);
	assert_int_equal(n.exchanges[PLUMB_PROTO_REDIS], 129);
	assert_int_equal(n.exchanges[PLUMB_PROTO_DNS], 5);
	assert_int_equal(f.no_request + f.holes, 0);
	fixture_done(&f);

	/* By key: what has waited longest gives way, to the same connection too. */
	fixture_init(&f, (struct proto_engine_options){ .max_exchanges = 128, .max_per_connection = 129 }, 0);
	for (int i = 0; i < 131; i++)
		dns(&f, PLUMB_EGRESS, (uint8_t)i);
	assert_int_equal(f.ended, 3);
	assert_int_equal(f.latest.id, 3);
	for (int i = 3; i < 131; i++)
		dns(&f, PLUMB_INGRESS, (uint8_t)i);
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.exchanges_refused, 0);
	assert_int_equal(n.exchanges_evicted, 3);
	assert_int_equal(n.unanswered[PLUMB_PROTO_DNS], 3);
	assert_int_equal(n.exchanges[PLUMB_PROTO_DNS], 131);
	fixture_done(&f);
}

/* HEAD and GET take turns in a long pipeline: whose kind could not be kept is marked, and the next one after it is not. */
static void kinds_beyond_the_queue_are_marked(void **state)
{
	enum { KEPT = 32, ALL = 40 };
	static const char *const requests[] = { "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" };
	static const char *const responses[] = { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nvalue", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" };
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	for (int i = 0; i < ALL; i++)
		text(&f, PLUMB_EGRESS, requests[i & 1]);
	for (int i = 0; i < ALL; i++) {
		text(&f, PLUMB_INGRESS, responses[i & 1]);
		if (i < KEPT)
			assert_int_equal(f.ended, i + 1);
	}
	close_socket(&f, 0);
	assert_int_equal(f.ended - f.no_request, ALL);
	assert_true(f.holes >= ALL - KEPT);
	fixture_done(&f);

	/* Forgotten with the last answer. */
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	for (int i = 0; i < KEPT + 1; i++)
		text(&f, PLUMB_EGRESS, requests[(i & 1) ^ 1]);
	for (int i = 0; i < KEPT + 1; i++)
		text(&f, PLUMB_INGRESS, "HTTP/1.1 304 Not Modified\r\n\r\n");
	assert_int_equal(f.ended, KEPT + 1);
	assert_int_equal(f.holes, 1);
	text(&f, PLUMB_EGRESS, requests[0]);
	text(&f, PLUMB_INGRESS, responses[0]);
	assert_int_equal(f.ended, KEPT + 2);
	assert_int_equal(f.holes, 1);
	fixture_done(&f);
}

/* A broker asks, too (NATS): its exchange is reversed, each side's answers are its own, and an answer that is processed first finds its request. */
static void both_sides_ask(void **state)
{
	static const char deliver[] = "MSG svc 1 _INBOX.a.1 2\r\nhi\r\n", reply[] = "PUB _INBOX.a.1 2\r\nyo\r\n", request[] = "PUB svc _INBOX.a.1 2\r\nhi\r\n",
			  answer[] = "MSG _INBOX.a.1 2 2\r\nyo\r\n", plain[] = "MSG orders 3 2\r\nhi\r\n";
	struct proto_engine_options o = { 0 };
	struct fixture f;

	(void)state;
	fixture_init(&f, o, 0);
	io(&f, PLUMB_EGRESS, request, sizeof(request) - 1, sizeof(request) - 1); /* who asks itself has all four on one connection */
	io(&f, PLUMB_INGRESS, deliver, sizeof(deliver) - 1, sizeof(deliver) - 1);
	assert_int_equal(f.ended, 0);
	io(&f, PLUMB_EGRESS, reply, sizeof(reply) - 1, sizeof(reply) - 1);
	assert_int_equal(f.ended, 1);
	assert_int_equal(f.latest.flags, EXCHANGE_REVERSED);
	assert_int_equal(f.latest.role, PLUMB_ROLE_SERVER);
	assert_true(f.latest.response.start_ns > f.latest.request.start_ns);
	io(&f, PLUMB_INGRESS, answer, sizeof(answer) - 1, sizeof(answer) - 1);
	assert_int_equal(f.ended, 2);
	assert_int_equal(f.latest.flags, 0);
	assert_int_equal(f.latest.role, PLUMB_ROLE_CLIENT);
	io(&f, PLUMB_INGRESS, plain, sizeof(plain) - 1, sizeof(plain) - 1);
	assert_int_equal(f.ended, 3);
	assert_int_equal(f.latest.flags, EXCHANGE_REVERSED | EXCHANGE_ONE_WAY);
	static const char first[] = "MSG _INBOX.a.2 2 2\r\nyo\r\n", later[] = "PUB svc _INBOX.a.2 2\r\nhi\r\n";
	io(&f, PLUMB_INGRESS, first, sizeof(first) - 1, sizeof(first) - 1);
	io(&f, PLUMB_EGRESS, later, sizeof(later) - 1, sizeof(later) - 1);
	assert_int_equal(f.ended, 4);
	assert_int_equal(f.no_request + f.holes + f.errors, 0);
	fixture_done(&f);
}

/* A consumer whose place another takes: whether what it was given is ever acknowledged, nobody sees. */
static void what_is_given_up_unsure_is_marked(void **state)
{
	static const char subscribe[] = "\0\0\0\x30\0\0\0\x2c\x08\4\x22\x28\x0a\x1d" "persistent://public/default/t\x12\1s\x18\1\x20\1\x28\1";
	static const char success[] = "\0\0\0\x0a\0\0\0\6\x08\x0d\x6a\2\x08\1";
	static const char deliver[] = "\0\0\0\x27\0\0\0\x0c\x08\x09\x4a\x08\x08\1\x12\4\x08\5\x10\6\x0e\1\x12\x34\x56\x78\0\0\0\x0c\x0a\1p\x10\1\x18\x80\xd0\x95\xff\xbc\x31x";
	static const char another[] = "\0\0\0\x31\0\0\0\x2d\x08\4\x22\x29\x0a\x1d" "persistent://public/default/t\x12\1s\x18\1\x20\x81\x10\x28\2";
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	io(&f, PLUMB_EGRESS, subscribe, sizeof(subscribe) - 1, sizeof(subscribe) - 1);
	io(&f, PLUMB_INGRESS, success, sizeof(success) - 1, sizeof(success) - 1);
	io(&f, PLUMB_INGRESS, deliver, sizeof(deliver) - 1, sizeof(deliver) - 1);
	assert_int_equal(f.begun - f.ended, 1);
	io(&f, PLUMB_EGRESS, another, sizeof(another) - 1, sizeof(another) - 1);
	assert_int_equal(f.ended, 2);
	assert_int_equal(f.holes, 1);
	close_socket(&f, 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pipeline_is_captured_whole),
		cmocka_unit_test(both_sides_ask),
		cmocka_unit_test(kinds_beyond_the_queue_are_marked),
		cmocka_unit_test(a_long_value_is_not_asked_for),
		cmocka_unit_test(who_has_most_gives_way),
		cmocka_unit_test(an_id_used_twice_is_looked_for_nearby),
		cmocka_unit_test(unasked_answers_stand_alone),
		cmocka_unit_test(times_are_those_of_the_bytes),
		cmocka_unit_test(pipeline_of_10007_pairs_in_order),
		cmocka_unit_test(requests_beyond_the_limit_keep_the_order),
		cmocka_unit_test(ends_say_why),
		cmocka_unit_test(a_reset_behind_the_answer_is_no_failure),
		cmocka_unit_test(an_answer_that_came_before), cmocka_unit_test(early_response_finds_its_request),
		cmocka_unit_test(skips_within_a_message_are_no_holes),
		cmocka_unit_test(what_is_given_up_unsure_is_marked),
	};
	return cmocka_run_group_tests_name("pairing", tests, NULL, NULL);
}
