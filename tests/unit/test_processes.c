/* SPDX-License-Identifier: Apache-2.0 */
/* Process table: descriptions through fork, exec and exit, references, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "conn/processes.h"
#include "unit/assert_slice.h"

#define SECOND 1000000000ull

static void feed(struct process_table *t, struct record r, uint16_t type, uint64_t time_ns, struct slice payload)
{
	r.u.h.type = type;
	r.u.h.time_ns = time_ns;
	process_table_record(t, &r, payload);
}

static void fork_of(struct process_table *t, uint32_t parent, uint32_t pid, uint64_t now)
{
	feed(t, (struct record){ .u.fork = { .parent_pid = parent, .pid = pid } }, PLUMB_REC_FORK, now, SLICE_NONE);
}

static void exit_of(struct process_table *t, uint32_t pid, uint64_t now)
{
	feed(t, (struct record){ .u.exit = { .pid = pid } }, PLUMB_REC_EXIT, now, SLICE_NONE);
}

static void describe(struct process_table *t, uint32_t pid, uint64_t now)
{
	static const char text[] = "service.name=shop\0process.executable.name=python3\0broken";

	feed(t, (struct record){ .u.process = { .pid = pid, .count = 3, .bytes = sizeof(text) - 1 } }, PLUMB_REC_PROCESS, now,
	     slice_make(text, sizeof(text) - 1));
}

static struct slice value(const struct process *p, const char *key)
{
	for (uint32_t i = 0; i < p->nattrs; i++)
		if (slice_eq(p->attrs[i].key, slice_str(key)))
			return p->attrs[i].value;
	return SLICE_NONE;
}

static void descriptions_follow_fork_and_exec(void **state)
{
	struct process_table *t;

	(void)state;
	assert_int_equal(process_table_new(0, &t), 0);
	describe(t, 100, SECOND);
	fork_of(t, 100, 101, SECOND);
	struct process *child = process_table_ref(t, 101);
	assert_slice(child->service, "shop");
	assert_slice(value(child, "process.pid"), "101");
	assert_slice(value(child, "process.parent_pid"), "100");
	assert_slice(value(child, "process.executable.name"), "python3");
	uint64_t generation = child->generation;

	struct record exec = { .u.exec = { .pid = 101, .ppid = 100, .comm = "sh", .filename = "/usr/bin/env" } };
	feed(t, exec, PLUMB_REC_EXEC, SECOND, SLICE_NONE);
	assert_slice(child->service, "env");
	assert_slice(value(child, "process.executable.path"), "/usr/bin/env");
	assert_true(child->generation > generation);
	describe(t, 101, SECOND);
	assert_slice(child->service, "shop");
	assert_slice(value(child, "process.executable.path"), "");
	process_table_unref(t, child);

	struct process *unknown = process_table_ref(t, 4711);
	assert_slice(unknown->service, "unknown_service");
	process_table_unref(t, unknown);
	process_table_free(t);
}

static void ended_ones_stay_while_needed(void **state)
{
	struct process_counts n;
	struct process_table *t;

	(void)state;
	assert_int_equal(process_table_new(0, &t), 0);
	describe(t, 1, SECOND);
	describe(t, 2, SECOND);
	struct process *held = process_table_ref(t, 1);
	exit_of(t, 1, 2 * SECOND);
	exit_of(t, 2, 2 * SECOND);
	feed(t, (struct record){ 0 }, PLUMB_REC_TICK, 31 * SECOND, SLICE_NONE);
	process_table_counts(t, &n);
	assert_int_equal(n.active, 2);
	feed(t, (struct record){ 0 }, PLUMB_REC_TICK, 33 * SECOND, SLICE_NONE);
	process_table_counts(t, &n);
	assert_int_equal(n.active, 1);
	/* Its pid is used again: two processes, the old one until it is put. */
	fork_of(t, 9, 1, 34 * SECOND);
	struct process *other = process_table_ref(t, 1);
	assert_ptr_not_equal(other, held);
	assert_slice(held->service, "shop");
	assert_slice(other->service, "unknown_service");
	process_table_unref(t, held);
	process_table_counts(t, &n);
	assert_int_equal(n.active, 1);
	process_table_unref(t, other);
	process_table_free(t);
}

