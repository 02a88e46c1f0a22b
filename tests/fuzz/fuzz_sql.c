/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No literal survives: of hostile SQL neither text, summary nor names show anything that the server takes for a value or a comment. The
 * judge is a second, plain reading of the text by the servers' own rules, once for each way in which a server may be set up
 * (PostgreSQL 15 src/backend/parser/scan.l, with standard_conforming_strings on and off; MySQL 8.0 manual, 9.1, 9.7; Transact-SQL reference,
 * "Constants", "Database identifiers", "EXECUTE", "Reserved keywords"; SQLite 3, lang_expr.html, quirks.html). The first byte chooses the dialect and cuts the output.
 */
#include "fuzz/fuzz.h"

#include "span/sql.h"
#include "span/statement.h"

enum { SQL_MAX = 2048 };

struct reading {
	struct slice in;
	size_t at;
	bool mysql, cql, clickhouse, sqlite, backslash; /* '\' escapes in plain strings */
	bool secret[SQL_MAX];
	uint8_t previous; /* SQLite: the last byte of the token before */
};

static uint8_t look(const struct reading *r, size_t ahead) { return r->in.len - r->at > ahead ? r->in.ptr[r->at + ahead] : 0; }
static bool digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool letter(uint8_t c) { return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' || c >= 0x80; }

static void pass(struct reading *r, size_t n, bool secret)
{
	for (; n && r->at < r->in.len; n--)
		r->secret[r->at++] = secret;
}

static void string(struct reading *r, bool escapes, bool secret)
{
	uint8_t quote = look(r, 0);

	pass(r, 1, secret);
	while (r->at < r->in.len) {
		if (escapes && look(r, 0) == '\\') {
			pass(r, 2, secret);
		} else if (look(r, 0) == quote && look(r, 1) == quote) {
			pass(r, 2, secret);
		} else if (look(r, 0) == quote) {
			pass(r, 1, secret);
			return;
		} else {
			pass(r, 1, secret);
		}
	}
}

static void comment(struct reading *r)
{
	size_t depth = 0;

	do {
		if (look(r, 0) == '/' && look(r, 1) == '*' && (depth == 0 || (!r->mysql && !r->cql && !r->clickhouse && !r->sqlite))) {
			depth++;
			pass(r, 2, true);
		} else if (r->clickhouse && look(r, 0) == '/' && look(r, 1) == '*') { /* some servers nest them */
			pass(r, r->in.len - r->at, true);
		} else if (look(r, 0) == '*' && look(r, 1) == '/') {
			depth--;
			pass(r, 2, true);
		} else {
			pass(r, 1, true);
		}
	} while (depth && r->at < r->in.len);
}

static bool dollar_quote(struct reading *r)
{
	size_t tag = 1;

	while (r->clickhouse ? r->in.len - r->at > tag && look(r, tag) != '$' : letter(look(r, tag)) || (tag > 1 && digit(look(r, tag))))
		tag++;
	if (look(r, tag) != '$' && r->clickhouse) {
		pass(r, r->in.len - r->at, true);
		return true;
	}
	if (look(r, tag) != '$')
		return false;
	struct slice mark = slice_make(r->in.ptr + r->at, tag + 1);
	pass(r, mark.len, true);
	while (r->at < r->in.len && !slice_starts(slice_from(r->in, r->at), mark))
		pass(r, 1, true);
	pass(r, mark.len, true);
	return true;
}

/* Quotes of typographers, which close by others. */
static bool curly(const struct reading *r, size_t n)
{
	return r->clickhouse && look(r, n) == 0xe2 && look(r, n + 1) == 0x80 && (look(r, n + 2) == 0x98 || look(r, n + 2) == 0x9c);
}

static void curly_quoted(struct reading *r)
{
	const uint8_t close[] = { 0xe2, 0x80, (uint8_t)(look(r, 2) + 1) };

	pass(r, 3, true);
	while (r->at < r->in.len && !slice_starts(slice_from(r->in, r->at), slice_make(close, sizeof(close))))
		pass(r, 1, true);
	pass(r, 3, true);
}

static void word(struct reading *r)
{
	size_t n = 0;

	while ((letter(look(r, n)) || digit(look(r, n)) || look(r, n) == '$') && !curly(r, n))
		n++;
	uint8_t first = ascii_lower(look(r, 0));
	if (!r->mysql && !r->clickhouse && !r->sqlite && n == 1 && first == 'u' && look(r, 1) == '&' && (look(r, 2) == '\'' || look(r, 2) == '"')) {
		pass(r, 2, false);
		string(r, false, look(r, 0) == '\'');
		return;
	}
	bool prefix = n == 1 && look(r, 1) == '\'';
	pass(r, n, false);
	if (prefix && !r->mysql && ((first == 'e' && !r->clickhouse && !r->sqlite) || (first == 'b' && !r->sqlite) || first == 'x'))
		string(r, first == 'e', true);
}

/* SQLite: behind an operator "text" is one, unless it is the table that a column is of. */
static void doubtful(struct reading *r)
{
	size_t from = r->at;

	string(r, false, false);
	if (r->previous && strchr("=<>|+-*/%", r->previous) && look(r, 0) != '.')
		memset(r->secret + from, true, r->at - from);
}

static void read_sql(struct reading *r)
{
	while (r->at < r->in.len) {
		uint8_t c = look(r, 0);
		bool space = c <= ' ' || c == 0x7f;

		if (c == '/' && look(r, 1) == '*') {
			comment(r);
			space = true;
		} else if ((c == '-' && look(r, 1) == '-' && (!r->mysql || r->in.len - r->at == 2 || look(r, 2) <= ' ' || look(r, 2) == 0x7f)) || ((r->mysql || r->clickhouse) && c == '#') || ((r->cql || r->clickhouse) && c == '/' && look(r, 1) == '/')) {
			while (r->at < r->in.len && look(r, 0) != '\n' && (r->mysql || r->clickhouse || r->sqlite || look(r, 0) != '\r'))
				pass(r, 1, true);
			space = true;
		} else if (c == '\'' || (c == '"' && r->mysql)) {
			string(r, r->backslash, true);
		} else if (r->sqlite && (c == '?' || c == ':' || c == '@' || c == '$')) { /* a parameter */
			do
				pass(r, 1, false);
			while (digit(look(r, 0)) || (c != '?' && (letter(look(r, 0)) || look(r, 0) == '$')));
		} else if (r->sqlite && c == '[') {
			do
				pass(r, 1, false);
			while (r->at < r->in.len && look(r, 0) != ']');
			pass(r, 1, false);
		} else if (c == '"' && r->sqlite) {
			doubtful(r);
		} else if (c == '"' || (c == '`' && (r->mysql || r->clickhouse || r->sqlite))) {
			string(r, r->clickhouse, false);
		} else if (curly(r, 0)) {
			curly_quoted(r);
		} else if (c == '$' && !r->mysql && dollar_quote(r)) {
			continue;
		} else if (letter(c)) {
			word(r);
		} else if (digit(c)) {
			while (digit(look(r, 0)) || (look(r, 0) == '.' && digit(look(r, 1))))
				pass(r, 1, true);
		} else if (c == '$' && digit(look(r, 1))) {
			pass(r, 1, false);
			while (digit(look(r, 0)))
				pass(r, 1, false);
		} else {
			pass(r, 1, false);
		}
		if (!space)
			r->previous = r->in.ptr[r->at - 1];
	}
}

/* --- Transact-SQL, whose calls take words for texts --- */

static bool in_list(struct slice word, const char *const *list)
{
	for (; *list; list++)
		if (slice_ieq(word, slice_str(*list)))
			return true;
	return false;
}

/* What no procedure is called by without quotes, and words that begin statements although they are not reserved. */
static const char *const reserved[] = {
	"add", "all", "alter", "and", "any", "as", "asc", "authorization", "backup", "begin", "between", "break", "browse", "bulk", "by", "cascade", "case", "check", "checkpoint", "close", "clustered",
	"coalesce", "collate", "column", "commit", "compute", "constraint", "contains", "containstable", "continue", "convert", "create", "cross", "current", "cursor", "database", "dbcc", "deallocate",
	"declare", "default", "delete", "deny", "desc", "disk", "distinct", "distributed", "double", "drop", "dump", "else", "end", "errlvl", "escape", "except", "exec", "execute", "exists", "exit",
	"external", "fetch", "file", "fillfactor", "for", "foreign", "freetext", "from", "full", "function", "goto", "grant", "group", "having", "holdlock", "identity", "if", "in", "index", "inner",
	"insert", "intersect", "into", "is", "join", "key", "kill", "left", "like", "lineno", "load", "merge", "national", "nocheck", "nonclustered", "not", "null", "nullif", "of", "off", "offsets",
	"on", "open", "option", "or", "order", "outer", "over", "percent", "pivot", "plan", "precision", "primary", "print", "proc", "procedure", "public", "raiserror", "read", "readtext",
	"reconfigure", "references", "replication", "restore", "restrict", "return", "revert", "revoke", "right", "rollback", "rowcount", "rule", "save", "schema", "select", "set", "setuser",
	"shutdown", "some", "statistics", "system_user", "table", "tablesample", "textsize", "then", "to", "top", "tran", "transaction", "trigger", "truncate", "tsequal", "union", "unique",
	"unpivot", "update", "updatetext", "use", "user", "values", "varying", "view", "waitfor", "when", "where", "while", "with", "writetext",
	"disable", "enable", "get", "go", "move", "receive", "send", "throw", NULL,
};

static bool ts_letter(uint8_t c) { return letter(c) || c == '@' || c == '#'; }

static size_t ts_word_length(const struct reading *r)
{
	size_t n = 0;

	if (ts_letter(look(r, 0)))
		while (ts_letter(look(r, n)) || digit(look(r, n)) || look(r, n) == '$')
			n++;
	return n;
}

static void ts_space(struct reading *r)
{
	while (r->at < r->in.len) {
		uint8_t c = look(r, 0);

		if (c == '/' && look(r, 1) == '*')
			comment(r);
		else if (c == '-' && look(r, 1) == '-')
			while (r->at < r->in.len && look(r, 0) != '\n')
				pass(r, 1, true);
		else if (c <= ' ')
			pass(r, 1, false);
		else
			return;
	}
}

static void ts_name(struct reading *r)
{
	for (pass(r, 1, false); r->at < r->in.len; pass(r, 1, false)) {
		if (look(r, 0) != ']')
			continue;
		pass(r, 1, false);
		if (look(r, 0) != ']')
			return;
	}
}

/* Binary, or digits with a point and an exponent. */
static void ts_number(struct reading *r)
{
	bool binary = look(r, 0) == '0' && ascii_lower(look(r, 1)) == 'x';

	pass(r, binary ? 2 : 0, true);
	while (digit(look(r, 0)) || (binary ? ascii_lower(look(r, 0)) >= 'a' && ascii_lower(look(r, 0)) <= 'f' : look(r, 0) == '.'))
		pass(r, 1, true);
	if (!binary && ascii_lower(look(r, 0)) == 'e' && (digit(look(r, 1)) || ((look(r, 1) == '-' || look(r, 1) == '+') && digit(look(r, 2)))))
		for (pass(r, 2, true); digit(look(r, 0));)
			pass(r, 1, true);
}

/* Signs of money that letters are not: in front of a number, or alone. */
static size_t currency(const struct reading *r)
{
	if (look(r, 0) == 0xc2 && look(r, 1) >= 0xa2 && look(r, 1) <= 0xa5)
		return 2;
	return look(r, 0) == 0xe2 && look(r, 1) == 0x82 && look(r, 2) >= 0xa0 && look(r, 2) <= 0xbf ? 3 : 0;
}

/* One token that is no white space. As an argument a word is a text. */
static void ts_token(struct reading *r, bool argument)
{
	uint8_t c = look(r, 0);
	size_t n = ts_word_length(r);

	if (c == '\'' || c == '"') {
		string(r, false, true);
	} else if (c == '[') {
		ts_name(r);
	} else if (c == '$' && ts_letter(look(r, 1))) { /* $action and its like */
		pass(r, 1, false);
		pass(r, ts_word_length(r), argument);
	} else if (currency(r)) {
		pass(r, currency(r), false);
	} else if (n == 1 && ascii_lower(c) == 'n' && look(r, 1) == '\'') {
		pass(r, 1, false);
		string(r, false, true);
	} else if (n) {
		pass(r, n, argument && c != '@');
	} else if (digit(c) || (c == '.' && digit(look(r, 1)))) {
		ts_number(r);
	} else {
		pass(r, 1, false);
	}
}

static bool ts_is_name(const struct reading *r) { return ts_word_length(r) || look(r, 0) == '[' || look(r, 0) == '"'; }

/* A procedure's name and its number, if one is here, and the arguments up to what no comma stands in front of. */
static void ts_call(struct reading *r)
{
	for (bool variable = look(r, 0) == '@';; variable = false) {
		if ((!ts_is_name(r) && look(r, 0) != '.') || in_list(slice_make(r->in.ptr + r->at, ts_word_length(r)), reserved))
			return;
		if (ts_is_name(r))
			ts_token(r, false);
		ts_space(r);
		if (look(r, 0) != '.' && !(variable && look(r, 0) == '='))
			break;
		bool given = look(r, 0) == '=';
		pass(r, 1, false);
		ts_space(r);
		if (given) {
			ts_call(r);
			return;
		}
	}
	if (look(r, 0) == ';' && digit(look(r, 1))) {
		pass(r, 1, false);
		ts_number(r);
		ts_space(r);
	}
	for (;;) {
		size_t n = ts_word_length(r);
		bool sign = look(r, 0) == '-' || look(r, 0) == '+' || look(r, 0) == '$' || currency(r), value = n || sign || digit(look(r, 0)) || look(r, 0) == '\'' || look(r, 0) == '"' || look(r, 0) == '[' || look(r, 0) == '.';
		if (!value || in_list(slice_make(r->in.ptr + r->at, n), reserved))
			return;
		ts_token(r, true);
		ts_space(r);
		if (sign && r->at < r->in.len && digit(look(r, 0)))
			ts_number(r);
		if (n && look(r, 0) == '=') {
			pass(r, 1, false);
			ts_space(r);
			continue;
		}
		n = ts_word_length(r);
		if (slice_ieq(slice_make(r->in.ptr + r->at, n), SLICE_LIT("output")) || slice_ieq(slice_make(r->in.ptr + r->at, n), SLICE_LIT("out"))) {
			pass(r, n, false);
			ts_space(r);
		}
		if (look(r, 0) != ',')
			return;
		pass(r, 1, false);
		ts_space(r);
	}
}

static void read_tsql(struct reading *r)
{
	ts_space(r);
	/* A batch may begin with a procedure's name alone. */
	if (look(r, 0) != '@')
		ts_call(r);
	while (r->at < r->in.len) {
		size_t n = ts_word_length(r);
		struct slice word = slice_make(r->in.ptr + r->at, n);
		bool call = n && (slice_ieq(word, SLICE_LIT("exec")) || slice_ieq(word, SLICE_LIT("execute")));

		ts_token(r, false);
		ts_space(r);
		if (call)
			ts_call(r);
	}
}

static void check(struct slice sql, enum sql_dialect dialect, bool backslash, struct slice text, const struct sql_description *d)
{
	static struct reading r;

	r = (struct reading){ .in = sql, .mysql = dialect == SQL_MYSQL, .cql = dialect == SQL_CQL, .clickhouse = dialect == SQL_CLICKHOUSE, .sqlite = dialect == SQL_SQLITE, .backslash = backslash };
	if (dialect == SQL_TSQL)
		read_tsql(&r);
	else
		read_sql(&r);
	REQUIRE(!fuzz_leaks(text, sql, r.secret));
	REQUIRE(!fuzz_leaks(slice_make(d->summary, d->summary_len), sql, r.secret));
	REQUIRE(!fuzz_leaks(d->operation, sql, r.secret));
	REQUIRE(!fuzz_leaks(d->collection, sql, r.secret));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct statement_cache cache;
	struct slice in = slice_make(data, size);
	uint8_t choice = fuzz_byte(&in);
	enum sql_dialect dialect = choice & 1 ? SQL_MYSQL : choice & 4 ? SQL_CQL : choice & 8 ? SQL_CLICKHOUSE : choice & 32 ? SQL_TSQL : choice & 64 ? SQL_SQLITE : SQL_ANSI;
	size_t cap = choice & 2 ? choice : SQL_MAX + 2;
	struct sql_description d = { 0 };

	if (in.len > SQL_MAX)
		return 0;
	char *out = malloc(cap);
	uint8_t *copy = fuzz_copy(in);
	struct slice sql = slice_make(copy, in.len);
	REQUIRE(out != NULL);
	size_t n = sql_redact(sql, dialect, out, cap);
	REQUIRE(n <= cap && !memchr(out, 0, n));
	sql_describe(sql, dialect, &d);
	REQUIRE(d.summary_len <= SQL_SUMMARY_MAX);
	check(sql, dialect, dialect == SQL_MYSQL || dialect == SQL_CLICKHOUSE, slice_make(out, n), &d);
	if (dialect == SQL_ANSI)
		check(sql, dialect, true, slice_make(out, n), &d);

	const struct statement *s = statement_get(&cache, sql, dialect);
	if (s && cap > SQL_MAX) {
		struct slice cached = slice_make(s->text, s->text_len);
		REQUIRE(slice_eq(cached, slice_make(out, n < cached.len ? n : cached.len)) && s->description.summary_len == d.summary_len);
	}
	free(copy);
	free(out);
	return 0;
}
