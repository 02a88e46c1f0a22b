/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages (RFC 1035) for shared recordings: see masker.h for what stays. */
#include "proto/masker_way.h"

enum { HEADER = 12, RECORDS_MAX = 512 };

/* Masks the labels of the name at `at`; returns what follows it, or SIZE_MAX where it is cut or impossible. */
static size_t mask_name(uint8_t *p, size_t n, size_t at)
{
	while (at < n) {
		uint8_t len = p[at];
		if (len == 0)
			return at + 1;
		if ((len & 0xc0) == 0xc0)
			return at + 2 <= n ? at + 2 : SIZE_MAX;
		if (len > 63 || at + 1 + len > n)
			return SIZE_MAX;
		memset(p + at + 1, 'x', len);
		at += 1u + len;
	}
	return SIZE_MAX;
}

void mask_dns_datagram(uint8_t *p, size_t n)
{
	size_t at = HEADER;

	if (n < HEADER) {
		memset(p, 'x', n);
		return;
	}
	uint32_t questions = load_be16(p + 4), records = (uint32_t)load_be16(p + 6) + load_be16(p + 8) + load_be16(p + 10);
	if (questions + records > RECORDS_MAX) {
		memset(p, 'x', n);
		return;
	}
	for (uint32_t i = 0; i < questions + records; i++) {
		size_t from = at, fixed = i < questions ? 4 : 10;
		at = mask_name(p, n, from);
		if (at == SIZE_MAX || n - at < fixed) {
			memset(p + from, 'x', n - from);
			return;
		}
		at += fixed;
		if (i < questions)
			continue;
		size_t len = load_be16(p + at - 2);
		if (len > n - at)
			len = n - at;
		memset(p + at, 0, len); /* a name read from here is the root's */
		at += len;
	}
	memset(p + at, 'x', n - at);
}

const struct mask_ops mask_dns = { 0 }; /* over TCP nothing stays */
