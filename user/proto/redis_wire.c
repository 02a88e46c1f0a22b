/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/redis_wire.h"

#include "proto/redis_commands.h"

enum { LINES_MAX = 8 }; /* of what may be others, too */

/* "<type><length>\r\n" at `at`. */
enum redis_scan redis_head_read(struct slice in, size_t at, struct redis_head *ret)
{
	struct slice line = slice_head(slice_from(in, at), REDIS_HEAD_MAX);
	size_t end = slice_find(line, '\n', 0);

	if (end == SIZE_MAX)
		return line.len < REDIS_HEAD_MAX ? REDIS_SCAN_MORE : REDIS_SCAN_BAD;
	if (end < 3 || line.ptr[end - 1] != '\r')
		return REDIS_SCAN_BAD;
	struct slice number = slice_make(line.ptr + 1, end - 2);
	*ret = (struct redis_head){ .type = (char)line.ptr[0], .len = end + 1 };
	if (number.len == 1 && number.ptr[0] == '?')
		ret->stream = true;
	else if (slice_eq(number, SLICE_LIT("-1")))
		ret->null = true;
	else if (!slice_u64(number, &ret->n) || ret->n > REDIS_COUNT_MAX)
		return REDIS_SCAN_BAD;
	return REDIS_SCAN_OK;
}

bool redis_name_char(uint8_t c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool redis_name_plausible(struct slice s)
{
	if (s.len == 0 || s.len > REDIS_NAME_MAX || ascii_lower(s.ptr[0]) < 'a' || ascii_lower(s.ptr[0]) > 'z')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!redis_name_char(s.ptr[i]))
			return false;
	return true;
}

static bool blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; }

/*
 * The next argument at *at, which moves behind it. *ret_plain: the view is the argument as it is, without
 * escapes in it. MORE: there is none.
 */
static enum redis_scan inline_next(struct slice line, size_t *at, struct slice *ret_arg, bool *ret_plain)
{
	size_t i = *at;

	while (i < line.len && blank(line.ptr[i]))
		i++;
	if (i == line.len)
		return REDIS_SCAN_MORE;
	size_t from = i, to;
	uint8_t quote = 0;
	bool plain = true;
	for (; i < line.len && (quote || !blank(line.ptr[i])); i++) {
		uint8_t c = line.ptr[i];
		if (quote && c == '\\' && i + 1 < line.len && (quote == '"' || line.ptr[i + 1] == '\'')) {
			plain = false;
			i++;
		} else if (quote && c == quote) {
			if (i + 1 < line.len && !blank(line.ptr[i + 1])) /* nothing may follow a closing quote */
				return REDIS_SCAN_BAD;
			quote = 0;
		} else if (!quote && (c == '"' || c == '\'')) {
			quote = c;
			plain &= i == from; /* text in front of it is joined to it */
		}
	}
	if (quote)
		return REDIS_SCAN_BAD;
	to = i;
	if (line.ptr[from] == '"' || line.ptr[from] == '\'') {
		from++;
		to--;
	}
	*at = i;
	*ret_arg = slice_make(line.ptr + from, to - from);
	*ret_plain = plain;
	return REDIS_SCAN_OK;
}

enum redis_scan redis_inline_split(struct slice line, struct slice *ret_args, bool *ret_plain, uint32_t *ret_n)
{
	struct slice arg;
	bool plain;
	size_t at = 0;

	for (*ret_n = 0;; ++*ret_n) {
		enum redis_scan scan = inline_next(line, &at, &arg, &plain);
		if (scan != REDIS_SCAN_OK)
			return scan;
		if (*ret_n < REDIS_INLINE_ARGS) {
			ret_args[*ret_n] = arg;
			ret_plain[*ret_n] = plain;
		}
	}
}

static bool ends_with(struct slice s, struct slice tail) { return s.len >= tail.len && slice_ieq(slice_from(s, s.len - tail.len), tail); }

bool redis_subscribes(struct slice name)
{
	return name.len >= 9 && name.len <= 12 && ends_with(name, SLICE_LIT("SUBSCRIBE")) && redis_command_find(name);
}

bool redis_monitor_line(struct slice line)
{
	size_t digits = 0, fraction = 0;

	while (digits < line.len && line.ptr[digits] >= '0' && line.ptr[digits] <= '9')
		digits++;
	if (digits < 9 || digits == line.len || line.ptr[digits] != '.')
		return false;
	struct slice rest = slice_from(line, digits + 1);
	while (fraction < rest.len && rest.ptr[fraction] >= '0' && rest.ptr[fraction] <= '9')
		fraction++;
	return fraction == 6 && slice_starts(slice_from(rest, fraction), SLICE_LIT(" ["));
}

