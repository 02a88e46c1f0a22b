/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction's records to contiguous bytes and holes. Bytes in order go to the handler straight from the record's payload; only what it leaves is
 * copied. Records that come before bytes which precede theirs wait: on the wire (pcap) up to a second, as retransmission takes its time;
 * at sockets a few milliseconds, as two threads that use one socket may be recorded in either order.
 *
 * Memory comes from a pool of power-of-two blocks, bounded by conn_options.max_buffer_bytes. At the limit the stream whose bytes have waited longest gives its
 * memory up, and what it held becomes a hole: half a request that never ends must not keep others from being read.
 */
#ifndef PLUMB_CONN_REASSEMBLY_H
#define PLUMB_CONN_REASSEMBLY_H

#include "conn/conn.h"

enum { REASSEMBLY_CLASS_MIN = 8, REASSEMBLY_CLASS_MAX = 24, REASSEMBLY_WAITING_MAX = 4096 };

struct reassembly {
	struct conn_handler handler;
	struct conn_counts *counts;  /* not owned */
	uint64_t max_buffer_bytes;   /* of blocks in use */
	uint32_t max_stream_bytes;
	void *free[REASSEMBLY_CLASS_MAX + 1]; /* blocks of 2^class bytes, linked through their first word */
	uint64_t used_bytes, cached_bytes;
	struct stream *held_first, *held_last; /* streams that hold memory, longest waiting first */
	struct connection *waiting[REASSEMBLY_WAITING_MAX]; /* connections with pending segments */
	uint32_t nwaiting;
};

void reassembly_init(struct reassembly *r, const struct conn_options *o, const struct conn_handler *h, struct conn_counts *counts);
void reassembly_done(struct reassembly *r); /* all connections have been released */
/* The first byte of this direction will be at offset: what is missing before the first record is a hole then. Nothing if some have come already. */
void reassembly_expect(struct connection *c, enum plumb_direction dir, uint64_t offset);
/* A DATA record of c. */
void reassembly_data(struct reassembly *r, struct connection *c, const struct plumb_rec_data *d, struct slice payload);
/* Gives up waiting for bytes that should have come by time_ns. */
void reassembly_tick(struct reassembly *r, uint64_t time_ns);
/* The same for one connection, whatever the time: before it closes and at the end of input. */
void reassembly_flush(struct reassembly *r, struct connection *c, uint64_t time_ns);
/* This direction, flushed before, ended behind offset: what no record has told of is a hole. Nothing if its beginning is not known. */
void reassembly_end(struct reassembly *r, struct connection *c, enum plumb_direction dir, uint64_t offset, uint64_t time_ns);
/* Frees what c holds. */
void reassembly_release(struct reassembly *r, struct connection *c);

#endif
