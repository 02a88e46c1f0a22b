/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/proxy_header.h"

enum { V1_MAX = 107, V2_FIXED = 16, V2_MAX = 4096, V2_VERSION = 0x20 };

static bool begins(struct slice in, struct slice with)
{
	size_t n = in.len < with.len ? in.len : with.len;

	return memcmp(in.ptr, with.ptr, n) == 0;
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 42300 443\r\n": printable, and no longer than the longest addresses make it. */
static size_t v1_len(struct slice in)
{
	const struct slice kinds[] = { SLICE_LIT("PROXY TCP4 "), SLICE_LIT("PROXY TCP6 "), SLICE_LIT("PROXY UNKNOWN") };

	if (!begins(in, kinds[0]) && !begins(in, kinds[1]) && !begins(in, kinds[2]))
		return 0;
	for (size_t i = 0; i < in.len && i < V1_MAX; i++) {
		if (in.ptr[i] == '\r' && i + 1 < in.len)
			return in.ptr[i + 1] == '\n' ? i + 2 : 0;
		if (in.ptr[i] != '\r' && (in.ptr[i] < 0x20 || in.ptr[i] > 0x7e))
			return 0;
	}
	return in.len < V1_MAX ? SIZE_MAX : 0;
}

size_t proxy_header_len(struct slice in)
{
	const struct slice v1 = SLICE_LIT("PROXY "), v2 = SLICE_LIT("\r\n\r\n\0\r\nQUIT\n");

	if (!in.len)
		return 0;
	if (begins(in, v1))
		return v1_len(in);
	if (!begins(in, v2))
		return 0;
	if (in.len < V2_FIXED)
		return SIZE_MAX;
	size_t len = V2_FIXED + (size_t)(in.ptr[14] << 8 | in.ptr[15]);
	if ((in.ptr[12] & 0xf0) != V2_VERSION || (in.ptr[12] & 0x0f) > 1 || len > V2_MAX)
		return 0;
	return in.len < len ? SIZE_MAX : len;
}
