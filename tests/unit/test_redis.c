/* SPDX-License-Identifier: Apache-2.0 */
/* proto/redis over literal exchanges: whole and cut after each byte, against the same expected log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "proto/proto.h"

extern const struct proto_ops proto_redis;

struct side_log {
	char text[4096];
	size_t len;
};

static void log_message(struct side_log *l, const struct message *m)
{
	static const char kinds[] = "qro";
	if (m->flags & MESSAGE_BEGIN)
		l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%c", kinds[m->kind]);
	for (uint32_t i = 0; i < m->nattrs; i++)
		if (m->attrs[i].id == ATTR_RAW_STATEMENT || m->attrs[i].id == ATTR_DB_NAMESPACE)
			l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "(%.*s)", (int)m->attrs[i].str.len, (const char *)m->attrs[i].str.ptr);
	if (m->flags & MESSAGE_ERROR)
		l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "!%s", m->error_type);
	if (m->flags & MESSAGE_END)
		l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s;", m->flags & MESSAGE_NO_RESPONSE ? "~" : "");
}

/*
 * Offers `bytes` in growing prefixes that end `step` bytes apart; each from a buffer of its exact size,
 * so that ASan sees any overread.
 */
static void feed(void *state, enum proto_side side, const char *bytes, size_t len, size_t step, struct side_log *l)
{
	size_t at = 0;

	for (size_t end = step < len ? step : len;; end = end + step < len ? end + step : len) {
		while (at < end) {
			struct parse_result r = { 0 };
			uint8_t *copy = malloc(end - at);
			memcpy(copy, bytes + at, end - at);
			enum parse_status st = proto_redis.parse(state, side, slice_make(copy, end - at), &r);
			assert_int_not_equal(st, PARSE_BAD);
			if (st == PARSE_MESSAGE)
				log_message(l, &r.message);
			free(copy);
			if (st == PARSE_NEED_MORE)
				break;
			assert_true(r.consumed > 0);
			at += r.consumed + (size_t)r.skip;
		}
		if (end == len)
			break;
	}
	assert_int_equal(at, len);
}

#define CHECK(req, rep, want_req, want_rep) check(req, sizeof(req) - 1, rep, sizeof(rep) - 1, want_req, want_rep)

static void check(const char *req, size_t nreq, const char *rep, size_t nrep, const char *want_req, const char *want_rep)
{
	size_t steps[] = { 1, 2, 3, 7, 13, 8192 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		uint64_t state[CONNECTION_PARSER_BYTES / 8] = { 0 };
		struct side_log q = { .len = 0 }, r = { .len = 0 };
		feed(state, PROTO_TO_SERVER, req, nreq, steps[i], &q);
		feed(state, PROTO_TO_CLIENT, rep, nrep, steps[i], &r);
		assert_string_equal(q.text, want_req);
		assert_string_equal(r.text, want_rep);
	}
}

static void pairs_and_redacts(void **state)
{
	(void)state;
	CHECK("*3\r\n$3\r\nset\r\n$3\r\nkey\r\n$6\r\nsecret\r\n*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n", "+OK\r\n-WRONGPASS no\r\n", "q(SET key ?);q(AUTH);", "r;r!WRONGPASS;");
	CHECK("*3\r\n$6\r\nCONFIG\r\n$3\r\nget\r\n$1\r\n*\r\nPING\r\n", "*2\r\n$1\r\na\r\n*1\r\n:1\r\n+PONG\r\n", "q(CONFIG GET);q(PING);", "r;r;");
	CHECK("*2\r\n$6\r\nCONFIG\r\n$10\r\nSECRETPW23\r\n*3\r\n$6\r\nOBJECT\r\n$6\r\nsecret\r\n$3\r\nkey\r\nclient secret x\r\nobject freq k\r\n",
	      "-ERR a\r\n-ERR a\r\n-ERR a\r\n:1\r\n", "q(CONFIG);q(OBJECT ? ?);q(CLIENT ? ?);q(OBJECT FREQ k);", "r!ERR;r!ERR;r!ERR;r;");
	CHECK("*2\r\n$6\r\nSELECT\r\n$2\r\n13\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "+OK\r\n$-1\r\n", "q(SELECT ?);q(GET k);", "r(13);r(13);");
	CHECK("*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n*1\r\n$4\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n-ERR inner\r\n", "q(MULTI);q(INCR k);q(EXEC);", "r;r;r;");
	CHECK("*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n", "+PONG\r\n", "q(CLIENT REPLY ?)~;q(PING)~;q(PING);", "r;");
}

static void tells_pushes_from_replies(void **state)
{
	(void)state;
	CHECK("*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n",
	      "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n",
	      "q(SUBSCRIBE a ?);", "r;o;o;");
	CHECK("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n|1\r\n+a\r\n%1\r\n+b\r\n,1.5\r\n$?\r\n;2\r\nab\r\n;0\r\n", "q(GET k);", "o;r;");
	CHECK("*1\r\n$5\r\nHELLO\r\n", "*?\r\n:1\r\n*2\r\n+a\r\n~1\r\n#t\r\n*?\r\n.\r\n.\r\n", "q(HELLO);", "r;");
}

static void random_bytes_are_not_redis(void **state)
{
	uint64_t x = 88172645463325252u;

	(void)state;
	for (unsigned i = 0; i < 100003; i++) {
		uint64_t words[8];
		for (unsigned w = 0; w < 8; w++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			words[w] = x;
		}
		assert_true(proto_redis.detect(slice_make(words, sizeof(words)), (enum proto_side)(i & 1)) < DETECT_LIKELY);
	}
	assert_int_equal(proto_redis.detect(SLICE_LIT("*1\r\n$4\r\nPING\r\n"), PROTO_TO_SERVER), DETECT_CERTAIN);
	assert_int_equal(proto_redis.detect(SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n"), PROTO_TO_SERVER), DETECT_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_and_redacts),
		cmocka_unit_test(tells_pushes_from_replies),
		cmocka_unit_test(random_bytes_are_not_redis),
	};
	return cmocka_run_group_tests_name("redis", tests, NULL, NULL);
}
