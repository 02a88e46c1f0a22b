/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http_form.h"

static struct http_text *value_of(struct http_form *f)
{
	struct slice key = slice_make(f->key, f->key_len);

	if (slice_eq(key, SLICE_LIT("Action")))
		return &f->action;
	return slice_eq(key, SLICE_LIT("QueueUrl")) ? &f->queue : NULL;
}

void http_form_feed(struct http_form *f, struct slice in)
{
	for (size_t at = 0; at < in.len;) {
		if (f->in_value) {
			size_t end = slice_find(in, '&', at);
			struct http_text *value = value_of(f);
			struct slice piece = slice_from(slice_head(in, end), at);
			if (value)
				http_text_add(value, piece);
			at += piece.len;
			if (end == SIZE_MAX)
				return;
		}
		uint8_t c = in.ptr[at++];
		if (c == '&' || c == '=') {
			f->in_value = c == '=';
			f->key_len = c == '=' ? f->key_len : 0;
		} else if (f->key_len < HTTP_FORM_KEY) {
			f->key[f->key_len++] = c; /* one byte longer than any that is wanted */
		}
	}
}
