/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a few members in JSON (RFC 8259) that comes in pieces: no recursion, no memory, one look at each byte. What is wanted is a small
 * tree of keys; all else is passed over. It is no validator: what is no JSON gives something or nothing, within the same bounds, and
 * `broken` where that is noticed. A root array is read as its elements, one after the other, each as the root.
 */
#ifndef PLUMB_LIB_JSON_READ_H
#define PLUMB_LIB_JSON_READ_H

#include "lib/slice.h"

enum { JSON_READ_DEPTH = 6, JSON_READ_KEY = 24, JSON_READ_SCALAR = 24 };

enum json_kind { JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_OBJECT, JSON_ARRAY };

/* Entry i of the table is node i + 1; node 0 is the root. key "*" is every element of an array. Keys are at most JSON_READ_KEY bytes long. */
struct json_wanted {
	uint8_t within; /* node */
	const char *key;
};

/*
 * A piece of the value of a node. Strings come without their escapes, in pieces of which the last one has `last` (and may be empty); other
 * scalars at once, cut at JSON_READ_SCALAR bytes. Containers twice without text: where they begin, and with `last` where they end.
 */
typedef void json_found(void *ctx, uint8_t node, enum json_kind kind, struct slice text, bool last);

struct json_read {
	const struct json_wanted *wanted; /* not owned */
	json_found *found;
	void *ctx;
	uint32_t below;    /* depth of containers that nobody wants */
	uint16_t code;     /* of \uXXXX under way */
	uint8_t nwanted;
	uint8_t state;
	uint8_t node;      /* of the value under way */
	uint8_t depth;     /* of wanted containers */
	uint8_t digits;
	uint8_t key_len, scalar_len;
	bool in_key, batch; /* batch: the root is an array */
	bool done, broken;
	uint8_t at[JSON_READ_DEPTH];      /* nodes of the containers */
	bool object[JSON_READ_DEPTH];
	uint8_t key[JSON_READ_KEY + 1], scalar[JSON_READ_SCALAR];
};

void json_read_init(struct json_read *r, const struct json_wanted *wanted, uint8_t nwanted, json_found *found, void *ctx);
/* Any pieces of the text add up to the same, but for where strings are cut. */
void json_read_feed(struct json_read *r, struct slice in);

#endif
