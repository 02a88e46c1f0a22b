/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis and DNS from records to exchanges: which response belongs to which request, told by statements and
 * errors that are known beforehand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>

#include "proto/engine.h"

enum { MS = 1000 * 1000, PIPELINE = 10007, ENDED_MAX = 16 };

struct ended {
	char statement[64];
	char error[MESSAGE_ERROR_TYPE_LEN];
	uint32_t flags, names;
	bool answered;
	uint64_t response_bytes;
	struct endpoint peer;
};

struct fixture {
	struct process_table *processes;
	struct conn_table *conns;
	struct proto_engine *engine;
	uint64_t now, offset[2], count, mismatches;
	void (*check)(struct fixture *f, const struct exchange *x);
	struct ended ended[ENDED_MAX]; /* the first ones */
};

static void on_begin(void *ctx, struct exchange *x) { (void)ctx, (void)x; }

static void on_end(void *ctx, struct exchange *x)
{
	struct fixture *f = ctx;
	const struct attr *a = attr_find(x->attrs, x->nattrs, x->protocol == PLUMB_PROTO_DNS ? ATTR_DNS_QUESTION_NAME : ATTR_RAW_STATEMENT);

	if (f->check)
		f->check(f, x);
	if (f->count < ENDED_MAX) {
		struct ended *e = &f->ended[f->count];
		*e = (struct ended){ .flags = x->flags, .answered = x->response.start_ns != 0, .response_bytes = x->response.bytes, .peer = x->peer };
		if (a)
			snprintf(e->statement, sizeof(e->statement), "%.*s", (int)a->str.len, (const char *)a->str.ptr);
		memcpy(e->error, x->error_type, sizeof(e->error));
		for (uint32_t i = 0; i < x->nattrs; i++)
			e->names += x->attrs[i].id == ATTR_DNS_QUESTION_NAME;
	}
	f->count++;
	proto_engine_free_exchange(f->engine, x);
}

static void fixture_init(struct fixture *f, uint8_t type, uint16_t port)
{
	const struct proto_engine_handler h = { .begin = on_begin, .end = on_end, .ctx = f };
	struct record r = { .u.sock = { .sock = 1, .family = AF_INET, .type = type, .remote_port = port,
				    .role = type == SOCK_STREAM ? PLUMB_ROLE_CLIENT : PLUMB_ROLE_UNKNOWN } };
	const struct conn_options conns = { 0 };
	struct proto_engine_options o = { 0 };
	struct conn_handler bytes;

	memset(f, 0, sizeof(*f));
	f->now = 1000ull * MS;
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
	conn_table_free(f->conns);
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
	conn_table_record(f->conns, &r, slice_make(bytes, captured));
}

static void ask(struct fixture *f, const char *s) { io(f, PLUMB_EGRESS, s, strlen(s), strlen(s)); }
static void reply(struct fixture *f, const char *s) { io(f, PLUMB_INGRESS, s, strlen(s), strlen(s)); }
static void lose(struct fixture *f, enum plumb_direction dir, size_t len) { io(f, dir, NULL, len, 0); }

