/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Summary of a SQL statement: commands and the tables they name, in the order of the text. A walk over tokens, not a grammar:
 * what it does not understand it leaves out.
 */
#include "span/sql.h"

enum { CTES_MAX = 8, DEPTH_BITS = 64 };

/* What the next name would be. */
enum expect {
	EXPECT_NOTHING,
	EXPECT_TABLE,    /* after INTO, UPDATE, JOIN, TABLE … */
	EXPECT_SOURCE,   /* after FROM, and "," in its list: a name with ( behind it is a function */
	EXPECT_OBJECT,   /* after CREATE, DROP, ALTER, COMMENT …: the kind of object */
	EXPECT_CTE,      /* after WITH, and "," between its queries */
};

struct walk {
	struct sql_lex lex;
	struct sql_description *d;
	enum expect expect;
	bool inserts;        /* ClickHouse: data may follow FORMAT */
	bool start;          /* at the start of a statement or of a parenthesis */
	bool utility;        /* GRANT, SET …: only its command counts */
	bool calls;          /* Transact-SQL: a procedure's name comes, or nothing of the kind */
	bool several;        /* tables differ */
	bool in_with;        /* between WITH and its main command, at with_depth */
	unsigned depth, with_depth;
	uint64_t may_from;   /* by depth: a SELECT or DELETE waits for its FROM */
	uint64_t in_from;    /* by depth: inside the list behind FROM: a comma makes another table */
	struct slice previous; /* the word before */
	struct slice pending;  /* a table name whose end is not known yet: dots may follow */
	bool pending_source, after_dot;
	struct slice ctes[CTES_MAX];
	unsigned nctes;
};

static uint64_t bit(unsigned depth)
{
	return depth < DEPTH_BITS ? UINT64_C(1) << depth : 0;
}

/* `lower` is in lower case. Most words differ in their first letter, so no length is taken. */
static bool is_keyword(struct slice word, const char *lower)
{
	size_t i = 0;

	while (i < word.len && lower[i] && ascii_lower(word.ptr[i]) == (uint8_t)lower[i])
		i++;
	return i == word.len && !lower[i];
}

static bool one_of(struct slice word, const char *const *list)
{
	for (; *list; list++)
		if (is_keyword(word, *list))
			return true;
	return false;
}

/* Appends with a blank; a name that does not fit whole ends the summary. */
static void add(struct sql_description *d, struct slice s)
{
	size_t blank = d->summary_len > 0;

	if (d->summary_len == SQL_SUMMARY_MAX || s.len + blank > SQL_SUMMARY_MAX - d->summary_len) {
		/* Full for good: a shorter name must not slip in behind a missing one. */
		if (d->summary_len > 0)
			d->summary[SQL_SUMMARY_MAX] = 1;
		return;
	}
	if (d->summary[SQL_SUMMARY_MAX])
		return;
	if (blank)
		d->summary[d->summary_len++] = ' ';
	memcpy(d->summary + d->summary_len, s.ptr, s.len);
	d->summary_len += s.len;
}

