/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the HTTP/1 parser: http1.c (framing), http1_detect.c (start lines). Specification: RFC 9112, RFC 9110.
 */
#ifndef PLUMB_PROTO_HTTP1_H
#define PLUMB_PROTO_HTTP1_H

#include "proto/proto.h"

enum {
	HTTP1_METHOD_MAX = 32, /* longest method token taken; also what a start line may straddle */
	HTTP1_VERSION_LEN = 8, /* HTTP/1.1 */
};

/*
 * DETECT_NO, DETECT_MORE, DETECT_WEAK (a long target, not yet ended) or DETECT_CERTAIN for a request line or
 * status line at the start of `in`.
 */
int http1_detect(struct slice in, enum proto_side side);
/* Offset of the first start line for `side`, whole or cut by the end of `in`, or in.len. */
size_t http1_find(struct slice in, enum proto_side side);

static inline bool http1_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static inline struct slice http1_trim(struct slice s)
{
	while (s.len && http1_is_blank(s.ptr[0]))
		s = slice_make(s.ptr + 1, s.len - 1);
	while (s.len && http1_is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* The line s[from..lf) without the CR before its LF. */
static inline struct slice http1_line(struct slice s, size_t from, size_t lf)
{
	size_t end = lf > from && s.ptr[lf - 1] == '\r' ? lf - 1 : lf;

	return slice_make(s.ptr + from, end - from);
}

/* Size of a chunk from its line, extensions ignored (RFC 9112 7.1). */
bool http1_chunk_size(struct slice line, uint64_t *ret_bytes);

#endif
