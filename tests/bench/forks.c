/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forks SECONDS: one child after the other, each of which executes this program anew and ends. Prints, as JSON, how many there were, how long it
 * took, and percentiles of the time from fork to wait.
 */
#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { CHILDREN_MAX = 1 << 20 };

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* False unless the child ran and ended well. */
static bool one_child(const char *program)
{
	char *const argv[] = { (char *)program, NULL }, *const environment[] = { NULL };
	pid_t pid;
	int status;

	/* vfork beneath: the child is made without a copy of our page tables, so there are more of them a second. */
	errno = posix_spawn(&pid, program, NULL, NULL, argv, environment);
	return errno == 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv)
{
	static uint32_t took_ns[CHILDREN_MAX];
	uint32_t n = 0;

	if (argc < 2) /* the child */
		return 0;
	uint64_t began = now_ns(), end = began + (uint64_t)(strtod(argv[1], NULL) * 1e9), at = began;
	while (at < end && n < CHILDREN_MAX) {
		if (!one_child("/proc/self/exe")) {
			fprintf(stderr, "forks: %s\n", strerror(errno));
			return 1;
		}
		uint64_t after = now_ns();
		took_ns[n++] = (uint32_t)(after - at);
		at = after;
	}
	if (n == 0)
		return 1;
	qsort(took_ns, n, sizeof(took_ns[0]), by_value);
	printf("{\"requests\": %u, \"duration_us\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", n, (unsigned long long)(at - began) / 1000,
	       took_ns[n / 2] / 1e3, took_ns[(uint64_t)n * 99 / 100] / 1e3);
	return 0;
}
