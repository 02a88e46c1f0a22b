/* SPDX-License-Identifier: Apache-2.0 */
/* Behind what was lost, not looked at, or of no protocol: a connection is paired rightly again, or given up. Random losses are test_loss.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "unit/pairing_fixture.h"

/* Bytes of which no record tells: the next one in this direction does. */
static void unseen(struct fixture *f, enum plumb_direction dir, size_t len)
{
	f->now += MS / 10;
	f->offset[dir] += len;
}

/* A stretch of the connection that is not looked at, and the first request behind it. */
static void resumed_request(struct fixture *f)
{
	static const char get[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";
	struct record r = { .u.data = { .sock = 1, .offset = f->offset[PLUMB_EGRESS] + 5000, .pid = 11, .tid = 11, .len = sizeof(get) - 1, .captured = sizeof(get) - 1,
					.direction = PLUMB_EGRESS, .flags = PLUMB_DATA_RESUMED } };

	f->now += 100 * MS;
	f->offset[PLUMB_INGRESS] += 9000;
	f->offset[PLUMB_EGRESS] += 5000 + sizeof(get) - 1;
	r.u.h.type = PLUMB_REC_DATA;
	r.u.h.time_ns = f->now;
	feed(f, &r, slice_make(get, sizeof(get) - 1));
}

/* What was open when the connection was looked away from was answered meanwhile, and the answers that come are others'. */
static void nothing_is_joined_over_what_was_not_looked_at(void **state)
{
	for (int open = 0; open < 3; open++) {
		struct fixture f;

		(void)state;
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		request(&f);
		response(&f);
		for (int i = 0; i < open; i++)
			request(&f);
		resumed_request(&f);
		assert_int_equal(f.ended, 1 + open);
		assert_int_equal(f.holes, open);
		response(&f);
		for (int i = 0; i < 101; i++) {
			request(&f);
			response(&f);
		}
		assert_int_equal(f.ended, 1 + open + 102);
		assert_int_equal(f.errors, 0);
		assert_int_equal(f.strangers, 0);
		assert_int_equal(f.no_request, 0);
		assert_int_equal(f.latest.request.start_ns + MS / 10, f.latest.response.start_ns);
		fixture_done(&f);
	}
}

/* Requests and responses lost in every combination: the connection pairs rightly again afterwards. */
static void pairs_again_after_loss(void **state)
{
	(void)state;
	for (int lost = 1; lost < 8; lost++) {
		struct fixture f;
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		request(&f);
		response(&f);
		for (int i = 0; i < 3; i++) {
			if (lost >> i & 1) {
				io(&f, PLUMB_EGRESS, NULL, 22, 0);
				response(&f);
			} else {
				request(&f);
				io(&f, PLUMB_INGRESS, NULL, 11, 0);
			}
		}
		uint64_t before = f.ended, holes = f.holes;
		assert_true(before >= 1);
		request(&f);
		response(&f);
		for (int i = 0; i < 5; i++) {
			request(&f);
			response(&f);
			assert_true(f.latest.response.start_ns - f.latest.request.start_ns == MS / 10);
			assert_int_equal(f.latest.flags, 0);
		}
		assert_true(f.ended >= before + 6);
		assert_true(holes || f.holes);
		assert_int_equal(f.ended, 4 + 6); /* none vanished, none doubled */
		fixture_done(&f);
	}
}

/* The records of requests and responses missing in every combination: no request is given another one's response. */
static void a_response_is_never_given_to_a_stranger(void **state)
{
	enum { TURNS = 5 };

	(void)state;
	for (unsigned lost = 0; lost < 1u << (2 * TURNS); lost++) {
		struct fixture f;
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		request(&f);
		response(&f);
		for (unsigned i = 0; i < TURNS; i++) {
			lost >> (2 * i) & 1 ? unseen(&f, PLUMB_EGRESS, 22) : request(&f);
			lost >> (2 * i + 1) & 1 ? unseen(&f, PLUMB_INGRESS, 11) : response(&f);
		}
		request(&f);
		response(&f);
		tick(&f, 1000 * MS);
		close_socket(&f, 0);
		assert_int_equal(f.strangers, 0);
		fixture_done(&f);
	}
}

/* Messages of two records each, missing in every combination, again and again on one connection: what comes after is paired as if nothing had been. */
static void losses_do_not_shift_what_follows(void **state)
{
	enum { TURNS = 3, QUIET = 5 };
	static const char *const parts[] = { "*2\r\n$3\r\nGET\r\n$3\r\n", "key\r\n", "$5\r\n", "value\r\n" };

	(void)state;
	for (unsigned distance = 1; distance < 1u << (4 * TURNS); distance = distance * 5 + 2) {
		struct fixture f;
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		request(&f);
		response(&f);
		f.turn_from = f.now + MS / 10;
		f.turn_ns = 4 * MS / 10;
		for (unsigned lost = 1; lost < 1u << (4 * TURNS); lost += distance) {
			uint64_t whole;
			for (unsigned i = 0; i < 4 * (TURNS + QUIET); i++) {
				enum plumb_direction dir = i & 2 ? PLUMB_INGRESS : PLUMB_EGRESS;
				if (i == 4 * (TURNS + 1))
					whole = f.whole;
				lost >> i & 1 && i < 4 * TURNS ? unseen(&f, dir, strlen(parts[i & 3])) : text(&f, dir, parts[i & 3]);
			}
			/* A gap is waited at for some milliseconds. */
			for (unsigned i = 0; i < 4 * 30; i++)
				text(&f, i & 2 ? PLUMB_INGRESS : PLUMB_EGRESS, parts[i & 3]);
			assert_int_equal(f.mixed, 0);
			assert_true(f.whole >= whole + QUIET + 30 - 2);
		}
		close_socket(&f, 0);
		fixture_done(&f);
	}
}

/* The last response is lost, and nothing comes after it but the end: no failure of the server. */
static void a_lost_answer_is_no_error(void **state)
{
	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		struct fixture f;
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		request(&f);
		response(&f);
		request(&f);
		if (lost)
			unseen(&f, PLUMB_INGRESS, 11);
		close_socket(&f, 0);
		assert_int_equal(f.ended, 2);
		assert_int_equal(f.errors, !lost);
		assert_int_equal(f.holes, lost);
		if (!lost)
			assert_string_equal(f.latest.error_type, "connection_closed");
		fixture_done(&f);
	}
}

