/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a Cassandra connection beside its parser's state: prepared statements by the id that the server gave them, and room to inflate
 * into. Fixed number of statements, least recently used first out. Texts and room are taken from the budget of all parsers; a text that finds no room is
 * not known.
 */
#ifndef PLUMB_PROTO_CASSANDRA_MEMORY_H
#define PLUMB_PROTO_CASSANDRA_MEMORY_H

#include "lib/slice.h"
#include "proto/memory.h"
#include "proto/proto.h"

enum {
	CASSANDRA_STATEMENTS = 128,
	CASSANDRA_STATEMENT_TEXT = 1024,
	CASSANDRA_BATCH_TEXT = 2048,
	CASSANDRA_KEYSPACE_LEN = 48, /* the longest name that the server takes */
	CASSANDRA_STREAMS = 32768,
	CASSANDRA_ROOM_KEPT = 16384, /* of what an inflated segment needed */
};

struct cassandra_statement {
	uint32_t used;     /* time of the latest use, in look-ups */
	bool taken, asked; /* asked: the server has not answered; then `stream` is the request's */
	uint16_t stream;
	uint16_t len, room; /* of its text */
	uint8_t *text;      /* kept for the slot's next statement */
};

/* Of 64 streams, a bit each. */
struct cassandra_streams {
	uint64_t busy;  /* a request was not answered */
	uint64_t twice; /* and another one came: the client has had its answer, so its answer is late here, or lost */
	uint64_t stale; /* it was open when bytes to the client were lost */
};

struct cassandra_room {
	uint8_t *at; /* NULL before it is needed */
	uint32_t size;
};

struct cassandra_memory {
	struct proto_memory *budget; /* not owned */
	uint32_t clock;
	uint32_t asked;              /* statements whose preparation was not answered yet */
	struct cassandra_streams *streams; /* those below 64 * groups */
	uint32_t groups;             /* a power of two, or 0; grows with the streams in use */
	uint16_t keyspace_len;       /* 0 = none, or not known */
	char keyspace[CASSANDRA_KEYSPACE_LEN];
	struct cassandra_room room[2]; /* by enum proto_side */
	uint16_t batch_len;
	uint8_t batch[CASSANDRA_BATCH_TEXT];
	uint64_t ids[CASSANDRA_STATEMENTS]; /* hashes of those that were answered, else 0 */
	struct cassandra_statement statements[CASSANDRA_STATEMENTS];
};

struct cassandra_memory *cassandra_memory_new(struct proto_memory *budget); /* NULL without memory */
void cassandra_memory_free(struct cassandra_memory *m);

/* The request on this stream prepares it. Text beyond CASSANDRA_STATEMENT_TEXT is cut. */
void cassandra_memory_prepare(struct cassandra_memory *m, uint16_t stream, struct slice text);
/* The request on this stream was answered: with this id, or, if it is empty, without one. */
void cassandra_memory_answer(struct cassandra_memory *m, uint16_t stream, struct slice id);
/* The statement's text, empty if it is not known or no longer. */
struct slice cassandra_memory_find(struct cassandra_memory *m, struct slice id);
/* Answers were lost: what was asked is not known to have been prepared. */
void cassandra_memory_answers_lost(struct cassandra_memory *m);
/* A request comes on this stream. True: what is open there lost its answer, and is over; then call it again. */
bool cassandra_stream_asked(struct cassandra_memory *m, uint16_t stream);
/* An answer comes. True: it is not that of the older one of two requests, which is over; then call it again. *ret_doubtful: it may be another request's. */
bool cassandra_stream_answered(struct cassandra_memory *m, uint16_t stream, bool *ret_doubtful);

/* Room for so many bytes; NULL without. What it held is gone. */
uint8_t *cassandra_memory_room(struct cassandra_memory *m, enum proto_side side, uint32_t size);
void cassandra_memory_leave_room(struct cassandra_memory *m, enum proto_side side);

#endif
