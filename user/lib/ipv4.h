/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 addresses within IPv6 (RFC 4291, 2.5.5.2): what a dual-stack socket says of an IPv4 peer. */
#ifndef PLUMB_LIB_IPV4_H
#define PLUMB_LIB_IPV4_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { IPV4_MAPPED_AT = 12 }; /* where the IPv4 address stands in a mapped one */

static inline bool ipv4_is_mapped(const uint8_t addr[16])
{
	static const uint8_t prefix[IPV4_MAPPED_AT] = { [10] = 0xff, [11] = 0xff };

	return memcmp(addr, prefix, sizeof(prefix)) == 0;
}

#endif
