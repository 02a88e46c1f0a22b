/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/x509.h"

enum { SEQUENCE = 0x30, VERSION = 0xa0, INTEGER = 0x02, UTC_TIME = 0x17, GENERALIZED_TIME = 0x18 };

/* The element at *at: its content may go on behind the end of `in`. */
static bool element(struct slice in, size_t at, uint8_t *ret_tag, size_t *ret_content, size_t *ret_len)
{
	if (in.len < 2 || at > in.len - 2)
		return false;
	size_t len = in.ptr[at + 1], bytes = 0;
	if (len & 0x80) {
		bytes = len & 0x7f;
		if (bytes == 0 || bytes > 3 || in.len - at - 2 < bytes)
			return false;
		len = 0;
		for (size_t i = 0; i < bytes; i++)
			len = len << 8 | in.ptr[at + 2 + i];
	}
	*ret_tag = in.ptr[at];
	*ret_content = at + 2 + bytes;
	*ret_len = len;
	return true;
}

static bool enter(struct slice in, size_t *at, uint8_t want)
{
	uint8_t tag;
	size_t content, len;

	if (!element(in, *at, &tag, &content, &len) || tag != want)
		return false;
	*at = content;
	return true;
}

static bool pass(struct slice in, size_t *at, uint8_t want)
{
	uint8_t tag;
	size_t content, len;

	if (!element(in, *at, &tag, &content, &len) || tag != want || len > in.len - content)
		return false;
	*at = content + len;
	return true;
}

static bool digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return true;
}

/* "YYMMDDHHMMSSZ", of 1950 to 2049, or "YYYYMMDDHHMMSSZ" (RFC 5280, 4.1.2.5) */
static bool time_text(struct slice s, bool long_year, char ret[X509_TIME_LEN])
{
	const size_t year = long_year ? 4 : 2;

	if (s.len != year + 11 || s.ptr[s.len - 1] != 'Z' || !digits(slice_head(s, s.len - 1)))
		return false;
	const char *d = (const char *)s.ptr + year, *y = (const char *)s.ptr;
	const char century[2] = { y[0] >= '5' ? '1' : '2', y[0] >= '5' ? '9' : '0' };
	memcpy(ret, long_year ? y : century, 2);
	memcpy(ret + 2, long_year ? y + 2 : y, 2);
	memcpy(ret + 4, "-mm-ddThh:mm:ssZ", 17);
	for (size_t i = 0; i < 5; i++)
		memcpy(ret + 5 + 3 * i, d + 2 * i, 2);
	return true;
}

bool x509_not_after(struct slice c, char ret_time[X509_TIME_LEN])
{
	uint8_t tag;
	size_t at = 0, content, len;

	for (int i = 0; i < 2; i++) /* the certificate, and what of it is signed */
		if (!enter(c, &at, SEQUENCE))
			return false;
	(void)pass(c, &at, VERSION);
	/* serial number, algorithm, issuer; then from when on it is valid, and until when */
	if (!pass(c, &at, INTEGER) || !pass(c, &at, SEQUENCE) || !pass(c, &at, SEQUENCE) || !enter(c, &at, SEQUENCE))
		return false;
	if (!element(c, at, &tag, &content, &len) || (tag != UTC_TIME && tag != GENERALIZED_TIME) || !pass(c, &at, tag))
		return false;
	if (!element(c, at, &tag, &content, &len) || (tag != UTC_TIME && tag != GENERALIZED_TIME) || len > c.len - content)
		return false;
	return time_text(slice_make(c.ptr + content, len), tag == GENERALIZED_TIME, ret_time);
}
