/* SPDX-License-Identifier: Apache-2.0 */
/* A view of bytes owned by somebody else. ptr may be NULL only when len is 0. */
#ifndef PLUMB_LIB_SLICE_H
#define PLUMB_LIB_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *ptr;
	size_t len;
};

#define SLICE_LIT(s) ((struct slice){ (const uint8_t *)(s), sizeof(s) - 1 })
#define SLICE_NONE ((struct slice){ NULL, 0 })

static inline struct slice slice_make(const void *ptr, size_t len)
{
	return (struct slice){ ptr, len };
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){ (const uint8_t *)s, s ? strlen(s) : 0 };
}

/* The part of s from `from` on; empty when from is beyond the end. */
static inline struct slice slice_from(struct slice s, size_t from)
{
	if (from >= s.len)
		return SLICE_NONE;
	return slice_make(s.ptr + from, s.len - from);
}

/* At most `max` bytes of s. */
static inline struct slice slice_head(struct slice s, size_t max)
{
	return slice_make(s.ptr, s.len < max ? s.len : max);
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* ASCII case-insensitive comparison, as header names and SQL keywords want it; never locale dependent. */
static inline bool slice_ieq(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
			return false;
	return true;
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* Index of byte c at or after `from`, or SIZE_MAX. */
static inline size_t slice_find(struct slice s, uint8_t c, size_t from)
{
	if (from >= s.len)
		return SIZE_MAX;
	const uint8_t *p = memchr(s.ptr + from, c, s.len - from);
	return p ? (size_t)(p - s.ptr) : SIZE_MAX;
}

/* The text up to the next NUL, which *at passes. False: there is none. */
static inline bool slice_string(struct slice s, size_t *at, struct slice *ret_text)
{
	size_t end = slice_find(s, 0, *at);

	if (end == SIZE_MAX)
		return false;
	*ret_text = slice_make(s.ptr + *at, end - *at);
	*at = end + 1;
	return true;
}

/* No control character; bytes above 127 may be of a name in UTF-8. */
static inline bool slice_printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ' || s.ptr[i] == 127)
			return false;
	return true;
}

/* The same for a text that may have several lines. */
static inline bool slice_is_text(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] < ' ' && s.ptr[i] != '\n' && s.ptr[i] != '\t' && s.ptr[i] != '\r') || s.ptr[i] == 127)
			return false;
	return true;
}

/* Loads for wire formats, big-endian and little-endian; the caller has checked the length. */
static inline uint16_t load_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]); /* NOLINT(clang-analyzer-core.NullDereference): it does not see that a length above 1 means bytes */
}

static inline uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t load_be64(const uint8_t *p)
{
	return (uint64_t)load_be32(p) << 32 | load_be32(p + 4);
}

static inline uint16_t load_le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t load_le24(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16; }
static inline uint32_t load_le32(const uint8_t *p) { return load_le24(p) | (uint32_t)p[3] << 24; }
static inline uint64_t load_le64(const uint8_t *p) { return load_le32(p) | (uint64_t)load_le32(p + 4) << 32; }

/* Unsigned decimal filling all of s, at most 19 digits. */
static inline bool slice_u64(struct slice s, uint64_t *ret_value)
{
	uint64_t v = 0;

	if (s.len == 0 || s.len > 19)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	*ret_value = v;
	return true;
}

enum { SLICE_I32_MAX = 12 };

/* Decimal, somewhere in `to`. */
static inline struct slice slice_i32(int32_t n, char to[SLICE_I32_MAX])
{
	char *p = to + SLICE_I32_MAX;
	uint32_t u = n < 0 ? 0u - (uint32_t)n : (uint32_t)n;

	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (n < 0)
		*--p = '-';
	return slice_make(p, (size_t)(to + SLICE_I32_MAX - p));
}

#endif
