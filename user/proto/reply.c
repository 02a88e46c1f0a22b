/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/reply.h"

/* Control characters that may stand in a line: tabs, and the telnet codes that FTP's clients send before ABOR (RFC 959, 4.1.3) are above 127. */
static bool is_text(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] < ' ' && s.ptr[i] != '\t') || s.ptr[i] == 127)
			return false;
	return true;
}

enum reply_scan reply_text_read(struct slice in, struct reply_text *ret)
{
	struct slice head = slice_head(in, REPLY_LINE_MAX);
	size_t end = slice_find(head, '\n', 0), n = end == SIZE_MAX ? head.len : end;

	if (n && head.ptr[n - 1] == '\r')
		n--;
	if (!is_text(slice_head(head, n)))
		return REPLY_BAD;
	if (end == SIZE_MAX && in.len < REPLY_LINE_MAX)
		return REPLY_MORE;
	*ret = (struct reply_text){ .text = slice_head(head, n), .cut = end == SIZE_MAX };
	ret->len = ret->cut ? head.len : end + 1;
	return REPLY_OK;
}

enum reply_scan reply_read(struct slice in, struct reply *ret)
{
	static const uint8_t least[] = "100", most[] = "659";
	size_t n = in.len < 3 ? in.len : 3;

	for (size_t i = 0; i < n; i++)
		if (in.ptr[i] < least[i] || in.ptr[i] > most[i])
			return REPLY_BAD;
	if (in.len > 3 && !memchr(" -\r\n", in.ptr[3], 4))
		return REPLY_BAD;
	enum reply_scan scan = reply_text_read(in, &ret->line);
	if (scan != REPLY_OK)
		return scan;
	if (ret->line.text.len < 3)
		return REPLY_BAD;
	ret->code = (unsigned)(in.ptr[0] - '0') * 100 + (unsigned)(in.ptr[1] - '0') * 10 + (unsigned)(in.ptr[2] - '0');
	ret->more = ret->line.text.len > 3 && in.ptr[3] == '-';
	ret->text = slice_from(ret->line.text, 4);
	return REPLY_OK;
}

bool reply_rest(struct slice in, size_t *ret_consumed)
{
	size_t end = slice_find(in, '\n', 0);

	*ret_consumed = end == SIZE_MAX ? in.len : end + 1;
	return end != SIZE_MAX;
}

struct slice reply_word(struct slice text, struct slice *ret_rest)
{
	size_t n = 0, next;

	while (n < text.len && text.ptr[n] != ' ' && text.ptr[n] != '\t')
		n++;
	for (next = n; next < text.len && (text.ptr[next] == ' ' || text.ptr[next] == '\t');)
		next++;
	*ret_rest = slice_from(text, next);
	return slice_head(text, n);
}

static const char *name_of(struct reply_verbs verbs, size_t i)
{
	const char *name;

	memcpy(&name, (const char *)verbs.verb + i * verbs.size, sizeof(name));
	return name;
}

/* Most lines of what is no command are refused by this alone. */
static bool begins_as(struct slice in, const char *name) { return ascii_lower(in.ptr[0]) == ascii_lower((uint8_t)name[0]); }

const void *reply_verb_find(struct reply_verbs verbs, struct slice word)
{
	for (size_t i = 0; word.len && i < verbs.n; i++)
		if (begins_as(word, name_of(verbs, i)) && slice_ieq(word, slice_str(name_of(verbs, i))))
			return (const char *)verbs.verb + i * verbs.size;
	return NULL;
}

bool reply_verb_begins(struct reply_verbs verbs, struct slice in)
{
	for (size_t i = 0; i < verbs.n; i++) {
		if (!begins_as(in, name_of(verbs, i)))
			continue;
		struct slice name = slice_str(name_of(verbs, i));
		if (slice_ieq(slice_head(in, name.len), slice_head(name, in.len)) && (in.len <= name.len || (in.ptr[name.len] <= ' ' && in.ptr[name.len])))
			return true;
	}
	return false;
}

void reply_error(unsigned code, struct message *m)
{
	m->flags |= MESSAGE_ERROR;
	m->error_type[0] = (char)('0' + code / 100 % 10);
	m->error_type[1] = (char)('0' + code / 10 % 10);
	m->error_type[2] = (char)('0' + code % 10);
	m->error_type[3] = '\0';
}
