/* SPDX-License-Identifier: Apache-2.0 */
/* probe/filter: what the operator's names say of a process, and the names as the kernel side compares them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/filter.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const comms_in[] = { "web", "fifteen-letters", NULL }, *const comms_out[] = { "cron", "web", NULL };
static const char *const exes_in[] = { "nginx", "/usr/bin/curl", "/opt//x/", NULL }, *const exes_out[] = { "/usr/sbin/nginx", "curl", NULL };
static const char *const cgroups_in[] = { "web.slice", "/system.slice/a", NULL }, *const containers_out[] = { "0123456", NULL };

static struct filters sample(void)
{
	return (struct filters){ .include = { .pids = { 7 }, .comms = comms_in, .exes = exes_in, .cgroups = cgroups_in },
				 .exclude = { .pids = { 7, 9 }, .comms = comms_out, .exes = exes_out, .containers = containers_out } };
}

static void a_process_by_its_names(void **state)
{
	struct filters f = sample(), none = { 0 };

	(void)state;
	assert_int_equal(filters_of_pid(&f, 7), PLUMB_TREE_IN | PLUMB_TREE_OUT);
	assert_int_equal(filters_of_pid(&f, 9), PLUMB_TREE_OUT);
	assert_int_equal(filters_of_pid(&f, 8), 0);
	assert_int_equal(filters_of_program(&f, "web", ""), PLUMB_TREE_IN | PLUMB_TREE_OUT);
	assert_int_equal(filters_of_program(&f, "we", ""), 0);
	assert_int_equal(filters_of_program(&f, "webs", ""), 0);
	assert_int_equal(filters_of_program(&f, "fifteen-letters", ""), PLUMB_TREE_IN);
	assert_int_equal(filters_of_program(&f, "x", "/usr/sbin/nginx"), PLUMB_IN | PLUMB_OUT);
	assert_int_equal(filters_of_program(&f, "x", "/opt/nginx"), PLUMB_IN);
	assert_int_equal(filters_of_program(&f, "x", "/usr/bin/curl"), PLUMB_IN | PLUMB_OUT);
	assert_int_equal(filters_of_program(&f, "x", "/usr/bin/curls"), 0);
	assert_int_equal(filters_of_program(&none, "web", "/usr/sbin/nginx"), 0);
}

static void a_process_by_its_place(void **state)
{
	struct filters f = sample();

	(void)state;
	assert_int_equal(filters_of_place(&f, ""), 0);
	assert_int_equal(filters_of_place(&f, "0::/\n"), 0);
	assert_int_equal(filters_of_place(&f, "0::/web.slice/x\n"), PLUMB_IN);
	/* Any hierarchy, the last line without its end. */
	assert_int_equal(filters_of_place(&f, "4:cpu,memory:/docker/" ID "\n0::/system.slice/a"), PLUMB_IN | PLUMB_OUT);
	assert_int_equal(filters_of_place(&f, "0::/system.slice/docker-" ID ".scope\n"), PLUMB_OUT);
	/* An id that only contains it, and names in what is no path. */
	assert_int_equal(filters_of_place(&f, "0::/docker/f" ID "\n"), 0);
	assert_int_equal(filters_of_place(&f, "web.slice\n:web.slice\n\n"), 0);
}

static uint32_t bits_of(const struct filter_name *names, size_t count, uint32_t kind, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].name.kind == kind && strcmp(names[i].name.text, text) == 0)
			return names[i].bits;
	return 0;
}

static void names_as_the_kernel_side_compares_them(void **state)
{
	struct filters f = sample();
	struct filter_name *names;
	size_t count;

	(void)state;
	assert_int_equal(filters_names(&f, &names, &count), 0);
	assert_int_equal(bits_of(names, count, PLUMB_NAME_COMM, "web"), PLUMB_TREE_IN | PLUMB_TREE_OUT);
	assert_int_equal(bits_of(names, count, PLUMB_NAME_COMM, "cron"), PLUMB_TREE_OUT);
	assert_int_equal(bits_of(names, count, PLUMB_NAME_COMM, "fifteen-letters"), PLUMB_TREE_IN);
	assert_int_equal(bits_of(names, count, PLUMB_NAME_EXE, "nginx"), PLUMB_IN | PLUMB_NAME_OF_PATH);
	assert_int_equal(bits_of(names, count, PLUMB_NAME_EXE, "curl"), PLUMB_OUT | PLUMB_NAME_OF_PATH);
	assert_int_equal(bits_of(names, count, PLUMB_NAME_PATH, "curl/bin/usr/"), PLUMB_IN);
	assert_int_equal(bits_of(names, count, PLUMB_NAME_PATH, "nginx/sbin/usr/"), PLUMB_OUT);
	assert_int_equal(bits_of(names, count, PLUMB_NAME_CGROUP, "web.slice"), PLUMB_IN);
	/* No part of a path is the name of a cgroup. */
	for (size_t i = 0; i < count; i++)
		assert_true(names[i].name.kind != PLUMB_NAME_CGROUP || !strchr(names[i].name.text, '/'));
	free(names);
}

static void paths_of_any_length(void **state)
{
	char path[600] = "";
	const char *exes[] = { path, NULL };
	struct filters f = { .include = { .exes = exes } };

	(void)state;
	for (size_t len = 1; len < sizeof(path); len++) {
		struct filter_name *names;
		size_t count;
		memset(path, 'x', len);
		for (size_t i = 0; i < len; i += 50)
			path[i] = '/';
		path[len] = 0;
		assert_int_equal(filters_names(&f, &names, &count), 0);
		for (size_t i = 0; i < count; i++) {
			size_t used = strlen(names[i].name.text);
			for (size_t k = used; k < sizeof(names[i].name.text); k++)
				assert_int_equal(names[i].name.text[k], 0);
			/* Turned round it is as long: the slash that led each part follows it. */
			if (names[i].name.kind == PLUMB_NAME_PATH && path[len - 1] != '/')
				assert_int_equal(used, len);
		}
		free(names);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_by_its_names),
		cmocka_unit_test(a_process_by_its_place),
		cmocka_unit_test(names_as_the_kernel_side_compares_them),
		cmocka_unit_test(paths_of_any_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
