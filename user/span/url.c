/* SPDX-License-Identifier: Apache-2.0 */
#include "span/url.h"

#include "span/route.h"

#define REDACTED SLICE_LIT("REDACTED")

enum { BARE_PART_MAX = 32 };

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
		struct slice rest = end == SIZE_MAX ? SLICE_NONE : slice_from(authority, end + 1);
		port = rest.len && rest.ptr[0] == ':' ? slice_from(rest, 1) : SLICE_NONE;
	} else {
		size_t colon = slice_find(authority, ':', 0);
		a.host = colon == SIZE_MAX ? authority : slice_head(authority, colon);
		port = colon == SIZE_MAX ? SLICE_NONE : slice_from(authority, colon + 1);
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

/* One key=value. A part without = is a flag (?wsdl) if it reads like a word, else it may be a token that stands alone. */
static void add_query_part(struct text *t, struct slice part, bool show)
{
	size_t eq = slice_find(part, '=', 0);

	if (eq == SIZE_MAX) {
		bool plain = part.len <= BARE_PART_MAX && route_segment_is_literal(part);
		text_add(t, plain || show ? part : REDACTED);
		return;
	}
	struct slice key = slice_head(part, eq);
	text_add(t, slice_head(part, eq + 1));
	if (eq + 1 < part.len)
		text_add(t, show && !is_secret_key(key) ? slice_from(part, eq + 1) : REDACTED);
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

void url_add_path(struct text *t, struct slice path)
{
	while (path.len) {
		size_t semi = slice_find(path, ';', 0);
		if (semi == SIZE_MAX) {
			text_add(t, path);
			return;
		}
		size_t eq = semi + 1;
		while (eq < path.len && path.ptr[eq] != '=' && path.ptr[eq] != ';' && path.ptr[eq] != '/')
			eq++;
		if (eq == path.len || path.ptr[eq] != '=') {
			text_add(t, slice_head(path, eq));
			path = slice_from(path, eq);
			continue;
		}
		size_t end = eq + 1;
		while (end < path.len && path.ptr[end] != ';' && path.ptr[end] != '/')
			end++;
		text_add(t, slice_head(path, eq + 1));
		text_add(t, REDACTED);
		path = slice_from(path, end);
	}
}
