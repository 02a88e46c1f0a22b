/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of a library, on a kernel where nothing is installed: a stand-in that has SQLite's functions by name and by what they take, and does nothing but to answer as planned. Standard input: a line
 * starts it; "ready" and its process id are written to standard error before. 251 executions, number i of which returns i % 23 rows, and each 36th fails. And a function of CUDA's driver: of 113 launches each 17th fails.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, CONSTRAINT = 19, ROW = 100, DONE = 101, EXECUTIONS = 251, PERIOD = 23, FAILS = 36, LAUNCHES = 113, LAUNCH_FAILS = 17, LAUNCH_FAILED = 719 };

/* As SQLite's begins, with its database. */
struct sqlite3_stmt {
	void *db;
	int rows, end;
};

#define LIBRARY __attribute__((noipa, used))
int sqlite3_open(const char *name, void **ret_db);
int sqlite3_prepare_v2(void *db, const char *text, int bytes, struct sqlite3_stmt **ret_statement, const char **ret_tail);
int sqlite3_step(struct sqlite3_stmt *s);
int sqlite3_reset(struct sqlite3_stmt *s);
int sqlite3_finalize(struct sqlite3_stmt *s);
int sqlite3_close(void *db);

LIBRARY int sqlite3_open(const char *name, void **ret_db)
{
	*ret_db = strdup(name);
	return OK;
}

LIBRARY int sqlite3_prepare_v2(void *db, const char *text, int bytes, struct sqlite3_stmt **ret_statement, const char **ret_tail)
{
	struct sqlite3_stmt *s = calloc(1, sizeof(*s));

	(void)bytes;
	if (!s)
		abort();
	s->db = db;
	*ret_statement = s;
	*ret_tail = text + strlen(text);
	return OK;
}

LIBRARY int sqlite3_step(struct sqlite3_stmt *s) { return s->rows > 0 ? (s->rows--, ROW) : s->end; }

LIBRARY int sqlite3_reset(struct sqlite3_stmt *s)
{
	s->rows = 0;
	return OK;
}

LIBRARY int sqlite3_finalize(struct sqlite3_stmt *s)
{
	free(s);
	return OK;
}

LIBRARY int sqlite3_close(void *db)
{
	free(db);
	return OK;
}

/* What the driver's handle of a kernel points to begins so. */
struct CUfunc {
	void *module;
	const char *name;
};

int cuLaunchKernel(struct CUfunc *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **params, void **extra);

LIBRARY int cuLaunchKernel(struct CUfunc *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **params, void **extra)
{
	static unsigned launches;

	(void)f, (void)gx, (void)gy, (void)gz, (void)bx, (void)by, (void)bz, (void)shared, (void)stream, (void)params, (void)extra;
	return ++launches % LAUNCH_FAILS ? 0 : LAUNCH_FAILED;
}

int main(void)
{
	struct sqlite3_stmt *s;
	const char *tail;
	char line[16];
	void *db;

	fprintf(stderr, "ready %d\n", (int)getpid());
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	sqlite3_open("/tmp/shop.db", &db);
	sqlite3_prepare_v2(db, "SELECT id FROM goods WHERE name = 'secret'", -1, &s, &tail);
	for (int i = 0; i < EXECUTIONS; i++) {
		int got;
		s->rows = i % PERIOD;
		s->end = i % FAILS == FAILS - 1 ? CONSTRAINT : DONE;
		while ((got = sqlite3_step(s)) == ROW)
			;
		if (got != (i % FAILS == FAILS - 1 ? CONSTRAINT : DONE))
			return 2;
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	struct CUfunc kernel = { NULL, "_Z10vector_addPfS_i" };
	for (int i = 0; i < LAUNCHES; i++)
		cuLaunchKernel(&kernel, 70000, 3, 5, 128, 2, 1, 4096, NULL, NULL, NULL);
	return 0;
}