/*
 * Requests go on being sent while some are answered: after a loss nothing tells where pairs begin. A client that was not yet seen to do so is taken for one that rests,
 * until it is.
 */
static void a_window_is_not_guessed_after_a_loss(void **state)
{
	enum { WINDOW = 4, TURNS = 101 };

	(void)state;
	for (int early = 0; early < 2; early++) {
		struct fixture f;
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		for (int i = 0; i < WINDOW; i++)
			request(&f);
		int sent = WINDOW;
		for (int i = 0; i < TURNS; i++) {
			int answers = 1 + (i & 1);
			for (int k = 0; k < answers; k++)
				i == (early ? 0 : 2) ? unseen(&f, PLUMB_INGRESS, 11) : response(&f);
			for (int k = 0; k < answers; k++, sent++)
				request(&f);
		}
		close_socket(&f, 0);
		assert_int_equal(f.ended, sent);
		assert_int_equal(f.errors, 0);
		assert_int_equal(f.ended - f.holes, early ? 1 : 3);
		fixture_done(&f);
	}
}

static void nonsense_resyncs_or_is_given_up(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	request(&f);
	response(&f);
	text(&f, PLUMB_EGRESS, "\x16\x03\x01 garbage in the middle of it");
	request(&f);
	response(&f); /* perhaps the garbage's: nobody's */
	assert_int_equal(f.answered, 1);
	request(&f);
	response(&f);
	proto_engine_counts(f.engine, &n);
	assert_true(n.bad[PLUMB_PROTO_REDIS] >= 1);
	assert_int_equal(f.answered, 2);
	fixture_done(&f);

	/* No protocol at all: costs nothing soon. */
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	for (int i = 0; i < 11; i++) {
		io(&f, PLUMB_EGRESS, "\x17\x03\x03\x02\x00\x01\x00\x01\xfc\x03\x03\x91\x92\x93", 14, 14); /* TLS, long begun */
		io(&f, PLUMB_INGRESS, "\x17\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03\x91\x92\x93", 14, 14);
	}
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.opaque, 1);
	assert_int_equal(f.policies, 1);
	assert_int_equal(f.capture.want[0] | f.capture.want[1], 0);
	assert_int_equal(f.begun, 0);
	fixture_done(&f);
}

