/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser of a ClickHouse connection keeps; for proto/clickhouse*.c only. */
#ifndef PLUMB_PROTO_CLICKHOUSE_STATE_H
#define PLUMB_PROTO_CLICKHOUSE_STATE_H

#include "proto/clickhouse_block.h"

enum { CLICKHOUSE_TEXT = 4096, CLICKHOUSE_ERROR_TEXT = 512, CLICKHOUSE_DATABASE = 64 };

struct clickhouse_name {
	uint8_t len; /* 0 = not known, or the server's choice */
	char text[CLICKHOUSE_DATABASE];
};

/* Too large for the state. */
struct clickhouse_memory {
	struct proto_memory *budget; /* not owned */
	struct clickhouse_block block[2];        /* by enum proto_side */
	struct clickhouse_name database, wanted; /* in use; in use once the query has succeeded */
	char traceparent[56];
};

enum clickhouse_asked { CLICKHOUSE_NOTHING, CLICKHOUSE_CONNECT, CLICKHOUSE_ASKED_QUERY, CLICKHOUSE_ASKED_PING, CLICKHOUSE_ASKED_TABLES };

/* One direction, where it is between packets or in one that is not looked at whole. */
struct clickhouse_way {
	size_t kept;       /* bytes that were looked at in vain and come again, with those that follow them */
	uint32_t debt;     /* bytes looked at again and again in vain, beyond what new ones pay for */
	bool lost;         /* the engine looks for a packet */
	bool scanning;     /* as do we: how long something is cannot be told */
	bool fresh;        /* behind the bytes that are kept a packet begins: the other side has said so */
	bool block;        /* in a block */
	bool counts;       /* its rows are counted */
};

struct clickhouse_state {
	struct clickhouse_memory *memory; /* external; NULL without memory: nothing is parsed then */
	struct clickhouse_way way[2];     /* by enum proto_side */
	uint64_t rows;        /* of the result, as its blocks tell */
	uint64_t told;        /* rows of the result, as the server tells */
	uint64_t sent;        /* rows that the client inserts */
	uint64_t written;     /* rows that the server says it wrote */
	uint32_t client_revision;
	uint32_t revision;    /* in use; 0 = not known */
	uint32_t lowest;      /* it may be lower, down to this one; 0 = it is known */
	char number[12];      /* an error's, as text */
	uint8_t asked;        /* enum clickhouse_asked: what is not answered yet, or was last */
	bool busy;            /* and it is not answered */
	bool asking;          /* the request goes on */
	bool tail_lost;       /* what goes on of it may have been lost */
	bool begun;           /* the response has */
	bool stale;           /* an older response has not ended, and never will */
	bool compressed;
	bool parameters;      /* behind a query's text come its parameters */
	bool addendum;        /* the client says more of itself */
	bool inserts;         /* the client has sent rows behind its request */
	bool result;          /* there is one */
	bool is_told;
	bool rows_unknown, sent_unknown;
	bool unsure;          /* something of the exchange was stepped over */
	bool aside;           /* the exception answers nothing */
	uint8_t early;        /* pings whose answers were seen first, where the connection was joined */
	uint8_t error;        /* enum clickhouse_error: in an Exception */
};
_Static_assert(sizeof(struct clickhouse_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* clickhouse_request.c, clickhouse_response.c */
enum parse_status clickhouse_parse_request(struct clickhouse_state *s, struct slice in, struct parse_result *ret);
enum parse_status clickhouse_parse_response(struct clickhouse_state *s, struct slice in, struct parse_result *ret);

/* What both need; clickhouse.c. Each returns what parse() does. */
enum parse_status clickhouse_needs(struct parse_result *ret, const struct clickhouse_cursor *c);
enum parse_status clickhouse_pass_bytes(struct parse_result *ret, size_t n);
enum parse_status clickhouse_walk(struct clickhouse_state *s, enum proto_side side, struct slice in, struct parse_result *ret);
enum parse_status clickhouse_scan(struct clickhouse_state *s, enum proto_side side, struct slice in, struct parse_result *ret);
/* What this side says next begins with a packet. */
void clickhouse_is_fresh(struct clickhouse_state *s, enum proto_side side);

#endif