bool redis_word_message(struct slice w)
{
	return slice_eq(w, SLICE_LIT("message")) || slice_eq(w, SLICE_LIT("pmessage")) || slice_eq(w, SLICE_LIT("smessage"));
}

enum redis_confirm redis_word_confirms(struct slice w)
{
	if (w.len < 9 || w.len > 12)
		return REDIS_CONFIRM_NONE;
	if (slice_eq(w, SLICE_LIT("subscribe")) || slice_eq(w, SLICE_LIT("unsubscribe")))
		return REDIS_CONFIRM_CHANNEL;
	if (slice_eq(w, SLICE_LIT("psubscribe")) || slice_eq(w, SLICE_LIT("punsubscribe")))
		return REDIS_CONFIRM_PATTERN;
	return slice_eq(w, SLICE_LIT("ssubscribe")) || slice_eq(w, SLICE_LIT("sunsubscribe")) ? REDIS_CONFIRM_SHARD : REDIS_CONFIRM_NONE;
}

/* "*<count>\r\n$<length>\r\n<name>\r\n" with a known command. */
static int detect_command(struct slice in)
{
	struct redis_head h, name;
	enum redis_scan scan = redis_head_read(in, 0, &h);

	if (scan != REDIS_SCAN_OK)
		return scan == REDIS_SCAN_MORE && (in.len < 2 || (in.ptr[1] >= '1' && in.ptr[1] <= '9')) ? DETECT_MORE : DETECT_NO;
	if (h.null || h.stream || h.n == 0 || h.n > 1 << 20)
		return DETECT_NO;
	if (h.len < in.len && in.ptr[h.len] != '$')
		return DETECT_NO;
	scan = redis_head_read(in, h.len, &name);
	if (scan != REDIS_SCAN_OK)
		return scan == REDIS_SCAN_MORE ? DETECT_MORE : DETECT_NO;
	if (name.null || name.stream || name.n == 0 || name.n > REDIS_NAME_MAX)
		return DETECT_NO;
	size_t at = h.len + name.len;
	if (in.len < at + name.n + 2)
		return DETECT_MORE;
	struct slice word = slice_make(in.ptr + at, (size_t)name.n);
	if (in.ptr[at + name.n] != '\r' || in.ptr[at + name.n + 1] != '\n' || !redis_name_plausible(word))
		return DETECT_NO;
	return redis_command_find(word) ? DETECT_CERTAIN : DETECT_WEAK;
}

/* POP3 has the first two, NATS the third, and both +OK and -ERR. */
static bool word_shared(struct slice word) { return slice_ieq(word, SLICE_LIT("QUIT")) || slice_ieq(word, SLICE_LIT("AUTH")) || slice_ieq(word, SLICE_LIT("PING")); }

/* One line; *ret_len 0: it has not ended. */
static int inline_at(struct slice in, size_t *ret_len)
{
	size_t end = slice_find(slice_head(in, 512), '\n', 0), word = 0;

	*ret_len = 0;

	while (word < in.len && redis_name_char(in.ptr[word]))
		word++;
	if (word == 0 || word > REDIS_NAME_MAX)
		return DETECT_NO;
	if (word == in.len)
		return DETECT_MORE;
	if (!redis_command_find(slice_make(in.ptr, word)) || (in.ptr[word] != ' ' && in.ptr[word] != '\r'))
		return DETECT_NO;
	for (size_t i = word; i < in.len && i < 512 && in.ptr[i] != '\r'; i++)
		if (in.ptr[i] < ' ' || in.ptr[i] > 126)
			return DETECT_NO;
	if (end == SIZE_MAX)
		return in.len < 512 ? DETECT_MORE : DETECT_NO;
	if (end < 2 || in.ptr[end - 1] != '\r')
		return DETECT_NO;
	if (end > 9 && memcmp(in.ptr + end - 9, "HTTP/1.", 7) == 0)
		return DETECT_NO;
	*ret_len = end + 1;
	return word_shared(slice_make(in.ptr, word)) ? DETECT_SHARED : DETECT_WEAK;
}

/* The surest of the first commands, all of which must be some. */
static int detect_inline(struct slice in)
{
	int best = DETECT_MORE;
	size_t len = 0;

	for (unsigned i = 0; i < LINES_MAX && in.len && best < DETECT_WEAK; i++) {
		int score = in.ptr[0] == '*' ? detect_command(in) : inline_at(in, &len);
		if (score == DETECT_NO || in.ptr[0] == '*')
			return score == DETECT_MORE ? best : score;
		best = score > best ? score : best;
		if (len == 0)
			break;
		in = slice_from(in, len);
	}
	return best;
}