/* A first line that reads like HTTP on a connection of another protocol: that one is found nevertheless. */
static void a_bogus_first_line_is_forgotten(void **state)
{
	static const char *const lines[] = { "GET /x HTTP/1.1\r\n\r\n", "GET /x HTTP/1.1\r\n" };
	struct proto_counts n;
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		text(&f, PLUMB_EGRESS, lines[i]);
		text(&f, PLUMB_INGRESS, "-ERR wrong number of arguments for 'get' command\r\n");
		for (int k = 0; k < 200; k++) { /* without the blank line headers are awaited for 3072 bytes */
			request(&f);
			response(&f);
		}
		proto_engine_counts(f.engine, &n);
		assert_int_equal(n.detected[PLUMB_PROTO_HTTP1], 1);
		assert_int_equal(n.detected[PLUMB_PROTO_REDIS], 1);
		assert_true(n.exchanges[PLUMB_PROTO_REDIS] >= (i ? 40 : 180));
		assert_int_equal(n.opaque, 0);
		fixture_done(&f);
	}

	/* A body behind a hole, and one behind nonsense of the server alone, may be long. */
	for (int garbage = 0; garbage < 2; garbage++) {
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		for (int round = 0; round < 2; round++) {
			text(&f, PLUMB_EGRESS, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
			if (round == 0) {
				garbage ? text(&f, PLUMB_INGRESS, "no status line\r\n") : io(&f, PLUMB_INGRESS, NULL, 300, 0);
				for (int i = 0; i < 100; i++)
					text(&f, PLUMB_INGRESS, "some lines of a body\r\n");
			} else {
				text(&f, PLUMB_INGRESS, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
			}
		}
		proto_engine_counts(f.engine, &n);
		assert_int_equal(n.detected[PLUMB_PROTO_HTTP1], 1);
		assert_int_equal(n.exchanges[PLUMB_PROTO_HTTP1], 2);
		assert_int_equal(f.answered, 1);
		assert_int_equal(n.opaque, 0);
		fixture_done(&f);
	}
}

/* RFC 9112 2.2: blank lines before a request are ignored, however many, and however they come. */
static void blank_lines_are_no_tries(void **state)
{
	(void)state;
	for (int way = 0; way < 2; way++) {
		struct proto_counts n;
		struct fixture f;
		fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
		for (int i = 0; way && i < 10; i++)
			text(&f, PLUMB_EGRESS, "\r\n\r\n\r\n");
		text(&f, PLUMB_EGRESS, way ? "\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n" : "\r\n\r\n\n\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
		text(&f, PLUMB_INGRESS, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		proto_engine_counts(f.engine, &n);
		assert_int_equal(n.opaque, 0);
		assert_int_equal(n.exchanges[PLUMB_PROTO_HTTP1], 1);
		assert_int_equal(f.answered, 1);
		fixture_done(&f);
	}
}

/* What nobody knows costs capture until it is given up: soon where nothing can have been missed, later where the middle of something may be passing. */
static void what_nobody_knows_is_given_up(void **state)
{
	static const uint8_t tls[] = "\x17\x03\x03\x00\x40\x9d\x01\xfe\x8a\x33\x90\xc1\x5e\x07\xaa\xd3";

	(void)state;
	for (int joined = 0; joined < 2; joined++) {
		struct proto_counts n;
		struct fixture f;
		int looks = 0;

		fixture_init(&f, (struct proto_engine_options){ 0 }, joined ? PLUMB_SOCK_PREEXISTING : 0);
		do {
			io(&f, PLUMB_EGRESS, tls, sizeof(tls) - 1, sizeof(tls) - 1);
			proto_engine_counts(f.engine, &n);
		} while (++looks < 97 && !n.opaque);
		assert_int_equal(looks, joined ? 16 : 4);
		fixture_done(&f);
	}
}

/* A connection that becomes another protocol is counted with those that are not looked at, once. */
static void a_switched_connection_is_opaque(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	text(&f, PLUMB_EGRESS, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
	text(&f, PLUMB_INGRESS, "HTTP/1.1 200 OK\r\n\r\n");
	for (int i = 0; i < 3; i++) {
		text(&f, PLUMB_EGRESS, "\x16\x03\x01 of the tunnel");
		text(&f, PLUMB_INGRESS, "\x16\x03\x01 of the tunnel");
	}
	assert_int_equal(f.answered, 1);
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.opaque, 1);
	fixture_done(&f);

	/* The snapshot, behind which replication goes on, is passed over. */
	fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
	request(&f);
	response(&f);
	text(&f, PLUMB_EGRESS, "*1\r\n$4\r\nSYNC\r\n");
	text(&f, PLUMB_INGRESS, "$5003\r\nbeginning");
	io(&f, PLUMB_INGRESS, NULL, 5003 - 9, 0);
	text(&f, PLUMB_INGRESS, "*1\r\n$4\r\nPING\r\n");
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.opaque, 1);
	fixture_done(&f);
}

/* What a load balancer writes in front of a connection is of no protocol, however it is cut; and what only looks like it is no such thing. */
static void a_proxys_header_is_passed_over(void **state)
{
	static const struct { const char *bytes; size_t len; bool is_one; } cases[] = {
#define HEADER(s, is) { s, sizeof(s) - 1, is }
		HEADER("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", true), HEADER("PROXY UNKNOWN\r\n", true),
		HEADER("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\4\1\xbb", true), HEADER("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", true),
		HEADER("PROXY TCP5 192.0.2.1 198.51.100.7 56324 443\r\n", false), HEADER("\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", false),
		HEADER("\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", false),
	};

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		for (size_t cut = 0; cut <= (cases[k].is_one ? cases[k].len : 0); cut++) {
			struct fixture f;
			struct proto_counts n;
			char first[256];
			size_t len = cases[k].len;

			memcpy(first, cases[k].bytes, len);
			memcpy(first + len, "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", 22);
			fixture_init(&f, (struct proto_engine_options){ 0 }, 0);
			if (cut)
				io(&f, PLUMB_EGRESS, first, cut, cut);
			io(&f, PLUMB_EGRESS, first + cut, len + 22 - cut, len + 22 - cut);
			response(&f);
			request(&f);
			response(&f);
			proto_engine_counts(f.engine, &n);
			if (cases[k].is_one) {
				assert_int_equal(f.ended, 2);
				assert_int_equal(f.latest.request.bytes, 22);
				assert_int_equal(f.holes + f.no_request + f.errors, 0);
			} else {
				assert_true(f.no_request + f.holes > 0 || f.ended < 2);
			}
			fixture_done(&f);
		}
	}
}

static void ftp_nonsense(struct fixture *f, size_t bytes)
{
	fixture_init(f, (struct proto_engine_options){ 0 }, 0);
	text(f, PLUMB_INGRESS, "220 FTP\r\n");
	text(f, PLUMB_EGRESS, "USER x\r\n");
	text(f, PLUMB_INGRESS, "331 more\r\n");
	text(f, PLUMB_EGRESS, "PASS x\r\n");
	text(f, PLUMB_INGRESS, "230 in\r\n");
	text(f, PLUMB_EGRESS, "\x01\r\n");
	for (size_t i = 0; i < bytes; i++)
		text(f, PLUMB_EGRESS, "\n");
}

/* Nonsense that comes byte by byte is not gone through anew for each of them, and what follows it is found: when enough has come, or nothing more can. */
static void nonsense_in_drops_costs_little(void **state)
{
	enum { DROPS = 20011, KEPT = 1024, CREDIT = 65536 };
	struct proto_counts n;
	struct fixture f;

	(void)state;
	for (int end = 0; end < 3; end++) {
		ftp_nonsense(&f, DROPS);
		proto_engine_counts(f.engine, &n);
		assert_int_equal(n.detected[PLUMB_PROTO_FTP], 1);
		assert_true(n.looked_bytes <= 17 * DROPS + CREDIT + KEPT);
		assert_int_equal(n.opaque, 0);
		uint64_t before = f.begun;
		text(&f, PLUMB_EGRESS, "NOOP\r\n");
		if (end == 0)
			close_socket(&f, 0);
		if (end == 1)
			io(&f, PLUMB_EGRESS, NULL, 0, 0);
		for (int i = 0; end == 2 && i < KEPT / 16; i++)
			text(&f, PLUMB_EGRESS, "\n");
		assert_int_equal(f.begun, before + 1);
		fixture_done(&f);
	}

	/* A command in one piece is found at once, however many pieces of nonsense a dialog had before. */
	for (int before = 0; before < 61; before++) {
		ftp_nonsense(&f, (size_t)before);
		uint64_t begun = f.begun;
		text(&f, PLUMB_EGRESS, "NOOP\r\n");
		assert_int_equal(f.begun, begun + 1);
		fixture_done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_switched_connection_is_opaque),
		cmocka_unit_test(what_nobody_knows_is_given_up),
		cmocka_unit_test(blank_lines_are_no_tries),
		cmocka_unit_test(a_proxys_header_is_passed_over),
		cmocka_unit_test(a_bogus_first_line_is_forgotten),
		cmocka_unit_test(a_response_is_never_given_to_a_stranger),
		cmocka_unit_test(losses_do_not_shift_what_follows),
		cmocka_unit_test(a_lost_answer_is_no_error),
		cmocka_unit_test(a_window_is_not_guessed_after_a_loss),
		cmocka_unit_test(nothing_is_joined_over_what_was_not_looked_at),
		cmocka_unit_test(pairs_again_after_loss),
		cmocka_unit_test(nonsense_in_drops_costs_little),
		cmocka_unit_test(nonsense_resyncs_or_is_given_up),
	};
	return cmocka_run_group_tests_name("resync", tests, NULL, NULL);
}
