/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which exchange caused which: identities, parents, sampling. Evidence, strongest first: context on the wire; the other end of the same bytes seen on this node
 * (addresses and TCP sequence number; both sockets and offset of a Unix stream); the request that the calling thread or goroutine is handling. What is ambiguous is not joined.
 *
 * The two ends of a call are recorded by two CPUs, and the reader's record may precede the writer's. So an ended exchange whose trace may still change is held for hold_ns of record time
 * before it is released for export, and ids are settled only then.
 */
#ifndef PLUMB_CORRELATE_CORRELATE_H
#define PLUMB_CORRELATE_CORRELATE_H

#include "conn/conn.h"
#include "model/exchange.h"
#include "model/span.h"

enum correlate_sampler { SAMPLER_ALWAYS_ON, SAMPLER_ALWAYS_OFF, SAMPLER_RATIO }; /* root decision; parent-based unless said otherwise */

struct correlate_options {
	enum correlate_sampler sampler;
	bool parent_based;  /* obey the wire's decision (default true for the parentbased_* samplers) */
	double ratio;       /* for SAMPLER_RATIO, by trace id (W3C level 2 / OTel TraceIdRatioBased) */
	uint64_t hold_ns;   /* 0 = 50 ms */
	uint32_t max_held;  /* 0 = 8192; beyond it the oldest is released early */
	uint32_t max_nodes; /* exchanges and those that outlive them as parents; 0 = 65536 */
};

struct correlate_handler {
	/* x is settled: fill the span's ids with correlate_settle(), export, then free x. */
	void (*release)(void *ctx, struct exchange *x);
	void *ctx;
};

struct correlate_counts {
	uint64_t joined_wire, joined_socket, joined_thread, joined_flow, ambiguous, roots, held, released_early;
	uint64_t joined_process; /* weak: the only request in the process, but another thread made the call */
	uint64_t contradicted;   /* evidence that came too late or disagreed with the wire: not used */
	uint64_t refused;        /* exchanges without a place in a trace: at the maximum */
};

struct correlate;

int correlate_new(const struct correlate_options *o, const struct correlate_handler *h, struct conn_table *conns, struct correlate **ret_correlate);
void correlate_free(struct correlate *c); /* after correlate_flush(): what is still held is lost */
void correlate_start(struct correlate *c, const struct plumb_rec_start *start); /* seed of all ids */
/* A stream record was seen, before it is parsed: which thread reads and writes what, in order. */
void correlate_io(struct correlate *c, struct connection *conn, const struct plumb_rec_data *io);
/* That record, parsed: what came of the connection keeps it going and asks for nothing. */
void correlate_upkeep(struct correlate *c, const struct connection *conn);
/* A client's connection was opened: for which request. */
void correlate_open(struct correlate *c, struct connection *conn, const struct plumb_rec_sock *open);
void correlate_begin(struct correlate *c, struct exchange *x);
void correlate_end(struct correlate *c, struct exchange *x); /* takes x until release; x->conn is then NULL, see x->ends */
void correlate_tick(struct correlate *c, uint64_t time_ns);  /* releases what has been held long enough */
void correlate_flush(struct correlate *c);                   /* releases all: end of input */
/* In release(): trace_id, span_id, parent_id, sampled, remote_parent, trace_state, plumb.join of span. */
void correlate_settle(struct correlate *c, struct exchange *x, struct span *span);
void correlate_counts(const struct correlate *c, struct correlate_counts *ret);

#endif
