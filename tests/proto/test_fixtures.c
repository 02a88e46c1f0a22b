/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every fixture of every protocol through its parser, one test each. With a path as argument: only
 * that one, and prints its messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "proto/harness.h"

enum { TESTS_MAX = 2048 };

struct list {
	struct CMUnitTest test[TESTS_MAX];
	struct job { const struct proto_ops *ops; char path[256]; bool fixtures; } job[TESTS_MAX];
	const struct proto_ops *ops;
	size_t n;
};

static void check_fixture(void **state)
{
	const struct job *job = *state;
	struct fixture f;
	char why[HARNESS_WHY] = "";

	if (!job->ops)
		fail_msg("no parser for %s", job->path);
	if (!fixture_load(job->path, job->ops, &f, why, sizeof(why)))
		fail_msg("%s", why);
	bool ok = harness_check(&f, why);
	fixture_done(&f);
	if (!ok)
		fail_msg("%s: %s", job->path, why);
}

static void check_parser(void **state)
{
	const struct job *job = *state;

	if (!job->ops)
		fail_msg("no parser for %s", job->path);
	if (!job->fixtures)
		fail_msg("no fixtures for %s", job->path);
	assert_non_null(job->ops->name);
	assert_non_null(job->ops->detect);
	assert_non_null(job->ops->parse);
	assert_non_null(job->ops->resync);
	assert_true(job->ops->state_size <= CONNECTION_PARSER_BYTES);
	assert_true(!job->ops->open == !job->ops->close);
}

static void add(struct list *l, const char *path, CMUnitTestFunction run)
{
	if (l->n == TESTS_MAX) {
		fprintf(stderr, "more than %d fixtures: raise TESTS_MAX\n", TESTS_MAX);
		exit(1);
	}
	struct job *job = &l->job[l->n];
	job->ops = l->ops;
	snprintf(job->path, sizeof(job->path), "%s", path);
	l->test[l->n++] = (struct CMUnitTest){ .name = job->path, .test_func = run, .initial_state = job };
}

static void add_fixture(void *ctx, const char *path)
{
	add(ctx, path, check_fixture);
}

static int print_fixture(const char *path)
{
	static const char *const arrow[] = { "=>", "=<" };
	struct fixture_lines got[2] = { 0 };
	char why[HARNESS_WHY] = "", prefix[64];
	struct fixture f;

	for (size_t i = 0; i < harness_nparsers; i++) {
		snprintf(prefix, sizeof(prefix), "/%s/", harness_parsers[i].symbol);
		if (!strstr(path, prefix) || !harness_parsers[i].ops)
			continue;
		if (!fixture_load(path, harness_parsers[i].ops, &f, why, sizeof(why))) {
			fprintf(stderr, "%s\n", why);
			return 1;
		}
		harness_parse(&f, got, why);
		for (int side = 0; side < 2; side++) {
			for (size_t k = 0; k < got[side].n; k++)
				printf("%s %s\n", arrow[side], got[side].line[k]);
			fixture_lines_done(&got[side]);
		}
		bool ok = why[0] == '\0' && harness_check(&f, why);
		printf("%s\n", ok ? "ok" : why);
		fixture_done(&f);
		return !ok;
	}
	fprintf(stderr, "%s: in no protocol's folder\n", path);
	return 1;
}

int main(int argc, char **argv)
{
	static struct list l;

	if (argc > 1)
		return print_fixture(argv[1]);
	for (size_t i = 0; i < harness_nparsers; i++) {
		l.ops = harness_parsers[i].ops;
		struct job *parser = &l.job[l.n];
		add(&l, harness_parsers[i].symbol, check_parser);
		harness_each_fixture(harness_parsers[i].symbol, add_fixture, &l);
		parser->fixtures = &l.job[l.n] > parser + 1;
	}
	return _cmocka_run_group_tests("fixtures", l.test, l.n, NULL, NULL);
}
