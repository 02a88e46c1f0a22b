/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer that names its maximum at birth. Appending past the maximum or without memory returns -ENOBUFS or -ENOMEM
 * and leaves the contents as they were; `failed` then stays set until buffer_clear(), so that a writer may check once at the end.
 */
#ifndef PLUMB_LIB_BUFFER_H
#define PLUMB_LIB_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/slice.h"

struct buffer {
	uint8_t *data; /* owned */
	size_t len;
	size_t cap;
	size_t max;
	int failed; /* first error since the last clear, negative errno, or 0 */
};

void buffer_init(struct buffer *b, size_t max_bytes);
void buffer_done(struct buffer *b);
void buffer_clear(struct buffer *b); /* keeps the memory */

int buffer_reserve(struct buffer *b, size_t more);
int buffer_append(struct buffer *b, const void *data, size_t len);
int buffer_append_slice(struct buffer *b, struct slice s);
int buffer_append_str(struct buffer *b, const char *s);
int buffer_append_byte(struct buffer *b, uint8_t c);
int buffer_append_u64(struct buffer *b, uint64_t v);
int buffer_append_hex(struct buffer *b, const uint8_t *data, size_t len); /* lower case */
int buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes. */
void buffer_consume(struct buffer *b, size_t n);

static inline struct slice buffer_slice(const struct buffer *b)
{
	return slice_make(b->data, b->len);
}

#endif
