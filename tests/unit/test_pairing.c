/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to exchanges, with Redis as the protocol: every request ends in exactly one exchange. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proto/engine.h"

enum { MS = 1000 * 1000 };

struct fixture {
	struct process_table *processes;
	struct conn_table *conns;
	struct proto_engine *engine;
	uint64_t now;
	uint64_t offset[2];
	uint64_t begun, ended, errors, no_request, holes, answered;
	uint64_t strangers; /* answered by a response that did not come at once */
	uint64_t turn_from, turn_ns; /* if set: turns of one request and its response are so long, from then on */
	uint64_t whole, mixed; /* without a hole: request and response of one turn; of two */
	uint64_t policies, policies_forgotten;
	struct capture capture; /* asked for last */
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
	f->answered += x->response.start_ns != 0;
	f->strangers += x->request.start_ns && x->response.start_ns && x->response.start_ns != x->request.start_ns + MS / 10;
	if (f->turn_ns && !(x->flags & (EXCHANGE_HOLE | EXCHANGE_NO_REQUEST)) && x->response.start_ns) {
		bool same = (x->request.start_ns - f->turn_from) / f->turn_ns == (x->response.start_ns - f->turn_from) / f->turn_ns;
		*(same ? &f->whole : &f->mixed) += 1;
	}
	f->latest = *x;
	proto_engine_free_exchange(f->engine, x);
}

static void on_policy(void *ctx, uint64_t sock, const struct capture *capture)
{
	struct fixture *f = ctx;

	(void)sock;
	if (capture)
		f->capture = *capture;
	f->policies += capture != NULL;
	f->policies_forgotten += capture == NULL;
}

static void feed(struct fixture *f, const struct record *r, struct slice payload) { conn_table_record(f->conns, r, payload); }

static void open_socket(struct fixture *f, uint32_t flags)
{
	struct record r = { .u.sock = { .sock = 1, .family = AF_INET, .type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT, .remote_port = 6379, .flags = flags,
				      .offset = { f->offset[0], f->offset[1] } } };

	r.u.h.type = PLUMB_REC_SOCK_OPEN;
	r.u.h.time_ns = f->now;
	feed(f, &r, SLICE_NONE);
}

static void fixture_init(struct fixture *f, struct proto_engine_options o, uint32_t flags)
{
	const struct proto_engine_handler h = { on_begin, on_end, on_policy, f };
	const struct conn_options conns = { 0 };
	struct conn_handler bytes;

	memset(f, 0, sizeof(*f));
	f->now = 1000 * MS;
	f->offset[0] = f->offset[1] = 1ull << 32 | 7;
	assert_int_equal(process_table_new(0, &f->processes), 0);
	o.processes = f->processes;
	assert_int_equal(proto_engine_new(&o, &h, &f->engine), 0);
	proto_engine_conn_handler(f->engine, &bytes);
	assert_int_equal(conn_table_new(&conns, &bytes, f->processes, &f->conns), 0);
	open_socket(f, flags);
}

static void fixture_done(struct fixture *f)
{
	struct proto_counts n;

	conn_table_free(f->conns);
	proto_engine_counts(f->engine, &n);
	assert_int_equal(n.exchanges_open, 0);
	assert_int_equal(f->begun, f->ended);
	proto_engine_free(f->engine);
	process_table_free(f->processes);
}

static void io(struct fixture *f, enum plumb_direction dir, const void *bytes, size_t len, size_t captured)
{
	struct record r = { .u.data = { .sock = 1, .offset = f->offset[dir], .pid = 11, .tid = 11, .len = (uint32_t)len, .captured = (uint32_t)captured,
					.direction = (uint8_t)dir } };

	f->now += MS / 10;
	f->offset[dir] += len;
	r.u.h.type = PLUMB_REC_DATA;
	r.u.h.time_ns = f->now;
	if (len == 0)
		r.u.data.flags = PLUMB_DATA_EOF;
	feed(f, &r, slice_make(bytes, captured));
}

static void text(struct fixture *f, enum plumb_direction dir, const char *s) { io(f, dir, s, strlen(s), strlen(s)); }
static void request(struct fixture *f) { text(f, PLUMB_EGRESS, "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"); }
static void response(struct fixture *f) { text(f, PLUMB_INGRESS, "$5\r\nvalue\r\n"); }


/* Bytes of which no record tells: the next one in this direction does. */
static void unseen(struct fixture *f, enum plumb_direction dir, size_t len)
{
	f->now += MS / 10;
	f->offset[dir] += len;
}

static void close_socket(struct fixture *f, int error)
{
	struct record r = { .u.sock_stats = { .sock = 1, .error = error, .offset = { f->offset[0], f->offset[1] } } };

	f->now += MS;
	r.u.h.type = PLUMB_REC_SOCK_CLOSE;
	r.u.h.time_ns = f->now;
	feed(f, &r, SLICE_NONE);
}

static void tick(struct fixture *f, uint64_t later_ns)
{
	struct record r = { .u.h = { .type = PLUMB_REC_TICK } };

	f->now += later_ns;
	r.u.h.time_ns = f->now;
	feed(f, &r, SLICE_NONE);
	proto_engine_tick(f->engine, f->now);
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

/* A connection that becomes another protocol is counted with those that are not looked at, once. */
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
	assert_int_equal(f.latest.flags, EXCHANGE_REVERSED);
	static const char first[] = "MSG _INBOX.a.2 2 2\r\nyo\r\n", later[] = "PUB svc _INBOX.a.2 2\r\nhi\r\n";
	io(&f, PLUMB_INGRESS, first, sizeof(first) - 1, sizeof(first) - 1);
	io(&f, PLUMB_EGRESS, later, sizeof(later) - 1, sizeof(later) - 1);
	assert_int_equal(f.ended, 4);
	assert_int_equal(f.no_request + f.holes + f.errors, 0);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pipeline_is_captured_whole),
		cmocka_unit_test(a_switched_connection_is_opaque), cmocka_unit_test(what_nobody_knows_is_given_up),
		cmocka_unit_test(blank_lines_are_no_tries),
		cmocka_unit_test(a_proxys_header_is_passed_over),
		cmocka_unit_test(both_sides_ask),
		cmocka_unit_test(a_bogus_first_line_is_forgotten),
		cmocka_unit_test(kinds_beyond_the_queue_are_marked),
		cmocka_unit_test(a_long_value_is_not_asked_for),
		cmocka_unit_test(who_has_most_gives_way),
		cmocka_unit_test(an_id_used_twice_is_looked_for_nearby),
		cmocka_unit_test(a_response_is_never_given_to_a_stranger),
		cmocka_unit_test(losses_do_not_shift_what_follows),
		cmocka_unit_test(a_lost_answer_is_no_error),
		cmocka_unit_test(a_window_is_not_guessed_after_a_loss),
		cmocka_unit_test(nothing_is_joined_over_what_was_not_looked_at), cmocka_unit_test(unasked_answers_stand_alone),
		cmocka_unit_test(times_are_those_of_the_bytes),     cmocka_unit_test(pipeline_of_10007_pairs_in_order),
		cmocka_unit_test(requests_beyond_the_limit_keep_the_order), cmocka_unit_test(ends_say_why),
		cmocka_unit_test(a_reset_behind_the_answer_is_no_failure),
		cmocka_unit_test(early_response_finds_its_request), cmocka_unit_test(pairs_again_after_loss),
		cmocka_unit_test(skips_within_a_message_are_no_holes), cmocka_unit_test(nonsense_resyncs_or_is_given_up),
	};
	return cmocka_run_group_tests_name("pairing", tests, NULL, NULL);
}
