/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing of the PostgreSQL frontend/backend protocol 3: lengths, and how messages must look for detection and resynchronisation.
 * Follows https://www.postgresql.org/docs/current/protocol-message-formats.html. No state.
 */
#ifndef PLUMB_PROTO_POSTGRES_WIRE_H
#define PLUMB_PROTO_POSTGRES_WIRE_H

#include "proto/proto.h"

enum {
	POSTGRES_HEAD = 5, /* type and length */
	POSTGRES_STARTUP_MAX = 10000, /* MAX_STARTUP_PACKET_LENGTH */
	POSTGRES_RESYNC_KEEP = 1024,
	POSTGRES_CANCEL = 80877102,
	POSTGRES_SSL = 80877103,
	POSTGRES_GSSENC = 80877104,
};

enum postgres_fit { POSTGRES_NO, POSTGRES_SHORT, POSTGRES_WHOLE };

/*
 * The head of a typed message. WHOLE: *ret_total is the size of the whole message in bytes, which may go beyond
 * `in`. SHORT: fewer than 5 bytes.
 */
enum postgres_fit postgres_head(enum proto_side side, struct slice in, size_t *ret_total);
/*
 * The same of an untyped packet, the first of the client: *ret_code is the version or one of the request
 * codes. SHORT: fewer than 8 bytes.
 */
enum postgres_fit postgres_startup_head(struct slice in, size_t *ret_total, uint32_t *ret_code);

int postgres_detect(struct slice in, enum proto_side side);
/* Offset of the first run of messages that fit each other, or in.len. */
size_t postgres_find(struct slice in, enum proto_side side);

#endif