/* A build or a test suite ends thousands a second: they are not all kept until the last of them is old. */
static void many_that_end_do_not_stay_long(void **state)
{
	const struct { uint64_t at_ns, active; } steps[] = {
		{ 2 * SECOND, 3001 + 1 }, { 3 * SECOND, 3001 + 1 }, { 3 * SECOND + 1, 1024 + 1 }, { 32 * SECOND, 1024 + 1 }, { 33 * SECOND, 1 },
	};
	struct process_counts n;
	struct process_table *t;

	(void)state;
	assert_int_equal(process_table_new(0, &t), 0);
	for (uint32_t pid = 1; pid <= 3002; pid++)
		describe(t, pid, SECOND);
	for (uint32_t pid = 1; pid <= 3001; pid++)
		exit_of(t, pid, 2 * SECOND);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		feed(t, (struct record){ 0 }, PLUMB_REC_TICK, steps[i].at_ns, SLICE_NONE);
		process_table_counts(t, &n);
		assert_int_equal(n.active, steps[i].active);
	}
	assert_int_equal(n.expired, 3001);
	process_table_free(t);
}

static void table_is_bounded(void **state)
{
	struct process *held[13];
	struct process_counts n;
	struct process_table *t;
	size_t at = 0, seen = 0;

	(void)state;
	assert_int_equal(process_table_new(13, &t), 0);
	for (uint32_t pid = 1; pid <= 101; pid++)
		describe(t, pid, SECOND);
	process_table_counts(t, &n);
	assert_int_equal(n.active, 13);
	assert_int_equal(n.evicted, 101 - 13);
	while (process_table_next(t, &at))
		seen++;
	assert_int_equal(seen, 13);
	for (uint32_t i = 0; i < 13; i++)
		assert_non_null(held[i] = process_table_ref(t, 89 + i));
	assert_null(process_table_ref(t, 500)); /* all are in use */
	process_table_unref(t, held[5]);
	assert_non_null(process_table_ref(t, 500));
	process_table_free(t);
}

/* The probe describes up to 16384 processes: all of them have room, and the one that has none is counted. */
static void as_many_as_the_probe_follows(void **state)
{
	static struct process *held[16384];
	struct process_table *t;
	struct process_counts n;

	(void)state;
	assert_int_equal(process_table_new(0, &t), 0);
	for (uint32_t i = 0; i < 16384; i++) {
		held[i] = process_table_ref(t, i + 1);
		assert_non_null(held[i]);
	}
	assert_null(process_table_ref(t, 16385));
	process_table_counts(t, &n);
	assert_int_equal(n.made, 16384);
	assert_int_equal(n.refused, 1);
	assert_int_equal(n.evicted + n.expired, 0);
	for (uint32_t i = 0; i < 16384; i++)
		process_table_unref(t, held[i]);
	/* What has ended goes in time, which is no loss. */
	for (uint32_t i = 0; i < 23; i++)
		exit_of(t, i + 1, SECOND);
	feed(t, (struct record){ 0 }, PLUMB_REC_TICK, 100 * SECOND, SLICE_NONE);
	process_table_counts(t, &n);
	assert_int_equal(n.expired, 23);
	assert_int_equal(n.evicted, 0);
	process_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_as_the_probe_follows),
		cmocka_unit_test(descriptions_follow_fork_and_exec),
		cmocka_unit_test(ended_ones_stay_while_needed),
		cmocka_unit_test(many_that_end_do_not_stay_long),
		cmocka_unit_test(table_is_bounded),
	};
	return cmocka_run_group_tests_name("processes", tests, NULL, NULL);
}
