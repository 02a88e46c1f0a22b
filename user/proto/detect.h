/* SPDX-License-Identifier: Apache-2.0 */
/* Which protocol a connection speaks, from the first bytes of both directions. The port is only a tie-break. */
#ifndef PLUMB_PROTO_DETECT_H
#define PLUMB_PROTO_DETECT_H

#include "proto/proto.h"

enum detect_outcome {
	DETECT_FOUND,
	DETECT_WAIT,  /* more bytes, or the other direction, may tell */
	DETECT_NONE,  /* these bytes are of no protocol known */
};

struct detection {
	uint16_t protocol;
	uint8_t role; /* enum plumb_role of this end of the connection */
};

/*
 * in[] are the first bytes by enum plumb_direction, empty where none came. `last` says that no more will come of what would be
 * waited for: a weak guess is then taken only if the port agrees.
 */
enum detect_outcome detect(const struct connection *c, const bool *enabled, const struct slice in[2], bool datagram, bool last, struct detection *ret);

#endif
