/* SPDX-License-Identifier: Apache-2.0 */
#include "span/semconv.h"

#include "span/text.h"

static bool is_word(uint8_t c)
{
	uint8_t l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

/*
 * Index behind the quoted text that starts at `from`; an apostrophe within a word (can't) opens none, a missing end hides the
 * rest. Servers do not escape what they quote, so that a quote mark may belong to the value: only the last one is sure to be
 * behind it.
 */
static size_t quoted_end(struct slice s, size_t from)
{
	uint8_t quote = s.ptr[from];
	size_t end;

	if (quote == '(') { /* PostgreSQL: Key (email)=(a@example.com) already exists */
		if (from == 0 || s.ptr[from - 1] != '=')
			return from;
		quote = ')';
	} else if (quote == '\'' && from > 0 && is_word(s.ptr[from - 1])) {
		return from;
	} else if (quote != '\'' && quote != '"' && quote != '`') {
		return from;
	}
	for (end = s.len; end > from + 1 && s.ptr[end - 1] != quote;)
		end--;
	return end > from + 1 ? end : s.len;
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
