/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How memcached's protocols look: lines of the text and meta commands (doc/protocol.txt of memcached), headers of the binary
 * protocol (doc/protocol-binary.txt), and the frame in front of datagrams. No state but the statement that is being written.
 */
#ifndef PLUMB_PROTO_MEMCACHED_WIRE_H
#define PLUMB_PROTO_MEMCACHED_WIRE_H

#include "proto/proto.h"

enum {
	MEMCACHED_KEY_MAX = 250,     /* bytes of a key */
	MEMCACHED_LINE_MAX = 2048,   /* a longer line is one of many keys, or none */
	MEMCACHED_DATA_MAX = 0x40000000, /* of a value; item_size_max is 1 GiB at most */
	MEMCACHED_SHOWN_MAX = 64,    /* bytes shown of a key */
	MEMCACHED_TEXT_MAX = 120,    /* of a statement */
	MEMCACHED_BINARY_HEAD = 24,
	MEMCACHED_FRAME = 8,
};

/* ---- statements: the command and its keys; never a value ---- */

struct memcached_statement {
	char text[MEMCACHED_TEXT_MAX]; /* the first op_len bytes are the operation */
	uint8_t len, op_len;
	bool full; /* a key did not fit */
};

/* Begins with the operation; upper: in capitals. */
void memcached_statement_begin(struct memcached_statement *st, struct slice operation, bool upper);
void memcached_statement_add(struct memcached_statement *st, struct slice word);
void memcached_statement_key(struct memcached_statement *st, struct slice head, bool cut);

/* ---- lines to the server ---- */

enum memcached_kind {
	MEMCACHED_UNKNOWN,
	MEMCACHED_GET,    /* any number of keys */
	MEMCACHED_GAT,    /* the same behind a time */
	MEMCACHED_STORE,  /* key flags exptime bytes */
	MEMCACHED_CAS,    /* and a number */
	MEMCACHED_DELETE, /* key [0] */
	MEMCACHED_ARITH,  /* key value */
	MEMCACHED_TOUCH,  /* key exptime */
	MEMCACHED_STATS,
	MEMCACHED_FLUSH,
	MEMCACHED_ADMIN,  /* no key; the first word may be a subcommand */
	MEMCACHED_QUIT,
	MEMCACHED_META,     /* key flags */
	MEMCACHED_META_SET, /* key length flags */
	MEMCACHED_META_DEBUG, /* key: the response repeats no opaque */
	MEMCACHED_META_NOOP,
};

struct memcached_request {
	enum memcached_kind kind;
	bool well_formed;
	bool no_reply; /* never answered */
	bool quiet;    /* answered in some cases only */
	bool tagged;   /* its response repeats `tag` */
	uint64_t tag;  /* of the opaque token, else of the key that the response is to have */
	uint64_t skip; /* bytes of data and their line end that follow */
	uint32_t keys; /* of a retrieval */
};

/* `line` without its end. The statement is written even if the line is not well formed. */
void memcached_request_read(struct slice line, struct memcached_statement *st, struct memcached_request *ret);
/* Whether what begins with `in` may be a retrieval that is longer than a line is waited for. */
bool memcached_long_get(struct slice in);
/* Whether it is a word of the protocol (of stats, say), and no value. */
bool memcached_word_known(struct slice word);

/* ---- lines to the client ---- */

enum memcached_reply_kind {
	MEMCACHED_NO_REPLY_LINE,
	MEMCACHED_VALUE, /* one of several, with data */
	MEMCACHED_ROW,   /* one of several lines */
	MEMCACHED_END,   /* ends them; alone it is a retrieval without hits */
	MEMCACHED_CLASSIC, /* one line that no meta command is answered with */
	MEMCACHED_ERROR_LINE, /* any command may be */
	MEMCACHED_META_VALUE, /* VA: data follow */
	MEMCACHED_META_LINE,  /* HD, NS, EX, NF, ME: quiet commands have them, too */
	MEMCACHED_META_MISS,  /* EN: no quiet command has it */
	MEMCACHED_META_BARRIER, /* MN */
	MEMCACHED_LOG,        /* what `watch` shows: no answer */
};

struct memcached_reply {
	enum memcached_reply_kind kind;
	struct slice word;    /* db.response.status_code; empty where success has nothing to say */
	struct slice message; /* behind the word of an error */
	bool failed, tagged;
	uint64_t tag;
	uint64_t skip; /* bytes of data and their line end that follow */
};

/* `line` without its end. False: no answer of memcached. */
bool memcached_reply_read(struct slice line, struct memcached_reply *ret);

/* ---- binary ---- */

struct memcached_head {
	bool response;
	uint8_t opcode, extras;
	uint16_t key_len, status;
	uint32_t body, opaque;
};

enum memcached_scan { MEMCACHED_OK, MEMCACHED_MORE, MEMCACHED_BAD };

/* The header at the start of `in`, checked against what its opcode allows. MORE: nothing speaks against it so far. */
enum memcached_scan memcached_head_read(struct slice in, enum proto_side side, struct memcached_head *ret);
const char *memcached_opcode_name(uint8_t opcode); /* NULL: none */
bool memcached_opcode_quiet(uint8_t opcode);
bool memcached_opcode_gets(uint8_t opcode);
bool memcached_opcode_secret(uint8_t opcode);
/* ret_failed: the request failed; a miss, or a condition that was not met, is an answer. NULL: success. */
const char *memcached_status_name(uint16_t status, bool *ret_failed);

enum {
	MEMCACHED_OP_NOOP = 0x0a, MEMCACHED_OP_STAT = 0x10, MEMCACHED_OP_QUITQ = 0x17, MEMCACHED_OP_GETKQ = 0x0d, MEMCACHED_OP_GATKQ = 0x24,
};

/* ---- datagrams ---- */

struct memcached_frame {
	uint16_t id, seq, total;
};

/* False: not the frame of a datagram to `side`. */
bool memcached_frame_read(struct slice in, enum proto_side side, struct memcached_frame *ret);

/* memcached_detect.c */
int memcached_detect(struct slice in, enum proto_side side);
int memcached_detect_datagram(struct slice in, enum proto_side side);
/* Whether a whole line, or a header, stands at the start, however little that tells. */
bool memcached_fits(struct slice in, enum proto_side side);
/* Where a request may begin behind lost bytes; in.len: nowhere. fresh: `in` may begin with a line, not in the middle of one. */
size_t memcached_find_request(struct slice in, bool fresh);
size_t memcached_find_binary(struct slice in, enum proto_side side);

#endif
