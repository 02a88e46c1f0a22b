/* SPDX-License-Identifier: Apache-2.0 */
/* Redaction of SQL text; the summary is sql_summary.c. */
#include "span/sql.h"

#include "span/sql_secret.h"

enum { DEPTH_MAX = 32 }; /* parentheses nested deeper are redacted like others, not collapsed */

/* What the latest tokens were, for collapsing lists. */
enum last {
	LAST_OTHER,
	LAST_IN,            /* IN */
	LAST_VALUES,        /* VALUES */
	LAST_LITERAL,
	LAST_LITERAL_COMMA, /* in a list: a further literal is dropped with this comma */
	LAST_ROW_COMMA,     /* ") ," in a list of rows */
	LAST_COMMA,
	LAST_OPEN,          /* ( */
	LAST_CLOSE_ROW,     /* ) of a list */
};

/* Where the walk is in a statement, for values that read like names. */
enum clause {
	CLAUSE_START,     /* no token of the statement yet */
	CLAUSE_OTHER,
	CLAUSE_CREATE,    /* what is created is to come */
	CLAUSE_ALTER,     /* a SET may follow; of functions and procedures in CREATE, too */
	CLAUSE_SET,       /* its =, TO or TIME ZONE is to come; never that of UPDATE, which holds columns */
	CLAUSE_VALUE,     /* what is set, up to the semicolon */
	CLAUSE_PRAGMA,    /* its = or its arguments may follow: of some it is a key */
	CLAUSE_EXECUTE,   /* a name may follow */
	CLAUSE_NAME,      /* its arguments may follow */
	CLAUSE_ARGUMENTS, /* up to their closing parenthesis */
	CLAUSE_INSERT,    /* ClickHouse's: a FORMAT may follow, and data in it */
	CLAUSE_FORMAT,    /* its name is to come */
	CLAUSE_DATA,      /* up to the end */
	CLAUSE_VARIABLE,  /* Transact-SQL: it holds the name of what is called, or, where = follows, takes what that returns */
	CLAUSE_CALLED,    /* Transact-SQL: a procedure's name has been begun */
	CLAUSE_BARE,      /* its arguments, which may be words that are values, up to the semicolon */
};

/* One level of parentheses. */
struct level {
	bool list;        /* IN (…), VALUES (…), […], or a row of one of them */
	bool rows;        /* rows follow each other at this level */
	bool have_row;    /* row_from .. row_to is the latest row written */
	size_t open;      /* where in the output the parenthesis of this level stands */
	size_t row_from, row_to;
};

struct redactor {
	enum sql_dialect dialect;
	char *out;
	size_t cap, len;
	bool full;
	bool space;         /* a blank is due before the next token */
	enum last last;
	enum clause clause;
	struct sql_secret secret;
	size_t nested;      /* parentheses open within CLAUSE_ARGUMENTS */
	size_t literal_end; /* output length behind the latest literal */
	size_t depth;
	struct level levels[DEPTH_MAX];
};

static struct level *level_at(struct redactor *r)
{
	return r->depth < DEPTH_MAX ? &r->levels[r->depth] : NULL;
}

static void put(struct redactor *r, struct slice s)
{
	if (r->full)
		return;
	if (s.len > r->cap - r->len) {
		s.len = r->cap - r->len;
		r->full = true;
		/* Bytes 10xxxxxx go on with a character: cut before its first byte. */
		while (s.len > 0 && (s.ptr[s.len] & 0xc0) == 0x80)
			s.len--;
	}
	if (s.len)
		memcpy(r->out + r->len, s.ptr, s.len);
	r->len += s.len;
}

static void put_token(struct redactor *r, struct slice s)
{
	if (r->space && r->len > 0)
		put(r, SLICE_LIT(" "));
	r->space = false;
	put(r, s);
}

/* Takes back what was written behind `to`. */
static void cut(struct redactor *r, size_t to)
{
	if (r->full)
		return; /* the end of the output is reached: what is there stays */
	r->len = to;
	r->space = false;
}

static void redact_literal(struct redactor *r)
{
	struct level *v = level_at(r);

	if (v && v->list && r->last == LAST_LITERAL_COMMA) {
		cut(r, r->literal_end);
	} else if (r->last == LAST_LITERAL) {
		r->space = false; /* 'a' 'b' is one string */
	} else {
		put_token(r, SLICE_LIT("?"));
		r->literal_end = r->len;
	}
	r->last = LAST_LITERAL;
}

static void redact_open(struct redactor *r, struct slice s)
{
	struct level *outer = level_at(r);
	bool row = outer && (r->last == LAST_VALUES || (r->last == LAST_ROW_COMMA && outer->rows) ||
			     (outer->list && (r->last == LAST_OPEN || r->last == LAST_COMMA || r->last == LAST_ROW_COMMA)));
	bool list = s.ptr[0] == '[' || r->last == LAST_IN || row;

	if (outer) {
		if (row && r->last != LAST_ROW_COMMA)
			outer->have_row = false;
		outer->rows = row;
	}
	put_token(r, s);
	r->depth++;
	struct level *v = level_at(r);
	if (v)
		*v = (struct level){ .list = list, .open = r->len - (r->full ? 0 : 1) };
	r->last = LAST_OPEN;
}

