/* SPDX-License-Identifier: Apache-2.0 */
#include "span/url.h"

#define REDACTED SLICE_LIT("REDACTED")

enum { FLAG_MAX = 8 };

/* Length of a scheme followed by "://", or 0. */
static size_t scheme_length(struct slice s)
{
	size_t i = 0;

	while (i < s.len && i < 32) {
		uint8_t c = ascii_lower(s.ptr[i]);
		bool letter = c >= 'a' && c <= 'z';
		if (!letter && !(i > 0 && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
			break;
		i++;
	}
	return i > 0 && slice_starts(slice_from(s, i), SLICE_LIT("://")) ? i : 0;
}

void url_parse_target(struct slice target, bool connect, struct url *ret_url)
{
	struct url u = { 0 };
	size_t end = slice_find(target, '#', 0); /* never sent by a correct client (RFC 9110, 7.1) */

	if (end != SIZE_MAX)
		target = slice_head(target, end);
	if (connect) {
		u.authority = target;
		*ret_url = u;
		return;
	}
	size_t scheme = scheme_length(target);
	if (scheme) {
		u.scheme = slice_head(target, scheme);
		target = slice_from(target, scheme + 3);
		size_t n = 0;
		while (n < target.len && target.ptr[n] != '/' && target.ptr[n] != '?')
			n++;
		u.authority = slice_head(target, n);
		target = slice_from(target, n);
	}
	size_t mark = slice_find(target, '?', 0);
	u.has_query = mark != SIZE_MAX;
	u.path = u.has_query ? slice_head(target, mark) : target;
	u.query = u.has_query ? slice_from(target, mark + 1) : SLICE_NONE;
	if (scheme && u.path.len == 0)
		u.path = SLICE_LIT("/");
	*ret_url = u;
}

/*
 * Bytes of a name or IPv4 address (RFC 1123, 2.1; with _ and with names that are not ASCII), within brackets those of an IPv6 address and its zone. RFC 3986 allows
 * more that no host has, and what stands there is the sender's: a Host header of "h,token" shows its host alone.
 */
static size_t host_length(struct slice s, bool brackets)
{
	size_t n = 0;

	for (; n < s.len; n++) {
		uint8_t c = s.ptr[n], lower = ascii_lower(c);
		bool name = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c >= 0x80;
		if (!name && !(brackets && (c == ':' || c == '%')))
			break;
	}
	return n;
}

void url_parse_authority(struct slice authority, struct authority *ret_authority)
{
	struct authority a = { 0 };
	struct slice port;
	uint64_t number = 0;

	for (size_t at; (at = slice_find(authority, '@', 0)) != SIZE_MAX;) {
		a.has_user = true;
		authority = slice_from(authority, at + 1);
	}
	if (authority.len && authority.ptr[0] == '[') {
		size_t end = slice_find(authority, ']', 1);
		a.host = end == SIZE_MAX ? SLICE_NONE : slice_make(authority.ptr + 1, end - 1);
		a.host = slice_head(a.host, host_length(a.host, true));
		struct slice rest = end == SIZE_MAX ? SLICE_NONE : slice_from(authority, end + 1);
		port = rest.len && rest.ptr[0] == ':' ? slice_from(rest, 1) : SLICE_NONE;
	} else {
		a.host = slice_head(authority, host_length(authority, false));
		struct slice rest = slice_from(authority, a.host.len);
		port = rest.len && rest.ptr[0] == ':' ? slice_from(rest, 1) : SLICE_NONE;
	}
	if (slice_u64(port, &number) && number <= UINT16_MAX)
		a.port = (uint16_t)number;
	*ret_authority = a;
}

static bool is_secret_key(struct slice key)
{
	/* The first four are the list of the HTTP semantic conventions for url.full and url.query. */
	static const struct slice secret[] = {
		{ (const uint8_t *)"AWSAccessKeyId", 14 }, { (const uint8_t *)"Signature", 9 }, { (const uint8_t *)"sig", 3 },
		{ (const uint8_t *)"X-Goog-Signature", 16 }, { (const uint8_t *)"X-Amz-Signature", 15 },
		{ (const uint8_t *)"X-Amz-Credential", 16 }, { (const uint8_t *)"X-Amz-Security-Token", 20 },
		{ (const uint8_t *)"token", 5 }, { (const uint8_t *)"access_token", 12 }, { (const uint8_t *)"refresh_token", 13 },
		{ (const uint8_t *)"id_token", 8 }, { (const uint8_t *)"api_key", 7 }, { (const uint8_t *)"apikey", 6 },
		{ (const uint8_t *)"api-key", 7 }, { (const uint8_t *)"key", 3 }, { (const uint8_t *)"password", 8 },
		{ (const uint8_t *)"passwd", 6 }, { (const uint8_t *)"pwd", 3 }, { (const uint8_t *)"secret", 6 },
		{ (const uint8_t *)"client_secret", 13 }, { (const uint8_t *)"code", 4 }, { (const uint8_t *)"auth", 4 },
		{ (const uint8_t *)"session", 7 }, { (const uint8_t *)"sessionid", 9 }, { (const uint8_t *)"jwt", 3 },
	};

	for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
		if (slice_ieq(key, secret[i]))
			return true;
	return false;
}

/* A short lower-case word, as flags are (?wsdl); anything else may be a token that stands alone, padded by = perhaps. */
static bool is_flag(struct slice name)
{
	if (name.len > FLAG_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!(name.ptr[i] >= 'a' && name.ptr[i] <= 'z') && name.ptr[i] != '_' && name.ptr[i] != '-')
			return false;
	return true;
}

/* One key=value. */
static void add_query_part(struct text *t, struct slice part, bool show)
{
	struct slice key = slice_head(part, slice_find(part, '=', 0));
	size_t value = key.len;

	while (value < part.len && part.ptr[value] == '=')
		value++;
	if (value == part.len) {
		text_add(t, show ? part : is_flag(key) ? slice_head(part, key.len + 1) : REDACTED);
		return;
	}
	text_add(t, slice_head(part, key.len + 1));
	text_add(t, show && !is_secret_key(key) ? slice_from(part, key.len + 1) : REDACTED);
}

void url_add_query(struct text *t, struct slice query, bool show)
{
	for (size_t from = 0; from <= query.len;) {
		size_t to = from;
		while (to < query.len && query.ptr[to] != '&' && query.ptr[to] != ';')
			to++;
		add_query_part(t, slice_head(slice_from(query, from), to - from), show);
		if (to < query.len)
			text_add_byte(t, (char)query.ptr[to]);
		from = to + 1;
	}
}

static unsigned int hex_digit(uint8_t c)
{
	uint8_t lower = ascii_lower(c);

	return c >= '0' && c <= '9' ? c - (unsigned int)'0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10u : 16;
}

/* Length of the character at `at`, itself or escaped, however often, if it is one of `set`, or 0. */
static size_t mark_length(struct slice s, size_t at, const char *set)
{
	unsigned int c = s.ptr[at];
	size_t n = 1;

	if (c == '%') { /* %25 is one: %253F is a question mark that was escaped twice */
		while (s.len - at > n + 2 && s.ptr[at + n] == '2' && s.ptr[at + n + 1] == '5')
			n += 2;
		if (s.len - at >= n + 2) {
			c = hex_digit(s.ptr[at + n]) << 4 | hex_digit(s.ptr[at + n + 1]);
			n += 2;
		}
	}
	return c && c < 0x80 && strchr(set, (int)c) ? n : 0;
}

/* A segment of a path: what stands before an @ of a URL within the path is a user, what follows ; ? & or # are parameters. */
static void add_segment(struct text *t, struct slice s, bool authority)
{
	size_t user = 0, parameters = s.len;

	for (size_t i = 0; i < s.len; i++) {
		size_t at = mark_length(s, i, "@"), mark = mark_length(s, i, ";?&#");
		authority = authority || mark_length(s, i, ":");
		if (at && authority)
			user = i + at;
		if (mark && parameters == s.len)
			parameters = i + mark;
	}
	if (user > parameters) {
		text_add(t, REDACTED);
		return;
	}
	if (user)
		text_add(t, SLICE_LIT("REDACTED@"));
	text_add(t, slice_make(s.ptr + user, parameters - user));
	if (parameters < s.len)
		text_add(t, REDACTED);
}

void url_add_path(struct text *t, struct slice path)
{
	for (size_t from = 0; from <= path.len;) {
		size_t to = from;
		while (to < path.len && path.ptr[to] != '/')
			to++;
		bool authority = from >= 2 && path.ptr[from - 2] == '/';
		if (to > from)
			add_segment(t, slice_make(path.ptr + from, to - from), authority);
		if (to < path.len)
			text_add_byte(t, '/');
		from = to + 1;
	}
}
