/* SPDX-License-Identifier: Apache-2.0 */
#include "span/address.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "lib/ipv4.h"

/* By hand, because inet_ntop() formats IPv4 with snprintf and every span has two or three addresses. */
static struct slice ipv4_text(struct arena *a, const uint8_t addr[4])
{
	struct text t = text_begin(a);

	for (int i = 0; i < 4; i++) {
		if (i)
			text_add_byte(&t, '.');
		text_add_u64(&t, addr[i]);
	}
	return text_end(&t);
}

struct slice address_text(struct arena *a, uint16_t family, const uint8_t addr[16])
{
	static const uint8_t unspecified[16];
	char out[INET6_ADDRSTRLEN];

	if (family == AF_INET)
		return memcmp(addr, unspecified, 4) == 0 ? SLICE_NONE : ipv4_text(a, addr);
	if (family != AF_INET6 || memcmp(addr, unspecified, 16) == 0)
		return SLICE_NONE;
	if (ipv4_is_mapped(addr))
		return ipv4_text(a, addr + IPV4_MAPPED_AT);
	if (!inet_ntop(AF_INET6, addr, out, sizeof(out)))
		return SLICE_NONE;
	return arena_copy(a, slice_str(out), NULL);
}
