/* SPDX-License-Identifier: Apache-2.0 */
/* What SQLite's C API is asked for by itself, with the library linked in: sqlite_app FILE < "go". Prints {"what","ns"} for each step. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MANY = 10007, THREADS = 4, EACH = 101 };

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void expect(const char *what, int got, int wanted)
{
	if (got == wanted)
		return;
	fprintf(stderr, "%s: %d, not %d\n", what, got, wanted);
	exit(1);
}

#define STEP(what, ...)                                                                 \
	do {                                                                            \
		long long begin = now();                                                \
		__VA_ARGS__;                                                            \
		printf("{\"what\": \"%s\", \"ns\": %lld}\n", what, now() - begin);      \
	} while (0)

static sqlite3_stmt *prepared(sqlite3 *db, const char *text)
{
	sqlite3_stmt *s;

	expect(text, sqlite3_prepare_v2(db, text, -1, &s, NULL), SQLITE_OK);
	return s;
}

static void rows(sqlite3_stmt *s, int n)
{
	for (int i = 0; i < n; i++)
		expect("row", sqlite3_step(s), SQLITE_ROW);
}

static void nap(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	(void)argc;
	usleep((useconds_t)sqlite3_value_int(argv[0]) * 1000);
	sqlite3_result_int(ctx, 1);
}

static void *work(void *file)
{
	sqlite3 *db;

	expect("open", sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	sqlite3_stmt *s = prepared(db, "SELECT n FROM numbers WHERE n < ?1 AND n <> 4711");
	for (int i = 0; i < EACH; i++) {
		sqlite3_bind_int(s, 1, i % 7);
		rows(s, i % 7);
		expect("done", sqlite3_step(s), SQLITE_DONE);
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *tail, *several = "SELECT 1 FROM numbers LIMIT 3; SELECT 'secret' FROM numbers LIMIT 5";
	sqlite3 *db;
	sqlite3_stmt *s, *t, *old;
	char line[8];

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	expect("open", sqlite3_open(argv[1], &db), SQLITE_OK);
	expect("fill", sqlite3_exec(db, "DROP TABLE IF EXISTS numbers; CREATE TABLE numbers(n INTEGER PRIMARY KEY); WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c LIMIT 1009)"
			  " INSERT INTO numbers SELECT n FROM c", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_create_function(db, "nap", 1, SQLITE_UTF8, NULL, nap, NULL, NULL);
	old = prepared(db, "SELECT n FROM numbers WHERE n < 3");
	if (!fgets(line, sizeof(line), stdin) || strcmp(line, "go\n") != 0)
		return 1;

	STEP("all rows", s = prepared(db, "SELECT n FROM numbers WHERE n < 1009"); rows(s, 1009); expect("done", sqlite3_step(s), SQLITE_DONE));
	STEP("again without reset", rows(s, 1009); expect("done", sqlite3_step(s), SQLITE_DONE); sqlite3_finalize(s));
	STEP("some rows", s = prepared(db, "SELECT n FROM numbers"); rows(s, 5); sqlite3_reset(s); rows(s, 7); sqlite3_finalize(s));
	s = prepared(db, "SELECT n FROM numbers LIMIT 3");
	t = prepared(db, "SELECT n FROM numbers LIMIT 5");
	rows(s, 2);
	rows(t, 4);
	rows(s, 1);
	expect("done", sqlite3_step(s), SQLITE_DONE);
	rows(t, 1);
	expect("done", sqlite3_step(t), SQLITE_DONE);
	sqlite3_finalize(s);
	sqlite3_finalize(t);
	STEP("several", sqlite3_exec(db, "BEGIN; DELETE FROM numbers WHERE n > 1000; ROLLBACK", NULL, NULL, NULL));
	expect("first", sqlite3_prepare_v3(db, several, (int)strlen(several), 0, &s, &tail), SQLITE_OK);
	expect("second", sqlite3_prepare(db, tail, 1000, &t, NULL), SQLITE_OK);
	rows(s, 3);
	expect("done", sqlite3_step(s), SQLITE_DONE);
	rows(t, 5);
	expect("done", sqlite3_step(t), SQLITE_DONE);
	sqlite3_finalize(s);
	sqlite3_finalize(t);
	/* The text ends within what it lies in. */
	expect("part", sqlite3_prepare_v2(db, "SELECT 7 FROM numbers WHERE n = 7 OR secret", 33, &s, NULL), SQLITE_OK);
	rows(s, 1);
	expect("done", sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
	expect("no statement", sqlite3_prepare_v2(db, " -- secret\n", -1, &s, NULL), SQLITE_OK);
	sqlite3_finalize(s);
	expect("no table", sqlite3_prepare_v2(db, "SELECT * FROM nowhere WHERE word = 'secret'", -1, &s, NULL), SQLITE_ERROR);
	s = prepared(db, "INSERT INTO numbers VALUES (7)");
	expect("constraint", sqlite3_step(s), SQLITE_CONSTRAINT);
	sqlite3_finalize(s);
	sqlite3_extended_result_codes(db, 1);
	s = prepared(db, "INSERT INTO numbers VALUES (7)");
	expect("constraint", sqlite3_step(s), SQLITE_CONSTRAINT_PRIMARYKEY);
	sqlite3_finalize(s);
	STEP("slow", s = prepared(db, "SELECT nap(300)"); rows(s, 1); expect("done", sqlite3_step(s), SQLITE_DONE); sqlite3_finalize(s));
	rows(old, 3);
	expect("done", sqlite3_step(old), SQLITE_DONE);
	sqlite3_finalize(old);

	s = prepared(db, "SELECT n FROM numbers WHERE n = ?");
	for (int i = 0; i < MANY; i++) {
		sqlite3_bind_int(s, 1, i);
		rows(s, i < 1009);
		expect("done", sqlite3_step(s), SQLITE_DONE);
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);

	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, argv[1]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	sqlite3_close(db);
	return 0;
}
