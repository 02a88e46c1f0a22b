/* SPDX-License-Identifier: Apache-2.0 */
/* What an HTTP/1 start line looks like: for detection, and for finding the next message after loss. Stricter than the parser. */
#include "proto/http1.h"

enum { LONG_TARGET_BYTES = 1024, TAIL_SPACES = 2 };

#define METHOD(s) { (const uint8_t *)(s), sizeof(s) - 1 }
/* The IANA registry of methods without PRI, which starts HTTP/2, and what caches and UPnP use. */
static const struct slice methods[] = {
	METHOD("GET"), METHOD("POST"), METHOD("PUT"), METHOD("HEAD"), METHOD("DELETE"), METHOD("OPTIONS"), METHOD("PATCH"), METHOD("CONNECT"),
	METHOD("TRACE"), METHOD("ACL"), METHOD("BASELINE-CONTROL"), METHOD("BIND"), METHOD("CHECKIN"), METHOD("CHECKOUT"), METHOD("COPY"),
	METHOD("LABEL"), METHOD("LINK"), METHOD("LOCK"), METHOD("MERGE"), METHOD("MKACTIVITY"), METHOD("MKCALENDAR"), METHOD("MKCOL"),
	METHOD("MKREDIRECTREF"), METHOD("MKWORKSPACE"), METHOD("MOVE"), METHOD("ORDERPATCH"), METHOD("PROPFIND"), METHOD("PROPPATCH"),
	METHOD("QUERY"), METHOD("REBIND"), METHOD("REPORT"), METHOD("SEARCH"), METHOD("UNBIND"), METHOD("UNCHECKOUT"), METHOD("UNLINK"),
	METHOD("UNLOCK"), METHOD("UPDATE"), METHOD("UPDATEREDIRECTREF"), METHOD("VERSION-CONTROL"), METHOD("PURGE"), METHOD("NOTIFY"),
	METHOD("SUBSCRIBE"), METHOD("UNSUBSCRIBE"), METHOD("M-SEARCH"),
};

static const struct slice version_prefix = METHOD("HTTP/1.");

/* DETECT_CERTAIN: `s` starts with `word`; DETECT_MORE: it is a head of it. */
static int match_word(struct slice s, struct slice word)
{
	size_t n = s.len < word.len ? s.len : word.len;

	if (n && memcmp(s.ptr, word.ptr, n) != 0)
		return DETECT_NO;
	return s.len < word.len ? DETECT_MORE : DETECT_CERTAIN;
}

/*
 * A method of somebody's own, in capitals, in front of the blank: any protocol of lines may begin so, and only the rest of the line tells. Or how likely one is to
 * come.
 */
static int match_own_method(struct slice in, struct slice *ret_method)
{
	size_t n = 0;

	while (n < in.len && n <= HTTP1_METHOD_MAX && ((in.ptr[n] >= 'A' && in.ptr[n] <= 'Z') || (n && (in.ptr[n] == '-' || in.ptr[n] == '_'))))
		n++;
	if (n > HTTP1_METHOD_MAX || (n < in.len && (n == 0 || in.ptr[n] != ' ')))
		return DETECT_NO;
	*ret_method = slice_head(in, n);
	return n < in.len ? DETECT_CERTAIN : DETECT_MORE;
}

/* The method in front of the blank, or how likely one is to come. */
static int match_method(struct slice in, struct slice *ret_method)
{
	int best = DETECT_NO;

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		int m = match_word(in, methods[i]);

		if (m == DETECT_CERTAIN && in.len > methods[i].len) {
			if (in.ptr[methods[i].len] != ' ')
				continue;
			*ret_method = slice_head(in, methods[i].len);
			return DETECT_CERTAIN;
		}
		if (m != DETECT_NO)
			best = DETECT_MORE;
	}
	return best;
}

static bool is_target_byte(uint8_t c)
{
	return c > 0x20 && c != 0x7f;
}

static bool is_authority_byte(uint8_t c)
{
	uint8_t l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == ':' || c == '-' || c == '_' || c == '[' || c == ']';
}

/* Origin, absolute, asterisk or authority form (RFC 9112 3.2); `ended` says that a blank follows. */
static bool target_ok(struct slice method, struct slice target, bool ended)
{
	static const struct slice schemes[] = { METHOD("http://"), METHOD("https://") };
	uint8_t first = target.ptr[0];

	if (slice_eq(method, SLICE_LIT("CONNECT"))) {
		for (size_t i = 0; i < target.len; i++)
			if (!is_authority_byte(target.ptr[i]))
				return false;
		return !ended || memchr(target.ptr, ':', target.len);
	}
	if (first == '/')
		return true;
	if (first == '*')
		return target.len == 1;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t n = target.len < schemes[i].len ? target.len : schemes[i].len;

		if (slice_ieq(slice_head(target, n), slice_head(schemes[i], n)) && (n == schemes[i].len || !ended))
			return true;
	}
	return false;
}

