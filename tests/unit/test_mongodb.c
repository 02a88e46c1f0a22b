/* SPDX-License-Identifier: Apache-2.0 */
/* proto/mongodb: what is a matter of memory, of many requests or of the largest numbers. Messages are tests/proto/mongodb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "proto/memory.h"
#include "proto/mongodb_wire.h"

extern const struct proto_ops proto_mongodb;

enum { BUDGET = 1 << 20 };

struct session {
	struct proto_memory budget;
	uint64_t state[CONNECTION_PARSER_BYTES / 8];
	struct parse_result result;
};

static void session_init(struct session *s, uint64_t max)
{
	*s = (struct session){ .budget = { .max = max } };
	void *memory = proto_mongodb.open(&s->budget);
	assert_non_null(memory);
	memcpy(s->state, &memory, sizeof(memory));
}

static void session_done(struct session *s)
{
	void *memory;

	memcpy(&memory, s->state, sizeof(memory));
	proto_mongodb.close(memory);
	assert_int_equal(s->budget.used, 0);
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* ping, or the answer to it, of `flags`. */
static struct slice make(uint32_t id, uint32_t to, uint32_t flags, uint8_t out[38])
{
	static const uint8_t ping[] = "\0\x0f\0\0\0\x10ping\0\1\0\0\0", ok[] = "\0\x11\0\0\0\1ok\0\0\0\0\0\0\0\xf0\x3f";
	size_t n = to ? sizeof(ok) : sizeof(ping);

	put32(out, (uint32_t)n + 20);
	put32(out + 4, id);
	put32(out + 8, to);
	put32(out + 12, MONGODB_MSG);
	put32(out + 16, flags);
	memcpy(out + 20, to ? ok : ping, n);
	return slice_make(out, n + 20);
}

static const struct message *parse(struct session *s, enum proto_side side, struct slice in)
{
	uint8_t *copy = malloc(in.len); /* the sanitizer watches the end */

	assert_non_null(copy);
	memcpy(copy, in.ptr, in.len);
	memset(&s->result, 0, sizeof(s->result));
	assert_int_equal(proto_mongodb.parse(s->state, side, slice_make(copy, in.len), &s->result), PARSE_MESSAGE);
	free(copy);
	return &s->result.message;
}

static const struct message *ask(struct session *s, uint32_t id)
{
	uint8_t bytes[38];

	return parse(s, PROTO_TO_SERVER, make(id, 0, 0, bytes));
}

static const struct message *answer(struct session *s, uint32_t id, uint32_t to, uint32_t flags)
{
	uint8_t bytes[38];

	return parse(s, PROTO_TO_CLIENT, make(id, to, flags, bytes));
}

static void takes_no_more_than_its_budget(void **state)
{
	struct proto_memory none = { .max = 64 };
	struct session s;
	uint8_t bytes[64] = { 40, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0xdc, 7, 0, 0, 0xdd, 7, 0, 0, 20, 0, 0, 0, MONGODB_ZLIB };

	(void)state;
	assert_null(proto_mongodb.open(&none));
	assert_int_equal(none.used, 0);
	session_init(&s, BUDGET);
	s.budget.max = s.budget.used; /* nothing is left for what unpacks */
	const struct message *m = parse(&s, PROTO_TO_SERVER, slice_make(bytes, 40));
	assert_int_equal(m->attrs[0].id, ATTR_PLUMB_INCOMPLETE);
	assert_int_equal(m->key, 7);
	assert_true(s.budget.refused > 0);
	session_done(&s);
}

/* Behind a loss the next request begins afresh, but not of a client that does not wait for its answers. */
static void a_client_that_asks_ahead_is_not_begun_afresh(void **state)
{
	struct session s;

	(void)state;
	for (int ahead = 0; ahead < 2; ahead++) {
		session_init(&s, BUDGET);
		assert_int_equal(ask(&s, 1)->flags & MESSAGE_FLUSH, 0);
		if (ahead)
			(void)ask(&s, 2);
		(void)answer(&s, 100, 1, 0);
		proto_mongodb.lost(s.state, PROTO_TO_CLIENT);
		assert_int_equal(ask(&s, 3)->flags & MESSAGE_FLUSH, ahead ? 0 : MESSAGE_FLUSH);
		assert_int_equal(ask(&s, 4)->flags & MESSAGE_FLUSH, 0);
		session_done(&s);
	}
}

/* More requests than are remembered: what is not known of one costs a name, never a pair. */
static void pairs_any_number_of_requests(void **state)
{
	enum { MANY = 1009 };
	struct session s;

	(void)state;
	session_init(&s, BUDGET);
	for (uint32_t i = 1; i <= MANY; i++)
		assert_int_equal(ask(&s, i * 7919)->key, i * 7919);
	for (uint32_t i = MANY; i > 0; i--) {
		const struct message *m = answer(&s, i, i * 7919, 0);
		assert_int_equal(m->kind, MESSAGE_RESPONSE);
		assert_int_equal(m->key, i * 7919);
		assert_int_equal(m->flags, MESSAGE_BEGIN | MESSAGE_END);
	}
	session_done(&s);
}

/* A chain of answers that nobody asked for goes on as long as it likes. */
static void a_stream_without_request_is_nobodys(void **state)
{
	struct session s;

	(void)state;
	session_init(&s, BUDGET);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(answer(&s, 1000 + i, 999 + i, MONGODB_MORE_TO_COME)->kind, MESSAGE_ONEWAY);
	assert_int_equal(answer(&s, 1100, 1099, 0)->kind, MESSAGE_ONEWAY);
	assert_int_equal(answer(&s, 1101, 1100, 0)->kind, MESSAGE_RESPONSE);
	session_done(&s);
}

static void believes_no_impossible_length(void **state)
{
	static const struct { uint32_t len, size; enum mongodb_scan scan; } rows[] = {
		{ MONGODB_LENGTH_MAX, MONGODB_LENGTH_MAX - 21, MONGODB_OK }, { MONGODB_LENGTH_MAX + 1, 15, MONGODB_BAD }, { 0x80000000, 15, MONGODB_BAD },
		{ 36, 15, MONGODB_OK }, { 36, 16, MONGODB_BAD }, { 36, 4, MONGODB_BAD }, { 36, 0, MONGODB_BAD }, { 36, 0xffffffff, MONGODB_BAD }, { 25, 5, MONGODB_BAD }, { 0, 15, MONGODB_BAD },
	};
	struct mongodb_head head;
	uint8_t bytes[38];
	bool document;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice in = make(1, 0, 0, bytes);
		put32(bytes, rows[i].len);
		put32(bytes + 21, rows[i].size);
		assert_int_equal(mongodb_head_read(in, PROTO_TO_SERVER, &head), rows[i].scan);
		assert_int_equal(mongodb_scan(in, PROTO_TO_SERVER, &head, &document), rows[i].scan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_no_more_than_its_budget),
		cmocka_unit_test(a_client_that_asks_ahead_is_not_begun_afresh),
		cmocka_unit_test(pairs_any_number_of_requests),
		cmocka_unit_test(a_stream_without_request_is_nobodys),
		cmocka_unit_test(believes_no_impossible_length),
	};
	return cmocka_run_group_tests_name("mongodb", tests, NULL, NULL);
}
