/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation as the engine meets it: connection table, detection, parsers and pairing of all protocols, and nothing of what its bytes are
 * known by beforehand. Begins with the connection, or in the middle of it.
 */
#ifndef PLUMB_TESTS_CONVERSATION_H
#define PLUMB_TESTS_CONVERSATION_H

#include "proto/fixture.h"

/* The engine, which conversations follow each other in. */
struct conversations;

struct conversation {
	size_t op, at;    /* the first byte that is seen; 0, 0: the connection is seen from its start */
	uint8_t role;     /* of the end that is watched: enum plumb_role */
	uint16_t port;    /* the server's; 0: one that no protocol is known by */
};

/* How often each protocol was found. */
struct conversation_found {
	uint64_t detected[PLUMB_PROTO_COUNT];
};

struct conversations *conversations_new(void);
void conversations_free(struct conversations *s);
/* From op and at on, line by line, to the end of the fixture, where the connection is closed. */
void conversation_run(struct conversations *s, const struct fixture *f, const struct conversation *c, struct conversation_found *ret);

#endif
