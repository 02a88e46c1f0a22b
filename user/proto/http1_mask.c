/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masks what may be secret in recorded messages, lengths kept, so that they still parse the same. Kept: method, path, names in the query, version,
 * status line, header names, line ends, chunk sizes, and the values of the headers below. Everything else becomes x. Where the framing
 * is not understood the rest is masked whole.
 */
#include "proto/http1.h"

#define NAME(s) { (const uint8_t *)(s), sizeof(s) - 1 }
/* Framing, trace context, and what says who speaks to whom. */
static const struct slice kept[] = {
	NAME("host"), NAME("date"), NAME("server"), NAME("content-length"), NAME("transfer-encoding"), NAME("connection"), NAME("keep-alive"),
	NAME("upgrade"), NAME("content-type"), NAME("content-encoding"), NAME("te"), NAME("trailer"), NAME("expect"), NAME("user-agent"),
	NAME("traceparent"), NAME("tracestate"), NAME("b3"), NAME("x-b3-traceid"), NAME("x-b3-spanid"), NAME("x-b3-parentspanid"),
	NAME("x-b3-sampled"), NAME("x-b3-flags"), NAME("uber-trace-id"),
};

/* How far a message's framing reaches, as its headers say. */
struct framing {
	uint64_t length;
	bool has_length, chunked;
	unsigned status; /* 0: request */
};

static void mask_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != '\r' && p[i] != '\n')
			p[i] = 'x';
}

static bool is_kept(struct slice name)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (slice_ieq(name, kept[i]))
			return true;
	return false;
}

/* Values of the query and, in absolute form, the user information. */
static void mask_target(uint8_t *p, size_t n)
{
	uint8_t *query = memchr(p, '?', n);
	size_t head = query ? (size_t)(query - p) : n;
	uint8_t *scheme = memmem(p, head, "://", 3);

	if (scheme) {
		uint8_t *from = scheme + 3, *slash = memchr(from, '/', (size_t)(p + head - from));
		uint8_t *at = memrchr(from, '@', (size_t)((slash ? slash : p + head) - from));
		if (at)
			memset(from, 'x', (size_t)(at - from));
	}
	/* A part without "=" may be a token by itself. */
	for (size_t i = head + 1; i < n;) {
		uint8_t *amp = memchr(p + i, '&', n - i);
		size_t end = amp ? (size_t)(amp - p) : n;
		uint8_t *equals = memchr(p + i, '=', end - i);
		size_t from = equals ? (size_t)(equals - p) + 1 : i;
		memset(p + from, 'x', end - from);
		i = end + 1;
	}
}

/* Blanks stay, so that a folded line stays one. False for a line that has no name: the caller masks the rest. */
static bool mask_header(uint8_t *p, size_t n, bool *keep_folded, struct framing *f)
{
	struct slice line = slice_make(p, n);

	if (http1_is_blank(p[0])) {
		if (!*keep_folded)
			mask_bytes(p + 1, n - 1);
		return true;
	}
	size_t colon = slice_find(line, ':', 0);
	if (colon == SIZE_MAX || colon == 0)
		return false;
	struct slice name = http1_trim(slice_head(line, colon)), value = http1_trim(slice_from(line, colon + 1));
	*keep_folded = is_kept(name);
	if (slice_ieq(name, SLICE_LIT("content-length")))
		f->has_length = slice_u64(value, &f->length);
	if (slice_ieq(name, SLICE_LIT("transfer-encoding")) && value.len >= 7)
		f->chunked = slice_ieq(slice_from(value, value.len - 7), SLICE_LIT("chunked"));
	if (!*keep_folded && value.len)
		mask_bytes(p + (value.ptr - p), value.len);
	return true;
}