static void get(struct fixture *f, const char *key)
{
	char s[64];

	snprintf(s, sizeof(s), "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key), key);
	ask(f, s);
}

static void expect(const struct fixture *f, size_t i, const char *statement, bool answered, const char *error)
{
	assert_true(i < f->count);
	assert_string_equal(f->ended[i].statement, statement);
	assert_int_equal(f->ended[i].answered, answered);
	assert_string_equal(f->ended[i].error, error);
}

/* A number as a code that is shown: those with digits are not. */
static const char *code_of(unsigned i, char buf[8])
{
	size_t n = 0;

	do
		buf[n++] = (char)('A' + i % 26);
	while ((i /= 26) && n < 7);
	buf[n] = 0;
	return buf;
}

/* Request i is answered by an error of its own number when i is a multiple of 7. */
static void check_numbered(struct fixture *f, const struct exchange *x)
{
	const struct attr *a = attr_find(x->attrs, x->nattrs, ATTR_RAW_STATEMENT);
	char statement[32], error[8] = "";

	snprintf(statement, sizeof(statement), "GET k%u", (unsigned)f->count);
	if (f->count % 7 == 0)
		(void)code_of((unsigned)f->count, error);
	f->mismatches += !a || !slice_eq(a->str, slice_str(statement)) || strcmp(x->error_type, error) != 0 || x->flags & ~EXCHANGE_ERROR;
}

static void pipeline_pairs_exactly(void **state)
{
	static char q[PIPELINE * 32], r[PIPELINE * 32];
	size_t nq = 0, nr = 0;
	struct proto_counts n;
	struct fixture f;

	(void)state;
	for (unsigned i = 0; i < PIPELINE; i++) {
		char key[16], code[8];
		int len = snprintf(key, sizeof(key), "k%u", i);
		nq += (size_t)snprintf(q + nq, sizeof(q) - nq, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len, key);
		nr += i % 7 == 0 ? (size_t)snprintf(r + nr, sizeof(r) - nr, "-%s x\r\n", code_of(i, code)) : (size_t)snprintf(r + nr, sizeof(r) - nr, "$3\r\n%03u\r\n", i % 1000);
	}
	fixture_init(&f, SOCK_STREAM, 6379);
	f.check = check_numbered;
	for (size_t at = 0; at < nq; at += 8191)
		io(&f, PLUMB_EGRESS, q + at, nq - at < 8191 ? nq - at : 8191, nq - at < 8191 ? nq - at : 8191);
	for (size_t at = 0; at < nr; at += 4093)
		io(&f, PLUMB_INGRESS, r + at, nr - at < 4093 ? nr - at : 4093, nr - at < 4093 ? nr - at : 4093);
	assert_int_equal(f.count, PIPELINE);
	assert_int_equal(f.mismatches, 0);
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.unmatched[PLUMB_PROTO_REDIS] + n.unanswered[PLUMB_PROTO_REDIS], 0);
	fixture_done(&f);
}

static void messages_between_replies_are_nobodys(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, SOCK_STREAM, 6379);
	ask(&f, "*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n");
	reply(&f, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n");
	for (int i = 0; i < 101; i++)
		reply(&f, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n");
	ask(&f, "*1\r\n$4\r\nPING\r\n*1\r\n$11\r\nUNSUBSCRIBE\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*4\r\n$6\r\nLRANGE\r\n$1\r\nl\r\n$1\r\n0\r\n$1\r\n2\r\n");
	reply(&f, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n");
	reply(&f, "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n-CROSSSLOT two slots\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n");
	assert_int_equal(f.count, 5);
	expect(&f, 0, "SUBSCRIBE a ?", true, "");
	expect(&f, 1, "PING", true, "");
	expect(&f, 2, "UNSUBSCRIBE", true, "");
	expect(&f, 3, "GET k", true, "CROSSSLOT");
	expect(&f, 4, "LRANGE l ? ?", true, "");
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.oneway, 1 + 101 + 1 + 1);
	fixture_done(&f);
}

/*
 * More multi-channel SUBSCRIBEs than are followed: none of the replies is given to the wrong request,
 * and the next turn pairs again.
 */
static void too_many_expectations_pair_nothing_wrongly(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, SOCK_STREAM, 6379);
	for (int i = 0; i < 7; i++)
		ask(&f, "*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n");
	get(&f, "last");
	for (int i = 0; i < 14; i++)
		reply(&f, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n");
	reply(&f, "-ERR not while subscribed\r\n");
	assert_int_equal(f.count, 0);
	ask(&f, "*1\r\n$4\r\nPING\r\n");
	assert_int_equal(f.count, 8);
	for (size_t i = 0; i < 8; i++) {
		assert_false(f.ended[i].answered);
		assert_true(f.ended[i].flags & EXCHANGE_HOLE);
	}
	reply(&f, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	expect(&f, 8, "PING", true, "");
	fixture_done(&f);
}

/*
 * The tail of an array is lost, then come elements that look like replies: they answer nothing, nor does
 * what follows in the same burst.
 */
static void elements_behind_a_hole_answer_nothing(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, SOCK_STREAM, 6379);
	get(&f, "one");
	get(&f, "two");
	get(&f, "three");
	reply(&f, "$1\r\n1\r\n*5\r\n+a\r\n");
	lose(&f, PLUMB_INGRESS, 40);
	reply(&f, "-ERR value that looks like an error\r\n$3\r\nabc\r\n:3\r\n");
	reply(&f, "-WRONGTYPE perhaps of three\r\n");
	assert_int_equal(f.count, 1);
	get(&f, "four");
	reply(&f, "-CROSSSLOT two slots\r\n");
	assert_int_equal(f.count, 4);
	expect(&f, 0, "GET one", true, "");
	expect(&f, 1, "GET two", true, ""); /* it began before the hole */
	expect(&f, 2, "GET three", false, "");
	expect(&f, 3, "GET four", true, "CROSSSLOT");
	assert_true(f.ended[1].flags & f.ended[2].flags & EXCHANGE_HOLE);
	assert_int_equal(f.ended[3].flags & EXCHANGE_HOLE, 0);
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.unmatched[PLUMB_PROTO_REDIS], 0);
	fixture_done(&f);
}

