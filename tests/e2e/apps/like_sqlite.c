/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with functions that are called as SQLite's are, and do what a test wants: statements lie at the same address one after the other, and a step takes as long as it is told to, or never returns.
 * like_sqlite shed|jump|long < "go"…
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ROW = 100, DONE = 101, OFTEN = 7, DEEP = 64 };

struct sqlite3 {
	int nothing;
};
struct sqlite3_stmt {
	struct sqlite3 *database; /* first, as in every version of SQLite */
	const char *text;
};

static struct sqlite3 database;
static struct sqlite3_stmt place, busy_place;
static jmp_buf out;
static atomic_int enough;

static void await(const char *word)
{
	char line[16];

	printf("waits for %s\n", word);
	if (!fgets(line, sizeof(line), stdin) || strncmp(line, word, strlen(word)) != 0)
		_Exit(1);
}

#define CALLED __attribute__((noinline)) /* by its name, with a return address of its own */
CALLED int sqlite3_prepare_v2(struct sqlite3 *db, const char *text, int bytes, struct sqlite3_stmt **ret, const char **tail);
CALLED int sqlite3_step(struct sqlite3_stmt *s);
CALLED int sqlite3_finalize(struct sqlite3_stmt *s);

int sqlite3_prepare_v2(struct sqlite3 *db, const char *text, int bytes, struct sqlite3_stmt **ret, const char **tail)
{
	struct sqlite3_stmt *s = strstr(text, "busy") ? &busy_place : &place;

	(void)bytes;
	(void)tail;
	*s = (struct sqlite3_stmt){ db, text };
	*ret = s;
	return 0;
}

int sqlite3_step(struct sqlite3_stmt *s)
{
	if (strstr(s->text, "wait()"))
		await("return");
	if (strstr(s->text, "jump()"))
		longjmp(out, 1);
	return s == &busy_place ? ROW : DONE;
}

int sqlite3_finalize(struct sqlite3_stmt *s)
{
	s->text = "";
	return 0;
}

/* More steps than may be looked at, of one execution. */
static void *busy(void *arg)
{
	struct sqlite3_stmt *s;

	(void)arg;
	sqlite3_prepare_v2(&database, "SELECT 3 AS busy", -1, &s, NULL);
	while (!enough)
		sqlite3_step(s);
	return NULL;
}

/* Deeper on the stack than what was called last from main(). */
static int replace(int depth, struct sqlite3_stmt **s)
{
	char room[128];

	memset(room, depth, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	if (depth < DEEP)
		return replace(depth + 1, s) + room[7];
	sqlite3_finalize(*s);
	return sqlite3_prepare_v2(&database, "SELECT 2 AS the_new_one", -1, s, NULL);
}

/* One that is just as long as may be told, those beside it; of none is the length known before. */
static void long_texts(void)
{
	static const int lengths[] = { 4095, 4096, 4097, 8191 };
	static char text[8192];
	struct sqlite3_stmt *s;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(text, '1', sizeof(text));
		memcpy(text, "SELECT a FROM b WHERE c = ", 26);
		text[lengths[i]] = 0;
		sqlite3_prepare_v2(&database, text, -1, &s, NULL);
		sqlite3_step(s);
		sqlite3_finalize(s);
	}
}

int main(int argc, char **argv)
{
	int sheds = argc > 1 && strcmp(argv[1], "shed") == 0;
	struct sqlite3_stmt *volatile s;
	struct sqlite3_stmt *made;
	pthread_t thread;

	setvbuf(stdout, NULL, _IOLBF, 0);
	await("go");
	if (argc > 1 && strcmp(argv[1], "long") == 0) {
		long_texts();
		return 0;
	}
	sqlite3_prepare_v2(&database, sheds ? "SELECT wait() AS the_old_one" : "SELECT jump() AS the_old_one", -1, &made, NULL);
	s = made;
	if (sheds)
		pthread_create(&thread, NULL, busy, NULL);
	if (!setjmp(out))
		sqlite3_step(s);
	made = s;
	enough = 1;
	if (sheds)
		pthread_join(thread, NULL);
	replace(0, &made);
	await("again");
	for (int i = 0; i < OFTEN; i++)
		sqlite3_step(made);
	return 0;
}
