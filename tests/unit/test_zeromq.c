/* SPDX-License-Identifier: Apache-2.0 */
/* ZeroMQ: whose an answer is where many are open or answers come first, and frames found in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "model/connection.h"
#include "proto/zeromq_memory.h"

#define A SLICE_LIT("\1\1a\1\0")
#define B SLICE_LIT("\1\1b\1\0")

enum { NOW = 1000, LATER = NOW + 3 * 1000 * 1000 };

static struct proto_memory budget = { .max = 1 << 20 };

static uint64_t ask(struct zeromq_memory *m, struct slice envelope, uint64_t time_ns)
{
	bool full;
	uint64_t number = zeromq_call(m, envelope, time_ns, &full);

	assert_false(full);
	return number;
}

static uint64_t answer(struct zeromq_memory *m, struct slice envelope)
{
	uint64_t number;

	assert_true(zeromq_answer(m, envelope, false, NOW, &number));
	return number;
}

static void one_too_many_takes_all_of_its_envelope_along(void **state)
{
	struct zeromq_memory *m = zeromq_memory_new(&budget);
	uint64_t number;
	bool full;

	(void)state;
	assert_int_equal(ask(m, A, NOW), 0);
	assert_int_equal(ask(m, A, NOW), 1);
	for (uint64_t i = 2; i < ZEROMQ_CALLS; i++)
		assert_int_equal(ask(m, B, NOW), i);
	assert_int_equal(zeromq_call(m, B, NOW, &full), ZEROMQ_CALLS);
	assert_true(full);
	assert_false(zeromq_answer(m, A, true, NOW, &number));
	assert_int_equal(ask(m, A, NOW), ZEROMQ_CALLS + 1); /* where the other one of A was */
	assert_int_equal(answer(m, B), 2);
	zeromq_memory_free(m);
	assert_int_equal(budget.used, 0);
}

static void without_memory_nobody_knows_whose_an_answer_is(void **state)
{
	struct proto_memory tight = { .max = 1 << 20 };
	struct zeromq_memory *m = zeromq_memory_new(&tight);
	bool full;

	(void)state;
	tight.max = tight.used;
	assert_int_equal(zeromq_call(m, A, NOW, &full), 0);
	assert_true(full);
	tight.max = 1 << 20;
	assert_int_equal(ask(m, A, NOW), 1);
	assert_int_equal(answer(m, A), 1);
	zeromq_memory_free(m);
	assert_int_equal(tight.used, 0);
}

static void answers_ahead_are_no_old_calls(void **state)
{
	struct zeromq_memory *m = zeromq_memory_new(&budget);

	(void)state;
	for (uint64_t i = 0; i < ZEROMQ_CALLS; i++) {
		assert_int_equal(ask(m, B, NOW), i);
		assert_int_equal(answer(m, B), i);
	}
	assert_int_equal(answer(m, A), ZEROMQ_CALLS);
	assert_int_equal(answer(m, A), ZEROMQ_CALLS + 1);
	assert_int_equal(ask(m, A, NOW), ZEROMQ_CALLS);
	assert_int_equal(ask(m, A, NOW), ZEROMQ_CALLS + 1);
	assert_true(zeromq_calls_answered(m));
	zeromq_memory_free(m);
}

/* What nobody has asked for leaves nothing behind, its number neither: the engine may have it still. */
static void answers_ahead_of_nobody_are_gone(void **state)
{
	struct zeromq_memory *m = zeromq_memory_new(&budget);

	(void)state;
	assert_int_equal(answer(m, A), 0);
	assert_int_equal(answer(m, A), 1);
	assert_int_equal(answer(m, A), 2);
	assert_int_equal(ask(m, B, NOW), 3);
	assert_int_equal(answer(m, B), 3);
	assert_true(zeromq_calls_answered(m));
	assert_int_equal(answer(m, A), 4);
	assert_int_equal(ask(m, A, LATER), 5);
	assert_int_equal(answer(m, A), 5);
	assert_true(zeromq_calls_answered(m));
	assert_int_equal(answer(m, A), 6);
	zeromq_calls_lost(m);
	assert_true(zeromq_calls_whole(m));
	assert_int_equal(ask(m, A, NOW), 7);
	zeromq_memory_free(m);
}

static void no_answer_goes_ahead_where_a_call_is_open(void **state)
{
	struct zeromq_memory *m = zeromq_memory_new(&budget);
	uint64_t number;

	(void)state;
	for (uint64_t i = 0; i < ZEROMQ_CALLS; i++)
		assert_int_equal(ask(m, B, NOW), i);
	assert_false(zeromq_answer(m, A, false, NOW, &number));
	assert_int_equal(answer(m, B), 0);
	assert_int_equal(answer(m, A), ZEROMQ_CALLS);
	assert_false(zeromq_answer(m, A, false, NOW, &number));
	assert_int_equal(answer(m, B), 1);
	zeromq_memory_free(m);
}

