/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sql_lex.h"

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(uint8_t c)
{
	uint8_t lower = ascii_lower(c);

	return (lower >= 'a' && lower <= 'z') || c == '_' || c >= 0x80;
}

static bool is_word(uint8_t c)
{
	return is_alpha(c) || is_digit(c) || c == '$';
}

/* In Transact-SQL names hold these two anywhere: @variable, #temporary. */
static bool is_mark(const struct sql_lex *l, uint8_t c) { return l->dialect == SQL_TSQL && (c == '@' || c == '#'); }

/* Control bytes count as space: they have no meaning in SQL and no place in an exported text. */
static bool is_space(uint8_t c)
{
	return c <= ' ' || c == 0x7f;
}

/* The byte `ahead` of the lexer, or 0 behind the end. */
static uint8_t peek(const struct sql_lex *l, size_t ahead)
{
	return l->in.len - l->at > ahead ? l->in.ptr[l->at + ahead] : 0;
}

void sql_lex_init(struct sql_lex *l, struct slice in, enum sql_dialect dialect)
{
	*l = (struct sql_lex){ .in = in, .dialect = dialect };
}

/* Comments nest in the standard and in PostgreSQL, not in MySQL. An open one lasts to the end. */
static void skip_block_comment(struct sql_lex *l)
{
	size_t depth = 1;

	for (l->at += 2; l->at < l->in.len && depth > 0;) {
		if (peek(l, 0) == '*' && peek(l, 1) == '/') {
			depth--;
			l->at += 2;
		} else if ((l->dialect == SQL_ANSI || l->dialect == SQL_TSQL) && peek(l, 0) == '/' && peek(l, 1) == '*') {
			depth++;
			l->at += 2;
		} else if (l->dialect == SQL_CLICKHOUSE && peek(l, 0) == '/' && peek(l, 1) == '*') {
			l->at = l->in.len; /* newer servers nest them, older ones do not: what is behind it may be inside */
		} else {
			l->at++;
		}
	}
}

static bool line_comment_starts(const struct sql_lex *l)
{
	if (peek(l, 0) == '#')
		return l->dialect == SQL_MYSQL || l->dialect == SQL_CLICKHOUSE;
	if (peek(l, 0) == '/' && peek(l, 1) == '/')
		return l->dialect == SQL_CQL || l->dialect == SQL_CLICKHOUSE;
	if (peek(l, 0) != '-' || peek(l, 1) != '-')
		return false;
	/* MySQL: 5--1 is 5 - (-1). At the very end it cannot be told; nothing follows that could be shown. */
	return l->dialect != SQL_MYSQL || l->in.len - l->at == 2 || is_space(peek(l, 2));
}

static bool skip_space(struct sql_lex *l)
{
	size_t start = l->at;

	while (l->at < l->in.len) {
		if (is_space(peek(l, 0))) {
			l->at++;
		} else if (peek(l, 0) == '/' && peek(l, 1) == '*') {
			skip_block_comment(l);
		} else if (line_comment_starts(l)) {
			while (l->at < l->in.len && peek(l, 0) != '\n' && (peek(l, 0) != '\r' || l->dialect == SQL_MYSQL || l->dialect == SQL_CLICKHOUSE || l->dialect == SQL_TSQL || l->dialect == SQL_SQLITE))
				l->at++;
		} else {
			break;
		}
	}
	return l->at > start;
}

/*
 * From the opening quote to behind the closing one; a doubled quote is a quote. With escapes a backslash takes the next byte along. Without, an odd
 * run of backslashes before a quote is read one way or the other by the server's standard_conforming_strings: the string then takes all that is left.
 */
static void skip_string(struct sql_lex *l, bool escapes)
{
	uint8_t quote = peek(l, 0);
	size_t slashes = 0;

	for (l->at++; l->at < l->in.len; l->at++) {
		uint8_t c = peek(l, 0);

		if (c == '\\' && l->dialect != SQL_TSQL && l->dialect != SQL_SQLITE) {
			slashes++;
			continue;
		}
		bool odd = slashes % 2 == 1;
		slashes = 0;
		if (c != quote || (odd && escapes))
			continue;
		if (odd) {
			l->at = l->in.len;
			break;
		}
		if (peek(l, 1) == quote) {
			l->at++;
			continue;
		}
		l->at++;
		return;
	}
	l->open = true;
}

