/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { BYTES_MAX = 16 << 20, LINE_MAX_BYTES = 8 << 20, TOKENS_MAX = 64, NEST_MAX = 16 };

static void *grow(void *p, size_t n, size_t size)
{
	/* Doubling at powers of two keeps the callers free of a capacity field. */
	if (n != 0 && (n & (n - 1)) != 0)
		return p;
	p = realloc(p, (n == 0 ? 1 : n * 2) * size);
	if (!p)
		abort();
	return p;
}

void fixture_lines_add(struct fixture_lines *l, char *line)
{
	l->line = grow(l->line, l->n, sizeof(*l->line));
	l->line[l->n++] = line;
}

void fixture_lines_done(struct fixture_lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->line[i]);
	free(l->line);
	*l = (struct fixture_lines){ 0 };
}

void fixture_quote(struct buffer *to, struct slice text)
{
	buffer_append_byte(to, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c == '\r')
			buffer_append_str(to, "\\r");
		else if (c == '\n')
			buffer_append_str(to, "\\n");
		else if (c == '\t')
			buffer_append_str(to, "\\t");
		else if (c == '"' || c == '\\')
			buffer_printf(to, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			buffer_printf(to, "\\x%02x", c);
		else
			buffer_append_byte(to, c);
	}
	buffer_append_byte(to, '"');
}

/* Length of the blank-delimited token at the start of s; blanks inside quotes belong to it. */
static size_t token_len(struct slice s)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (quoted && s.ptr[i] == '\\')
			i++;
		else if (s.ptr[i] == '"')
			quoted = !quoted;
		else if (s.ptr[i] == ' ' && !quoted)
			break;
	}
	return i < s.len ? i : s.len;
}

static struct slice skip_blanks(struct slice s)
{
	while (s.len && (*s.ptr == ' ' || *s.ptr == '\t'))
		s = slice_make(s.ptr + 1, s.len - 1);
	return s;
}

static int by_text(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int d = memcmp(x->ptr, y->ptr, n);

	return d ? d : (x->len > y->len) - (x->len < y->len);
}

char *fixture_canonical(struct slice line)
{
	struct slice token[TOKENS_MAX];
	size_t n = 0;
	char *text = malloc(line.len + 2), *to = text;

	if (!text)
		abort();
	for (line = skip_blanks(line); line.len && n < TOKENS_MAX; line = skip_blanks(slice_from(line, token[n - 1].len))) {
		token[n] = slice_make(line.ptr, token_len(line));
		n++;
	}
	if (n > 1)
		qsort(token + 1, n - 1, sizeof(*token), by_text);
	for (size_t i = 0; i < n; i++) {
		if (i)
			*to++ = ' ';
		memcpy(to, token[i].ptr, token[i].len);
		to += token[i].len;
	}
	*to = '\0';
	return text;
}

static bool named(struct slice token, struct slice names)
{
	size_t equals = slice_find(token, '=', 0);
	struct slice name = slice_head(token, equals);

	for (struct slice word; names.len; names = slice_from(names, word.len + 1)) {
		word = slice_make(names.ptr, token_len(names));
		if (slice_eq(word, name))
			return true;
	}
	return false;
}

