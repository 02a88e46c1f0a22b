/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks through a Kafka message by its layout (kafka_api.h), a field at a time and in any pieces. What a field is worth is its caller's business. Every length is
 * checked against what is left of the message, and no step does more work than the bytes it takes are worth.
 */
#ifndef PLUMB_PROTO_KAFKA_WALK_H
#define PLUMB_PROTO_KAFKA_WALK_H

#include "lib/slice.h"

enum { KAFKA_DEPTH = 6, KAFKA_TEXT_MAX = 255, KAFKA_ID_LEN = 16 };

enum kafka_walked {
	KAFKA_FIELD,
	KAFKA_MORE, /* nothing is done: `need` bytes are wanted */
	KAFKA_END,  /* nothing of interest follows */
	KAFKA_BAD,  /* no such message */
};

enum kafka_tags { KAFKA_NO_TAGS, KAFKA_TAG_COUNT, KAFKA_TAG };

struct kafka_walk {
	uint32_t loops[KAFKA_DEPTH];  /* elements to come of each array, the present one counted */
	uint16_t starts[KAFKA_DEPTH]; /* the first field of an element */
	uint32_t tags;                /* tagged fields to come */
	uint32_t strings;             /* strings to come of an array of them */
	uint16_t at;                  /* of the field in the layout */
	uint8_t depth;
	uint8_t tagging;              /* enum kafka_tags */
	uint8_t version;
	bool flexible;
	bool blind;                   /* texts are skipped, too */
};

struct kafka_field {
	char role;          /* '-' for none */
	int64_t number;     /* an integer; of an array how many, of records how many bytes */
	struct slice text;  /* a string's head, an id, the only element of an array */
	size_t consumed;
	uint32_t skip;      /* bytes behind them that say nothing */
	size_t need;
};

/* tagged: the header ends with tagged fields, which come first. */
void kafka_walk_start(struct kafka_walk *w, uint8_t version, bool flexible, bool tagged);
/* Moves on to the next field that there is; its type, 't' for tagged ones, NUL behind all. */
char kafka_walk_next(struct kafka_walk *w, const char *layout);
/* One field at the start of `in`, of a message of which `left` bytes are left; in.len is no more than that. */
enum kafka_walked kafka_walk_step(struct kafka_walk *w, const char *layout, struct slice in, uint32_t left, struct kafka_field *ret);

/* Nothing but tagged fields can follow. */
bool kafka_walk_over(const struct kafka_walk *w, const char *layout);

/* LEB128 as Kafka has it, unsigned. Bytes taken; 0: more are needed; -1: it is none. */
int kafka_varint(struct slice in, uint64_t *ret_value);

#endif
