/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of a connection of Aerospike's; for proto/aerospike*.c only. */
#ifndef PLUMB_PROTO_AEROSPIKE_STATE_H
#define PLUMB_PROTO_AEROSPIKE_STATE_H

#include "proto/aerospike_inflate.h"
#include "proto/aerospike_wire.h"
#include "proto/memory.h"

enum { AEROSPIKE_DUE = 64, AEROSPIKE_TEXT = 120 };

/* What an answer is to: how it ends, and what it says. */
enum aerospike_kind {
	AEROSPIKE_UNKNOWN,    /* what it itself looks like */
	AEROSPIKE_INFO, AEROSPIKE_INFO_ONE, /* several commands; one, whose outcome is the request's */
	AEROSPIKE_ADMIN_ONE, AEROSPIKE_ADMIN_MANY,
	AEROSPIKE_ONE, AEROSPIKE_GET, /* one record; one that is read */
	AEROSPIKE_MANY,       /* those of a batch, in any number of messages, up to the one that says it is the last */
	AEROSPIKE_SCANNED,    /* what a query finds, or the error that refuses it */
};

struct aerospike_memory {
	struct proto_memory *budget;       /* not owned */
	struct aerospike_inflate *inflate[2]; /* by enum proto_side; NULL before it is needed */
	uint8_t due[AEROSPIKE_DUE];        /* kinds of the requests without an answer: a ring */
	uint8_t first, count;
	uint32_t over;                     /* further ones that found no room */
	char text[AEROSPIKE_TEXT];         /* of the request under way: what is shown of it and is no view */
};

/* A record message of the client, under way. */
struct aerospike_asking {
	uint64_t left;       /* bytes of it that follow */
	uint16_t fields, ops; /* that follow */
	uint16_t looked;     /* operations */
	uint8_t text_len;    /* of the name of a UDF's module */
	bool open;
	bool blind;          /* fields of it were not seen */
	bool queued;         /* it is the newest that is due */
	struct aerospike_asked asked;
};

struct aerospike_answer {
	uint64_t left;   /* bytes of the message that follow: of the record message, if it is compressed */
	uint64_t pass;   /* of which so many are of a field or an operation */
	uint32_t packed; /* bytes of the compressed message that follow */
	uint32_t items;  /* fields and operations of this record that follow */
	uint32_t room;   /* so much more the compressed message may become */
	uint32_t rows;   /* records that came */
	uint32_t records; /* heads in this message */
	uint8_t kind, code; /* of the whole answer */
	uint8_t failed;  /* the first code of a record that is a failure */
	bool open;       /* it has begun */
	bool inside;     /* a message of it has */
	bool zipped;     /* which is compressed, and its inner head has not come */
	bool blind;      /* where its records begin is not known */
	bool uncounted, last, partial;
	bool tail_missed; /* whether it is over was not seen */
	bool stale;       /* its client has sent another request */
	bool bad;         /* what follows is nonsense */
	uint8_t have;
	uint8_t carry[AEROSPIKE_MSG];
	char status[4];
};

struct aerospike_state {
	struct aerospike_memory *memory; /* external; NULL: of answers no more is known than they say, and nothing of what is compressed */
	struct aerospike_asking asking;
	struct aerospike_answer answer;
	uint64_t stale_ns;  /* when the request was sent that makes the answer stale */
	uint64_t early_ns;  /* when an answer began for which no request was due */
	bool early;
	bool gap;           /* a loss since all that was due was answered */
	bool pipelined;     /* a request was sent before the one before it was answered */
};
_Static_assert(sizeof(struct aerospike_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* Its part of the memory; NULL without room. */
struct aerospike_inflate *aerospike_inflates(struct aerospike_state *s, enum proto_side side);

/* aerospike_request.c */
enum parse_status aerospike_request(struct aerospike_state *s, struct slice in, struct parse_result *ret);
bool aerospike_request_missing(struct aerospike_state *s, uint64_t n, struct message *m);

/* aerospike_answer.c */
enum parse_status aerospike_answer(struct aerospike_state *s, struct slice in, struct parse_result *ret);
bool aerospike_answer_missing(struct aerospike_state *s, uint64_t n, struct message *m);

/* aerospike.c: what is due */
void aerospike_due_add(struct aerospike_state *s, const struct parse_result *ret, enum aerospike_kind kind);
enum aerospike_kind aerospike_due_peek(const struct aerospike_state *s);
enum aerospike_kind aerospike_due_take(struct aerospike_state *s, const struct parse_result *ret);

#endif
