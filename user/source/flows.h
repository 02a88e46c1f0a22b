/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP connections and UDP conversations of a capture, and the records that tell of them as a socket at the client's end would.
 * Segments are passed on as they come, with their place in the stream: putting them in order is conn/'s work.
 *
 * At most FLOWS_MAX at once; the one unused for longest is given up and counted.
 */
#ifndef PLUMB_SOURCE_FLOWS_H
#define PLUMB_SOURCE_FLOWS_H

#include "lib/map.h"
#include "lib/slab.h"
#include "model/record.h"
#include "source/packet.h"
#include "source/source.h"

enum { FLOWS_MAX = 65536, FLOWS_RECENT = 256, FLOWS_HELD_BYTES = 4 * 1024 * 1024 };

/* Takes a finished record; negative errno stops everything. */
typedef int (*flows_emit_fn)(void *ctx, struct record *rec, struct slice payload);

struct flow;

struct flows_recent { /* of a datagram, to tell a second sight of it from a second datagram */
	uint64_t hash;
	uint64_t time_ns;
};

struct flows {
	struct map map;
	struct slab slab;
	struct flow *oldest, *newest;
	uint64_t next_sock;
	flows_emit_fn emit;
	void *ctx;
	size_t held_bytes; /* in segments that came before the first bytes of their stream, at most FLOWS_HELD_BYTES */
	uint64_t evicted;
	uint64_t duplicates; /* datagrams seen twice */
	struct flows_recent recent[FLOWS_RECENT];
	uint32_t recent_at;
};

void flows_init(struct flows *f, flows_emit_fn emit, void *ctx);
void flows_done(struct flows *f);
/* A packet that packet_transport() took apart. 0, or what emit returned. */
int flows_packet(struct flows *f, const struct packet *p, uint64_t time_ns);
/* The capture has ended: connections whose two ends had said good-bye are closed. */
int flows_finish(struct flows *f, uint64_t time_ns);

#endif
