/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser of a Redis connection keeps, and what its files share; for proto/redis*.c only. */
#ifndef PLUMB_PROTO_REDIS_STATE_H
#define PLUMB_PROTO_REDIS_STATE_H

#include "proto/redis_wire.h"

enum {
	REDIS_TEXT_MAX = 120,    /* two names, a key, marks */
	REDIS_STREAMS_MAX = 3,   /* nested aggregates of unknown length */
	REDIS_EXPECT_MAX = 6,
	REDIS_OTHER_NAME_MAX = 24, /* of a command or an error code that is not Redis' own, as far as it is shown */
	REDIS_DB_UNKNOWN = 0xffff,
};

enum redis_expect_kind {
	REDIS_EXPECT_SELECT = 1,
	REDIS_EXPECT_SUBSCRIBE, /* any of the six, when it is not confirmed by exactly one message */
	REDIS_EXPECT_SYNC,
};

/*
 * A request whose answer cannot be understood without it. RESET, MONITOR and a SUBSCRIBE to one channel have
 * answers that speak for themselves.
 */
struct redis_expect {
	uint16_t seq;   /* of the request: `sent`, its low bits */
	uint16_t kind;  /* enum redis_expect_kind */
	uint16_t value; /* SELECT: database; SUBSCRIBE: confirmations to come, 0 = one for each channel of the kind */
};

enum { REDIS_REPLY_ON, REDIS_REPLY_OFF, REDIS_REPLY_SKIP_NEXT, REDIS_REPLY_SKIP_THIS };

struct redis_state {
	char text[REDIS_TEXT_MAX];          /* statement; its first op_len bytes are the operation */
	uint64_t left;                /* elements of the reply still to come; 0 = between replies */
	uint64_t saved[REDIS_STREAMS_MAX];  /* `left` outside each open stream */
	struct redis_expect expect[REDIS_EXPECT_MAX];
	uint64_t latest_ns;           /* of the bytes last parsed, either direction; 0 = times are not known */
	uint32_t sent, answered;      /* requests that are answered, and answers */
	uint32_t args_left, args;     /* of the request; args_left 0 = between requests */
	char db[6];                   /* index of the database, decimal */
	uint8_t db_len;               /* 0 = unknown */
	uint16_t confirms_left;       /* of a SUBSCRIBE that has its response */
	uint16_t value;               /* of the request, as in struct redis_expect */
	uint16_t channels, patterns, shards; /* subscribed to */
	uint8_t text_len, op_len;
	uint8_t op_known;             /* so many bytes of the operation are a command of the table */
	uint8_t key_index;
	uint8_t expects;
	uint8_t request_expect;       /* enum redis_expect_kind of the request being read */
	uint8_t reply_mode;
	uint8_t reply_kind;           /* enum message_kind */
	uint8_t streams;
	uint8_t confirm;              /* enum redis_confirm of the reply being read: its last element is the number of subscriptions left */
	bool contain, client_reply, no_reply;
	bool multi;                   /* requests are queued, up to EXEC */
	bool subscribe;               /* the request is one of the six that subscribe or unsubscribe */
	bool top;                     /* the reply's own value is still to come (attributes may precede it) */
	bool in_line : 1, in_chunks : 1;
	bool leaves;                  /* the reply answers SYNC: replication follows */
	bool maybe_subscribed;        /* a confirmation may have been lost */
	bool turn : 1;                /* reply bytes passed since the latest request began */
	bool overlaps : 1;            /* requests were sent while replies were due that the client had begun to read */
	bool may_overlap : 1;         /* the same, until the next reply comes without a loss */
	bool told : 1;                /* redis_lost() was called at least once */
	bool silent : 1;              /* after a loss: replies are passed over until the next turn */
	bool guessed : 1;             /* the latest count began at a turn, and no later turn has found it right yet */
};
_Static_assert(sizeof(struct redis_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* The reply being read is over, or given up. */
static inline void redis_reply_clear(struct redis_state *s)
{
	s->left = 0;
	s->streams = 0;
	s->confirm = REDIS_CONFIRM_NONE;
	s->top = s->in_line = s->in_chunks = s->leaves = false;
}

/* redis.c: from now on replies are not understood, up to the next turn. */
void redis_silence(struct redis_state *s);
/* redis_request.c */
enum parse_status redis_request_parse(struct redis_state *s, struct slice in, struct parse_result *ret);
/* redis_reply.c */
enum parse_status redis_reply_parse(struct redis_state *s, struct slice in, struct parse_result *ret);

#endif
