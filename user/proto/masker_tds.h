/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of TDS' masker share: packets and what they say (masker_tds.c), types and values in them (masker_tds_value.c). For these only. */
#ifndef PLUMB_PROTO_MASKER_TDS_H
#define PLUMB_PROTO_MASKER_TDS_H

#include "proto/masker_way.h"
#include "proto/tds_state.h"

/* Of a message. Those of the client, those of the server, then types and values, which both send. */
enum state {
	START, REST, PRELOGIN, PRELOGIN_VALUES, LOGIN, HEADERS, TEXT, KIND, PROC_LEN, PROC_ID, PROC_NAME, PROC_OPTIONS, PARAMETER, PARAMETER_NAME, PARAMETER_STATUS,
	TOKEN, DONE, LENGTH, LONG_LENGTH, ERROR, ACK, CHANGE, PASS, FEATURE, FEATURE_LENGTH, FEATURE_PASS, COLUMNS, COLUMN, COLUMN_NAME_LEN, COLUMN_NAME, BITMAP, RETURN, RETURN_NAME, RETURN_FLAGS,
	TYPE, UDT_SIZE, FIXED, SCHEMA, NAME_PARTS, NAME_LEN, NAME, VALUE_LEN, POINTER, TEXT_LEN, CHUNK, VALUE,
};

/* mask_way.flags */
enum { EOM = 1, OPEN = 2, TLS = 4, BLIND = 8, NULLS = 16, IN_CHUNKS = 32, TEXT_VALUE = 64, HANDLE_VALUE = 128, COLUMN_TYPE = 256, FIRST = 512 };
/* mask_conn.memory: flags; then the shapes of the columns, a byte each. */
enum { SINCE_71 = 1, SINCE_72 = 2, KNOWN = 4, SECRET = 8, PREPARES = 16, ANSWERS = 32, COLUMNS_MAX = 120, NULLS_MAX = 32 };
/* mask_way.memory */
enum { TYPE_BYTE, SHAPE, SHORT_NAMES, LONG_NAMES, COLUMN_AT, COLUMNS_KNOWN, PROC, PARAMETERS, NULL_BITS, TOKEN_BYTE };
enum { LOW = 0x20 }; /* bytes below may stay where a number is the last of several */

static inline bool is_server(const struct mask_conn *c, const struct mask_way *y) { return y == &c->ways[1]; }
static inline bool since_72(const struct mask_conn *c) { return c->memory[0] & SINCE_72 || !(c->memory[0] & KNOWN); }
static inline bool since_71(const struct mask_conn *c) { return c->memory[0] & SINCE_71 || !(c->memory[0] & KNOWN); }
static inline uint8_t *shapes(struct mask_conn *c) { return (uint8_t *)&c->memory[1]; }

static inline void go(struct mask_way *y, enum state state)
{
	y->state = (uint8_t)state;
	y->number = y->part = 0;
}

/* Of n bytes nothing stays; n = 0 is passed at once. */
static inline void pass(struct mask_way *y, uint64_t n, enum state state, enum state after)
{
	go(y, n ? state : after);
	y->length = n;
}

static inline bool passed(struct mask_way *y) { return --y->length == 0; }

static inline uint8_t rest(const struct mask_conn *c, struct mask_way *y)
{
	go(y, REST);
	y->flags |= BLIND;
	if (is_server(c, y))
		y->memory[COLUMNS_KNOWN] = 0;
	return is_server(c, y) ? 0 : 'x';
}

/* The next byte of a number, least first. False: it is larger than any, or than what is left. */
static inline bool number_byte(struct mask_way *y, uint8_t b, unsigned bytes)
{
	unsigned at = (unsigned)y->part++;

	if ((at == bytes - 1 && bytes > 1 && b >= LOW) || (at == 2 && b >= LOW) || (at == 3 && (b || y->number >= (uint64_t)LOW << 16)))
		return false;
	y->number |= (uint64_t)b << 8 * at;
	return !(y->flags & EOM) || y->number < y->remain;
}

/* Small numbers of `bytes` that mean nothing to who reads on. */
static inline uint8_t kept_low(uint64_t at, uint8_t b) { return at < 2 || (at == 2 && b < LOW) ? b : 0; }

static inline uint8_t passing(struct mask_way *y, enum state next, uint8_t out)
{
	if (passed(y))
		go(y, next);
	return out;
}

/* masker_tds.c: a byte of a statement in UTF-16. */
uint8_t mask_tds_text(struct mask_way *y, uint8_t b);

/* masker_tds_value.c */
void mask_tds_type_begin(struct mask_way *y, bool column);
/* The next column that has a value; behind the last one a token. */
void mask_tds_column_begin(struct mask_conn *c, struct mask_way *y);
/* In the states from TYPE on. */
uint8_t mask_tds_walked_byte(struct mask_conn *c, struct mask_way *y, uint8_t b);

#endif
