/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of one path segment: does it read like a word of the program or like a value? Judged alone, without memory. */
#include "span/route.h"

enum { WORD_MAX = 48, SLUG_HYPHENS = 4, TOKEN_MIN = 10, HASH_MIN = 8, HASH_WITHOUT_DIGIT_MIN = 32 };

struct census { /* one pass over a segment */
	size_t digits, hex, upper, lower, hyphens, dots, signs, other;
	size_t digit_groups;
	size_t tail_digits;   /* run of digits at the end */
	size_t longest_digits;
	bool at, percent, comma;
};

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static struct census take_census(struct slice s)
{
	struct census n = { 0 };

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];
		uint8_t l = ascii_lower(c);
		if (is_digit(c)) {
			n.digits++;
			n.hex++;
			n.digit_groups += n.tail_digits == 0;
			if (++n.tail_digits > n.longest_digits)
				n.longest_digits = n.tail_digits;
			continue;
		}
		n.tail_digits = 0;
		n.hex += l >= 'a' && l <= 'f';
		if (c >= 'A' && c <= 'Z')
			n.upper++;
		else if (c >= 'a' && c <= 'z')
			n.lower++;
		else if (c == '-' || c == '_')
			n.hyphens++;
		else if (c == '.')
			n.dots++;
		else if (c == '+' || c == '~' || c == '=')
			n.signs++;
		else
			n.other++;
		n.at |= c == '@';
		n.percent |= c == '%';
		n.comma |= c == ',';
	}
	return n;
}

static bool is_uuid(struct slice s, const struct census *n)
{
	if (s.len != 36 || n->hex != 32)
		return false;
	return s.ptr[8] == '-' && s.ptr[13] == '-' && s.ptr[18] == '-' && s.ptr[23] == '-';
}

static bool two_digits(const uint8_t *p, unsigned int low, unsigned int high)
{
	unsigned int v = (unsigned int)(p[0] - '0') * 10 + (unsigned int)(p[1] - '0');

	return is_digit(p[0]) && is_digit(p[1]) && v >= low && v <= high;
}

/* YYYY-MM-DD, alone or with a time behind it (RFC 3339). */
static bool is_date(struct slice s)
{
	if (s.len < 10 || !(two_digits(s.ptr, 19, 21) && is_digit(s.ptr[2]) && is_digit(s.ptr[3])))
		return false;
	if (s.ptr[4] != '-' || s.ptr[7] != '-' || !two_digits(s.ptr + 5, 1, 12) || !two_digits(s.ptr + 8, 1, 31))
		return false;
	return s.len == 10 || s.ptr[10] == 'T' || s.ptr[10] == ' ';
}

/* Crockford's base 32, 26 characters, first at most 7; both letters and digits. */
static bool is_ulid(struct slice s, const struct census *n)
{
	if (s.len != 26 || n->digits == 0 || n->digits + n->upper + n->lower != 26 || (n->upper && n->lower) || s.ptr[0] > '7')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = ascii_lower(s.ptr[i]);
		if (c == 'i' || c == 'l' || c == 'o' || c == 'u')
			return false;
	}
	return true;
}

/* Random text: letters and digits mixed as words never are. */
static bool is_token(struct slice s, const struct census *n)
{
	size_t letters = n->upper + n->lower;

	if (s.len < TOKEN_MIN || n->other || n->dots || letters == 0)
		return false;
	if (n->signs && s.len >= 16)
		return true; /* base64 with its padding */
	if (n->digits == 0)
		return false;
	if (s.len >= 20 && n->upper && n->lower && n->digits >= 2)
		return true;
	if (n->upper && n->lower)
		return n->digit_groups >= 2 || n->digits >= 3;
	return n->digit_groups >= 3 && n->digits * 4 >= s.len && n->hyphens == 0;
}

static struct slice shape_of_name(struct slice s)
{
	struct census n = take_census(s);

