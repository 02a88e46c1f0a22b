/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detection, parsing and pairing of connections: ordered bytes in, exchanges out. The same for every
 * protocol: what differs is in proto_ops.
 */
#ifndef PLUMB_PROTO_ENGINE_H
#define PLUMB_PROTO_ENGINE_H

#include "conn/conn.h"
#include "model/exchange.h"
#include "proto/proto.h"

struct proto_engine_options {
	uint32_t max_exchanges;       /* open or held at once; 0 = 32768 */
	uint32_t max_per_connection;  /* 0 = 16384 */
	uint64_t timeout_ns;          /* a request without response so long ends with error.type "timeout"; 0 = 60 s */
	uint64_t max_parser_bytes;    /* what parsers may allocate for all connections together; 0 = 128 MiB */
	const bool *enabled;          /* by PLUMB_PROTO_*, NULL = all */
	uint32_t max_handles;         /* of libraries' statements and databases; see calls.h */
	struct process_table *processes; /* takes back the references of freed exchanges; NULL only where connections have no process */
};

struct proto_engine_handler {
	/*
	 * The request's first message event was parsed: identity, attributes so far. May be called at end only
	 * for responses without request.
	 */
	void (*begin)(void *ctx, struct exchange *x);
	/*
	 * The exchange is complete or has failed. The callee owns x from now on and gives it back
	 * with proto_engine_free_exchange().
	 */
	void (*end)(void *ctx, struct exchange *x);
	/* Capture policy wish for a socket; NULL: nothing is known of it any more. */
	void (*policy)(void *ctx, uint64_t sock, const struct capture *capture);
	void *ctx;
};

struct calls_counts {
	uint64_t handles;  /* now */
	uint64_t evicted;  /* handles that gave way to others */
	uint64_t refused;  /* not kept for want of memory */
	uint64_t not_seen; /* executions of a statement whose text is not known */
	uint64_t unknown;  /* calls of functions that this program does not know */
};

struct proto_counts {
	uint64_t detected[PLUMB_PROTO_COUNT], messages[PLUMB_PROTO_COUNT], exchanges[PLUMB_PROTO_COUNT];
	uint64_t bad[PLUMB_PROTO_COUNT], resyncs[PLUMB_PROTO_COUNT], resync_bytes[PLUMB_PROTO_COUNT];
	uint64_t looked_bytes; /* in which the start of a message was looked for, again and again the same ones too */
	uint64_t unanswered[PLUMB_PROTO_COUNT], unmatched[PLUMB_PROTO_COUNT]; /* responses without request */
	uint64_t opaque; /* connections given up, or become another protocol */
	uint64_t parsers_refused; /* connections without memory for the state of a parser: what comes before there is some is lost */
	uint64_t parser_bytes;    /* allocated by parsers now */
	uint64_t parser_bytes_refused; /* times that they wanted more than there is: headers are not understood, statements not known */
	uint64_t exchanges_refused; /* at the maximum, or without memory */
	uint64_t exchanges_evicted; /* of connections with many, the table was full */
	uint64_t exchanges_open;
	uint64_t policy_raised; /* capture was raised because a head was cut, or the client pipelines */
	uint64_t adopted;       /* responses that were seen before their request */
	uint64_t oneway;        /* messages that need no exchange */
	uint64_t attrs_cut;     /* exchanges whose attributes did not fit */
	struct calls_counts calls;
};

struct proto_engine;

int proto_engine_new(const struct proto_engine_options *o, const struct proto_engine_handler *h, struct proto_engine **ret_engine);
void proto_engine_free(struct proto_engine *e);
/* The callbacks to give to conn_table_new(). */
void proto_engine_conn_handler(struct proto_engine *e, struct conn_handler *ret_handler);
/* What a peer cannot know, at the start of a stream of records. Changes nothing that is given out. */
void proto_engine_seed(struct proto_engine *e, uint64_t seed);
/* A call of a library is an exchange, or tells of a handle that others refer to; text is its payload. */
void proto_engine_call(struct proto_engine *e, const struct plumb_rec_call *r, struct slice text);
/* These bytes are a TLS library's, whose plaintext is another connection: of one whose protocol is not known yet nothing more is looked at. */
void proto_engine_encrypted(struct proto_engine *e, struct connection *c);
/* A process has ended, or executes another program. */
void proto_engine_forget_process(struct proto_engine *e, uint32_t pid);
/* Ends exchanges whose time is up. */
void proto_engine_tick(struct proto_engine *e, uint64_t time_ns);
/* End of input: open exchanges end as they are, flagged EXCHANGE_UNFINISHED. */
void proto_engine_finish(struct proto_engine *e, uint64_t time_ns);
void proto_engine_free_exchange(struct proto_engine *e, struct exchange *x);
void proto_engine_counts(const struct proto_engine *e, struct proto_counts *ret);

#endif