static int detect_request(struct slice in)
{
	struct slice method;
	int score = match_method(in, &method);
	bool known = score == DETECT_CERTAIN;

	if (score == DETECT_NO)
		score = match_own_method(in, &method);
	if (score != DETECT_CERTAIN)
		return score;
	size_t from = method.len + 1, to = from;
	while (to < in.len && is_target_byte(in.ptr[to]))
		to++;
	bool ended = to < in.len;
	if (ended && (to == from || in.ptr[to] != ' '))
		return DETECT_NO;
	if (to > from && !known && in.ptr[from] == '*') /* as HTTP/2 begins */
		return DETECT_NO;
	if (to > from && !target_ok(method, slice_make(in.ptr + from, to - from), ended))
		return DETECT_NO;
	if (!ended)
		return to - from > LONG_TARGET_BYTES ? DETECT_WEAK : DETECT_MORE;

	struct slice rest = slice_from(in, to + 1);
	score = match_word(rest, version_prefix);
	if (score != DETECT_CERTAIN)
		return score;
	if (rest.len <= version_prefix.len)
		return DETECT_MORE;
	if (rest.ptr[7] < '0' || rest.ptr[7] > '9')
		return DETECT_NO;
	if (rest.len == HTTP1_VERSION_LEN)
		return DETECT_MORE;
	return rest.ptr[8] == '\r' || rest.ptr[8] == '\n' ? DETECT_CERTAIN : DETECT_NO;
}

static int detect_response(struct slice in)
{
	/* d: digit, f: first digit of a status, e: what ends one */
	static const char shape[] = "HTTP/1.d fdde";

	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		if (i == in.len)
			return DETECT_MORE;
		uint8_t c = in.ptr[i];
		bool ok = shape[i] == 'd' ? c >= '0' && c <= '9' : shape[i] == 'f' ? c >= '1' && c <= '9'
			: shape[i] == 'e' ? c == ' ' || c == '\r' || c == '\n' : c == (uint8_t)shape[i];
		if (!ok)
			return DETECT_NO;
	}
	return DETECT_CERTAIN;
}

int http1_detect(struct slice in, enum proto_side side)
{
	/* RFC 9112 2.2: empty lines before a request are ignored. */
	while (in.len && (in.ptr[0] == '\r' || in.ptr[0] == '\n'))
		in = slice_make(in.ptr + 1, in.len - 1);
	if (in.len == 0)
		return DETECT_MORE;
	return side == PROTO_TO_SERVER ? detect_request(in) : detect_response(in);
}

/*
 * Start of the longest method that ends before the blank at `at`, or SIZE_MAX. What stands before it may be a body's last byte.
 */
static size_t method_before(struct slice in, size_t at)
{
	size_t longest = 0;

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		size_t n = methods[i].len;

		if (n > longest && n <= at && memcmp(in.ptr + at - n, methods[i].ptr, n) == 0)
			longest = n;
	}
	return longest ? at - longest : SIZE_MAX;
}

/* A request line that the end of the input cuts: its method stands before one of the last two blanks. */
static size_t find_cut_request(struct slice in)
{
	size_t end = in.len, found = in.len;

	for (int i = 0; i < TAIL_SPACES; i++) {
		const uint8_t *blank = end ? memrchr(in.ptr, ' ', end) : NULL;
		if (!blank)
			break;
		end = (size_t)(blank - in.ptr);
		size_t start = method_before(in, end);
		if (start != SIZE_MAX && detect_request(slice_from(in, start)) != DETECT_NO)
			found = start;
	}
	return found;
}

static size_t find_request(struct slice in)
{
	size_t from = 0;

	while (from < in.len) {
		const uint8_t *hit = memmem(in.ptr + from, in.len - from, " HTTP/1.", 8);
		if (!hit)
			break;
		size_t at = (size_t)(hit - in.ptr), target = at;
		/* Targets hold no blank, so that these walks never overlap. */
		while (target > from && is_target_byte(in.ptr[target - 1]))
			target--;
		if (target > 0 && target < at && in.ptr[target - 1] == ' ') {
			size_t start = method_before(in, target - 1);
			if (start != SIZE_MAX && detect_request(slice_from(in, start)) != DETECT_NO)
				return start;
		}
		from = at + 1;
	}
	return find_cut_request(in);
}

static size_t find_response(struct slice in)
{
	for (size_t at = slice_find(in, 'H', 0); at != SIZE_MAX; at = slice_find(in, 'H', at + 1))
		if (detect_response(slice_from(in, at)) == DETECT_CERTAIN)
			return at;
	return in.len;
}

size_t http1_find(struct slice in, enum proto_side side)
{
	return side == PROTO_TO_SERVER ? find_request(in) : find_response(in);
}
