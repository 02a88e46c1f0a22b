/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection table: socket records in, ordered bytes with holes out. Fixed-size connections from a slab; at the maximum the least recently used one is
 * evicted and counted. The consumer (proto/engine) is called with a connection whose stream has contiguous bytes, and says how many it took.
 */
#ifndef PLUMB_CONN_CONN_H
#define PLUMB_CONN_CONN_H

#include "conn/processes.h"
#include "model/connection.h"
#include "model/record.h"

struct conn_options {
	uint32_t max_connections;   /* 0 = 65536 */
	uint64_t max_buffer_bytes;  /* all bytes that wait for the rest of a message; 0 = 16 MiB. At the limit those that have waited longest become a hole, counted */
	uint32_t max_stream_bytes;  /* the same for one direction; 0 = 256 KiB. What exceeds it becomes a hole, counted */
	uint64_t idle_ns;           /* datagram sockets unused for so long are closed, and Unix streams whose peer or process has ended; 0 = 60 s */
};

struct conn_handler {
	/*
	 * `in` are contiguous bytes at offset c->streams[dir].next. Returns how many were consumed; may set streams[dir].skip_until beyond them. The rest
	 * is kept and offered again, with more behind it.
	 */
	size_t (*bytes)(void *ctx, struct connection *c, enum plumb_direction dir, struct slice in, uint64_t time_ns);
	/* Bytes from..to of this direction will never come and were wanted. */
	void (*hole)(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t from, uint64_t to, uint64_t time_ns);
	/* Everything up to skip_until has passed (for messages that end when their skipped bytes have). */
	void (*skipped)(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t time_ns);
	/* What passed until now was left out on purpose, in both directions: their streams begin anew. */
	void (*resumed)(void *ctx, struct connection *c, uint64_t time_ns);
	/* What passed until now was encrypted by the program; what comes is not, as the kernel does that from now on (kTLS). Both streams begin anew. */
	void (*uncovered)(void *ctx, struct connection *c, uint64_t time_ns);
	/* The same, but nothing more is told of this connection here. */
	void (*covered)(void *ctx, struct connection *c, uint64_t time_ns);
	/* No more bytes in this direction. */
	void (*eof)(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t time_ns);
	/* A datagram: whole, or its captured head (true_len > in.len). */
	void (*datagram)(void *ctx, struct connection *c, enum plumb_direction dir, struct slice in, const struct plumb_rec_dgram *rec);
	/* The connection ends; open exchanges end with the reason. error is an errno or 0, evicted says that plumb dropped it, not the peer. */
	void (*close)(void *ctx, struct connection *c, int error, bool evicted, uint64_t time_ns);
	void *ctx;
};

/* Why bytes of a stream were not parsed. Each byte counts for one reason. */
enum conn_unseen {
	CONN_UNSEEN_HOLE,       /* in no record, or in one that came too late */
	CONN_UNSEEN_CUT,        /* in a record, but not captured: the tail of an I/O of which more was wanted */
	CONN_UNSEEN_REFUSED,    /* the buffer of a direction was at its maximum */
	CONN_UNSEEN_EVICTED,    /* waited longest for the rest of their message when all buffers were at their maximum */
	CONN_UNSEEN_INCOMPLETE, /* the rest of their message was one of the above, or the connection ended */
	CONN_UNSEEN_OVERLAP,    /* seen before */
	CONN_UNSEEN_REASONS,
};

struct conn_counts {
	uint64_t opened, closed, evicted, idle_closed;
	uint64_t bytes[2], captured_bytes[2], holes; /* all that passed; of it in records */
	uint64_t unseen_bytes[CONN_UNSEEN_REASONS];
	uint64_t active, buffered_bytes;
	uint64_t reordered;  /* records that came before bytes that precede theirs, and waited */
	uint64_t late;       /* records of a socket that had just been closed */
	uint64_t refused;    /* records without a connection: no memory */
	uint64_t forgotten;  /* sockets dropped before their end that gave way to others: if used again they have no address */
	uint64_t unplaced;   /* sessions that have ended, or were evicted, and no socket of them was ever known */
};

struct conn_table;

int conn_table_new(const struct conn_options *o, const struct conn_handler *h, struct process_table *processes, struct conn_table **ret_table);
void conn_table_free(struct conn_table *t); /* closes all, as evicted */
/* Takes SOCK_OPEN, SOCK_CLOSE, SOCK_STATS, DATA, DGRAM, TICK; ignores the rest. */
void conn_table_record(struct conn_table *t, const struct record *rec, struct slice payload);
struct connection *conn_table_get(struct conn_table *t, uint64_t sock);
/* The connection that a DATA or DGRAM record belongs to, made if unknown, before conn_table_record() hands its bytes out. NULL if refused. */
struct connection *conn_table_touch(struct conn_table *t, const struct record *rec);
/* The session `above` is carried by the socket `below`: its addresses are that one's, and it ends with it. */
void conn_table_stack(struct conn_table *t, struct connection *above, struct connection *below);
/* End of input: what waits for missing bytes is handed out, with holes. */
void conn_table_flush(struct conn_table *t);
void conn_table_counts(const struct conn_table *t, struct conn_counts *ret);

#endif
