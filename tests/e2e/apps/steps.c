/* SPDX-License-Identifier: Apache-2.0 */
/* Executes a statement of something like SQLite as often as each line of standard input says, and says so. A statement is one step. */
#include <stdio.h>
#include <stdlib.h>

enum { DONE = 101 };

#define CALLED __attribute__((noinline)) /* by its name, with a return address of its own */
CALLED int sqlite3_prepare_v2(void *db, const char *text, int bytes, void **ret, const char **tail);
CALLED int sqlite3_step(void *s);

static void *place[1];

int sqlite3_prepare_v2(void *db, const char *text, int bytes, void **ret, const char **tail)
{
	(void)text, (void)bytes, (void)tail;
	place[0] = db;
	*ret = place;
	return 0;
}

int sqlite3_step(void *s)
{
	__asm__ volatile("" : : "r"(s) : "memory");
	return DONE;
}

int main(void)
{
	char line[32];
	void *s;
	int database;

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		long n = atol(line);
		sqlite3_prepare_v2(&database, "SELECT 1", -1, &s, NULL);
		for (long i = 0; i < n; i++)
			sqlite3_step(s);
		printf("done %ld\n", n);
		fflush(stdout);
	}
	return 0;
}
