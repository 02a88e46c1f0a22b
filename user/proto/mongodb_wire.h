/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How MongoDB's messages look (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/): headers, and what requests and replies say as far
 * as the first bytes of them tell. No state but the statement that is being written.
 */
#ifndef PLUMB_PROTO_MONGODB_WIRE_H
#define PLUMB_PROTO_MONGODB_WIRE_H

#include "proto/mongodb_bson.h"
#include "proto/proto.h"

enum {
	MONGODB_HEAD = 16,
	MONGODB_READ_MAX = 16384,       /* bytes of a request or compressed message that are looked at; also of what this unpacks to */
	MONGODB_REPLY_MAX = 65536,      /* of a reply: the first batch of a cursor shall be counted in most cases */
	MONGODB_LENGTH_MAX = 48000000,  /* maxMessageSizeBytes of every server */
	MONGODB_NAME_MAX = 255,         /* bytes of a namespace */
	MONGODB_OPERATION_MAX = 48,
	MONGODB_MESSAGE_MAX = 512,      /* bytes shown of an error message */
	MONGODB_TEXT_MAX = 1024,        /* of a statement */
	MONGODB_SCAN = 64,              /* so many bytes tell whether a message begins */
};

enum mongodb_opcode {
	MONGODB_REPLY = 1,
	MONGODB_UPDATE = 2001,
	MONGODB_INSERT = 2002,
	MONGODB_QUERY = 2004,
	MONGODB_GET_MORE = 2005,
	MONGODB_DELETE = 2006,
	MONGODB_KILL_CURSORS = 2007,
	MONGODB_COMPRESSED = 2012,
	MONGODB_MSG = 2013,
};

/* Flags of OP_MSG, OP_QUERY and OP_REPLY. */
enum { MONGODB_CHECKSUM = 1, MONGODB_MORE_TO_COME = 2, MONGODB_EXHAUST_ALLOWED = 1 << 16 };
enum { MONGODB_QUERY_EXHAUST = 1 << 6 };
enum { MONGODB_CURSOR_NOT_FOUND = 1, MONGODB_QUERY_FAILURE = 2 };
enum mongodb_compressor { MONGODB_NOOP, MONGODB_SNAPPY, MONGODB_ZLIB, MONGODB_ZSTD };

struct mongodb_head {
	uint32_t len; /* of the message with this */
	uint32_t id, to;
	uint32_t opcode;
};

enum mongodb_scan { MONGODB_OK, MONGODB_SHORT, MONGODB_BAD };

/* The header at the start of `in` and what follows it before the first document. SHORT: nothing speaks against it so far. */
enum mongodb_scan mongodb_head_read(struct slice in, enum proto_side side, struct mongodb_head *ret);
/* As that, and as strict as can be, for what may be no message. *ret_document: a document was seen to begin. */
enum mongodb_scan mongodb_scan(struct slice in, enum proto_side side, struct mongodb_head *ret, bool *ret_document);
/* Bytes from the start of the message that mongodb_head_read() needs. */
size_t mongodb_head_need(uint32_t opcode);
/* Whether messages of this kind are sent to `side`. */
bool mongodb_opcode_fits(uint32_t opcode, enum proto_side side);

/* ---- commands ---- */

enum {
	MONGODB_COLLECTION = 1, /* the command's value is the name of a collection */
	MONGODB_SHOWN = 2,      /* its shape is shown */
	MONGODB_WRITES = 4,     /* its reply says how many documents were written */
	MONGODB_INSERTS = 8,
};

/* ret_flags: of MONGODB_COLLECTION ..; 0 of commands that are not known. */
bool mongodb_command_find(struct slice name, unsigned *ret_flags);

/* ---- statements: the shape of a command, "?" for its values ---- */

struct mongodb_text {
	char text[MONGODB_TEXT_MAX];
	uint16_t len;
	bool full; /* and more would follow */
};

void mongodb_text_begin(struct mongodb_text *t);
void mongodb_text_add(struct mongodb_text *t, struct slice s);
/* `"text"`, what JSON does not take as it is replaced. */
void mongodb_text_quote(struct mongodb_text *t, struct slice s);
/* Shape of the value of an element; "?" for a document that takes another's place. */
void mongodb_text_value(struct mongodb_text *t, const struct bson_element *e);
/* Shape of the first element of an array alone. */
void mongodb_text_first(struct mongodb_text *t, const struct bson_element *e);
/* Shape of a document that stands alone in `in`. */
void mongodb_text_document(struct mongodb_text *t, struct slice in, uint64_t room);
/* Of one that says how to change another; "?" if it takes its place. */
void mongodb_text_change(struct mongodb_text *t, struct slice in, uint64_t room);
struct slice mongodb_text_end(struct mongodb_text *t);

/* ---- requests ---- */

/* What the reply to a request means. */
enum mongodb_due {
	MONGODB_NOTHING_KNOWN,
	MONGODB_ANSWER,       /* one reply; that of a command */
	MONGODB_WRITTEN,      /* its reply counts what was written */
	MONGODB_INSERTED,     /* and that is the number of documents in the request */
	MONGODB_DOCUMENTS,    /* legacy: documents, not the reply of a command */
	MONGODB_STREAM,       /* a reply may be followed by others, all of them its answer */
	MONGODB_DOCUMENT_STREAM, /* legacy: the same */
	MONGODB_UNASKED,         /* none is expected, but there are servers that send one */
};

struct mongodb_request {
	struct slice operation;   /* empty: not at hand */
	bool known;               /* the operation is a command of MongoDB */
	struct slice database, collection;
	struct slice statement;
	uint32_t batch;           /* documents that are written; 0 = not known, or it writes none */
	enum mongodb_due due;
	bool no_response;
	bool stream;              /* it allows more than one reply */
};

/* `body` is what follows the header, as far as it is at hand, of `len` bytes. */
void mongodb_request_read(uint32_t opcode, struct slice body, uint64_t len, struct mongodb_text *text, struct mongodb_request *ret);

/* ---- replies ---- */

struct mongodb_reply {
	bool failed;
	char code[24];       /* empty: none, or none was given */
	struct slice message;
	bool has_rows, has_written;
	uint32_t rows;
	int64_t written;     /* documents */
	bool write_errors;
	bool more;           /* another reply follows this one */
};

/* Whether another reply follows; `body` has at least what mongodb_head_read() needs. */
bool mongodb_more_follows(uint32_t opcode, struct slice body);
void mongodb_reply_read(uint32_t opcode, struct slice body, uint64_t len, enum mongodb_due due, struct mongodb_reply *ret);

/* Where the document of OP_MSG stands: at body[*ret_at], at most *ret_room bytes. False: not at hand. */
bool mongodb_find_body(struct slice body, uint64_t len, size_t *ret_at, uint64_t *ret_room);

/* ---- compression ---- */

struct mongodb_unpacked {
	uint32_t opcode;
	uint32_t len;      /* of the body when it is whole */
	struct slice body; /* as far as it was unpacked */
};

struct mongodb_unpacker; /* what zlib needs, and room for what was unpacked: MONGODB_READ_MAX bytes */
size_t mongodb_unpacker_size(void);
/* `body` of OP_COMPRESSED with at least nine bytes. False: not by this compressor, or it is none; all but its body is set. */
bool mongodb_unpack(struct mongodb_unpacker *u, struct slice body, struct mongodb_unpacked *ret);

#endif
