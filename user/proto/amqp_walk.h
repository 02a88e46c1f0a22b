/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over bytes of which only the first are seen; for both versions of AMQP. */
#ifndef PLUMB_PROTO_AMQP_WALK_H
#define PLUMB_PROTO_AMQP_WALK_H

#include "lib/slice.h"

/* Goes over what `size` bytes hold, of which only the first are seen. */
struct amqp_walk {
	struct slice in;
	size_t size, at;
	bool bad;
};

/* `n` bytes: NULL if they are not all there. */
static inline const uint8_t *amqp_take(struct amqp_walk *w, uint64_t n)
{
	if (n > w->size - w->at) {
		w->bad = true;
		return NULL;
	}
	const uint8_t *p = w->at + n <= w->in.len ? w->in.ptr + w->at : NULL;
	w->at += n;
	return p;
}

#endif
