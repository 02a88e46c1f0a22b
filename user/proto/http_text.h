/* SPDX-License-Identifier: Apache-2.0 */
/* A name that comes in pieces, cut. */
#ifndef PLUMB_PROTO_HTTP_TEXT_H
#define PLUMB_PROTO_HTTP_TEXT_H

#include "lib/slice.h"

enum { HTTP_TEXT_MAX = 127 };

struct http_text {
	uint8_t len;
	uint8_t bytes[HTTP_TEXT_MAX];
};

static inline struct slice http_text_view(const struct http_text *t) { return slice_make(t->bytes, t->len); }

static inline void http_text_add(struct http_text *t, struct slice s)
{
	s = slice_head(s, sizeof(t->bytes) - t->len);
	if (s.len)
		memcpy(t->bytes + t->len, s.ptr, s.len);
	t->len = (uint8_t)(t->len + s.len);
}

#endif