/* Header or trailer lines; returns the offset behind the empty line, or SIZE_MAX if it did not come. */
static size_t mask_headers(uint8_t *p, size_t n, size_t at, struct framing *f)
{
	bool keep_folded = false;

	while (at < n) {
		struct slice all = slice_make(p, n);
		size_t lf = slice_find(all, '\n', at), end = lf == SIZE_MAX ? n : lf;
		size_t len = http1_line(all, at, end).len;

		if (lf != SIZE_MAX && len == 0)
			return lf + 1;
		if (!mask_header(p + at, len, &keep_folded, f))
			mask_bytes(p + at, len);
		at = end + 1;
	}
	return SIZE_MAX;
}

static size_t mask_chunks(uint8_t *p, size_t n, size_t at, struct framing *f)
{
	while (at < n) {
		struct slice all = slice_make(p, n), line;
		size_t lf = slice_find(all, '\n', at);
		uint64_t size;

		if (lf == SIZE_MAX)
			break;
		line = http1_line(all, at, lf);
		if (!http1_chunk_size(line, &size))
			break;
		size_t ext = slice_find(line, ';', 0);
		if (ext != SIZE_MAX)
			mask_bytes(p + at + ext + 1, line.len - ext - 1);
		at = lf + 1;
		if (size == 0)
			return mask_headers(p, n, at, f);
		size_t data = size < n - at ? (size_t)size : n - at;
		memset(p + at, 'x', data);
		at += data;
		at += at < n && p[at] == '\r';
		at += at < n && p[at] == '\n';
	}
	memset(p + (at < n ? at : n), 'x', at < n ? n - at : 0);
	return SIZE_MAX;
}

/* The start line; false if it is none. */
static bool mask_start(enum proto_side side, uint8_t *p, size_t n, struct framing *f)
{
	struct slice line = slice_make(p, n);

	if (side == PROTO_TO_CLIENT) {
		uint64_t status;
		if (n < 12 || http1_detect(slice_head(line, n), side) == DETECT_NO || !slice_u64(slice_make(p + 9, 3), &status))
			return false;
		f->status = (unsigned)status;
		return true;
	}
	size_t method = slice_find(line, ' ', 0);
	if (method == SIZE_MAX || method == 0 || method > HTTP1_METHOD_MAX)
		return false;
	for (size_t i = 0; i < method; i++)
		if (p[i] <= 0x20 || p[i] >= 0x7f)
			return false;
	uint8_t *version = memrchr(p, ' ', n);
	size_t end = (size_t)(version - p);
	if (end <= method + 1 || !slice_starts(slice_from(line, end + 1), SLICE_LIT("HTTP/1.")))
		return false;
	mask_target(p + method + 1, end - method - 1);
	return true;
}

static bool has_body(const struct framing *f)
{
	return f->status == 0 || (f->status >= 200 && f->status != 204 && f->status != 304);
}

/* One message; returns the offset behind it, or n. */
static size_t mask_message(enum proto_side side, uint8_t *p, size_t n)
{
	struct framing f = { 0 };
	struct slice all = slice_make(p, n);
	size_t lf = slice_find(all, '\n', 0), end = lf == SIZE_MAX ? n : lf;

	if (!mask_start(side, p, http1_line(all, 0, end).len, &f)) {
		memset(p, 'x', n);
		return n;
	}
	size_t at = lf == SIZE_MAX ? SIZE_MAX : mask_headers(p, n, lf + 1, &f);
	if (at != SIZE_MAX && f.chunked && has_body(&f))
		at = mask_chunks(p, n, at, &f);
	else if (at != SIZE_MAX && has_body(&f) && (f.has_length || side == PROTO_TO_CLIENT)) {
		size_t body = f.has_length && f.length < n - at ? (size_t)f.length : n - at;
		memset(p + at, 'x', body);
		at += body;
	}
	return at < n ? at : n;
}

void http1_mask(enum proto_side side, uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (at < len) {
		if (bytes[at] == '\r' || bytes[at] == '\n')
			at++;
		else
			at += mask_message(side, bytes + at, len - at);
	}
}
