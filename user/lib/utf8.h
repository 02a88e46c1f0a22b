/* SPDX-License-Identifier: Apache-2.0 */
/* Well-formed UTF-8 (RFC 3629): what JSON, protobuf strings and terminals want, and captured bytes need not be. */
#ifndef PLUMB_LIB_UTF8_H
#define PLUMB_LIB_UTF8_H

#include "lib/slice.h"

/* Length of the well-formed sequence at p, 0 if there is none. left > 0. */
static inline size_t utf8_len(const uint8_t *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;

	size_t n = p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : 0;
	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* The code point of a sequence that utf8_len() found to be n bytes long. */
static inline uint32_t utf8_point(const uint8_t *p, size_t n)
{
	if (n == 1)
		return p[0];

	uint32_t v = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		v = v << 6 | (p[i] & 0x3fu);
	return v;
}

/* Index of the first byte that is not part of a well-formed sequence, or s.len. */
static inline size_t utf8_valid(struct slice s)
{
	size_t i = 0;

	while (i < s.len) {
		uint64_t word;
		if (s.len - i >= sizeof(word)) {
			memcpy(&word, s.ptr + i, sizeof(word));
			if ((word & 0x8080808080808080ULL) == 0) {
				i += sizeof(word);
				continue;
			}
		}
		size_t n = utf8_len(s.ptr + i, s.len - i);
		if (n == 0)
			return i;
		i += n;
	}
	return i;
}

#endif
