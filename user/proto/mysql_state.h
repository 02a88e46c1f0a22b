/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser of a MySQL connection keeps, and what its two directions share; for proto/mysql*.c only. */
#ifndef PLUMB_PROTO_MYSQL_STATE_H
#define PLUMB_PROTO_MYSQL_STATE_H

#include "proto/mysql_memory.h"
#include "proto/mysql_wire.h"

/* Where the response stands. */
enum mysql_phase {
	MYSQL_IDLE,        /* none has begun */
	MYSQL_AUTH,        /* an exchange of packets until OK or ERR */
	MYSQL_FIRST,       /* the first packet of another result comes */
	MYSQL_DEFINITIONS, /* `left` column definitions come */
	MYSQL_DEFINED,     /* they have come: an EOF or the first row comes */
	MYSQL_ROWS,
	MYSQL_FIELDS,      /* definitions up to an EOF: COM_FIELD_LIST */
	MYSQL_PARAMETERS,  /* `left` definitions of parameters, then those of `columns` columns: COM_STMT_PREPARE */
	MYSQL_PREPARED,    /* the EOF that ends the definitions of a statement comes */
	MYSQL_INFILE,      /* the client sends a file */
	MYSQL_STREAM,      /* packets up to an EOF: the binary log */
};

struct mysql_state {
	struct mysql_memory *memory; /* external; NULL without memory: nothing is parsed then */
	uint64_t rows;       /* of the response */
	uint64_t affected;
	uint64_t early_ns;   /* when the response without request began */
	uint32_t offers, agreed; /* capability flags of the server's greeting, 0 = not seen, and those in force */
	uint32_t left;       /* definitions that come */
	uint32_t columns;    /* COM_STMT_PREPARE: definitions behind those of the parameters */
	struct mysql_ref statement; /* that is being prepared */
	char number[8];      /* an error's, as text */
	uint8_t phase;       /* enum mysql_phase */
	uint8_t command;     /* whose response it is */
	uint8_t reply_seq;   /* of the next packet to the client */
	uint8_t file_seq;    /* of the next packet of a file to the server */
	int8_t old_eof;      /* an EOF stands between definitions and rows: 1, -1 none does, 0 not known yet */
	bool flags_known;    /* `agreed` is */
	bool talked;         /* a command or a login was seen: no login can follow */
	bool joined;         /* the login was not seen */
	bool auth;           /* what the client sends out of sequence is for its login */
	bool file;           /* what it sends out of sequence is a file */
	bool stream;         /* a replica's connection: what it sends are acknowledgements */
	bool request_goes_on, reply_goes_on; /* the latest packet was as long as can be */
	bool early;          /* a response came for which no request was seen */
	bool compressed;     /* packets come in compressed ones */
	bool given_up;       /* and bytes of these were lost: where the next one begins cannot be told */
	bool trail;          /* an EOF may still follow the response that has ended */
	bool counted;        /* the response has a result set */
	bool affects;        /* and, or, a number of rows that were changed */
	bool pipelined;      /* the client does not wait for responses */
	bool lost_replies;   /* bytes from the server were lost since nothing was due */
	bool rows_lost;
};
_Static_assert(sizeof(struct mysql_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* Consumes a packet of which `in` may hold only the head. */
static inline enum parse_status mysql_skip(struct parse_result *ret, struct slice in, size_t total)
{
	ret->consumed = total < in.len ? total : in.len;
	ret->skip = total - ret->consumed;
	return PARSE_SKIP;
}

static inline enum parse_status mysql_emit(struct parse_result *ret, struct slice in, size_t total)
{
	mysql_skip(ret, in, total);
	if (ret->skip > 0 && (ret->message.flags & MESSAGE_END))
		ret->message.flags |= MESSAGE_END_AFTER_SKIP;
	return PARSE_MESSAGE;
}

static inline bool mysql_wants_more(struct parse_result *ret, struct slice in, size_t total, size_t head)
{
	ret->need = total < head ? total : head;
	return in.len < ret->need;
}

static inline enum parse_status mysql_oneway(struct parse_result *ret, struct slice in, size_t total)
{
	ret->message.kind = MESSAGE_ONEWAY;
	ret->message.flags |= MESSAGE_BEGIN | MESSAGE_END;
	return mysql_emit(ret, in, total);
}

/* mysql_request.c, mysql_response.c */
enum parse_status mysql_parse_request(struct mysql_state *s, struct slice in, struct parse_result *ret);
enum parse_status mysql_parse_response(struct mysql_state *s, struct slice in, struct parse_result *ret);
/* mysql_compressed.c */
enum parse_status mysql_parse_compressed(struct mysql_state *s, enum proto_side side, struct slice in, struct parse_result *ret);
void mysql_compressed_begin(struct mysql_state *s);

#endif
