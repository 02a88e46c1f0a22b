/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a TDS connection: its sessions (one, or one of each of MARS), each with what is under way in it, and prepared statements by the handles that the server gave
 * them. A fixed number of each, least recently used first out; texts, columns and all sessions but the first are taken from the budget of all parsers.
 */
#ifndef PLUMB_PROTO_TDS_MEMORY_H
#define PLUMB_PROTO_TDS_MEMORY_H

#include "proto/memory.h"
#include "proto/tds_walk.h"

enum { TDS_SESSIONS = 16, TDS_STATEMENTS = 64, TDS_STATEMENT_TEXT = 1024, TDS_TEXT_LEN = 4096, TDS_NAME_LEN = 160, TDS_COLUMNS_MAX = 1024, TDS_ERROR_TEXT = 768, TDS_BITMAP = TDS_COLUMNS_MAX / 8 };

enum tds_asked { TDS_ASKED_NOTHING, TDS_ASKED_LOGIN, TDS_ASKED_BATCH, TDS_ASKED_CALL, TDS_ASKED_PREPARE, TDS_ASKED_TRANSACTION, TDS_ASKED_BULK, TDS_ASKED_UNKNOWN };

/* One direction of a session: the packet and the message under way. */
struct tds_way {
	uint32_t left; /* bytes of the packet */
	uint8_t type;
	bool eom;      /* it is the message's last */
	bool open;     /* a message is under way */
	bool aside;    /* it is of no exchange */
	bool blind;    /* how it goes on cannot be told up to its end */
};

struct tds_session {
	uint16_t id;
	bool used;
	uint32_t at;   /* time of the latest use */
	uint32_t turn; /* number of the request, among those of all sessions */
	uint8_t asked; /* enum tds_asked: what is not answered, or was last */
	bool busy;     /* it is not answered */
	bool early;    /* a response has begun, and its request will come */
	bool stale;    /* bytes were lost: what is open may never end */
	bool attention; /* the client wants no more of it */
	struct tds_way way[2]; /* by enum proto_side */
	struct tds_walk walk[2];

	/* Of the request. */
	uint16_t proc;       /* well-known procedure, 0 = by name */
	uint16_t parameter;  /* under way */
	uint16_t calls;
	bool moves;          /* may change the database */
	uint8_t operation;   /* of a transaction */
	uint32_t handle;     /* that it names */
	uint32_t version;    /* LOGIN7: that the client wants */
	uint16_t database_len;
	struct tds_text text, name;
	char text_memory[TDS_TEXT_LEN], name_memory[TDS_NAME_LEN];

	/* Of the response. */
	uint64_t rows, affected;
	bool has_rows, has_affected, more, done, cancelled, failed;
	bool select;          /* DONE is of a SELECT */
	uint64_t count;       /* of the last DONE */
	uint8_t token;
	uint16_t ncolumns, column, columns_room;
	uint8_t *columns;     /* their shapes */
	uint8_t bitmap[TDS_BITMAP];
	bool nulls;           /* the row has a bitmap */
	uint32_t length;      /* of the token */
	char number[12];      /* of the first error, as text; empty = none */
	struct tds_text error;
	char error_memory[TDS_ERROR_TEXT];
};

struct tds_statement {
	uint32_t handle; /* 0 = free */
	uint32_t at;     /* time of the latest use */
	uint16_t len, room;
	uint8_t *text;   /* kept for the slot's next statement */
};

struct tds_memory {
	struct proto_memory *budget; /* not owned */
	uint32_t clock;
	uint32_t turns; /* requests so far, so that a session whose place was taken by another repeats no number */
	char database[TDS_NAME_LEN + 1], instance[TDS_NAME_LEN / 2], name[TDS_NAME_LEN + TDS_NAME_LEN / 2 + 2]; /* empty = not known; name: of both */
	bool full; /* a statement had to go for want of room */
	struct tds_session first;
	struct tds_session *others[TDS_SESSIONS - 1]; /* NULL before they are needed */
	struct tds_statement statements[TDS_STATEMENTS];
};

struct tds_memory *tds_memory_new(struct proto_memory *budget); /* NULL without memory */
void tds_memory_free(struct tds_memory *m);
/* The session of MARS with this number; a new one takes the place of the oldest. NULL without memory. */
struct tds_session *tds_session_get(struct tds_memory *m, uint16_t id);
/* Whose place that would be, and which is not answered. NULL: nobody's. */
struct tds_session *tds_session_leaving(struct tds_memory *m, uint16_t id);
/* As it was at its beginning, but for the memory it owns. */
void tds_session_clear(struct tds_session *s);
/* False without room. */
bool tds_session_columns(struct tds_memory *m, struct tds_session *s, uint16_t n);

void tds_statement_put(struct tds_memory *m, uint32_t handle, struct slice text);
struct slice tds_statement_find(struct tds_memory *m, uint32_t handle); /* empty = not known */
void tds_statement_drop(struct tds_memory *m, uint32_t handle);

#endif
