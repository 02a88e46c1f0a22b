/* SPDX-License-Identifier: Apache-2.0 */
/* Calls put into class files: what is moved, by hand; what is refused; files that end anywhere. That a JVM takes what is made of its own classes, tests/e2e/test_truth_jsse.py shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "java/classfile.h"
#include "java/code.h"

static const struct code_insert three = { { 0xb8, 0x00, 0x07 }, 3 };

static const struct code_insert *before_ireturn(void *ctx, const uint8_t *code, size_t at)
{
	(void)ctx;
	return code[at] == OP_IRETURN ? &three : NULL;
}

static const struct code_insert *nothing(void *ctx, const uint8_t *code, size_t at)
{
	(void)ctx, (void)code, (void)at;
	return NULL;
}

/* Names of attributes: 1 lines, 2 frames, 3 something else. */
static const uint8_t method[] = {
	0, 2, 0, 2, 0, 0, 0, 26,
	0x1b,                                                                         /*  0: iload_1 */
	0x9a, 0x00, 0x05,                                                             /*  1: ifne 6 */
	0x03,                                                                         /*  4: iconst_0 */
	0xac,                                                                         /*  5: ireturn */
	0x1b,                                                                         /*  6: iload_1 */
	0xaa, 0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf9,            /*  7: tableswitch, default 24, 1: 0 */
	0x04,                                                                         /* 24: iconst_1 */
	0xac,                                                                         /* 25: ireturn */
	0, 1, 0, 4, 0, 26, 0, 24, 0, 0,                                               /* what is thrown in [4, 26) is handled at 24 */
	0, 3,
	0, 3, 0, 0, 0, 1, 0x55,                                                       /* something else */
	0, 1, 0, 0, 0, 10, 0, 2, 0, 0, 0, 11, 0, 6, 0, 12,                            /* lines 11, 12 from 0, 6 */
	0, 2, 0, 0, 0, 8, 0, 3, 6, 17, 0x40, 8, 0, 6,                                 /* frames: 6, 24, 25 with what was made at 6 on the stack */
};
static const uint8_t changed[] = {
	0, 6, 0, 2, 0, 0, 0, 33,
	0x1b,
	0x9a, 0x00, 0x08,                                                             /*  1: ifne 9 */
	0x03,
	0xb8, 0x00, 0x07, 0xac,                                                       /*  5 */
	0x1b,                                                                         /*  9 */
	0xaa, 0, 0, 0, 0, 18, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf6,         /* 10, with a byte of padding */
	0x04,                                                                         /* 28 */
	0xb8, 0x00, 0x07, 0xac,                                                       /* 29 */
	0, 1, 0, 4, 0, 33, 0, 28, 0, 0,
	0, 2,
	0, 1, 0, 0, 0, 10, 0, 2, 0, 0, 0, 11, 0, 9, 0, 12,
	0, 2, 0, 0, 0, 8, 0, 3, 9, 18, 0x40, 8, 0, 9,
};

static int change(const uint8_t *from, size_t len, const struct code_change *c, struct writer *to)
{
	int err = code_change((struct reader){ .ptr = from, .len = len }, c, to);

	assert_false(to->bad);
	return err;
}

static void what_is_moved(void **state)
{
	const struct code_change c = { .insert = before_ireturn, .more_stack = 4, .names = { 1, 2 } };
	struct writer w = { .ptr = NULL };

	(void)state;
	assert_int_equal(change(method, sizeof(method), &c, &w), 0);
	assert_int_equal(w.len, sizeof(changed));
	assert_memory_equal(w.ptr, changed, sizeof(changed));
	free(w.ptr);
}

static void what_is_refused(void **state)
{
	const struct code_change straight = { .insert = nothing, .names = { 1, 2 }, .straight = true }, keep = { .insert = nothing, .names = { 1, 2 }, .keep = 1u << 1 };
	uint8_t stores[sizeof(method)];
	struct writer w = { .ptr = NULL };

	(void)state;
	assert_int_equal(change(method, sizeof(method), &straight, &w), -ENOENT); /* it branches */
	w.len = 0;
	assert_int_equal(change(method, sizeof(method), &keep, &w), 0);
	memcpy(stores, method, sizeof(method));
	stores[8 + 4] = 0x3c; /* istore_1 */
	w.len = 0;
	assert_int_equal(change(stores, sizeof(stores), &keep, &w), -ENOENT);
	memcpy(stores, method, sizeof(method));
	stores[8 + 3] = 0x07; /* into the middle of the switch */
	w.len = 0;
	assert_int_equal(change(stores, sizeof(stores), &keep, &w), -EINVAL);
	free(w.ptr);
}

static const struct classfile_native natives[] = { { "first", "()V" }, { "second", "(Ljava/lang/Object;I)V" } };

static void make(uint8_t **ret, size_t *ret_len) { assert_int_equal(classfile_natives("a/Name", natives, 2, ret, ret_len), 0); }

static void unedited_stays_as_it_is(void **state)
{
	uint8_t *made, *same;
	size_t made_len, same_len;

	(void)state;
	make(&made, &made_len);
	assert_int_equal(classfile_edit(made, made_len, "a/Hooks", NULL, 0, &same, &same_len), 0);
	assert_int_equal(same_len, made_len);
	assert_memory_equal(same, made, made_len);
	free(same);
	free(made);
}

static void a_method_that_is_missing(void **state)
{
	static const struct classfile_edit edits[] = {
		{ .method = "third", .where = CLASSFILE_BEFORE_RETURN, .hook = "h", .hook_descriptor = "()V" },
		{ .method = "first", .where = CLASSFILE_BEFORE_RETURN, .hook = "h", .hook_descriptor = "()V" }, /* which has no code */
	};
	uint8_t *made, *out = NULL;
	size_t len, out_len;

	(void)state;
	make(&made, &len);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(classfile_edit(made, len, "a/Hooks", &edits[i], 1, &out, &out_len), -ENOENT);
	assert_null(out);
	free(made);
}

/* Each in memory of its own, so that a byte too many is one too many. */
static void files_that_end_anywhere(void **state)
{
	uint8_t *made, *out = NULL;
	size_t len, out_len;

	(void)state;
	make(&made, &len);
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n + !n);
		memcpy(cut, made, n);
		assert_int_equal(classfile_edit(cut, n, "a/Hooks", NULL, 0, &out, &out_len), -EINVAL);
		free(cut);
	}
	free(made);
	const struct code_change c = { .insert = before_ireturn, .names = { 1, 2 } };
	for (size_t n = 0; n < sizeof(method); n++) {
		struct writer w = { .ptr = NULL };
		uint8_t *cut = malloc(n + !n);
		memcpy(cut, method, n);
		assert_int_equal(change(cut, n, &c, &w), -EINVAL);
		free(cut);
		free(w.ptr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_moved),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(unedited_stays_as_it_is),
		cmocka_unit_test(a_method_that_is_missing),
		cmocka_unit_test(files_that_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
