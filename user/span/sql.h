/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be told of a SQL statement: its text without values, and its summary. Input is hostile and may be cut anywhere: of
 * a literal no byte comes out, whole or cut, and names are shown only from where the text surely names something. No
 * allocation, time linear in the input.
 *
 * Follows https://opentelemetry.io/docs/specs/semconv/database/database-spans/ (sanitization of db.query.text,
 * generating a summary of the query).
 */
#ifndef PLUMB_SPAN_SQL_H
#define PLUMB_SPAN_SQL_H

#include "lib/sql_lex.h"

enum { SQL_SUMMARY_MAX = 255 };

/*
 * Writes at most cap bytes, no NUL, never half a UTF-8 character, and returns how many. Literals become ?, comments
 * go, white space becomes one blank, placeholders stay. Literals in a row become one ? in IN (…), VALUES (…) and […],
 * and equal rows of VALUES one row.
 */
size_t sql_redact(struct slice sql, enum sql_dialect dialect, char *out, size_t cap);

struct sql_description {
	struct slice operation;  /* first command in the text as it is written there: SELECT; empty if there is none */
	struct slice collection; /* the table if all commands name the same one, else empty; without quotes if it does not need them */
	size_t targets;          /* how often a table is named */
	size_t summary_len;
	char summary[SQL_SUMMARY_MAX + 1]; /* "SELECT users orders"; whole names only */
};

/* One walk for everything; views into sql. */
void sql_describe(struct slice sql, enum sql_dialect dialect, struct sql_description *ret);

#endif