/* "name", `name` or [name]. False = not closed, or with NUL, which no name has: it may be anything, and l->at is at the end. */
static bool skip_name(struct sql_lex *l)
{
	uint8_t quote = peek(l, 0) == '[' ? ']' : peek(l, 0);
	bool doubles = quote != ']' || l->dialect != SQL_SQLITE;

	for (l->at++; l->at < l->in.len && peek(l, 0); l->at++) {
		if (l->dialect == SQL_CLICKHOUSE && peek(l, 0) == '\\' && peek(l, 1)) {
			l->at++;
			continue;
		}
		if (peek(l, 0) != quote)
			continue;
		l->at++;
		if (peek(l, 0) != quote || !doubles)
			return true;
	}
	l->at = l->in.len;
	l->open = true;
	return false;
}

/*
 * A dollar sign behind a number or parameter of PostgreSQL's begins a quote, 2$a$text$a$, but belongs to the name that letters behind
 * digits are to some versions, 2b$a$. Then it is in doubt what follows, and all of it is hidden.
 */
static void end_at_dollar(struct sql_lex *l, bool letters)
{
	if (!letters || peek(l, 0) != '$')
		return;
	l->at = l->in.len;
	l->open = true;
}

/* Digits, points, letters (hexadecimal, exponent, suffix, junk: all hidden) and the sign of an exponent. */
static void skip_number(struct sql_lex *l)
{
	bool hex = peek(l, 0) == '0' && ascii_lower(peek(l, 1)) == 'x', letters = false;

	while (l->at < l->in.len) {
		uint8_t c = peek(l, 0);

		if ((!is_word(c) && !is_mark(l, c) && c != '.') || (c == '$' && l->dialect != SQL_MYSQL))
			break;
		letters = letters || is_alpha(c);
		l->at++;
		if (!hex && ascii_lower(c) == 'e' && (peek(l, 0) == '+' || peek(l, 0) == '-') && (is_digit(peek(l, 1)) || l->in.len - l->at == 1))
			l->at++;
	}
	if (l->dialect != SQL_MYSQL)
		end_at_dollar(l, letters);
}

/* ClickHouse: anything may stand between two dollars, and what they open ends where they come again; where they do not, all is hidden. */
static enum sql_token_kind lex_heredoc(struct sql_lex *l)
{
	size_t end = slice_find(l->in, '$', l->at + 1);

	if (end == SIZE_MAX) {
		l->at = l->in.len;
		return SQL_LITERAL;
	}
	struct slice open = slice_make(l->in.ptr + l->at, end + 1 - l->at), rest = slice_from(l->in, end + 1);
	const uint8_t *close = rest.len ? memmem(rest.ptr, rest.len, open.ptr, open.len) : NULL;

	l->at = close ? (size_t)(close - l->in.ptr) + open.len : l->in.len;
	return SQL_LITERAL;
}

/* $1, $tag$text$tag$, or something that begins like one of them. */
static enum sql_token_kind lex_dollar(struct sql_lex *l)
{
	size_t start = l->at, tag = 1;

	if (l->dialect == SQL_CLICKHOUSE)
		return lex_heredoc(l);
	if (is_digit(peek(l, 1))) {
		bool number = true;

		for (l->at++; l->at < l->in.len && is_word(peek(l, 0)) && peek(l, 0) != '$'; l->at++)
			number = number && is_digit(peek(l, 0));
		end_at_dollar(l, !number);
		return number ? SQL_PLACEHOLDER : SQL_LITERAL;
	}
	while (is_alpha(peek(l, tag)) || (tag > 1 && is_digit(peek(l, tag))))
		tag++;
	if (peek(l, tag) != '$') { /* cut inside the tag, or no quote: hidden either way */
		l->at += tag;
		return SQL_LITERAL;
	}
	tag++;
	struct slice open = slice_make(l->in.ptr + start, tag);
	l->at = start + tag;
	for (;;) {
		size_t close = slice_find(l->in, '$', l->at);

		if (close == SIZE_MAX) {
			l->at = l->in.len;
			return SQL_LITERAL;
		}
		if (slice_starts(slice_from(l->in, close), open)) {
			l->at = close + tag;
			return SQL_LITERAL;
		}
		l->at = close + 1;
	}
}

