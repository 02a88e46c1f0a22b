/* SPDX-License-Identifier: Apache-2.0 */
/* lib/map against a plain array: every key put and removed in an order that exercises the back-shift. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

#include "lib/map.h"

enum { KEYS = 5003 };

static void keeps_what_was_put(void **state)
{
	static int values[KEYS];
	struct map m;

	(void)state;
	map_init(&m, KEYS);
	for (uint64_t k = 0; k < KEYS; k++)
		assert_int_equal(map_put(&m, k * 64, &values[k]), 0);
	assert_int_equal(map_put(&m, 1, &values[0]), -ENOSPC);
	for (uint64_t k = 0; k < KEYS; k += 3)
		assert_ptr_equal(map_remove(&m, k * 64), &values[k]);
	for (uint64_t k = 0; k < KEYS; k++)
		assert_ptr_equal(map_get(&m, k * 64), k % 3 == 0 ? NULL : &values[k]);
	assert_null(map_remove(&m, 0));

	size_t at = 0, seen = 0;
	while (map_next(&m, &at, NULL))
		seen++;
	assert_int_equal(seen, m.len);
	assert_int_equal(m.len, KEYS - (KEYS + 2) / 3);
	map_done(&m);
}

static void adds_or_replaces(void **state)
{
	int a, b;
	struct map m;

	(void)state;
	map_init(&m, 2);
	assert_int_equal(map_add(&m, 7, &a), 0);
	assert_int_equal(map_add(&m, 7, &b), -EEXIST);
	assert_ptr_equal(map_get(&m, 7), &a);
	assert_int_equal(map_put(&m, 7, &b), 0);
	assert_ptr_equal(map_get(&m, 7), &b);
	assert_int_equal(m.len, 1);
	assert_int_equal(map_add(&m, 11, &a), 0);
	assert_int_equal(map_add(&m, 13, &a), -ENOSPC);
	assert_int_equal(map_add(&m, 11, &b), -EEXIST); /* full or not */
	assert_int_equal(map_put(&m, 11, &b), 0);
	map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_what_was_put), cmocka_unit_test(adds_or_replaces) };
	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
