/* SPDX-License-Identifier: Apache-2.0 */
#include "span/semconv.h"

#include "span/text.h"

static bool is_word(uint8_t c)
{
	uint8_t l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

/* Length of a quote mark of other languages at `at`, or 0: « », ‘ to „, ‹ ›, 「 to 』. */
static size_t mark_length(struct slice s, size_t at)
{
	uint8_t c[3] = { s.ptr[at], at + 1 < s.len ? s.ptr[at + 1] : 0, at + 2 < s.len ? s.ptr[at + 2] : 0 };

	if (c[0] == 0xc2 && (c[1] == 0xab || c[1] == 0xbb))
		return 2;
	if (c[0] == 0xe2 && c[1] == 0x80 && ((c[2] >= 0x98 && c[2] <= 0x9f) || c[2] == 0xb9 || c[2] == 0xba))
		return 3;
	return c[0] == 0xe3 && c[1] == 0x80 && c[2] >= 0x8c && c[2] <= 0x8f ? 3 : 0;
}

/*
 * Index behind the quoted text that starts at `from`; an apostrophe within a word (can't) opens none, a missing end hides the
 * rest. Servers do not escape what they quote, so that a quote mark may belong to the value: only the last one is sure to be
 * behind it.
 */
static size_t plain_end(struct slice s, size_t from)
{
	uint8_t quote = s.ptr[from];
	size_t end;

	if (quote == '(') { /* PostgreSQL: Key (email)=(a@example.com) already exists */
		if (from == 0 || s.ptr[from - 1] != '=')
			return from;
		quote = ')';
	} else if (quote == '[') { /* ActiveMQ: User name [alice] or password is invalid. */
		quote = ']';
	} else if (quote == '\'' && from > 0 && is_word(s.ptr[from - 1])) {
		return from;
	} else if (quote != '\'' && quote != '"' && quote != '`') {
		return from;
	}
	for (end = s.len; end > from + 1 && s.ptr[end - 1] != quote;)
		end--;
	return end > from + 1 ? end : s.len;
}

/* As plain_end(), of a mark of n bytes. Which of them closes another differs (»a«, «a»): any does. */
static size_t mark_end(struct slice s, size_t from, size_t n)
{
	bool apostrophe = n == 3 && s.ptr[from] == 0xe2 && s.ptr[from + 2] == 0x99;
	size_t end = 0;

	if (apostrophe && from > 0 && is_word(s.ptr[from - 1]))
		return from;
	for (size_t i = from + n; i < s.len; i++)
		if (mark_length(s, i))
			end = i + mark_length(s, i);
	return end ? end : s.len;
}

static size_t any_end(struct slice s, size_t from)
{
	size_t n = mark_length(s, from);

	return n ? mark_end(s, from, n) : plain_end(s, from);
}

/* As plain_end(), of all marks. A plain quote that opens within those of other languages lasts as long as it would elsewhere, and so does any within brackets. */
static size_t quoted_end(struct slice s, size_t from)
{
	size_t n = mark_length(s, from), end = any_end(s, from);
	uint8_t bracket = s.ptr[from];

	if (end == from || (!n && bracket != '[' && bracket != '('))
		return end;
	/* The last mark, and the last bracket, end all that open before them. */
	for (size_t i = from + (n ? n : 1); i < end && end < s.len; i++) {
		size_t mark = mark_length(s, i), inner = i;
		if (mark && !n)
			inner = mark_end(s, i, mark);
		else if (!mark && s.ptr[i] != bracket)
			inner = plain_end(s, i);
		n = mark && inner > i ? mark : n;
		if (inner > end)
			end = inner;
		if (inner > i && (s.ptr[i] == '\'' || s.ptr[i] == '"' || s.ptr[i] == '`'))
			i = inner - 1;
	}
	return end;
}

struct slice redact_message(struct arena *a, struct slice message)
{
	struct text t = text_begin(a);

	for (size_t i = 0; i < message.len;) {
		size_t end = quoted_end(message, i);
		bool number = message.ptr[i] >= '0' && message.ptr[i] <= '9' && (i == 0 || !is_word(message.ptr[i - 1]));
		if (end > i) {
			text_add(&t, SLICE_LIT("?"));
			i = end;
		} else if (number) {
			while (i < message.len && (is_word(message.ptr[i]) || message.ptr[i] == '.'))
				i++;
			text_add(&t, SLICE_LIT("?"));
		} else {
			text_add_byte(&t, (char)message.ptr[i++]);
		}
	}
	return text_end(&t);
}
