/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of a PostgreSQL connection, and the ReadyForQuery that are due on it: each simple query and each Sync is answered by one,
 * in order, and closes the requests before it. Kept as runs of equal ones, so that ten thousand pipelined queries take one entry.
 */
#ifndef PLUMB_PROTO_POSTGRES_DUE_H
#define PLUMB_PROTO_POSTGRES_DUE_H

#include "proto/postgres_names.h"
#include "proto/proto.h"

enum { POSTGRES_RUNS = 12, POSTGRES_FLUSHED = 2 };

/* What ends with a ReadyForQuery. */
enum postgres_run_kind { POSTGRES_RUN_SYNC, POSTGRES_RUN_QUERY };

/* `count` ReadyForQuery that are due one after the other, each closing `delta` exchanges. */
struct postgres_run {
	uint32_t delta;
	uint32_t count;
};

struct postgres_state {
	struct postgres_names *names; /* external; NULL without memory: no statement is known then */
	uint64_t next;       /* number of the next request */
	uint64_t bounded;    /* requests below have their ReadyForQuery in runs */
	uint64_t base;       /* requests below had it */
	uint64_t answered;   /* the request whose response comes now */
	uint64_t unanswered; /* requests from here to `answered` never got a response: given up */
	uint64_t unknown;    /* bit number % 64: the request's statement is not known */
	uint64_t flushed[POSTGRES_FLUSHED]; /* numbers of requests that a Flush ended */
	int64_t returned, affected; /* rows, of the current response; -1 = unknown */
	int64_t rows;               /* DataRow messages of the current response */
	struct postgres_run runs[POSTGRES_RUNS];
	struct postgres_ref group_statement;
	uint8_t run_kinds[POSTGRES_RUNS];
	uint8_t nruns;
	uint8_t flushed_left[POSTGRES_FLUSHED]; /* replies that are still due; 0 = free */
	uint8_t group_replies;
	uint8_t negotiating;  /* 'S' SSLRequest, 'G' GSSENCRequest was sent, its answer is one byte */
	bool typed;           /* a message with a type was seen: no start-up packet can follow */
	bool joined;          /* the start-up was not seen */
	bool group, group_parse, group_bind; /* a request of the extended protocol has begun */
	bool of_sql;          /* its portal is a cursor that SQL has declared: no statement belongs to it */
	bool begun;           /* the current response has begun */
	bool failed;          /* the server skips to the next Sync */
	bool copy_in;
	bool foreign;         /* a response without a known request is passing, up to its ReadyForQuery */
	bool pipelined;       /* the client does not wait for ReadyForQuery */
	bool lost_responses;  /* bytes from the server were lost since it was last known to be idle */
	bool shaky;           /* bytes were lost since it was last known to be idle */
	bool rows_lost;
};
_Static_assert(sizeof(struct postgres_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* All requests so far are given up: their responses were lost or cannot be told apart. */
void postgres_due_forget(struct postgres_state *s);
/* More than one is due. */
bool postgres_due_several(const struct postgres_state *s);
/* One more, for the requests since the latest. Without room all is forgotten, and pairing marked as uncertain. */
void postgres_due_push(struct postgres_state *s, enum postgres_run_kind kind);
/* The oldest has come; there must be one. */
void postgres_due_pop(struct postgres_state *s);
void postgres_due_unpush_sync(struct postgres_state *s);
/* The current response ends with the one that is due next, of this kind, not before. */
bool postgres_due_last(const struct postgres_state *s, enum postgres_run_kind kind);

#endif
