/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Oracle Net (TNS) packets and the calls in them (TTC) are made of. Neither has a public specification: this follows what the open thin clients
 * python-oracledb (https://github.com/oracle/python-oracledb) and go-ora (https://github.com/sijms/go-ora) send and expect.
 *
 * A packet has a head of eight bytes: its length, which is of two bytes and a checksum of two, or, behind an ACCEPT of version 315 and later, of four;
 * its type, flags, and a checksum. Data has flags of its own, and then calls or answers, which go on in the next packet where one is full. Numbers have
 * a byte in front that says how many bytes they are ("universal"). What clients with Oracle's own libraries send, numbers as the machine has them, is not read.
 */
#ifndef PLUMB_PROTO_ORACLE_WIRE_H
#define PLUMB_PROTO_ORACLE_WIRE_H

#include "proto/proto.h"

enum {
	ORACLE_HEAD = 8,
	ORACLE_DATA_HEAD = 10,
	ORACLE_PACKET_MAX = 2 * 1024 * 1024, /* the largest session data unit, with room */
	ORACLE_SMALL_MAX = 0x7ffff,          /* up to here a length of four bytes reads as none of two */
	ORACLE_CONNECT_HEAD = 34,            /* of the oldest CONNECT, up to what is read */
	ORACLE_OER_MAX = 1024,               /* of an answer's end, with its text */
};

enum oracle_packet_type {
	ORACLE_CONNECT = 1,
	ORACLE_ACCEPT = 2,
	ORACLE_ACK = 3,
	ORACLE_REFUSE = 4,
	ORACLE_REDIRECT = 5,
	ORACLE_DATA = 6,
	ORACLE_NULL = 7,
	ORACLE_ABORT = 9,
	ORACLE_RESEND = 11,
	ORACLE_MARKER = 12,
	ORACLE_ATTENTION = 13,
	ORACLE_CONTROL = 14,
};

enum { ORACLE_FLAG_EOF = 0x40, ORACLE_FLAG_END_OF_REQUEST = 0x800, ORACLE_FLAG_END_OF_RESPONSE = 0x2000 };
enum { ORACLE_MARKER_BREAK = 1, ORACLE_MARKER_RESET = 2, ORACLE_MARKER_INTERRUPT = 3 };

/* What a call or an answer is made of. */
enum oracle_message {
	ORACLE_PROTOCOL = 1,
	ORACLE_TYPES = 2,
	ORACLE_FUNCTION = 3,
	ORACLE_ERROR = 4,
	ORACLE_ROW_DATA = 7,
	ORACLE_PARAMETERS = 8,
	ORACLE_STATUS = 9,
	ORACLE_PIGGYBACK = 17,
	ORACLE_FLUSH_BINDS = 19,
	ORACLE_ONEWAY = 26,
	ORACLE_END_OF_RESPONSE = 29,
	ORACLE_FAST_AUTH = 34,
};

enum oracle_function {
	ORACLE_REEXECUTE = 4,
	ORACLE_FETCH = 5,
	ORACLE_LOGOFF = 9,
	ORACLE_COMMIT = 14,
	ORACLE_ROLLBACK = 15,
	ORACLE_REEXECUTE_FETCH = 78,
	ORACLE_EXECUTE = 94,
	ORACLE_LOB = 96,
	ORACLE_CLOSE_CURSORS = 105,
	ORACLE_AUTH_TWO = 115,
	ORACLE_AUTH_ONE = 118,
	ORACLE_PING = 147,
	/* Not of the protocol: what has no function. */
	ORACLE_ASK_CONNECT = 0x100,
	ORACLE_ASK_PROTOCOL,
	ORACLE_ASK_TYPES,
	ORACLE_ASK_FAST_AUTH,
	ORACLE_ASK_SERVICES, /* native encryption and the like are agreed upon */
	ORACLE_ASK_UNKNOWN,
};

struct oracle_head {
	uint32_t len; /* with the head */
	uint8_t type;
	uint8_t flags;
	bool large;   /* the length is of four bytes */
};

/* in has ORACLE_HEAD bytes. large: it was agreed upon lengths of four bytes; else a length that would be too short for two is one. False: this is no packet. */
bool oracle_head_read(struct slice in, bool large, struct oracle_head *ret);
/* The name of what is asked, NULL if it is none that is known. */
const char *oracle_function_name(unsigned function);

struct oracle_reader {
	struct slice in;
	size_t at;
	bool bad; /* the rest is not there, or is nothing of the kind */
};

uint8_t oracle_u8(struct oracle_reader *r);
/* A number of at most max bytes. */
uint64_t oracle_ub(struct oracle_reader *r, unsigned max);
/* A number's length byte and as many bytes behind it, and the same in chunks. *ret_cut: the text goes on. The view is of its first chunk. */
struct slice oracle_clr(struct oracle_reader *r);
struct slice oracle_bytes(struct oracle_reader *r, uint64_t n);

/* How an answer ended. */
struct oracle_end {
	uint32_t number; /* of ORA-…, 0 = none */
	uint16_t cursor;
	uint64_t rows;
	size_t text_at;  /* of the error's text */
	struct slice text;
};

/* Is `in`, from its first byte to its last one, the end of an answer? */
bool oracle_end_read(struct slice in, struct oracle_end *ret);
/* The same at the end of `in`; *ret_at where it begins. */
bool oracle_end_find(struct slice in, struct oracle_end *ret, size_t *ret_at);
/* A STATUS is all of `in`. */
bool oracle_status_read(struct slice in);

/* The value behind "KEY=" in a connect descriptor, up to a parenthesis. */
struct slice oracle_descriptor(struct slice in, const char *key);

/* oracle_call.c: what a call says. */
struct oracle_call {
	unsigned function;
	uint8_t sequence;
	uint64_t options, cursor, iterations;
	uint32_t text_len;    /* of a statement; 0 = it has none */
	size_t text_at;       /* 0 = it was not found */
	bool query;           /* it says that it is one */
	bool counted;         /* iterations are known */
	size_t begin;         /* of the call itself */
	size_t head;          /* behind the numbers in front of a text */
	size_t end;           /* of what was read, with the text */
	size_t counts_end;    /* where `counted`: of the numbers behind it */
};

enum { ORACLE_CALL_CURSORS = 16 };

/* Of piggybacks: the cursors that are closed. */
struct oracle_closed {
	uint32_t n;
	uint32_t cursors[ORACLE_CALL_CURSORS];
	bool more;
};

/* False: it is none that is read. */
bool oracle_call_read(struct slice in, struct oracle_call *ret, struct oracle_closed *ret_closed);
/* The statement's text, as far as it is there and to has room. */
size_t oracle_call_text(struct slice in, const struct oracle_call *c, uint8_t *to, size_t room);
/* Makes all of the text but its first word, if that is a command, unreadable. */
void oracle_call_blank(uint8_t *p, size_t len, const struct oracle_call *c);
/* What a statement may show: to has room for in. Passwords and the inner quotes of q'…' become what is taken for a literal. */
size_t oracle_sql_copy(struct slice in, uint8_t *to);

int oracle_detect(struct slice in, enum proto_side side);
/* Where a packet begins that is surely one, or in.len. */
size_t oracle_find(struct slice in, enum proto_side side, bool large);

#endif
