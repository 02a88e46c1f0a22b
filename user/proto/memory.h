/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that parsers allocate (proto_ops.open), counted and bounded for all connections together: tables that a peer makes grow (HPACK,
 * streams) must not take the machine. Owned by the engine; every pointer goes back to the budget it came from.
 *
 * What a connection begins with is between 56 bytes (HTTP/1) and 8.5 KiB (TDS), so 128 MiB, the default, hold 15,000 connections of any protocol (43,000 of
 * PostgreSQL). Beyond it a connection is not parsed until another one ends.
 */
#ifndef PLUMB_PROTO_MEMORY_H
#define PLUMB_PROTO_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/record.h"

struct proto_memory {
	uint64_t used, max; /* bytes */
	uint64_t kept;      /* of these, for what a connection begins with: what grows cannot keep new ones out */
	uint64_t refused;   /* times that there was not enough left */
	void *shared[PLUMB_PROTO_COUNT]; /* what the connections of a protocol share: made by the first and freed by the last of them; NULL while there is none */
};

/* As malloc, calloc and realloc; NULL beyond the budget or without memory, and then what `old` points to stays as it is. */
void *proto_memory_get(struct proto_memory *m, size_t bytes);
void *proto_memory_get_zeroed(struct proto_memory *m, size_t bytes);
void *proto_memory_resize(struct proto_memory *m, void *old, size_t bytes);
void proto_memory_put(struct proto_memory *m, void *p);
/* Makes *text, of *room bytes, hold len; what it held may be gone. False without room: all is as it was. */
bool proto_memory_room(struct proto_memory *m, uint8_t **text, uint16_t *room, uint16_t len);

#endif
