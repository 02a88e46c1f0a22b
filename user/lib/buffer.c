/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_init(struct buffer *b, size_t max_bytes)
{
	*b = (struct buffer){ .max = max_bytes };
}

void buffer_done(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ .max = b->max };
}

void buffer_clear(struct buffer *b)
{
	b->len = 0;
	b->failed = 0;
}

static int buffer_fail(struct buffer *b, int err)
{
	if (!b->failed)
		b->failed = err;
	return err;
}

int buffer_reserve(struct buffer *b, size_t more)
{
	if (more <= b->cap - b->len)
		return 0;
	if (more > b->max || b->len > b->max - more)
		return buffer_fail(b, -ENOBUFS);

	size_t want = b->len + more;
	size_t cap = b->cap ? b->cap : 256;
	while (cap < want)
		cap = cap > b->max / 2 ? b->max : cap * 2;

	uint8_t *data = realloc(b->data, cap);
	if (!data)
		return buffer_fail(b, -ENOMEM);
	b->data = data;
	b->cap = cap;
	return 0;
}

int buffer_append(struct buffer *b, const void *data, size_t len)
{
	int err = buffer_reserve(b, len);

	if (err)
		return err;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

int buffer_append_slice(struct buffer *b, struct slice s)
{
	return buffer_append(b, s.ptr, s.len);
}

int buffer_append_str(struct buffer *b, const char *s)
{
	return buffer_append(b, s, strlen(s));
}

int buffer_append_byte(struct buffer *b, uint8_t c)
{
	return buffer_append(b, &c, 1);
}

int buffer_append_u64(struct buffer *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	return buffer_append(b, digits + at, sizeof(digits) - at);
}

int buffer_append_hex(struct buffer *b, const uint8_t *data, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	int err = buffer_reserve(b, len * 2);

	if (err)
		return err;
	for (size_t i = 0; i < len; i++) {
		b->data[b->len++] = (uint8_t)hex[data[i] >> 4];
		b->data[b->len++] = (uint8_t)hex[data[i] & 15];
	}
	return 0;
}

int buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	int need = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (need < 0)
		return buffer_fail(b, -EINVAL);

	int err = buffer_reserve(b, (size_t)need + 1);
	if (err)
		return err;
	va_start(ap, format);
	vsnprintf((char *)b->data + b->len, (size_t)need + 1, format, ap);
	va_end(ap);
	b->len += (size_t)need;
	return 0;
}

void buffer_consume(struct buffer *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}