/* ‘ or “ is here: what it opens, the same one to the right closes. */
static bool curly_opens(const struct sql_lex *l)
{
	return l->dialect == SQL_CLICKHOUSE && peek(l, 0) == 0xe2 && peek(l, 1) == 0x80 && (peek(l, 2) == 0x98 || peek(l, 2) == 0x9c);
}

static void skip_curly(struct sql_lex *l)
{
	uint8_t close = (uint8_t)(peek(l, 2) + 1);

	for (l->at += 3; l->at < l->in.len; l->at++) {
		if (peek(l, 0) != 0xe2 || peek(l, 1) != 0x80 || peek(l, 2) != close)
			continue;
		l->at += 3;
		return;
	}
	l->open = true;
}

/* Length of a currency's sign, which an amount of money may begin with: learn.microsoft.com/sql/t-sql/data-types/money-and-smallmoney-transact-sql. 0 = none. */
static size_t currency_length(const struct sql_lex *l)
{
	uint8_t c[3] = { peek(l, 0), peek(l, 1), peek(l, 2) };

	if (c[0] == '$')
		return 1;
	if (c[0] == 0xc2)
		return c[1] >= 0xa2 && c[1] <= 0xa5 ? 2 : 0;
	bool sign = (c[0] == 0xe0 && ((c[1] == 0xa7 && (c[2] == 0xb2 || c[2] == 0xb3)) || (c[1] == 0xb8 && c[2] == 0xbf))) || (c[0] == 0xe1 && c[1] == 0x9f && c[2] == 0x9b) ||
		    (c[0] == 0xe2 && c[1] == 0x82 && c[2] >= 0xa0 && c[2] <= 0xbf) || (c[0] == 0xef && ((c[1] == 0xb7 && c[2] == 0xbc) || (c[1] == 0xb9 && c[2] == 0xa9) || (c[1] == 0xbc && c[2] == 0x84) || (c[1] == 0xbf && c[2] >= 0xa0 && c[2] <= 0xa6)));
	return sign ? 3 : 0;
}

/* $1.50, £ -2; $action and the like are names. */
static bool skip_money(struct sql_lex *l)
{
	size_t n = currency_length(l);

	if (!n || (peek(l, 0) == '$' && is_alpha(peek(l, 1))))
		return false;
	for (l->at += n; (peek(l, 0) == ' ' || peek(l, 0) == '-' || peek(l, 0) == '+') && !line_comment_starts(l);)
		l->at++;
	while (l->at < l->in.len && (is_word(peek(l, 0)) || is_mark(l, peek(l, 0)) || peek(l, 0) == '.'))
		l->at++;
	return true;
}

/* What a quote right behind the word makes of both: E'', B'', X'', N'', U&'', U&"", Oracle's q''. */
static enum sql_token_kind lex_word(struct sql_lex *l)
{
	size_t start = l->at;

	while (l->at < l->in.len && (is_word(peek(l, 0)) || is_mark(l, peek(l, 0))) && !curly_opens(l))
		l->at++;
	struct slice word = slice_make(l->in.ptr + start, l->at - start);
	if (l->dialect == SQL_ANSI && slice_ieq(word, SLICE_LIT("u")) && peek(l, 0) == '&' && (peek(l, 1) == '\'' || peek(l, 1) == '"')) {
		l->at++;
		if (peek(l, 0) == '"')
			return skip_name(l) ? SQL_QUOTED : SQL_LITERAL;
		skip_string(l, false);
		return SQL_LITERAL;
	}
	if (peek(l, 0) != '\'' || (l->dialect == SQL_SQLITE && !slice_ieq(word, SLICE_LIT("x"))))
		return SQL_WORD;
	if (slice_ieq(word, SLICE_LIT("q")) || slice_ieq(word, SLICE_LIT("nq"))) {
		l->at = l->in.len; /* the delimiter is the text's own choice */
		l->open = true;
		return SQL_LITERAL;
	}
	bool escape = slice_ieq(word, SLICE_LIT("e")), national = slice_ieq(word, SLICE_LIT("n"));
	if (escape || national || slice_ieq(word, SLICE_LIT("b")) || slice_ieq(word, SLICE_LIT("x"))) {
		skip_string(l, (escape && l->dialect != SQL_TSQL) || l->dialect == SQL_MYSQL || (national && l->dialect == SQL_CLICKHOUSE));
		return SQL_LITERAL;
	}
	return SQL_WORD; /* date'2026-11-23': the string is the next token */
}

