/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers' memory: what is counted comes back, and nothing goes beyond the budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/memory.h"

enum { BUDGET = 4096 };

static void counts_what_is_taken(void **state)
{
	struct proto_memory m = { .max = BUDGET };

	(void)state;
	uint8_t *a = proto_memory_get(&m, 101);
	assert_non_null(a);
	uint64_t one = m.used;
	assert_in_range(one, 101, 101 + 32);
	memset(a, 7, 101);
	a = proto_memory_resize(&m, a, 1009);
	assert_int_equal(m.used, one + 1009 - 101);
	assert_int_equal(a[100], 7);
	a = proto_memory_resize(&m, a, 11);
	assert_int_equal(m.used, one + 11 - 101);
	proto_memory_put(&m, a);
	proto_memory_put(&m, NULL);
	assert_int_equal(m.used, 0);
	assert_int_equal(m.refused, 0);
}

static void refuses_what_is_beyond(void **state)
{
	struct proto_memory m = { .max = BUDGET };

	(void)state;
	assert_null(proto_memory_get(&m, BUDGET));
	assert_null(proto_memory_get(&m, SIZE_MAX));
	uint8_t *a = proto_memory_get(&m, 2003);
	assert_non_null(a);
	uint64_t used = m.used;
	assert_null(proto_memory_get(&m, 2203));
	assert_null(proto_memory_resize(&m, a, BUDGET));
	assert_int_equal(m.used, used);
	assert_int_equal(m.refused, 4);
	proto_memory_put(&m, a);
	assert_int_equal(m.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_what_is_taken),
		cmocka_unit_test(refuses_what_is_beyond),
	};
	return cmocka_run_group_tests_name("proto memory", tests, NULL, NULL);
}