char *fixture_without(const char *line, struct slice names)
{
	struct slice rest = slice_str(line);
	char *text = malloc(rest.len + 1), *to = text;

	if (!text)
		abort();
	for (struct slice token; rest.len; rest = skip_blanks(slice_from(rest, token.len))) {
		token = slice_make(rest.ptr, token_len(rest));
		if (named(token, names))
			continue;
		if (to > text)
			*to++ = ' ';
		memcpy(to, token.ptr, token.len);
		to += token.len;
	}
	*to = '\0';
	return text;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool eat(struct slice *s, const char *word)
{
	struct slice w = slice_str(word);

	if (!slice_starts(*s, w))
		return false;
	*s = slice_make(s->ptr + w.len, s->len - w.len);
	return true;
}

static bool eat_number(struct slice *s, uint64_t *ret)
{
	size_t n = 0;

	while (n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9')
		n++;
	if (!slice_u64(slice_make(s->ptr, n), ret))
		return false;
	*s = slice_make(s->ptr + n, s->len - n);
	return true;
}

/* The escape behind a backslash. */
static bool eat_escape(struct slice *s, struct buffer *to)
{
	static const char from[] = "rnt0\\\"", value[] = "\r\n\t\0\\\"";

	if (s->len == 0)
		return false;
	uint8_t c = *s->ptr;
	*s = slice_make(s->ptr + 1, s->len - 1);
	if (c == 'x') {
		if (s->len < 2 || hex_digit(s->ptr[0]) < 0 || hex_digit(s->ptr[1]) < 0)
			return false;
		buffer_append_byte(to, (uint8_t)(hex_digit(s->ptr[0]) << 4 | hex_digit(s->ptr[1])));
		*s = slice_make(s->ptr + 2, s->len - 2);
		return true;
	}
	const char *at = memchr(from, c, sizeof(from) - 1);
	if (!at)
		return false;
	buffer_append_byte(to, (uint8_t)value[at - from]);
	return true;
}

static bool eat_string(struct slice *s, struct buffer *to)
{
	if (!eat(s, "\""))
		return false;
	while (s->len && *s->ptr != '"') {
		if (eat(s, "\\")) {
			if (!eat_escape(s, to))
				return false;
			continue;
		}
		buffer_append_byte(to, *s->ptr);
		*s = slice_make(s->ptr + 1, s->len - 1);
	}
	return eat(s, "\"");
}

static bool eat_repeat(struct slice *s, struct buffer *to)
{
	struct buffer once;
	uint64_t n;

	buffer_init(&once, LINE_MAX_BYTES);
	bool ok = eat_number(s, &n) && eat_string(s, &once);
	for (uint64_t i = 0; ok && i < n; i++)
		ok = buffer_append_slice(to, buffer_slice(&once)) == 0;
	buffer_done(&once);
	return ok;
}

static bool eat_hex(struct slice *s, struct buffer *to)
{
	size_t before = to->len;

	while (s->len >= 2 && hex_digit(s->ptr[0]) >= 0 && hex_digit(s->ptr[1]) >= 0) {
		buffer_append_byte(to, (uint8_t)(hex_digit(s->ptr[0]) << 4 | hex_digit(s->ptr[1])));
		*s = slice_make(s->ptr + 2, s->len - 2);
	}
	return to->len > before;
}

static void append_be(struct buffer *to, uint64_t v, unsigned width)
{
	while (width--)
		buffer_append_byte(to, (uint8_t)(v >> (8 * width)));
}

static bool eat_items(struct slice *s, struct buffer *to, int depth);

static void append_le(struct buffer *to, uint64_t v, unsigned width)
{
	for (; width--; v >>= 8)
		buffer_append_byte(to, (uint8_t)v);
}

/* "( items )" behind a length of `width` bytes that counts itself if `self`. */
static bool eat_counted(struct slice *s, struct buffer *to, unsigned width, bool self, bool little, int depth)
{
	struct buffer inner;

	buffer_init(&inner, LINE_MAX_BYTES);
	bool ok = depth < NEST_MAX && eat_items(s, &inner, depth + 1) && eat(s, ")");
	if (ok) {
		(little ? append_le : append_be)(to, inner.len + (self ? width : 0), width);
		buffer_append_slice(to, buffer_slice(&inner));
	}
	buffer_done(&inner);
	return ok;
}

/* "3( items )": a packet of MySQL, its number in front of its payload. */
static bool eat_mysql(struct slice *s, struct buffer *to, int depth)
{
	struct buffer inner;
	uint64_t number;

	buffer_init(&inner, LINE_MAX_BYTES);
	bool ok = depth < NEST_MAX && eat_number(s, &number) && eat(s, "(") && eat_items(s, &inner, depth + 1) && eat(s, ")");
	if (ok) {
		append_le(to, inner.len, 3);
		append_le(to, number, 1);
		buffer_append_slice(to, buffer_slice(&inner));
	}
	buffer_done(&inner);
	return ok;
}

static bool eat_item(struct slice *s, struct buffer *to, int depth)
{
	uint64_t v;

	if (s->len && *s->ptr == '"')
		return eat_string(s, to);
	if (eat(s, "hex:"))
		return eat_hex(s, to);
	if (eat(s, "repeat:"))
		return eat_repeat(s, to);
	if (eat(s, "len16("))
		return eat_counted(s, to, 2, false, false, depth);
	if (eat(s, "len32("))
		return eat_counted(s, to, 4, false, false, depth);
	if (eat(s, "pglen("))
		return eat_counted(s, to, 4, true, false, depth);
	if (eat(s, "lelen("))
		return eat_counted(s, to, 4, true, true, depth);
	if (eat(s, "mysql:"))
		return eat_mysql(s, to, depth);

	bool little = slice_starts(*s, SLICE_LIT("le"));
	unsigned width = eat(s, "be16:") || eat(s, "le16:") ? 2 : eat(s, "be32:") || eat(s, "le32:") ? 4 : eat(s, "be64:") || eat(s, "le64:") ? 8 : 0;
	if (width == 0 || !eat_number(s, &v))
		return false;
	if (little)
		append_le(to, v, width);
	else
		append_be(to, v, width);
	return true;
}

/* Items up to the end or an unmatched ")". */
static bool eat_items(struct slice *s, struct buffer *to, int depth)
{
	for (*s = skip_blanks(*s); s->len && *s->ptr != ')'; *s = skip_blanks(*s))
		if (!eat_item(s, to, depth))
			return false;
	return true;
}

bool fixture_items(struct slice items, struct buffer *to)
{
	return eat_items(&items, to, 0) && items.len == 0 && !to->failed;
}

static struct fixture_op *add_op(struct fixture *f, enum fixture_op_kind kind, enum proto_side side, size_t len)
{
	f->op = grow(f->op, f->nops, sizeof(*f->op));
	f->op[f->nops] = (struct fixture_op){ .kind = kind, .side = side, .at = f->bytes.len, .len = len };
	return &f->op[f->nops++];
}

static bool load_input(struct fixture *f, enum proto_side side, struct slice s)
{
	uint64_t n;

	s = skip_blanks(s);
	if (slice_eq(s, SLICE_LIT("eof"))) {
		add_op(f, FIXTURE_EOF, side, 0);
		return true;
	}
	if (eat(&s, "hole ")) {
		if (!eat_number(&s, &n) || s.len)
			return false;
		add_op(f, FIXTURE_HOLE, side, (size_t)n);
		return true;
	}
	size_t before = f->bytes.len;
	struct fixture_op *op = add_op(f, FIXTURE_BYTES, side, 0);
	if (!eat_items(&s, &f->bytes, 0) || s.len || f->bytes.failed || f->bytes.len == before)
		return false;
	op->len = f->bytes.len - before;
	return true;
}

/* ID=value with a string value: items joined by "+". */
static bool load_value(struct slice *s, struct buffer *to)
{
	struct buffer value;
	bool ok;

	buffer_init(&value, LINE_MAX_BYTES);
	do
		ok = eat_item(s, &value, NEST_MAX);
	while (ok && eat(s, "+"));
	fixture_quote(to, buffer_slice(&value));
	buffer_done(&value);
	return ok && (s->len == 0 || *s->ptr == ' ');
}

static bool known_attribute(struct slice name)
{
	static const char *const names[] = {
#define ATTR(id, name, type) #id,
#include "model/attribute.def"
#undef ATTR
		"key", "first", "error_type", "next"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (slice_eq(name, slice_str(names[i])))
			return true;
	return false;
}

static bool known_word(struct slice word)
{
	static const char *const words[] = { "request", "response", "oneway", "lost", "interim", "no_response", "quiet", "switch", "until_close", "flush", "unsure", "abort", "range", "unfinished" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (slice_eq(word, slice_str(words[i])))
			return true;
	return false;
}

static bool load_expected(struct fixture *f, enum proto_side side, struct slice s)
{
	struct buffer line;
	uint64_t times = 1;
	bool ok = true;

	s = skip_blanks(s);
	if (eat(&s, "repeat:"))
		ok = eat_number(&s, &times);
	buffer_init(&line, LINE_MAX_BYTES);
	for (s = skip_blanks(s); ok && s.len; s = skip_blanks(s)) {
		struct slice token = slice_make(s.ptr, token_len(s));
		size_t equals = slice_find(token, '=', 0);

		if (equals == SIZE_MAX) {
			ok = known_word(token);
			buffer_append_slice(&line, token);
			s = slice_from(s, token.len);
		} else {
			ok = known_attribute(slice_make(token.ptr, equals));
			buffer_append(&line, token.ptr, equals + 1);
			s = slice_from(s, equals + 1);
			if (s.len && ((*s.ptr >= '0' && *s.ptr <= '9') || *s.ptr == '-')) {
				buffer_append(&line, s.ptr, token.len - equals - 1);
				s = slice_from(s, token.len - equals - 1);
			} else {
				ok = ok && load_value(&s, &line);
			}
		}
		buffer_append_byte(&line, ' ');
	}
	while (ok && line.len && times--)
		fixture_lines_add(&f->expect[side], fixture_canonical(buffer_slice(&line)));
	ok = ok && line.len;
	buffer_done(&line);
	return ok;
}

static bool load_forgets(struct fixture *f, struct slice s)
{
	for (s = skip_blanks(s); s.len; s = skip_blanks(s)) {
		struct slice word = slice_make(s.ptr, token_len(s));

		if (!known_word(word) && !known_attribute(word))
			return false;
		buffer_append_slice(&f->forgets, word);
		buffer_append_byte(&f->forgets, ' ');
		s = slice_from(s, word.len);
	}
	return f->forgets.len > 0;
}

static bool load_option(struct fixture *f, struct slice s)
{
	s = skip_blanks(s);
	if (slice_eq(s, SLICE_LIT("datagram")))
		f->datagram = true;
	else if (slice_eq(s, SLICE_LIT("resync-loose")))
		f->loose = true;
	else if (slice_eq(s, SLICE_LIT("no-detect")))
		f->no_detect = true;
	else if (eat(&s, "forgets "))
		return load_forgets(f, s);
	else
		return false;
	return true;
}

static bool load_line(struct fixture *f, struct slice s)
{
	if (s.len == 0 || *s.ptr == '#')
		return true;
	if (eat(&s, "option "))
		return load_option(f, s);
	if (eat(&s, "=> "))
		return load_expected(f, PROTO_TO_SERVER, s);
	if (eat(&s, "=< "))
		return load_expected(f, PROTO_TO_CLIENT, s);
	if (eat(&s, "> "))
		return load_input(f, PROTO_TO_SERVER, s);
	if (eat(&s, "< "))
		return load_input(f, PROTO_TO_CLIENT, s);
	return false;
}

bool fixture_load(const char *path, const struct proto_ops *ops, struct fixture *ret_fixture, char *why, size_t why_len)
{
	struct fixture f = { .ops = ops };
	char *line = NULL;
	size_t cap = 0, number = 0;
	ssize_t n;
	FILE *file = fopen(path, "re");

	if (!file) {
		snprintf(why, why_len, "%s: cannot be opened", path);
		return false;
	}
	buffer_init(&f.bytes, BYTES_MAX);
	buffer_init(&f.forgets, LINE_MAX_BYTES);
	buffer_append_str(&f.forgets, "flush unsure ");
	bool ok = true;
	while (ok && (n = getline(&line, &cap, file)) > 0) {
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == ' '))
			n--;
		number++;
		ok = load_line(&f, slice_make(line, (size_t)n));
	}
	if (!ok)
		snprintf(why, why_len, "%s:%zu: not a fixture line: %.*s", path, number, (int)(n < 200 ? n : 200), line);
	else if (f.bytes.len == 0) {
		snprintf(why, why_len, "%s: no input", path);
		ok = false;
	}
	free(line);
	fclose(file);
	if (!ok) {
		fixture_done(&f);
		return false;
	}
	*ret_fixture = f;
	return true;
}

void fixture_done(struct fixture *f)
{
	buffer_done(&f->bytes);
	buffer_done(&f->forgets);
	free(f->op);
	fixture_lines_done(&f->expect[0]);
	fixture_lines_done(&f->expect[1]);
}
