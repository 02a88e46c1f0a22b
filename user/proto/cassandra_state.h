/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser of a Cassandra connection keeps, and what its two directions share; for proto/cassandra*.c only. */
#ifndef PLUMB_PROTO_CASSANDRA_STATE_H
#define PLUMB_PROTO_CASSANDRA_STATE_H

#include "proto/cassandra_memory.h"
#include "proto/cassandra_wire.h"

enum {
	CASSANDRA_BODY_HEAD = 8192,      /* of a body no more is waited for */
	CASSANDRA_STATEMENT_HEAD = 7168, /* leaves room for the rest in EXCHANGE_ARENA_LARGE_BYTES */
};

enum cassandra_compression { CASSANDRA_COMPRESSION_UNKNOWN, CASSANDRA_LZ4, CASSANDRA_SNAPPY };

/* One direction. */
struct cassandra_way {
	uint32_t segment_left;  /* bytes of the segment's payload */
	uint32_t envelope_left; /* bytes of the body that lie in further segments */
	uint32_t plain_at, plain_len; /* what is inflated of the segment, and how much of it was parsed */
	uint32_t messages;      /* left in it */
	uint16_t stream;        /* of the envelope that goes on */
	uint8_t framing;        /* enum cassandra_framing */
	uint8_t kind;           /* enum message_kind of the envelope that goes on */
	bool in_segment;        /* its head was parsed, and its tail was not */
	bool whole;             /* it holds whole envelopes */
	bool lost;              /* bytes were lost: a segment may be the rest of an envelope that was not seen */
};

struct cassandra_state {
	struct cassandra_memory *memory; /* external; NULL without memory: nothing is parsed then */
	struct cassandra_way way[2];     /* by enum proto_side */
	uint8_t compression;             /* of bodies; enum cassandra_compression */
	bool moves;                      /* a response that is due changes the keyspace; it comes on this stream */
	bool requests_lost;              /* another one may, as what was asked was lost */
	bool doubtful;                   /* the response that comes may be another request's */
	uint16_t moves_on;
	char code[8];                    /* an error's, as text */
};
_Static_assert(sizeof(struct cassandra_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/*
 * What a message says, of its envelope's head and of the beginning of its body. False: it is none. cassandra_request.c and
 * cassandra_response.c.
 */
bool cassandra_read_request(struct cassandra_state *s, const struct cassandra_head *h, struct slice body, bool known, struct message *m);
bool cassandra_read_response(struct cassandra_state *s, const struct cassandra_head *h, struct slice body, bool known, struct message *m);

/* cassandra_inflate.c */

/* Of the block `in` as much as fits. False: it is none. */
bool cassandra_lz4(struct slice in, uint8_t *out, size_t cap, size_t *ret_len);
bool cassandra_snappy(struct slice in, uint8_t *out, size_t cap, size_t *ret_len);
/* The head of a compressed body of version 3 or 4, in the room of this side. False if it cannot be read. */
bool cassandra_inflate_body(struct cassandra_state *s, enum proto_side side, struct slice in, bool all, struct slice *ret_body);

#endif
