/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a PostgreSQL connection has prepared: statement names to their texts, portals to statements, and the database's name.
 * Fixed number, least recently used first out. Texts are taken from the budget of all parsers; one that finds no room is not known.
 */
#ifndef PLUMB_PROTO_POSTGRES_NAMES_H
#define PLUMB_PROTO_POSTGRES_NAMES_H

#include "lib/slice.h"
#include "proto/memory.h"

enum { POSTGRES_STATEMENTS = 64, POSTGRES_STATEMENT_TEXT = 1024, POSTGRES_PORTALS = 16, POSTGRES_DATABASE_LEN = 64 };

/* A statement as it was when it was looked up: it may have been replaced since, and then is unknown. Zero = unknown. */
struct postgres_ref {
	uint32_t slot;
	uint32_t generation; /* 0 = none */
};

struct postgres_statement {
	uint64_t hash; /* of the name */
	uint32_t used; /* time of the latest use, in look-ups */
	uint32_t generation;
	uint64_t request; /* number of the request that prepares it */
	bool unnamed;
	bool pending;  /* the server has not confirmed it: it may still be refused */
	bool replaces; /* another text stood under this name, and stays there if it is refused */
	bool doubtful; /* bytes were lost since it was prepared: the name may have got another meaning */
	uint16_t len, room; /* of text */
	uint8_t *text;      /* kept for the slot's next statement */
};

struct postgres_portal {
	uint64_t hash;
	uint32_t used; /* 0 = free */
	struct postgres_ref statement;
};

struct postgres_names {
	struct proto_memory *memory; /* not owned */
	uint32_t clock;
	uint32_t generations;
	uint64_t evicted;
	bool portals_forgotten; /* some were evicted, or in bytes that were lost */
	uint8_t database_len;
	char database[POSTGRES_DATABASE_LEN];
	struct postgres_portal portals[POSTGRES_PORTALS];
	struct postgres_statement statements[POSTGRES_STATEMENTS];
};

struct postgres_names *postgres_names_new(struct proto_memory *memory); /* NULL without memory */
void postgres_names_free(struct postgres_names *n);

/* Text beyond POSTGRES_STATEMENT_TEXT is cut. Replaces a statement of the same name. It is pending until it is confirmed. */
struct postgres_ref postgres_names_prepare(struct postgres_names *n, struct slice name, struct slice text, uint64_t request);
/* The server has taken the oldest pending statement of this request. */
void postgres_names_confirm(struct postgres_names *n, uint64_t request);
/* It has refused, or never looked at, what is pending of the requests from `from` up to, without, `to`. */
void postgres_names_refuse(struct postgres_names *n, uint64_t from, uint64_t to);
struct postgres_ref postgres_names_find(struct postgres_names *n, struct slice name);
void postgres_names_close(struct postgres_names *n, struct slice name);
void postgres_names_bind(struct postgres_names *n, struct slice portal, struct postgres_ref statement);
struct postgres_ref postgres_names_portal(struct postgres_names *n, struct slice portal);
/* It was never bound, so that it is a cursor that SQL has declared; as far as all that was bound is known. */
bool postgres_names_portal_of_sql(struct postgres_names *n, struct slice portal);
void postgres_names_close_portal(struct postgres_names *n, struct slice portal);
/* NULL if it is not known or no longer. */
const struct postgres_statement *postgres_names_get(const struct postgres_names *n, struct postgres_ref ref);
/* Bytes to the server were lost: what has no name is forgotten, what has one is in doubt. */
void postgres_names_doubt(struct postgres_names *n);

#endif
