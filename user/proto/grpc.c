/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/grpc.h"

void grpc_count_feed(struct grpc_count *c, struct slice data)
{
	size_t at = 0;

	while (at < data.len && !c->odd) {
		if (c->left) {
			size_t n = data.len - at < c->left ? data.len - at : c->left;
			c->left -= (uint32_t)n;
			at += n;
			continue;
		}
		c->prefix[c->have++] = data.ptr[at++];
		if (c->have < GRPC_PREFIX_BYTES)
			continue;
		c->have = 0;
		c->odd = c->prefix[0] > 1; /* compressed or not */
		c->left = (uint32_t)c->prefix[1] << 24 | (uint32_t)c->prefix[2] << 16 | (uint32_t)c->prefix[3] << 8 | c->prefix[4];
		c->messages++;
	}
}

bool grpc_is_content_type(struct slice value)
{
	static const struct slice want = { (const uint8_t *)"application/grpc", 16 };

	if (!slice_ieq(slice_head(value, want.len), want))
		return false;
	return value.len == want.len || value.ptr[want.len] == '+' || value.ptr[want.len] == ';' || value.ptr[want.len] == ' ';
}

struct slice grpc_status_name(uint64_t code)
{
	static const char *const names[] = { "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
		"UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED" };

	return code < sizeof(names) / sizeof(names[0]) ? slice_str(names[code]) : SLICE_NONE;
}

bool grpc_timeout_ns(struct slice value, uint64_t *ret_ns)
{
	static const struct { char unit; uint64_t ns; } units[] = { { 'n', 1 }, { 'u', 1000 }, { 'm', 1000000 }, { 'S', 1000000000 },
		{ 'M', 60ull * 1000000000 }, { 'H', 3600ull * 1000000000 } };
	uint64_t n;

	/* At most eight digits. */
	if (value.len < 2 || value.len > 9 || !slice_u64(slice_head(value, value.len - 1), &n))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (value.ptr[value.len - 1] != (uint8_t)units[i].unit)
			continue;
		*ret_ns = n > INT64_MAX / units[i].ns ? INT64_MAX : n * units[i].ns;
		return true;
	}
	return false;
}

static int hex(uint8_t c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t grpc_unescape(uint8_t *text, size_t len)
{
	size_t to = 0;

	for (size_t at = 0; at < len; at++) {
		int high = text[at] == '%' && len - at > 2 ? hex(text[at + 1]) : -1, low = high >= 0 ? hex(text[at + 2]) : -1;

		if (low >= 0) {
			text[to++] = (uint8_t)(high << 4 | low);
			at += 2;
		} else {
			text[to++] = text[at];
		}
	}
	return to;
}