/* A row that reads like the one before it is dropped. */
static void redact_close(struct redactor *r, struct slice s)
{
	struct level *v = level_at(r);
	bool list = v && v->list;
	size_t from = v ? v->open : 0;

	put_token(r, s);
	r->last = LAST_OTHER;
	if (r->depth == 0)
		return;
	r->depth--;
	struct level *outer = level_at(r);
	if (!list || !outer || !outer->rows || r->full)
		return;
	size_t n = r->len - from;
	if (outer->have_row && outer->row_to - outer->row_from == n && memcmp(r->out + outer->row_from, r->out + from, n) == 0) {
		cut(r, outer->row_to);
	} else {
		outer->have_row = true;
		outer->row_from = from;
		outer->row_to = r->len;
	}
	r->last = LAST_CLOSE_ROW;
}

static void redact_punct(struct redactor *r, struct slice s)
{
	switch (s.ptr[0]) {
	case '(':
	case '[':
		redact_open(r, s);
		return;
	case ')':
	case ']':
		redact_close(r, s);
		return;
	case ',':
		put_token(r, s);
		r->last = r->last == LAST_LITERAL ? LAST_LITERAL_COMMA : r->last == LAST_CLOSE_ROW ? LAST_ROW_COMMA : LAST_COMMA;
		return;
	default:
		put_token(r, s);
		r->last = LAST_OTHER;
	}
}

/* Is the token part of a value, whatever it reads like? */
static bool is_hidden(struct redactor *r, struct slice s)
{
	if (r->clause == CLAUSE_DATA)
		return true;
	if (r->clause == CLAUSE_VALUE)
		return s.ptr[0] != ';';
	if (r->clause == CLAUSE_VARIABLE && s.ptr[0] != '=')
		r->clause = CLAUSE_BARE;
	if (r->clause == CLAUSE_CALLED && s.ptr[0] != '.')
		r->clause = s.ptr[0] == '(' ? CLAUSE_OTHER : CLAUSE_BARE;
	if (r->clause == CLAUSE_BARE)
		return s.ptr[0] != ';' && s.ptr[0] != '@' && s.ptr[0] != '=' && s.ptr[0] != ',';
	if (r->clause != CLAUSE_ARGUMENTS)
		return false;
	if (s.ptr[0] == '(')
		r->nested++;
	if (s.ptr[0] != ')')
		return true;
	if (r->nested == 0) {
		r->clause = CLAUSE_OTHER;
		return false;
	}
	r->nested--;
	return true;
}

/* Words that Transact-SQL's statements begin with. Another one at the start of a batch is a procedure's name. */
static bool begins_statement(struct slice word)
{
	static const char *const words[] = { "select", "insert", "update", "delete", "merge", "declare", "set", "use", "create", "alter", "drop", "begin", "commit", "rollback", "save", "if", "while",
		"with", "truncate", "print", "waitfor", "grant", "revoke", "deny", "return", "throw", "raiserror", "open", "close", "fetch", "deallocate", "dbcc", "backup", "restore", "bulk", "go", "goto",
		"kill", "checkpoint", "shutdown", "end", "else", "break", "continue", "updatetext", "writetext", "readtext", "reconfigure", "disable", "enable", "add", "receive", "send", NULL };

	for (size_t i = 0; words[i]; i++)
		if (slice_ieq(word, slice_str(words[i])))
			return true;
	return false;
}

/* EXEC name, EXEC @status = name, EXEC ('text'): what stands behind the name, or what is none of it. */
static enum clause called_clause(const struct redactor *r, enum sql_token_kind kind, struct slice s)
{
	bool name = kind == SQL_WORD || kind == SQL_QUOTED;

	if (s.ptr[0] == '(')
		return CLAUSE_OTHER;
	if (s.ptr[0] == '.' || r->clause == CLAUSE_VARIABLE)
		return CLAUSE_EXECUTE;
	if (r->clause == CLAUSE_EXECUTE && kind == SQL_WORD && s.ptr[0] == '@')
		return CLAUSE_VARIABLE;
	return name && r->clause == CLAUSE_EXECUTE ? CLAUSE_CALLED : CLAUSE_BARE;
}

/* The clause behind a token that is shown. */
static enum clause next_clause(const struct redactor *r, enum sql_token_kind kind, struct slice s)
{
	struct slice word = kind == SQL_WORD ? s : SLICE_NONE;

