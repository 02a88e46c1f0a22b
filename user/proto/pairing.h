/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message events to exchanges. Responses are paired by the parser's key or first in, first out; every request ends in exactly one
 * exchange, answered or with a reason.
 *
 * After a loss the number of missed requests or responses is unknown. A connection is `synced` while no request can have been
 * missed. An unsynced one is synced again when a request begins and none is open; a client that was never seen to pipeline has
 * none open when it sends the next request, so what is open then lost its response. One that sends several at once, and the next ones when all are answered, has
 * none open when it sends again after an answer. In between, and for good where a client never rests, whose a response is can only be guessed: EXCHANGE_HOLE.
 */
#ifndef PLUMB_PROTO_PAIRING_H
#define PLUMB_PROTO_PAIRING_H

#include "lib/map.h"
#include "lib/slab.h"
#include "proto/engine.h"

struct exchange_list {
	struct exchange *oldest, *newest;
};

enum { PAIRING_SHARES = 64 };

struct pairing {
	struct proto_engine_handler handler;
	struct proto_counts *counts; /* not owned */
	const bool *enabled;         /* by PLUMB_PROTO_*; not owned */
	struct process_table *processes;
	struct slab small, large;    /* exchanges; large arenas */
	struct map keyed;            /* exchange.hash to the oldest exchange of that key */
	struct exchange_list waiting; /* by deadline */
	struct exchange_list early;  /* responses whose request may still be on its way, by deadline */
	uint32_t max_per_connection;
	uint32_t fair_share;         /* a connection with more open exchanges gives way when the table is full */
	uint32_t heavy_count;
	struct connection *heavy[PAIRING_SHARES]; /* those with more, in no order; not owned */
	uint64_t timeout_ns;
	uint64_t next_id;
	uint64_t seed; /* of the keys' hashes: some protocols let a peer choose keys */
};

/* Where a message event lies. */
struct extent {
	uint64_t offset, end;     /* first byte, behind the last */
	uint64_t start_ns, end_ns;
	uint64_t bytes;           /* of the event; datagrams: true length */
	uint32_t tid;
	uint64_t flow;
	enum proto_side side;
	const struct endpoint *peer; /* datagrams; NULL on streams */
};

void pairing_init(struct pairing *p, const struct proto_engine_options *o, const struct proto_engine_handler *h, struct proto_counts *counts);
void pairing_done(struct pairing *p);
/* A message event. MESSAGE_SWITCH, once its message has ended, makes the connection opaque; the caller looks at c->phase and c->next. */
void pairing_message(struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m, const struct extent *at);
/* The message in progress in this direction ends here. */
void pairing_end(struct pairing *p, struct connection *c, enum plumb_direction dir, uint64_t end, uint64_t end_ns);
/* Bytes were lost. whole: a message may be in them that was not seen to begin, at->offset up to at->end. */
void pairing_lost(struct pairing *p, struct connection *c, enum plumb_direction dir, bool whole, const struct extent *at);
/* What came in this direction is no message: nothing was lost, and yet nobody knows what follows. */
void pairing_malformed(struct pairing *p, struct connection *c, enum plumb_direction dir, enum proto_side side);
/* The connection becomes another protocol, in which all is keyed: what goes on there has a key now, and the rest is over. */
void pairing_switch(struct pairing *p, struct connection *c, uint16_t next, uint64_t time_ns);
/* Ends all that is open, with error_type (NULL: the peer ended an orderly connection) if the response is not complete ("" = none) and `flags` added. */
void pairing_close(struct pairing *p, struct connection *c, const char *error_type, uint32_t flags, uint64_t time_ns);
/* Early responses whose request did not come, requests whose time is up. */
void pairing_tick(struct pairing *p, uint64_t time_ns);
void pairing_free_exchange(struct pairing *p, struct exchange *x);

static inline bool pairing_has_early(const struct pairing *p, uint64_t time_ns)
{
	return p->early.oldest && p->early.oldest->deadline_ns < time_ns;
}

#endif
