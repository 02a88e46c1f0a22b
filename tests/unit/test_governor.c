/* SPDX-License-Identifier: Apache-2.0 */
/* The overhead governor against a made-up machine whose cost follows the level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "probe/governor.h"

#define SECOND 1000000000ull

struct machine {
	struct governor g;
	uint64_t time_ns, cpu_ns;
	unsigned changes;
};

static void machine_init(struct machine *m, double share, uint32_t ncpus)
{
	*m = (struct machine){ .time_ns = 7 * SECOND, .cpu_ns = 123456789 };
	governor_init(&m->g, share, ncpus);
}

/* `seconds` of a load that costs so many ppm of one CPU when nothing is given up: a third of it BPF. */
static void run(struct machine *m, unsigned seconds, uint64_t full_ppm)
{
	for (unsigned i = 0; i < seconds; i++) {
		uint64_t ppm = full_ppm >> governor_sample_shift(&m->g);
		m->time_ns += SECOND;
		m->cpu_ns += (ppm - ppm / 3) * (SECOND / 1000000);
		m->changes += governor_feed(&m->g, m->time_ns, m->cpu_ns, ppm / 3);
	}
}

static void gives_up_nothing_within_the_budget(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, 0.03, 2);
	run(&m, 600, 59000); /* of one CPU: 2.95 % of two */
	assert_int_equal(m.g.level, 0);
	assert_int_equal(m.changes, 0);
	assert_in_range(m.g.cost_ppm, 29400, 29501);
	assert_int_equal(governor_capture_bytes(&m.g), UINT32_MAX);
	assert_int_equal(governor_sample_shift(&m.g), 0);
}

static void bears_a_burst(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, 0.03, 2);
	run(&m, 20, 10000);
	run(&m, 1, 150000);
	run(&m, 20, 10000);
	assert_int_equal(m.changes, 0);
}

static void keeps_to_the_budget_and_stays(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, 0.03, 2);
	run(&m, 30, 400000); /* 20 % of the machine: one of eight connections is 2.5 % */
	assert_int_equal(m.g.level, 4);
	assert_in_range(m.g.cost_ppm, 1, 30000);
	unsigned changes = m.changes;
	run(&m, 3600, 400000);
	assert_int_equal(m.changes, changes); /* half of it would not fit: it does not try */
	assert_int_equal(governor_capture_bytes(&m.g), GOVERNOR_HEAD_BYTES);
	assert_int_equal(governor_sample_shift(&m.g), 3);
}

static void restores_level_by_level(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, 0.03, 2);
	run(&m, 30, 400000);
	unsigned changes = m.changes;
	run(&m, 2, 1000);
	assert_int_equal(m.g.level, 4); /* the average is still high */
	run(&m, 4, 1000);
	assert_int_equal(m.g.level, 3); /* one at a time, so that a load that comes back is not met with nothing given up */
	run(&m, 60, 1000);
	assert_int_equal(m.g.level, 0);
	assert_int_equal(m.changes, changes + 4);
}

static void stops_at_the_last_level(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, 0.0001, 1);
	run(&m, 100, 1000000000);
	assert_int_equal(m.g.level, GOVERNOR_LEVEL_MAX);
	assert_int_equal(governor_sample_shift(&m.g), 6);
}

static void without_a_limit_it_only_measures(void **state)
{
	static const double limits[] = { 0, 1, 2 };
	struct machine m;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		machine_init(&m, limits[i], 4);
		run(&m, 60, 4000000);
		assert_int_equal(m.changes, 0);
		assert_in_range(m.g.cost_ppm, 990000, 1000000);
	}
}

static void begins_anew_after_a_restart(void **state)
{
	struct machine m;

	(void)state;
	machine_init(&m, 0.03, 2);
	run(&m, 10, 20000);
	uint64_t before = m.g.cost_ppm;
	m.cpu_ns = 5; /* the engine's CPU time went with it */
	m.time_ns += SECOND;
	assert_false(governor_feed(&m.g, m.time_ns, m.cpu_ns, 900000));
	assert_int_equal(m.g.cost_ppm, before);
	assert_false(governor_feed(&m.g, m.time_ns, m.cpu_ns + SECOND, 900000)); /* no time has passed */
	assert_int_equal(m.g.cost_ppm, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_up_nothing_within_the_budget),
		cmocka_unit_test(bears_a_burst),
		cmocka_unit_test(keeps_to_the_budget_and_stays),
		cmocka_unit_test(restores_level_by_level),
		cmocka_unit_test(stops_at_the_last_level),
		cmocka_unit_test(without_a_limit_it_only_measures),
		cmocka_unit_test(begins_anew_after_a_restart),
	};
	return cmocka_run_group_tests_name("governor", tests, NULL, NULL);
}