/* Two requests in one hole have two replies; the request behind it in the same burst must not get the first of them. */
static void requests_in_a_hole_shift_nothing(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, SOCK_STREAM, 6379);
	get(&f, "one");
	reply(&f, "+OK\r\n");
	lose(&f, PLUMB_EGRESS, 44);
	get(&f, "two");
	reply(&f, "-ERR of the first lost one\r\n+OK\r\n+OK\r\n");
	get(&f, "three");
	reply(&f, "-CROSSSLOT two slots\r\n");
	assert_int_equal(f.count, 4);
	expect(&f, 1, "", false, "");
	expect(&f, 2, "GET two", false, "");
	expect(&f, 3, "GET three", true, "CROSSSLOT");
	fixture_done(&f);
}

/* A client that was seen to have requests under way always gives no turn: only a pause does. */
static void overlapping_clients_pair_again_after_a_pause(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, SOCK_STREAM, 6379);
	get(&f, "a");
	get(&f, "b");
	reply(&f, "$1\r\na\r\n");
	get(&f, "c");
	reply(&f, "$1\r\nb\r\n");
	get(&f, "d");
	lose(&f, PLUMB_INGRESS, 7);
	get(&f, "e");
	reply(&f, "-ERR of d\r\n");
	get(&f, "f");
	reply(&f, "-ERR of e\r\n");
	for (size_t i = 0; i < f.count; i++)
		assert_string_equal(f.ended[i].error, "");
	f.now += 300ull * MS;
	get(&f, "g");
	reply(&f, "-ERR of g\r\n");
	assert_int_equal(f.count, 7);
	expect(&f, 0, "GET a", true, "");
	expect(&f, 1, "GET b", true, "");
	for (size_t i = 2; i < 6; i++)
		assert_true(!f.ended[i].answered && f.ended[i].flags & EXCHANGE_HOLE);
	expect(&f, 6, "GET g", true, "ERR");
	fixture_done(&f);
}

/* ---- DNS over a socket that has no peer of its own ---- */

static void datagram(struct fixture *f, enum plumb_direction dir, const uint8_t *bytes, size_t len, uint16_t peer_port)
{
	struct record r = { .u.dgram = { .peer_port = peer_port } };

	f->now += MS;
	r.u.h.type = PLUMB_REC_DGRAM;
	r.u.h.time_ns = f->now;
	r.u.dgram.d.h = r.u.h;
	r.u.dgram.d.sock = 1;
	r.u.dgram.d.direction = (uint8_t)dir;
	r.u.dgram.d.offset = f->offset[dir];
	r.u.dgram.d.len = r.u.dgram.d.captured = (uint32_t)len;
	r.u.dgram.d.pid = r.u.dgram.d.tid = 11;
	f->offset[dir] += len;
	if (peer_port)
		memcpy(r.u.dgram.peer_addr, "\x7f\0\0\1", 4);
	conn_table_record(f->conns, &r, slice_make(bytes, len));
}

/* A question for "<letter>.test", or its answer with the code. */
static void dns(struct fixture *f, enum plumb_direction dir, uint8_t id, char letter, int code, uint16_t peer_port)
{
	uint8_t b[] = { 0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, (uint8_t)letter, 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1 };

	if (code >= 0) {
		b[2] = 0x81;
		b[3] = (uint8_t)(0x80 | code);
	}
	datagram(f, dir, b, sizeof(b), peer_port);
}

