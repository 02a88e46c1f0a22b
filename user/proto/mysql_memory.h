/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a MySQL connection beside its parser's state: prepared statements by the id that the server gave them, the database in use,
 * and the commands whose responses are due. Unlike PostgreSQL's, a statement has no name until its response has come, so this is a table of its own. Fixed
 * number, least recently used first out. Texts, and what compression needs, are taken from the budget of all parsers; a text that finds no room is not known.
 */
#ifndef PLUMB_PROTO_MYSQL_MEMORY_H
#define PLUMB_PROTO_MYSQL_MEMORY_H

#include "proto/memory.h"
#include "proto/mysql_inflate.h"

enum { MYSQL_STATEMENTS = 64, MYSQL_STATEMENT_TEXT = 1024, MYSQL_DUE = 256, MYSQL_DATABASE_LEN = 64 };

/* A statement as it was when it was looked up; it may have gone since. Zero = none. */
struct mysql_ref {
	uint32_t generation;
	uint16_t slot;
};

struct mysql_statement {
	uint32_t generation; /* 0 = free */
	uint32_t used;       /* time of the latest use, in look-ups */
	uint32_t id;
	bool answered;       /* the server has given it its id */
	uint16_t len, room;  /* of its text */
	uint8_t *text;       /* kept for the slot's next statement */
};

/* A command that the server has not begun to answer. */
struct mysql_due {
	struct mysql_ref statement; /* that it prepares */
	uint8_t command;
	uint8_t seq; /* of the first packet of its response */
};

struct mysql_name {
	uint8_t len; /* 0 = not known, or none */
	char text[MYSQL_DATABASE_LEN];
};

struct mysql_memory {
	struct proto_memory *budget; /* not owned */
	uint32_t clock;
	uint32_t generations;
	struct mysql_ref last; /* prepared last: what MariaDB means by id 0xffffffff */
	struct mysql_name database, asked; /* in use; in use once the command that is under way has succeeded */
	uint32_t due_first, due_len; /* beyond MYSQL_DUE they are counted, and what they are is not known */
	struct mysql_due due[MYSQL_DUE];
	struct mysql_statement statements[MYSQL_STATEMENTS];
	struct mysql_inflate *inflate[2]; /* by enum proto_side; NULL before it is needed: most clients compress nothing */
};

struct mysql_memory *mysql_memory_new(struct proto_memory *budget); /* NULL without memory */
void mysql_memory_free(struct mysql_memory *m);
/* Makes what inflates; false without room. */
bool mysql_memory_inflates(struct mysql_memory *m);

/* Text beyond MYSQL_STATEMENT_TEXT is cut. It has no id yet. */
struct mysql_ref mysql_memory_prepare(struct mysql_memory *m, struct slice text);
/* The server has taken it and calls it `id`. */
void mysql_memory_answer(struct mysql_memory *m, struct mysql_ref ref, uint32_t id);
void mysql_memory_refuse(struct mysql_memory *m, struct mysql_ref ref);
/* The statement's text, empty if it is not known or no longer. 0xffffffff: the one prepared last, answered or not. */
struct slice mysql_memory_find(struct mysql_memory *m, uint32_t id);
void mysql_memory_close(struct mysql_memory *m, uint32_t id);
/* The session begins anew: the server has dropped all statements. */
void mysql_memory_clear(struct mysql_memory *m);

void mysql_name_set(struct mysql_name *n, struct slice text);

void mysql_due_push(struct mysql_memory *m, struct mysql_due due);
/* The oldest, all zero if it is not known; there must be one. Valid until the next push or pop. */
struct mysql_due *mysql_due_first(struct mysql_memory *m);
/* The latest, NULL if it is not known. */
struct mysql_due *mysql_due_last(struct mysql_memory *m);
void mysql_due_pop(struct mysql_memory *m);
void mysql_due_clear(struct mysql_memory *m);

#endif
