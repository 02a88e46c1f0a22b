/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BSON (https://bsonspec.org/spec.html) as far as its framing goes: one element after the other of a document of which only the head may be at
 * hand. Values are stepped over by their size; nothing is copied.
 */
#ifndef PLUMB_PROTO_MONGODB_BSON_H
#define PLUMB_PROTO_MONGODB_BSON_H

#include "lib/slice.h"

enum {
	BSON_DOUBLE = 0x01,
	BSON_STRING = 0x02,
	BSON_DOCUMENT = 0x03,
	BSON_ARRAY = 0x04,
	BSON_BOOL = 0x08,
	BSON_INT32 = 0x10,
	BSON_INT64 = 0x12,
	BSON_EMPTY = 5, /* bytes of a document without elements */
};

enum bson_step {
	BSON_ELEMENT,
	BSON_END, /* all of the document was read */
	BSON_CUT, /* no more of it is at hand */
	BSON_BAD,
};

struct bson {
	struct slice in; /* what is at hand of the elements that were not read yet */
	uint64_t left;   /* bytes of these elements and of the NUL that ends them, at hand or not */
};

struct bson_element {
	uint8_t type;
	bool cut; /* of the value only a part is at hand */
	struct slice name;
	struct slice value; /* of strings the text without length and NUL; of documents all, with their length */
	uint64_t size;      /* of the value as it was sent */
};

/* `in` begins with the document and may end before it does; it is `room` bytes long at most. False: it is none. */
bool bson_open(struct slice in, uint64_t room, struct bson *ret);
/* A document or array that is the value of an element. */
bool bson_enter(const struct bson_element *e, struct bson *ret);
enum bson_step bson_next(struct bson *b, struct bson_element *ret);
/* Whether `type` is that of an element. */
bool bson_type_known(uint8_t type);
/* Elements in it; false if not all of it is at hand. */
bool bson_count(const struct bson_element *e, uint32_t *ret_count);
/* A number of any type as an integer; false if it is none. */
bool bson_integer(const struct bson_element *e, int64_t *ret_value);

#endif
