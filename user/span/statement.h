/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remembers what was found out about SQL statements, because programs send few different texts very often (prepared ones above
 * all) and reading one takes longer than all the rest of a span. Direct-mapped and bounded: a statement takes the slot of another
 * with the same hash bits. The whole text is compared, so an answer is never another statement's.
 */
#ifndef PLUMB_SPAN_STATEMENT_H
#define PLUMB_SPAN_STATEMENT_H

#include "span/sql.h"

enum { STATEMENT_SLOTS = 128, STATEMENT_CACHED_MAX = 512 };

struct statement {
	uint64_t hash;
	uint16_t dialect;  /* enum sql_dialect */
	uint16_t raw_len;  /* 0 = free slot */
	uint16_t text_len;
	struct sql_description description; /* its slices point into raw */
	uint8_t raw[STATEMENT_CACHED_MAX];
	char text[STATEMENT_CACHED_MAX];    /* redacted */
};

struct statement_cache {
	struct statement slots[STATEMENT_SLOTS];
};

/*
 * What is known of sql, found out if need be; valid until the next call. NULL if it is empty or longer than STATEMENT_CACHED_MAX.
 */
const struct statement *statement_get(struct statement_cache *c, struct slice sql, enum sql_dialect dialect);

#endif
