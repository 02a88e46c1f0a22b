/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets in SQL that are no literals: words, bare or in the quotes of names, where a database takes them for text, or a person forgot the quotes and the server refuses what it was sent.
 * Whatever stands there is hidden. Linear, no allocation; zeroed at the beginning.
 *
 * Follows duckdb.org/docs/stable/configuration/secrets_manager, .../sql/statements/attach, .../copy; PostgreSQL's CREATE SERVER, USER MAPPING, ROLE; ClickHouse's table functions, CREATE NAMED
 * COLLECTION and CREATE DICTIONARY; MySQL's and MariaDB's CREATE SERVER and CREATE USER; SQLite's encryption extensions (ATTACH … KEY); Transact-SQL's BACKUP and CREATE LOGIN.
 */
#ifndef PLUMB_SPAN_SQL_SECRET_H
#define PLUMB_SPAN_SQL_SECRET_H

#include "lib/sql_lex.h"

enum sql_secret_state {
	SQL_SECRET_NONE,
	SQL_SECRET_NEXT,  /* what follows is one, behind an = if there is one */
	SQL_SECRET_WORD,  /* within it: up to a blank, a comma or a semicolon */
	SQL_SECRET_ITEMS, /* a list of which of each item the first word is none */
	SQL_SECRET_ALL,   /* up to the closing parenthesis */
};

struct sql_secret {
	enum sql_secret_state state;
	struct slice verb;   /* the statement begins with it, EXPLAIN apart */
	struct slice object; /* what is created or altered: its kind */
	struct slice last;   /* the token before, if it was a word */
	bool plain;          /* a statement that is given no secret but as a value */
	bool identified;     /* IDENTIFIED was there */
	bool copies;         /* TO or FROM of a COPY was */
	bool begun;          /* the first word of an item was */
	size_t depth;        /* parentheses, brackets, braces that are open */
	size_t from;         /* of them, where a list or a secret began */
};

/* Takes each token of a text, space too; whether it is to be hidden. */
bool sql_secret_hides(struct sql_secret *x, enum sql_dialect dialect, enum sql_token_kind kind, struct slice s);

#endif