static void a_long_silence_ends_all(void **state)
{
	static const uint64_t minute_ns = UINT64_C(60) * 1000 * 1000 * 1000;
	struct zeromq_memory *m = zeromq_memory_new(&budget);

	(void)state;
	assert_false(zeromq_calls_silent(m, NOW + minute_ns));
	ask(m, A, NOW);
	assert_false(zeromq_calls_silent(m, NOW + minute_ns - 1));
	assert_false(zeromq_calls_answered(m));
	assert_true(zeromq_calls_silent(m, NOW + minute_ns));
	assert_true(zeromq_calls_answered(m));
	zeromq_memory_free(m);
}

static uint32_t next_flags(const struct proto_ops *ops, void *parser, enum proto_side side, struct slice *in)
{
	uint32_t flags = 0;

	while (!(flags & MESSAGE_END)) {
		struct parse_result r = { 0 };
		enum parse_status status = ops->parse(parser, side, *in, &r);
		assert_true(status == PARSE_MESSAGE || status == PARSE_SKIP);
		*in = slice_from(*in, r.consumed + (size_t)r.skip);
		flags |= r.message.flags;
	}
	return flags;
}

/* A DEALER that nobody answers: one too many, and whose the next answer is nobody knows. */
static void more_requests_than_are_kept_are_unsure(void **state)
{
	static const char hello[] = "\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	const struct proto_ops *ops = proto_get(PLUMB_PROTO_ZEROMQ);
	uint8_t parser[CONNECTION_PARSER_BYTES] = { 0 };
	struct zeromq_memory *m = zeromq_memory_new(&budget);
	struct slice first = slice_make(hello, ZEROMQ_GREETING), asks, in;

	(void)state;
	memcpy(parser, &m, sizeof(m));
	for (int side = PROTO_TO_SERVER; side <= PROTO_TO_CLIENT; side++) {
		struct parse_result r = { 0 };
		(void)ops->parse(parser, (enum proto_side)side, first, &r);
		in = side == PROTO_TO_SERVER ? SLICE_LIT("\4\x19\5READY\x0bSocket-Type\0\0\0\3REP") : SLICE_LIT("\4\x1c\5READY\x0bSocket-Type\0\0\0\6DEALER");
		(void)next_flags(ops, parser, (enum proto_side)side, &in);
	}
	asks = SLICE_LIT("\1\0\0\1?");
	for (unsigned i = 0; i <= ZEROMQ_CALLS + 1; i++) {
		in = asks;
		assert_int_equal(next_flags(ops, parser, PROTO_TO_CLIENT, &in) & MESSAGE_UNSURE, i < ZEROMQ_CALLS ? 0 : MESSAGE_UNSURE);
	}
	in = SLICE_LIT("\1\0\0\1!");
	assert_true(next_flags(ops, parser, PROTO_TO_SERVER, &in) & MESSAGE_UNSURE);
	zeromq_memory_free(m);
}

/* As many frames as nobody has by chance, up to the end or not; of one message only if it ends there. */
static void frames_are_found(void **state)
{
	uint8_t in[64] = { 'q' };
	size_t n = 1;

	(void)state;
	for (unsigned i = 0; i < 8; i++, n += 3)
		memcpy(in + n, i == 7 ? "\0\1z" : "\1\1z", 3);
	assert_int_equal(zeromq_find(slice_make(in, n), false), 1);
	assert_int_not_equal(zeromq_find(slice_make(in, n - 1), false), 1);
	for (unsigned i = 0; i < 9; i++, n += 3)
		memcpy(in + n, "\0\1z", 3);
	assert_int_equal(zeromq_find(slice_make(in + 22, n - 22), false), 0);
	assert_int_equal(zeromq_find(slice_make(in + 22, n - 23), false), 0);
}

/* The first frame is READY, or none is. */
static void only_the_first_is_ready(void **state)
{
	static const char ready[] = "\x04\x19\5READY\x0bSocket-Type\0\0\0\3SUB";

	(void)state;
	assert_int_equal(zeromq_detect(slice_make(ready, sizeof(ready) - 1), PROTO_TO_SERVER), DETECT_LIKELY);
	assert_int_equal(zeromq_detect(SLICE_LIT("\0\1z\x04\x19\5READY\x0bSocket-Type\0\0\0\3SUB"), PROTO_TO_SERVER), DETECT_MORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_too_many_takes_all_of_its_envelope_along),
		cmocka_unit_test(without_memory_nobody_knows_whose_an_answer_is),
		cmocka_unit_test(answers_ahead_are_no_old_calls),
		cmocka_unit_test(answers_ahead_of_nobody_are_gone),
		cmocka_unit_test(no_answer_goes_ahead_where_a_call_is_open),
		cmocka_unit_test(a_long_silence_ends_all),
		cmocka_unit_test(more_requests_than_are_kept_are_unsure),
		cmocka_unit_test(frames_are_found),
		cmocka_unit_test(only_the_first_is_ready),
	};
	return cmocka_run_group_tests_name("zeromq", tests, NULL, NULL);
}