static void unknown_senders_match_any_peer(void **state)
{
	struct fixture f;

	(void)state;
	/* A server: whom it hears is not known, whom it answers is. */
	fixture_init(&f, SOCK_DGRAM, 0);
	dns(&f, PLUMB_INGRESS, 1, 'a', -1, 0);
	dns(&f, PLUMB_INGRESS, 2, 'b', -1, 0);
	dns(&f, PLUMB_EGRESS, 2, 'b', 3, 4002);
	dns(&f, PLUMB_EGRESS, 1, 'a', 0, 4001);
	assert_int_equal(f.count, 2);
	expect(&f, 0, "b.test", true, "NXDOMAIN");
	expect(&f, 1, "a.test", true, "");
	assert_int_equal(f.ended[0].peer.port, 4002);
	assert_int_equal(f.ended[1].peer.port, 4001);
	assert_int_equal(f.ended[1].peer.addr[0], 127);
	assert_int_equal(f.ended[0].names, 1); /* the response repeats the question */
	fixture_done(&f);

	/* A client: whom it asks is known, who answers is not. */
	fixture_init(&f, SOCK_DGRAM, 0);
	dns(&f, PLUMB_EGRESS, 7, 'c', -1, 53);
	dns(&f, PLUMB_INGRESS, 7, 'c', 2, 0);
	assert_int_equal(f.count, 1);
	expect(&f, 0, "c.test", true, "SERVFAIL");
	assert_int_equal(f.ended[0].peer.port, 53);
	fixture_done(&f);
}

/* The same id with two known peers: each gets its own answer, whatever the order. */
static void peers_tell_equal_ids_apart(void **state)
{
	struct proto_counts n;
	struct fixture f;

	(void)state;
	fixture_init(&f, SOCK_DGRAM, 0);
	dns(&f, PLUMB_INGRESS, 9, 'a', -1, 4001);
	dns(&f, PLUMB_INGRESS, 9, 'b', -1, 4002);
	dns(&f, PLUMB_INGRESS, 9, 'c', -1, 4003);
	dns(&f, PLUMB_EGRESS, 9, 'b', 3, 4002);
	dns(&f, PLUMB_EGRESS, 9, 'c', 2, 4003);
	dns(&f, PLUMB_EGRESS, 9, 'a', 5, 4001);
	assert_int_equal(f.count, 3);
	expect(&f, 0, "b.test", true, "NXDOMAIN");
	expect(&f, 1, "c.test", true, "SERVFAIL");
	expect(&f, 2, "a.test", true, "REFUSED");
	proto_engine_counts(f.engine, &n);
	assert_int_equal(n.unmatched[PLUMB_PROTO_DNS] + n.unanswered[PLUMB_PROTO_DNS], 0);
	fixture_done(&f);
}

static void an_answer_alone_names_its_question(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, SOCK_DGRAM, 0);
	dns(&f, PLUMB_INGRESS, 3, 'z', 3, 53);
	f.now += 100ull * MS;
	proto_engine_tick(f.engine, f.now);
	assert_int_equal(f.count, 1);
	expect(&f, 0, "z.test", true, "NXDOMAIN");
	assert_true(f.ended[0].flags & EXCHANGE_NO_REQUEST);
	assert_int_equal(f.ended[0].names, 1);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipeline_pairs_exactly),
		cmocka_unit_test(messages_between_replies_are_nobodys),
		cmocka_unit_test(too_many_expectations_pair_nothing_wrongly),
		cmocka_unit_test(elements_behind_a_hole_answer_nothing),
		cmocka_unit_test(requests_in_a_hole_shift_nothing),
		cmocka_unit_test(overlapping_clients_pair_again_after_a_pause),
		cmocka_unit_test(unknown_senders_match_any_peer),
		cmocka_unit_test(peers_tell_equal_ids_apart),
		cmocka_unit_test(an_answer_alone_names_its_question),
	};
	return cmocka_run_group_tests_name("redis and dns pairing", tests, NULL, NULL);
}
