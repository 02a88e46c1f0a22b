/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts SQL text into tokens, for redaction and summaries. No allocation, no failure: every byte of the input belongs to exactly one
 * token. When it is in doubt where a literal ends, the literal takes everything that is left: what looks like a token never is part of a value.
 *
 * Follows PostgreSQL 15 documentation, chapter 4.1 (lexical structure) and MySQL 8.0 reference manual, chapter 9.1 (literals), 9.7 (comments). CQL: Apache Cassandra
 * 4.1 documentation, The Cassandra Query Language, definitions. ClickHouse: clickhouse.com/docs/sql-reference/syntax.
 * SQLite: sqlite.org/lang_expr.html, .../lang_keywords.html, .../quirks.html#dblquote.
 * Transact-SQL: learn.microsoft.com/sql/t-sql/data-types/constants-transact-sql, .../comments, .../database-identifiers.
 */
#ifndef PLUMB_LIB_SQL_LEX_H
#define PLUMB_LIB_SQL_LEX_H

#include "lib/slice.h"

enum sql_dialect {
	SQL_ANSI,  /* PostgreSQL, Oracle, DuckDB: "name", $tag$text$tag$, nested comments, E'' */
	SQL_MYSQL, /* MySQL, MariaDB: "text", `name`, backslash escapes, # comments */
	SQL_CQL,   /* Cassandra: "name", $$text$$, // comments, UUIDs and durations without quotes */
	SQL_TSQL,  /* SQL Server: [name], "text" (or a name, as the session has it), no escapes, nested comments, @variables, #temporary tables, $1.50 */
	SQL_CLICKHOUSE, /* "name", `name`, backslash escapes in all quotes, $tag$text$tag$, # comments, ‘text’ and “name” */
	SQL_SQLITE, /* [name], `name`, "name" where only a name can stand, elsewhere "text" (or a name, if there is one), no escapes, ?1, :name, @name, $name */
};

enum sql_token_kind {
	SQL_END,         /* no input left; empty */
	SQL_SPACE,       /* white space and comments, a whole run of them */
	SQL_WORD,        /* keyword or name without quotes */
	SQL_QUOTED,      /* name in quotes, quotes included */
	SQL_LITERAL,     /* number or string of any form, prefix, sign and quotes included */
	SQL_PLACEHOLDER, /* $1, ? */
	SQL_PUNCT,       /* one byte of anything else */
};

struct sql_token {
	enum sql_token_kind kind;
	size_t start; /* offset in the input */
	size_t len;
	bool open;    /* literal: its end was not found, it takes all that is left */
};

struct sql_lex {
	struct slice in;
	size_t at;
	enum sql_dialect dialect;
	bool open;    /* of the token being cut */
	bool naming;  /* SQLite: what comes names something, whatever its quotes are */
	bool distinct; /* SQLite: the latest word was DISTINCT */
	uint8_t target; /* SQLite: behind INTO, TABLE and the like, or the name that follows them */
	unsigned depth; /* SQLite: of parentheses */
	uint64_t lists; /* SQLite: by depth: a comma there is followed by a name */
	bool operand; /* the latest token other than space was a value: a sign that follows is an operator */
};

void sql_lex_init(struct sql_lex *l, struct slice in, enum sql_dialect dialect);
struct sql_token sql_lex_next(struct sql_lex *l);

static inline struct slice sql_token_slice(const struct sql_lex *l, struct sql_token t)
{
	return slice_make(l->in.ptr + t.start, t.len);
}

/* Transact-SQL: EXEC or EXECUTE, behind a number also without space between. */
bool sql_token_calls(enum sql_dialect dialect, enum sql_token_kind kind, struct slice s);

#endif
