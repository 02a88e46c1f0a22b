/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the first byte of a request is, which is the same to both its ends on this node: addresses and TCP sequence number; both sockets and offset of a Unix stream. Of sessions of TLS libraries, whose other
 * end's offsets are known only if both were seen from their beginning, the place in their socket's stream.
 */
#ifndef PLUMB_CORRELATE_BYTES_PLACE_H
#define PLUMB_CORRELATE_BYTES_PLACE_H

#include "model/exchange.h"

/* Without padding: what is hashed. `role` tells the ends apart. */
struct bytes_place {
	uint8_t client[16], server[16];
	uint32_t offset;
	uint16_t client_port, server_port;
	uint32_t family;
	uint32_t role;
	uint32_t session; /* 1: a TLS library's on it, with offsets of its own; 2: the offset is the socket's, where the bytes that `behind` counts from begin; 3: of plaintext on a socket (PLUMB_IS_PLAIN()), whose upper half is `behind` */
	uint32_t behind;
};

/* At the end that has the role: the exchange's own, or its peer's. False: no other end could know it. */
bool bytes_place_of(const struct exchange *x, uint8_t role, struct bytes_place *ret_place);
/* Where the stream's own numbers do not prove it: could this be what arrived of that? */
bool bytes_place_is_plausible(const struct exchange *client, const struct exchange *server);

#endif
