/* SPDX-License-Identifier: Apache-2.0 */
/* Which probes on functions are let go, against made-up files whose traps follow what is left of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "probe/shed.h"

#define SECOND 1000000000ull

enum { FILES = 5 };

struct machine {
	struct shed shed;
	struct shed_file files[FILES];
	uint64_t ppm[FILES][3]; /* what each costs, by level */
	uint64_t took_ns[FILES], now_ns;
	size_t changed[FILES], nchanged;
};

static struct machine machine_make(uint64_t most_ppm)
{
	return (struct machine){ .shed = { .most_ppm = most_ppm, .first_ns = 30 * SECOND, .cpus = 2 }, .now_ns = 11 * SECOND };
}

static void costs(struct machine *m, size_t i, uint64_t all, uint64_t seldom)
{
	m->ppm[i][SHED_NONE] = all;
	m->ppm[i][SHED_OFTEN] = seldom;
}

/* Returns how many changes there were. */
static size_t run(struct machine *m, unsigned seconds)
{
	size_t n = 0;

	for (unsigned s = 0; s < seconds; s++) {
		m->now_ns += SECOND;
		for (size_t i = 0; i < FILES; i++)
			m->took_ns[i] += m->ppm[i][m->files[i].level] * (SECOND / 1000000);
		m->nchanged = shed_feed(&m->shed, m->files, m->took_ns, FILES, m->now_ns, m->changed);
		n += m->nchanged;
	}
	return n;
}

static void keeps_what_is_within_the_limit(void **state)
{
	struct machine m = machine_make(20000);

	(void)state;
	costs(&m, 0, 7000, 0);
	costs(&m, 3, 12000, 0);
	assert_int_equal(run(&m, 100), 0);
	assert_in_range(m.shed.ppm, 18900, 19000);
}

static void lets_go_of_the_costliest(void **state)
{
	struct machine m = machine_make(20000);

	(void)state;
	costs(&m, 0, 7000, 0);
	costs(&m, 1, 600000, 100);
	costs(&m, 3, 9000, 0);
	assert_int_equal(run(&m, 100), 1);
	assert_int_equal(m.files[1].level, SHED_OFTEN);
	assert_int_equal(m.files[0].level, SHED_NONE);
	assert_int_equal(m.files[3].level, SHED_NONE);
	assert_int_equal(m.files[1].for_ns, 30 * SECOND);
}

static void lets_go_of_as_many_as_it_takes_at_once(void **state)
{
	struct machine m = machine_make(20000);

	(void)state;
	costs(&m, 0, 15000, 0);
	costs(&m, 1, 30000, 0);
	costs(&m, 2, 21000, 0);
	costs(&m, 4, 1000, 0);
	run(&m, 2);
	assert_int_equal(m.nchanged, 2);
	assert_int_equal(m.changed[0], 1);
	assert_int_equal(m.changed[1], 2);
	assert_int_equal(run(&m, 20), 0);
}

static void goes_on_with_all_functions(void **state)
{
	struct machine m = machine_make(20000);

	(void)state;
	costs(&m, 2, 500000, 400000);
	run(&m, 10);
	assert_int_equal(m.files[2].level, SHED_ALL);
	assert_int_equal(run(&m, 60), 0); /* who calls says when it is over */
	assert_true(shed_is_over(&m.files[2], m.now_ns));
}

static void waits_longer_each_time(void **state)
{
	struct machine m = machine_make(20000);
	static const uint64_t pauses[] = { 30, 60, 120, 240, 480, 600, 600 };

	(void)state;
	costs(&m, 2, 500000, 100);
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		while (m.files[2].level == SHED_NONE)
			run(&m, 1);
		assert_int_equal(m.files[2].until_ns - m.now_ns, pauses[i] * SECOND);
		run(&m, (unsigned)pauses[i] - 1);
		assert_false(shed_is_over(&m.files[2], m.now_ns));
		run(&m, 1);
		assert_true(shed_is_over(&m.files[2], m.now_ns));
		shed_end(&m.files[2]);
	}
	costs(&m, 2, 100, 100);
	run(&m, 602);
	costs(&m, 2, 500000, 100);
	run(&m, 2);
	assert_int_equal(m.files[2].for_ns, 30 * SECOND); /* it had been quiet */
}

static void another_file_in_its_place_is_measured_from_its_beginning(void **state)
{
	struct machine m = machine_make(20000);

	(void)state;
	costs(&m, 0, 15000, 0);
	run(&m, 50);
	m.files[0] = (struct shed_file){ .took_ns = m.took_ns[0] };
	assert_int_equal(run(&m, 50), 0);
}

static void without_a_limit_it_only_measures(void **state)
{
	struct machine m = machine_make(0);

	(void)state;
	costs(&m, 0, 1900000, 0);
	costs(&m, 1, 1900000, 0);
	assert_int_equal(run(&m, 50), 0);
	assert_int_equal(m.shed.ppm, 2000000); /* there are two */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_is_within_the_limit), cmocka_unit_test(lets_go_of_the_costliest), cmocka_unit_test(lets_go_of_as_many_as_it_takes_at_once),
		cmocka_unit_test(goes_on_with_all_functions), cmocka_unit_test(waits_longer_each_time), cmocka_unit_test(another_file_in_its_place_is_measured_from_its_beginning),
		cmocka_unit_test(without_a_limit_it_only_measures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