/* "users" reads users, "song list" stays as it is. */
static struct slice unquote(struct slice s)
{
	if (s.len < 3 || (s.ptr[0] != '"' && s.ptr[0] != '`' && s.ptr[0] != '[') || s.ptr[s.len - 1] != (s.ptr[0] == '[' ? ']' : s.ptr[0]))
		return s;
	for (size_t i = 1; i + 1 < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (!((ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			return s;
	}
	return slice_make(s.ptr + 1, s.len - 2);
}

static bool is_cte(const struct walk *w, struct slice name)
{
	for (unsigned i = 0; i < w->nctes; i++)
		if (slice_ieq(w->ctes[i], name))
			return true;
	return false;
}

static void command(struct walk *w, struct slice word)
{
	if (w->d->operation.len == 0)
		w->d->operation = word;
	add(w->d, word);
}

static void finish_pending(struct walk *w)
{
	struct slice name = unquote(w->pending);

	w->pending = SLICE_NONE;
	w->after_dot = false;
	if (name.len == 0 || is_cte(w, name))
		return;
	add(w->d, name);
	if (slice_ieq(w->d->operation, SLICE_LIT("call")))
		return; /* a procedure, not a table */
	if (w->calls) {
		w->calls = false;
		w->utility = true;
		return;
	}
	if (w->d->targets++ == 0)
		w->d->collection = name;
	else if (!slice_eq(name, w->d->collection))
		w->several = true;
}

static const char *const utilities[] = { "begin", "start", "commit", "rollback", "savepoint", "release", "set", "show", "reset", "discard", "listen",
	"notify", "unlisten", "grant", "revoke", "prepare", "execute", "deallocate", "declare", "fetch", "move", "close", "do", "checkpoint", "load", "end",
	"abort", "use", "kill", "flush", "explain", "describe", "desc", "pragma", "attach", "detach", "reassign", "security", NULL };
static const char *const objects[] = { "create", "drop", "alter", "comment", "refresh", "reindex", NULL };
static const char *const tables[] = { "replace", "truncate", "lock", "copy", "analyze", "vacuum", "cluster", "call", NULL };
/* Of these, what Transact-SQL takes for a procedure's name, with words for texts behind it. */
static const char *const no_tsql[] = { "replace", "lock", "copy", "analyze", "vacuum", "cluster", "call", "comment", "refresh", "reindex", NULL };
static const char *const listing[] = { "truncate", "lock", "drop", NULL }; /* take several tables */
static const char *const noise[] = { "only", "if", "not", "exists", "lateral", "table", "into", "ignore", "low_priority", "delayed", "concurrently", "full",
	"verbose", "freeze", "analyze", "quick", NULL };
static const char *const conflicts[] = { "or", "rollback", "abort", "replace", "fail", NULL }; /* SQLite: INSERT OR REPLACE INTO */
static const char *const object_kinds[] = { "table", "index", "view", "database", "schema", "function", "procedure", "role", "user", "sequence", "type",
	"trigger", "extension", "domain", "aggregate", "tablespace", "publication", "subscription", "policy", "rule", "column", NULL };
static const char *const from_ends[] = { "where", "group", "order", "having", "limit", "offset", "set", "returning", "values", "union", "intersect",
	"except", "window", "for", "fetch", "select", "when", NULL };

/* The first word of a statement, or of a parenthesis in one. True if it was a command. */
static bool first_word(struct walk *w, struct slice word)
{
	if (slice_ieq(word, SLICE_LIT("with"))) {
		w->expect = EXPECT_CTE;
		w->in_with = true;
		w->with_depth = w->depth;
		return true;
	}
	if (slice_ieq(word, SLICE_LIT("update")) || slice_ieq(word, SLICE_LIT("insert")) || slice_ieq(word, SLICE_LIT("merge"))) {
		command(w, word);
		w->inserts = w->lex.dialect == SQL_CLICKHOUSE && ascii_lower(word.ptr[0]) == 'i';
		if (ascii_lower(word.ptr[0]) == 'u')
			w->may_from |= bit(w->depth);
		w->expect = EXPECT_TABLE;
		return true;
	}
	if (slice_ieq(word, SLICE_LIT("delete"))) {
		command(w, word);
		w->may_from |= bit(w->depth);
		return true;
	}
	if (w->depth > 0)
		return false;
	if (w->lex.dialect == SQL_TSQL && one_of(word, no_tsql))
		return false;
	if (one_of(word, utilities)) {
		command(w, word);
		/* What EXPLAIN, PREPARE and DECLARE carry is a statement that runs: it is summed up like one. */
		w->utility = !slice_ieq(word, SLICE_LIT("explain")) && !slice_ieq(word, SLICE_LIT("prepare")) && !slice_ieq(word, SLICE_LIT("declare"));
		return true;
	}
	if (one_of(word, objects)) {
		command(w, word);
		w->expect = EXPECT_OBJECT;
		return true;
	}
	if (one_of(word, tables) && !slice_ieq(w->d->operation, SLICE_LIT("explain"))) {
		command(w, word);
		if (one_of(word, listing))
			w->in_from |= bit(0);
		w->expect = EXPECT_TABLE;
		return true;
	}
	return false;
}

/* CREATE UNIQUE INDEX: the kind is told, and then the name. */
static void object_word(struct walk *w, struct slice word)
{
	if (!one_of(word, object_kinds))
		return;
	add(w->d, word);
	w->expect = slice_ieq(word, SLICE_LIT("table")) || slice_ieq(word, SLICE_LIT("view")) ? EXPECT_TABLE : EXPECT_NOTHING;
	if (w->expect == EXPECT_NOTHING)
		w->utility = true;
	else if (one_of(w->d->operation, listing))
		w->in_from |= bit(0);
}

static void name(struct walk *w, struct slice s)
{
	if (w->expect == EXPECT_CTE) {
		if (w->nctes < CTES_MAX)
			w->ctes[w->nctes++] = unquote(s);
	} else {
		w->pending = s;
		w->pending_source = w->expect == EXPECT_SOURCE;
	}
	w->expect = EXPECT_NOTHING;
}

/* Words that open a place for names, wherever they stand. True if it was one. */
static bool clause_word(struct walk *w, struct slice word)
{
	if (slice_ieq(word, SLICE_LIT("from"))) {
		if (!(w->may_from & bit(w->depth)) || slice_ieq(w->previous, SLICE_LIT("distinct")))
			return true;
		w->may_from &= ~bit(w->depth);
		w->in_from |= bit(w->depth);
		w->expect = EXPECT_SOURCE;
		return true;
	}
	if (slice_ieq(word, SLICE_LIT("join")) && (w->in_from & bit(w->depth))) {
		if (w->lex.dialect == SQL_CLICKHOUSE && slice_ieq(w->previous, SLICE_LIT("array")))
			return true; /* with a column */
		w->expect = EXPECT_SOURCE;
		return true;
	}
	if (w->lex.dialect != SQL_CQL && slice_ieq(word, SLICE_LIT("using")) && (slice_ieq(w->d->operation, SLICE_LIT("merge")) || slice_ieq(w->d->operation, SLICE_LIT("delete")))) {
		w->expect = EXPECT_SOURCE; /* JOIN … USING (a) has no name behind it */
		return true;
	}
	if (slice_ieq(word, SLICE_LIT("select"))) {
		command(w, word);
		w->may_from |= bit(w->depth);
		w->in_from &= ~bit(w->depth);
		w->expect = EXPECT_NOTHING;
		return true;
	}
	if (one_of(word, from_ends)) {
		w->in_from &= ~bit(w->depth);
		w->expect = EXPECT_NOTHING;
		return true;
	}
	return false;
}

/* EXPLAIN …, EXPLAIN ANALYZE …, PREPARE x AS …, CREATE TABLE x AS … */
static bool command_follows(const struct walk *w)
{
	struct slice op = w->d->operation;

	if (slice_ieq(op, SLICE_LIT("explain")))
		return slice_ieq(w->previous, op) || slice_ieq(w->previous, SLICE_LIT("analyze")) || slice_ieq(w->previous, SLICE_LIT("verbose"));
	return slice_ieq(w->previous, SLICE_LIT("as")) && (slice_ieq(op, SLICE_LIT("prepare")) || slice_ieq(op, SLICE_LIT("create")));
}

/* A reserved word: a statement begins, and behind the name of what is called nothing names a table. */
static void call(struct walk *w)
{
	w->may_from = w->in_from = 0;
	w->in_with = false;
	w->calls = true;
	w->expect = EXPECT_TABLE;
}

static void on_word(struct walk *w, struct slice word)
{
	bool start = w->start || (w->in_with && w->depth == w->with_depth);

	w->start = false;
	if (w->lex.dialect == SQL_CQL && slice_ieq(word, SLICE_LIT("batch")) && slice_ieq(w->d->operation, SLICE_LIT("begin"))) {
		w->utility = false;
		w->start = true; /* BEGIN BATCH INSERT … */
		return;
	}
	if (w->utility)
		return;
	if (sql_token_calls(w->lex.dialect, SQL_WORD, word)) {
		command(w, word);
		call(w);
		return;
	}
	if (w->expect == EXPECT_CTE) {
		if (!slice_ieq(word, SLICE_LIT("recursive")))
			name(w, word);
		return;
	}
	start = start || command_follows(w);
	if (start && w->expect == EXPECT_NOTHING && first_word(w, word)) {
		w->in_with = w->expect == EXPECT_CTE || (w->in_with && w->depth != w->with_depth);
		return;
	}
	if (w->expect == EXPECT_OBJECT) {
		object_word(w, word);
		return;
	}
	if ((w->expect == EXPECT_TABLE || w->expect == EXPECT_SOURCE) && (one_of(word, noise) || (w->lex.dialect == SQL_SQLITE && one_of(word, conflicts))))
		return;
	if (clause_word(w, word)) {
		if (slice_ieq(word, SLICE_LIT("select")) && w->in_with && w->depth == w->with_depth)
			w->in_with = false;
		return;
	}
	if (w->expect != EXPECT_NOTHING)
		name(w, word);
}

static void on_punct(struct walk *w, uint8_t c)
{
	switch (c) {
	case '(':
		w->depth++;
		w->may_from &= ~bit(w->depth);
		w->in_from &= ~bit(w->depth);
		/* FROM (a JOIN b …): names go on inside */
		if (w->expect == EXPECT_SOURCE)
			w->in_from |= bit(w->depth);
		else
			w->expect = EXPECT_NOTHING;
		w->start = true;
		return;
	case ')':
		if (w->depth > 0)
			w->depth--;
		w->expect = EXPECT_NOTHING;
		w->start = w->depth == 0 && w->d->targets == 0 && slice_ieq(w->d->operation, SLICE_LIT("explain"));
		return;
	case ',':
		if (w->in_with && w->depth == w->with_depth)
			w->expect = EXPECT_CTE;
		else
			w->expect = w->in_from & bit(w->depth) ? EXPECT_SOURCE : EXPECT_NOTHING;
		return;
	case ';':
		w->depth = 0;
		w->may_from = w->in_from = 0;
		w->expect = EXPECT_NOTHING;
		w->utility = w->in_with = w->calls = false;
		w->start = true;
		w->nctes = 0;
		return;
	default:
		w->start = false;
	}
}

/*
 * A name is whole once something other than a dot or the name behind a dot comes; only without space between, because a name is
 * a view of the text and a comment must not be in it. True if the token belonged to it.
 */
static bool extend_pending(struct walk *w, struct sql_token t, struct slice s)
{
	if (w->pending.len == 0)
		return false;
	const uint8_t *end = w->pending.ptr + w->pending.len;
	if (!w->after_dot && t.kind == SQL_PUNCT && s.ptr[0] == '.' && s.ptr == end) {
		w->after_dot = true;
		return true;
	}
	if (w->after_dot && (t.kind == SQL_WORD || t.kind == SQL_QUOTED) && s.ptr == end + 1) {
		w->pending.len += 1 + s.len;
		w->after_dot = false;
		return true;
	}
	if (t.kind == SQL_PUNCT && s.ptr[0] == '(' && w->pending_source)
		w->pending = SLICE_NONE; /* generate_series(…) */
	finish_pending(w);
	return false;
}

static void on_token(struct walk *w, struct sql_token t, struct slice s)
{
	if (extend_pending(w, t, s))
		return;
	switch (t.kind) {
	case SQL_WORD:
		on_word(w, s);
		w->previous = s;
		return;
	case SQL_QUOTED:
		w->start = false;
		if (!w->utility && w->expect != EXPECT_NOTHING && w->expect != EXPECT_OBJECT)
			name(w, s);
		break;
	case SQL_PUNCT:
		on_punct(w, s.ptr[0]);
		break;
	case SQL_LITERAL:
	case SQL_PLACEHOLDER:
		w->start = false;
		w->expect = EXPECT_NOTHING;
		if (!w->utility && sql_token_calls(w->lex.dialect, t.kind, s))
			call(w);
		break;
	case SQL_SPACE:
	case SQL_END:
		break;
	}
	w->previous = SLICE_NONE;
}

void sql_describe(struct slice sql, enum sql_dialect dialect, struct sql_description *ret)
{
	struct walk w = { .d = ret, .start = true };

	*ret = (struct sql_description){ 0 };
	sql_lex_init(&w.lex, sql, dialect);
	for (;;) {
		struct sql_token t = sql_lex_next(&w.lex);

		if (t.kind == SQL_SPACE)
			continue;
		if (t.kind == SQL_END)
			break;
		if (w.inserts && t.kind == SQL_WORD && slice_ieq(sql_token_slice(&w.lex, t), SLICE_LIT("format")))
			break; /* data follow */
		on_token(&w, t, sql_token_slice(&w.lex, t));
	}
	finish_pending(&w);
	if (w.several)
		ret->collection = SLICE_NONE;
	ret->summary[SQL_SUMMARY_MAX] = 0;
	ret->summary[ret->summary_len] = 0;
}