	if (s.len == 0)
		return SLICE_NONE;
	if (n.digits == s.len || (n.digits + 1 == s.len && s.len > 1 && (s.ptr[0] == '-' || s.ptr[0] == '+')))
		return SLICE_LIT("{id}");
	if (is_uuid(s, &n))
		return SLICE_LIT("{uuid}");
	if (is_date(s))
		return SLICE_LIT("{date}");
	if (n.at && n.dots)
		return SLICE_LIT("{email}");
	if (n.hex == s.len && ((s.len >= HASH_MIN && n.digits) || s.len >= HASH_WITHOUT_DIGIT_MIN))
		return SLICE_LIT("{hash}");
	if (is_ulid(s, &n))
		return SLICE_LIT("{ulid}");
	if (n.digits && n.dots && n.digits + n.dots == s.len)
		return n.dots == 3 ? SLICE_LIT("{ip}") : n.dots == 1 && s.len > 4 ? SLICE_LIT("{id}") : SLICE_NONE; /* 1.0 and 2.1.3 are versions */
	if (is_token(s, &n))
		return SLICE_LIT("{token}");
	/* user-1234, INV_2026_001, order42917 */
	if (n.longest_digits >= 5 || (n.tail_digits >= 3 && n.hyphens))
		return SLICE_LIT("{id}");
	if (n.hyphens >= SLUG_HYPHENS)
		return SLICE_LIT("{slug}");
	if (s.len > WORD_MAX || n.percent || (n.comma && n.digits))
		return SLICE_LIT("{param}");
	return SLICE_NONE;
}

/* Position of the dot before a known file extension, or the length. */
static size_t file_stem(struct slice s)
{
	static const char *const known[] = { "js", "mjs", "css", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "woff", "woff2",
					     "ttf", "eot", "mp3", "mp4", "webm", "html", "htm", "txt", "xml", "json", "csv", "pdf", "zip", "gz", "tgz",
					     "tar", "deb", "rpm", "whl", "jar", "wasm", "php", "md", "yaml", "yml", "bin", "proto" };
	size_t dot = s.len;

	while (dot > 0 && s.len - dot <= 5 && s.ptr[dot - 1] != '.')
		dot--;
	if (dot <= 1 || dot >= s.len || s.ptr[dot - 1] != '.')
		return s.len;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_ieq(slice_from(s, dot), slice_str(known[i])))
			return dot - 1;
	return s.len;
}

/*
 * A build's fingerprint in a file name: any part between dots or hyphens that reads like a value (app.3f2a9c1b, chunk-5f7bd2a9).
 */
static bool has_fingerprint(struct slice stem)
{
	for (size_t from = 0; from < stem.len;) {
		size_t to = from;
		while (to < stem.len && stem.ptr[to] != '.' && stem.ptr[to] != '-' && stem.ptr[to] != '_')
			to++;
		struct slice part = slice_make(stem.ptr + from, to - from);
		if (part.len >= 6 && shape_of_name(part).len)
			return true;
		from = to + 1;
	}
	return false;
}

static struct slice join_shape(struct slice shape, struct slice extension, char out[ROUTE_SEGMENT_MAX])
{
	extension = slice_head(extension, ROUTE_SEGMENT_MAX - shape.len);
	memcpy(out, shape.ptr, shape.len);
	if (extension.len)
		memcpy(out + shape.len, extension.ptr, extension.len);
	return slice_make(out, shape.len + extension.len);
}

struct slice route_segment_shape(struct slice segment, char out[ROUTE_SEGMENT_MAX])
{
	size_t stem = file_stem(segment);
	struct slice shape = shape_of_name(slice_head(segment, stem));

	if (stem < segment.len && !shape.len && has_fingerprint(slice_head(segment, stem)))
		shape = SLICE_LIT("{file}");
	return shape.len ? join_shape(shape, slice_from(segment, stem), out) : SLICE_NONE;
}

bool route_segment_is_literal(struct slice segment)
{
	char out[ROUTE_SEGMENT_MAX];

	return route_segment_shape(segment, out).len == 0;
}
