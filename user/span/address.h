/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses as text: dotted IPv4, IPv6 by RFC 5952; an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) is
 * shown as the IPv4 address it is.
 */
#ifndef PLUMB_SPAN_ADDRESS_H
#define PLUMB_SPAN_ADDRESS_H

#include "model/connection.h"
#include "span/text.h"

/* Text in the arena; empty for families without addresses, and for the unspecified address. */
struct slice address_text(struct arena *a, uint16_t family, const uint8_t addr[16]);

#endif
