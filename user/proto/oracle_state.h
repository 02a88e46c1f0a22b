/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser of a connection to Oracle keeps; for proto/oracle*.c only. */
#ifndef PLUMB_PROTO_ORACLE_STATE_H
#define PLUMB_PROTO_ORACLE_STATE_H

#include "proto/memory.h"
#include "proto/oracle_wire.h"

enum {
	ORACLE_TEXT = 4096,     /* of a statement */
	ORACLE_STATEMENTS = 32, /* cursors whose statement is remembered */
	ORACLE_DUES = 64,       /* calls of a pipeline */
	ORACLE_NAME = 64,
	ORACLE_LOOK = 8192,     /* of a packet: what is longer is looked at from both ends */
};

struct oracle_statement {
	uint8_t *text;
	uint64_t rows; /* fetched since it was executed */
	uint32_t cursor;
	uint32_t used;
	uint16_t room, len;
	bool taken;
	bool open;     /* its cursor is known */
	bool query, changes; /* SELECT; INSERT, UPDATE, DELETE, MERGE */
};

/* A call that is not answered. */
struct oracle_due {
	uint16_t function;
	uint8_t statement; /* 1 + its place, 0 = not known */
	bool query;
	bool blind;        /* what it says was not understood: nor will be the answer's end */
	bool unsure;
};

struct oracle_name {
	uint8_t len;
	char text[ORACLE_NAME];
};

struct oracle_memory {
	struct proto_memory *budget; /* not owned */
	struct oracle_statement statements[ORACLE_STATEMENTS];
	struct oracle_due due[ORACLE_DUES];
	struct oracle_due beyond;    /* the latest that has no place */
	uint32_t due_first, due_len; /* more than have a place: those have none */
	uint32_t clock;
	struct oracle_name database; /* as the server calls it once somebody has logged on */
	uint8_t scratch[ORACLE_TEXT];
	uint8_t tail[ORACLE_OER_MAX]; /* of the answer, up to what comes next */
	uint16_t tail_len;
};

struct oracle_state {
	struct oracle_memory *memory; /* external; NULL without memory: nothing is parsed then */
	uint32_t sdu;       /* longest packet; 0 = not known */
	uint8_t sequence;   /* of the latest call, 0 = not numbered */
	bool large;         /* lengths are of four bytes from here on */
	bool ends_told;     /* answers' ends are flagged */
	bool request_told;  /* the end of the latest request was flagged */
	bool pipelines;     /* that was so at some time */
	bool descriptor;    /* what the client connects to follows in a packet of its own */
	bool descriptor_again; /* and does so once more */
	bool redirect;      /* and so does where it is sent */
	bool asking;        /* the request goes on */
	bool begun;         /* the response has */
	bool whole;         /* the tail is all of it */
	bool stale;         /* an older response has not ended, and never will */
	bool lost[2];       /* by enum proto_side: bytes were, and since then nothing was whole */
	bool services;      /* native encryption may have been agreed upon */
	bool sealed;        /* and was */
	uint16_t tail_flags; /* of the packet whose end is to come */
	uint32_t tail_packet; /* its length, 0 = none is */
	char code[16];      /* ORA-… */
	char redirected[80];
};
_Static_assert(sizeof(struct oracle_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* oracle_memory.c */
struct oracle_due *oracle_due_first(struct oracle_memory *m);
struct oracle_due *oracle_due_push(struct oracle_memory *m, unsigned function);
void oracle_due_pop(struct oracle_memory *m);
/* The statement's place + 1, 0 = there is none. */
uint8_t oracle_statement_new(struct oracle_memory *m, struct slice text);
uint8_t oracle_statement_of(struct oracle_memory *m, uint32_t cursor);
struct oracle_statement *oracle_statement_at(struct oracle_memory *m, uint8_t place);
/* The server has said its cursor; 0: there is none. */
void oracle_statement_answered(struct oracle_memory *m, uint8_t place, uint32_t cursor);
void oracle_statement_close(struct oracle_memory *m, uint32_t cursor);

/* oracle_request.c, oracle_response.c: one packet, of which `in` has as much as is looked at. */
enum parse_status oracle_request(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret);
enum parse_status oracle_response(struct oracle_state *s, const struct oracle_head *h, struct slice in, struct parse_result *ret);
/* The end of a packet that was longer. */
enum parse_status oracle_response_tail(struct oracle_state *s, struct slice in, struct parse_result *ret);
/* Steps over the rest of the packet; what is said of it is in ret. */
enum parse_status oracle_pass(const struct oracle_head *h, struct slice in, enum parse_status status, struct parse_result *ret);

#endif