static bool is_hex(uint8_t c) { return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f'); }

/* A text that may have been cut ends with these n bytes: where they stand a value does, and no name that had to be whole. */
static bool cut_value(const struct sql_lex *l, size_t n)
{
	return !l->operand && l->in.len - l->at == n && l->at > 0 && l->in.ptr[l->at - 1] != '.';
}

/* 123e4567-e89b-12d3-a456-426614174000, or as much of it as there is. */
static size_t uuid_length(const struct sql_lex *l)
{
	enum { UUID_LENGTH = 36, FIRST_DASH = 8 };
	size_t n = 0;

	for (; n < UUID_LENGTH && l->in.len - l->at > n; n++) {
		bool dash = n == FIRST_DASH || n == 13 || n == 18 || n == 23;
		if (dash ? peek(l, n) != '-' : !is_hex(peek(l, n)))
			return 0;
	}
	if (n <= FIRST_DASH && !cut_value(l, n))
		return 0;
	return is_word(peek(l, n)) ? 0 : n;
}

/* P3DT4H5M: numbers, each with its unit. */
static size_t duration_length(const struct sql_lex *l)
{
	bool digits = false;
	size_t n = 1;

	if (ascii_lower(peek(l, 0)) != 'p' || (!is_digit(peek(l, 1)) && ascii_lower(peek(l, 1)) != 't'))
		return 0;
	for (; is_word(peek(l, n)); n++) {
		uint8_t c = ascii_lower(peek(l, n));
		if (!is_digit(c) && (!c || !strchr("ymwdhst", c) || digits == (c == 't')))
			return 0;
		digits = is_digit(c);
	}
	return (!digits && n >= 3) || cut_value(l, n) ? n : 0;
}

static bool skip_cql_literal(struct sql_lex *l)
{
	size_t n = uuid_length(l);

	if (!n)
		n = duration_length(l);
	l->at += n;
	return n > 0;
}

/* SQLite takes "text" for a string where no column is called so: it is a name only where nothing else can stand. */
static enum sql_token_kind lex_doubtful(struct sql_lex *l) { return skip_name(l) && (l->naming || peek(l, 0) == '.') ? SQL_QUOTED : SQL_LITERAL; }

/* SQLite: ?, ?1, :name, @name, $name, $name::name. False: it is none. */
static bool skip_parameter(struct sql_lex *l)
{
	uint8_t c = peek(l, 0);

	if (c != '?' && ((c != ':' && c != '@' && c != '$') || !is_word(peek(l, 1))))
		return false;
	for (l->at++; l->at < l->in.len; l->at++) {
		if (c == '?' ? is_digit(peek(l, 0)) : is_word(peek(l, 0)))
			continue;
		if (c != '$' || peek(l, 0) != ':' || peek(l, 1) != ':')
			break;
		l->at++;
	}
	return true;
}

enum { TARGET_NONE, TARGET_COMES, TARGET_NAMED };

static bool one_of(struct slice word, const char *const *list)
{
	while (*list && !slice_ieq(word, slice_str(*list)))
		list++;
	return *list;
}

static uint64_t list_bit(const struct sql_lex *l) { return l->depth < 64 ? UINT64_C(1) << l->depth : 0; }

static void note_word(struct sql_lex *l, struct slice word)
{
	static const char *const targets[] = { "into", "table", "exists", "references", NULL };  /* a table, and perhaps its columns in parentheses */
	static const char *const names[] = { "from", "join", "update", "index", "view", "trigger", "column", "as", "savepoint", "to", "set", NULL };
	static const char *const ends[] = { "where", "from", "returning", "order", "limit", "select", "values", NULL }; /* of SET's list */
	bool distinct = l->distinct;

	l->distinct = slice_ieq(word, SLICE_LIT("distinct"));
	if (one_of(word, ends))
		l->lists &= ~list_bit(l);
	l->naming = one_of(word, targets) || one_of(word, names);
	if (one_of(word, targets))
		l->target = TARGET_COMES;
	else
		l->target = l->target == TARGET_COMES ? TARGET_NAMED : TARGET_NONE;
	if (slice_ieq(word, SLICE_LIT("set")))
		l->lists |= list_bit(l);
	if (distinct && slice_ieq(word, SLICE_LIT("from")))
		l->naming = false; /* IS DISTINCT FROM "text" */
}

static void note_punct(struct sql_lex *l, uint8_t c)
{
	uint8_t target = l->target;

	l->naming = l->distinct = false;
	l->target = TARGET_NONE;
	switch (c) {
	case '.':
		l->naming = true;
		l->target = target == TARGET_NAMED ? TARGET_COMES : TARGET_NONE;
		break;
	case '(':
		l->depth++;
		l->lists &= ~list_bit(l);
		if (target == TARGET_NAMED) {
			l->lists |= list_bit(l);
			l->naming = true;
		}
		break;
	case ')':
		l->lists &= ~list_bit(l);
		l->depth -= l->depth > 0;
		break;
	case ',': l->naming = l->lists & list_bit(l); break;
	case ';':
		l->depth = 0;
		l->lists = 0;
		break;
	default: break;
	}
}

/* Where names stand that nothing can be confused with. */
static void note_place(struct sql_lex *l, enum sql_token_kind kind, struct slice s)
{
	if (kind == SQL_WORD) {
		note_word(l, s);
	} else if (kind == SQL_PUNCT) {
		note_punct(l, s.ptr[0]);
	} else {
		l->target = kind == SQL_QUOTED && l->target == TARGET_COMES ? TARGET_NAMED : TARGET_NONE;
		l->naming = l->distinct = false;
	}
}

static enum sql_token_kind lex_token(struct sql_lex *l)
{
	uint8_t c = peek(l, 0);
	bool mysql = l->dialect == SQL_MYSQL, clickhouse = l->dialect == SQL_CLICKHOUSE, tsql = l->dialect == SQL_TSQL, sqlite = l->dialect == SQL_SQLITE;

	if (curly_opens(l)) {
		skip_curly(l);
		return SQL_LITERAL;
	}
	if (l->dialect == SQL_CQL && skip_cql_literal(l))
		return SQL_LITERAL;
	if (tsql && skip_money(l))
		return SQL_LITERAL;
	if (c == '\'' || ((mysql || tsql) && c == '"')) {
		skip_string(l, mysql || clickhouse);
		return SQL_LITERAL;
	}
	if (sqlite && c == '"')
		return lex_doubtful(l);
	if (sqlite && skip_parameter(l))
		return SQL_PLACEHOLDER;
	if (c == '"' || ((mysql || clickhouse || sqlite) && c == '`') || ((tsql || sqlite) && c == '['))
		return skip_name(l) ? SQL_QUOTED : SQL_LITERAL;
	if (c == '$' && !mysql && !tsql && !sqlite)
		return lex_dollar(l);
	if (is_alpha(c) || c == '$' || is_mark(l, c))
		return lex_word(l);
	bool sign = (c == '-' || c == '+') && !l->operand;
	if (is_digit(peek(l, sign)) || (peek(l, sign) == '.' && is_digit(peek(l, sign + 1u)))) {
		l->at += sign;
		skip_number(l);
		return SQL_LITERAL;
	}
	l->at++;
	return c == '?' ? SQL_PLACEHOLDER : SQL_PUNCT;
}

struct sql_token sql_lex_next(struct sql_lex *l)
{
	struct sql_token t = { .kind = SQL_END, .start = l->at };

	if (l->at == l->in.len)
		return t;
	if (skip_space(l)) {
		t.kind = SQL_SPACE;
	} else {
		uint8_t c = peek(l, 0);

		l->open = false;
		t.kind = lex_token(l);
		t.open = l->open;
		if (l->dialect == SQL_SQLITE)
			note_place(l, t.kind, slice_make(l->in.ptr + t.start, l->at - t.start));
		l->operand = t.kind != SQL_PUNCT || c == ')' || c == ']';
	}
	t.len = l->at - t.start;
	return t;
}

bool sql_token_calls(enum sql_dialect dialect, enum sql_token_kind kind, struct slice s)
{
	static const struct slice words[] = { SLICE_LIT("exec"), SLICE_LIT("execute") };

	for (size_t i = 0; dialect == SQL_TSQL && i < sizeof(words) / sizeof(words[0]); i++)
		if (s.len >= words[i].len && (kind == SQL_WORD ? s.len == words[i].len : kind == SQL_LITERAL) && slice_ieq(slice_from(s, s.len - words[i].len), words[i]))
			return true;
	return false;
}
