/* SPDX-License-Identifier: Apache-2.0 */
/* What only the wired stages do: records in, metrics out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "pipeline.h"

#define SECOND 1000000000ull

struct fixture {
	struct pipeline *p;
	uint64_t now;
};

static void fixture_init(struct fixture *f)
{
	struct pipeline_options o = { 0 };

	*f = (struct fixture){ .now = SECOND };
	assert_int_equal(pipeline_new(&o, &f->p), 0);
}

static void feed(struct fixture *f, struct record r, uint16_t type, struct slice payload)
{
	r.u.h.type = type;
	r.u.h.time_ns = f->now += 1000;
	assert_int_equal(pipeline_record(f->p, &r, payload), 0);
}

static void describe(struct fixture *f, uint32_t pid, const char *facts, size_t len)
{
	feed(f, (struct record){ .u.process = { .pid = pid, .count = 1, .bytes = (uint16_t)len } }, PLUMB_REC_PROCESS, slice_make(facts, len));
}

/* Value of the sample that begins with `start`; -1: there is none. */
static double sample(struct fixture *f, const char *start)
{
	static const struct metrics_self self;
	struct buffer b;
	char *save = NULL;
	double value = -1;

	buffer_init(&b, 8 << 20);
	assert_int_equal(pipeline_metrics(f->p, &self, false, &b), 0);
	assert_int_equal(buffer_append_byte(&b, 0), 0);
	for (char *line = strtok_r((char *)b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, start, strlen(start)) == 0)
			value = strtod(strrchr(line, ' '), NULL);
	buffer_done(&b);
	return value;
}

/* A connect that fails never makes a connection: the service is known by the pid, before the first statistics of the process. */
static void failures_have_their_service(void **state)
{
	static const char facts[] = "service.name=shop";
	struct fixture f;

	(void)state;
	fixture_init(&f);
	describe(&f, 101, facts, sizeof(facts));
	for (uint64_t sock = 1; sock <= 7; sock++)
		feed(&f, (struct record){ .u.sock_stats = { .sock = sock, .flags = PLUMB_SOCK_CONNECT_FAILED, .error = ECONNREFUSED, .pid = 101,
			.family = AF_INET, .type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT, .local_port = 40000, .remote_port = 5432,
			.remote_addr = { 10, 0, 0, 7 } } }, PLUMB_REC_SOCK_CLOSE, SLICE_NONE);
	assert_true(sample(&f, "plumb_tcp_connect_failures_total{service_name=\"shop\",") == 7);
	assert_true(sample(&f, "plumb_tcp_connect_failures_total{service_name=\"unknown_service\",") == -1);
	assert_true(sample(&f, "plumb_processes_total{event=\"made\"}") == 1);
	pipeline_free(f.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_have_their_service),
	};
	return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