/* POP3 says +OK and -ERR, NATS both. What Redis says in other words is a word, mostly; other texts may be anybody's. */
static int detect_simple(struct slice text)
{
	size_t n = 0;

	if (slice_eq(text, SLICE_LIT("PONG")) || slice_eq(text, SLICE_LIT("QUEUED")))
		return DETECT_WEAK;
	while (n < text.len && redis_name_char(text.ptr[n]))
		n++;
	return text.len == 0 ? DETECT_NO : n == text.len ? DETECT_SHARED : DETECT_MORE;
}

static int detect_error(struct slice text)
{
	size_t n = 0;

	if (text.len == 0 || text.ptr[0] < 'A' || text.ptr[0] > 'Z')
		return DETECT_NO;
	while (n < text.len && ((text.ptr[n] >= 'A' && text.ptr[n] <= 'Z') || text.ptr[n] == '_'))
		n++;
	if (n < 3 || n == text.len || text.ptr[n] != ' ')
		return DETECT_MORE;
	return slice_eq(slice_head(text, n), SLICE_LIT("ERR")) ? DETECT_SHARED : DETECT_WEAK;
}

/* One reply's first line; *ret_len: of a line that is all of its reply, else 0. */
static int reply_at(struct slice in, size_t *ret_len)
{
	struct redis_head h;
	size_t end = slice_find(slice_head(in, 512), '\n', 0);

	*ret_len = 0;
	if (!memchr("+-:$*%>~_#,(!=|", in.ptr[0], 15))
		return DETECT_NO;
	for (size_t i = 1; i < in.len && i < 512 && in.ptr[i] != '\r'; i++)
		if (in.ptr[i] < ' ' || in.ptr[i] > 126)
			return DETECT_NO;
	if (end == SIZE_MAX)
		return in.len < (memchr("+-(", in.ptr[0], 3) ? 512u : REDIS_HEAD_MAX) ? DETECT_MORE : DETECT_NO;
	if (end < 2 || in.ptr[end - 1] != '\r')
		return DETECT_NO;
	if (memchr("+-", in.ptr[0], 2))
		*ret_len = end + 1;
	switch (in.ptr[0]) {
	case '+':
		return detect_simple(slice_make(in.ptr + 1, end - 2));
	case '-':
		/* NATS puts all that it says in quotes; with its PING, which is an inline command here, that would do. */
		if (slice_starts(in, SLICE_LIT("-ERR '")) && in.ptr[end - 2] == '\'')
			return DETECT_NO;
		return detect_error(slice_make(in.ptr + 1, end - 2));
	case '_':
		return end == 2 ? DETECT_WEAK : DETECT_NO;
	case '#':
		return end == 3 && (in.ptr[1] == 't' || in.ptr[1] == 'f') ? DETECT_WEAK : DETECT_NO;
	case ',': case '(':
		return in.ptr[1] == '-' || (in.ptr[1] >= '0' && in.ptr[1] <= '9') ? DETECT_WEAK : DETECT_NO;
	default:
		break;
	}
	if (redis_head_read(in, 0, &h) != REDIS_SCAN_OK)
		return in.ptr[0] == ':' && in.ptr[1] == '-' ? DETECT_WEAK : DETECT_NO;
	if (memchr("$!=", in.ptr[0], 3) && in.len >= h.len + h.n + 2 && !h.null && in.ptr[h.len + h.n] != '\r')
		return DETECT_NO;
	if (memchr("*%>~|", in.ptr[0], 5) && h.n && in.len > h.len && !memchr("+-:$*%>~_#,(!=|", in.ptr[h.len], 15))
		return DETECT_NO;
	return DETECT_WEAK;
}

/* The surest of the first lines. */
static int detect_reply(struct slice in)
{
	int best = DETECT_MORE;
	size_t len = 0;

	for (unsigned i = 0; i < LINES_MAX && in.len && best < DETECT_WEAK; i++) {
		int score = reply_at(in, &len);
		if (score == DETECT_NO)
			return DETECT_NO;
		best = score > best ? score : best;
		if (len == 0)
			break;
		in = slice_from(in, len);
	}
	return best;
}

int redis_detect(struct slice in, enum proto_side side)
{
	if (in.len == 0)
		return DETECT_MORE;
	if (side == PROTO_TO_CLIENT)
		return detect_reply(in);
	return in.ptr[0] == '*' ? detect_command(in) : detect_inline(in);
}
