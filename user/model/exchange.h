/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request and its response on one connection, as seen at one end. Made by proto/pairing when the first byte of the request (or,
 * for a response without one, of the response) is seen; handed to the pipeline at begin and at end; freed after end.
 */
#ifndef PLUMB_MODEL_EXCHANGE_H
#define PLUMB_MODEL_EXCHANGE_H

#include "lib/arena.h"
#include "model/connection.h"
#include "model/message.h"

enum { EXCHANGE_ATTRS_MAX = 32, EXCHANGE_ARENA_BYTES = 1024, EXCHANGE_ARENA_LARGE_BYTES = 8192 };

struct exchange_side {
	uint64_t start_ns;  /* first byte; 0 = not seen */
	uint64_t end_ns;    /* last byte; 0 = not ended */
	uint64_t offset;    /* of the first byte in its stream */
	uint64_t bytes;
	uint32_t tid;       /* thread that moved the first byte */
	uint64_t flow;
};

/*
 * Where the exchange took place. A held exchange may outlive its connection, so correlate_end() copies this from `conn` and
 * clears `conn`; what comes after (span builder, sinks) reads nothing else.
 */
struct exchange_ends {
	struct endpoint local, remote; /* remote: exchange.peer for datagrams */
	uint64_t sock;
	uint16_t family;
	uint8_t type;
	char path[108]; /* Unix sockets */
};

#define EXCHANGE_TRUNCATED 1u   /* attributes were cut to fit the arena */
#define EXCHANGE_NO_REQUEST 2u  /* the response came first (joined mid-stream) */
#define EXCHANGE_ERROR 4u
#define EXCHANGE_HOLE 8u        /* bytes of it were lost; attributes may be missing */
#define EXCHANGE_MALFORMED 32u  /* something in it, or in its response's place, is no message of its protocol */
#define EXCHANGE_UNFINISHED 16u /* the input ended before it did */
#define EXCHANGE_REVERSED 64u   /* the end that was connected to has asked: a broker delivers. role follows who asks */
#define EXCHANGE_WITHIN 256u     /* a call within the process, told of when it was over: the thread that made it went nowhere else meanwhile */
#define EXCHANGE_ONE_WAY 512u    /* the request expects no answer: until its last byte is there nobody handles it, and then it is over */
#define EXCHANGE_CARRIED 1024u   /* a thread of the library's own moves its bytes, which never runs the program's code */
#define EXCHANGE_SESSION 128u   /* lasts as long as its connection: no thread handles it in particular */

struct exchange {
	uint64_t id;             /* unique in this run, in order of begin */
	struct connection *conn; /* NULL once correlate/ holds the exchange: see ends */
	struct process *process; /* refcounted copy of conn's at begin */
	uint16_t protocol;
	uint8_t role;            /* enum plumb_role of this end: CLIENT makes a CLIENT span */
	uint32_t flags;
	bool keyed;
	uint64_t key;
	struct exchange_side request, response;
	uint64_t known_ns;       /* the bytes by which it was known to have begun; 0 = it was known when it was over */
	struct attr attrs[EXCHANGE_ATTRS_MAX]; /* of request, then response; strings in the arena */
	uint32_t nattrs;
	char error_type[MESSAGE_ERROR_TYPE_LEN]; /* "" = no error */
	struct endpoint peer;    /* datagrams: of this exchange; else conn->remote */
	struct exchange_ends ends; /* valid after correlate_end() */
	struct exchange *prev, *next; /* conn's list; pairing only */
	struct exchange *older, *newer; /* all open ones by deadline; pairing only */
	uint64_t deadline_ns;    /* pairing only */
	uint64_t hash;           /* of connection and key in the index of keyed exchanges; pairing only */
	uint64_t moved;          /* bytes of both sides when its time was up last; pairing only */
	uint32_t state;          /* pairing only */
	struct arena arena;
	void *large;             /* EXCHANGE_ARENA_LARGE_BYTES when the small arena was too small; pairing only */
	void *trace;             /* correlate/ only */
	uint64_t arena_memory[EXCHANGE_ARENA_BYTES / 8];
};

#endif