	if (s.ptr[0] == ';' && r->clause != CLAUSE_FORMAT)
		return CLAUSE_START;
	if (sql_token_calls(r->dialect, kind, s))
		return CLAUSE_EXECUTE;
	if (r->dialect == SQL_TSQL && r->clause == CLAUSE_START && kind == SQL_LITERAL) /* EXEC procedure;1 word: one of several of its name */
		return CLAUSE_BARE;
	if (r->dialect == SQL_TSQL && (r->clause == CLAUSE_EXECUTE || r->clause == CLAUSE_VARIABLE || r->clause == CLAUSE_CALLED))
		return called_clause(r, kind, s);
	switch (r->clause) {
	case CLAUSE_START:
		if (r->dialect == SQL_TSQL && (kind == SQL_QUOTED || (word.len && !begins_statement(word))))
			return CLAUSE_CALLED;
		if (r->dialect == SQL_TSQL && s.ptr[0] == '.') /* of the database in use */
			return CLAUSE_EXECUTE;
		if (slice_ieq(word, SLICE_LIT("set")))
			return CLAUSE_SET;
		if (slice_ieq(word, SLICE_LIT("alter")))
			return CLAUSE_ALTER;
		if (slice_ieq(word, SLICE_LIT("create")))
			return CLAUSE_CREATE;
		if (r->dialect == SQL_CLICKHOUSE && slice_ieq(word, SLICE_LIT("insert")))
			return CLAUSE_INSERT;
		if (slice_ieq(word, SLICE_LIT("pragma")))
			return CLAUSE_PRAGMA;
		return slice_ieq(word, SLICE_LIT("execute")) ? CLAUSE_EXECUTE : CLAUSE_OTHER;
	case CLAUSE_PRAGMA:
		return s.ptr[0] == '=' ? CLAUSE_VALUE : s.ptr[0] == '(' ? CLAUSE_ARGUMENTS : CLAUSE_PRAGMA;
	case CLAUSE_CREATE:
		if (slice_ieq(word, SLICE_LIT("or")) || slice_ieq(word, SLICE_LIT("replace")))
			return CLAUSE_CREATE;
		return slice_ieq(word, SLICE_LIT("function")) || slice_ieq(word, SLICE_LIT("procedure")) ? CLAUSE_ALTER : CLAUSE_OTHER;
	case CLAUSE_OTHER: /* EXPLAIN EXECUTE, CREATE TABLE … AS EXECUTE */
		return slice_ieq(word, SLICE_LIT("execute")) ? CLAUSE_EXECUTE : CLAUSE_OTHER;
	case CLAUSE_ALTER:
		return slice_ieq(word, SLICE_LIT("set")) ? CLAUSE_SET : CLAUSE_ALTER;
	case CLAUSE_SET:
		if (r->depth == 0 && (s.ptr[0] == '=' || slice_ieq(word, SLICE_LIT("to")) || slice_ieq(word, SLICE_LIT("zone"))))
			return CLAUSE_VALUE;
		return CLAUSE_SET;
	case CLAUSE_EXECUTE:
		return kind == SQL_WORD || kind == SQL_QUOTED ? CLAUSE_NAME : CLAUSE_OTHER;
	case CLAUSE_NAME:
		return s.ptr[0] == '(' ? CLAUSE_ARGUMENTS : CLAUSE_OTHER;
	case CLAUSE_INSERT:
		return slice_ieq(word, SLICE_LIT("format")) ? CLAUSE_FORMAT : CLAUSE_INSERT;
	case CLAUSE_FORMAT:
		return CLAUSE_DATA;
	case CLAUSE_VALUE:
	case CLAUSE_ARGUMENTS:
	case CLAUSE_DATA:
	case CLAUSE_VARIABLE:
	case CLAUSE_CALLED:
	case CLAUSE_BARE:
		break;
	}
	return r->clause;
}

size_t sql_redact(struct slice sql, enum sql_dialect dialect, char *out, size_t cap)
{
	struct redactor r = { .dialect = dialect, .out = out, .cap = cap };
	struct sql_lex l;

	sql_lex_init(&l, sql, dialect);
	while (!r.full) {
		struct sql_token t = sql_lex_next(&l);
		struct slice s = sql_token_slice(&l, t);

		bool secret = t.kind != SQL_END && sql_secret_hides(&r.secret, dialect, t.kind, s);
		if (t.kind != SQL_END && t.kind != SQL_SPACE) {
			if (is_hidden(&r, s) || secret)
				t.kind = SQL_LITERAL; /* what stands next to each other is one */
			else
				r.clause = next_clause(&r, t.kind, s);
		}
		switch (t.kind) {
		case SQL_END:
			return r.len;
		case SQL_SPACE:
			r.space = true;
			break;
		case SQL_LITERAL:
			redact_literal(&r);
			break;
		case SQL_PUNCT:
			redact_punct(&r, s);
			break;
		case SQL_WORD:
		case SQL_QUOTED:
		case SQL_PLACEHOLDER:
			put_token(&r, s);
			r.last = slice_ieq(s, SLICE_LIT("in")) ? LAST_IN : slice_ieq(s, SLICE_LIT("values")) ? LAST_VALUES : LAST_OTHER;
			break;
		}
	}
	return r.len;
}
