/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of a GraphQL document (spec.graphql.org, October 2021, 2) its operations' types and names, in pieces, without keeping its text. */
#ifndef PLUMB_PROTO_GRAPHQL_H
#define PLUMB_PROTO_GRAPHQL_H

#include "lib/slice.h"

enum { GRAPHQL_NAME_MAX = 96, GRAPHQL_OPERATIONS_MAX = 8 };

enum graphql_type { GRAPHQL_NONE, GRAPHQL_QUERY, GRAPHQL_MUTATION, GRAPHQL_SUBSCRIPTION };

struct graphql {
	uint8_t state;
	uint8_t quotes;      /* where in a string */
	uint8_t type;        /* of the operation under way */
	uint8_t word_len;
	bool directive;      /* the name behind @ comes */
	bool broken;         /* it is no document */
	bool shorthand;      /* the only operation is a selection alone */
	uint8_t operations;  /* seen whole as far as their first brace */
	uint32_t depth;      /* of brackets */
	uint32_t hash;       /* of the name under way */
	uint8_t name_len;    /* of the first operation */
	uint8_t name[GRAPHQL_NAME_MAX];
	uint8_t word[16];
	struct { uint32_t hash; uint8_t type; } seen[GRAPHQL_OPERATIONS_MAX];
};

/* From a state of zeros. */
void graphql_feed(struct graphql *g, struct slice text);
/* The type of the operation of this name; of the first one where `name` is empty, or there is only one. */
enum graphql_type graphql_type_of(const struct graphql *g, struct slice name);
struct slice graphql_type_name(enum graphql_type type);

#endif
