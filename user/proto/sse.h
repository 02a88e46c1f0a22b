/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events (html.spec.whatwg.org, 9.2.6), counted in pieces. An event is one that a browser would dispatch: it has data. */
#ifndef PLUMB_PROTO_SSE_H
#define PLUMB_PROTO_SSE_H

#include "lib/slice.h"

/* A piece of the data of the event under way; `last`: the event is over. */
typedef void sse_data(void *ctx, struct slice data, bool last);

struct sse {
	sse_data *data; /* NULL: only counted */
	void *ctx;
	uint64_t events;
	uint64_t bytes;   /* at the start: for the byte order mark */
	uint8_t name_len; /* of the field's name so far, as long as it may be "data" */
	uint8_t state;
	uint8_t mark_len; /* bytes of the data under way that are those of "[DONE]" */
	bool has_data;    /* the event under way */
	bool over;        /* the last event was the one that model APIs end with: its data is "[DONE]" */
	bool cr;          /* the last byte was a carriage return */
};

/* Takes bytes of `in`, all of them or, with `pause`, those before the byte that ends the next event (none: it is the first). Returns how many. */
size_t sse_feed(struct sse *s, struct slice in, bool pause);

#endif
