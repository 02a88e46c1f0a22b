/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser of a Kafka connection keeps, and what its files share; for proto/kafka*.c only. */
#ifndef PLUMB_PROTO_KAFKA_STATE_H
#define PLUMB_PROTO_KAFKA_STATE_H

#include "proto/kafka_api.h"
#include "proto/kafka_records.h"
#include "proto/kafka_topics.h"
#include "proto/kafka_walk.h"
#include "proto/proto.h"

enum {
	KAFKA_DUE = 512,        /* requests whose responses are remembered to come */
	KAFKA_SIZE_BYTES = 4,
	KAFKA_HEAD = 14,        /* of a request up to its client id: size, key, version, correlation id, length */
	KAFKA_REPLY_HEAD = 8,   /* size and correlation id */
	KAFKA_FRAME_MAX = 1 << 30,
	KAFKA_VERSIONS_AHEAD = 8, /* versions beyond those whose layout is known that may have come since */
	KAFKA_RESYNC_KEEP = KAFKA_HEAD + KAFKA_TEXT_MAX,
};

/* A request without its response. */
struct kafka_due {
	uint32_t correlation;
	uint8_t key;
	uint8_t version;
	bool single; /* it sends one message */
};

struct kafka_text {
	uint8_t len;
	uint8_t text[KAFKA_TEXT_MAX];
};

/* The message of one direction that is being read. */
struct kafka_message {
	const struct kafka_api *api; /* NULL: a response to what was not seen */
	uint8_t key;                 /* of the request */
	uint32_t left;               /* bytes of it */
	uint32_t correlation;
	bool open;
	bool token;       /* of SASL, and no message */
	bool rest;        /* nothing of interest follows in it */
	bool in_records;
	bool single;
	bool no_response;
	bool unsure;      /* what was not captured may have had more errors */
	bool malformed;
	int16_t error;    /* the first that is none of success */
	int32_t current_partition, partition;
	uint32_t topics, partitions; /* that differ: 0, 1, or more; of a fetch those that have messages */
	int64_t base_offset;
	struct kafka_walk walk;
	struct kafka_records records;
	struct kafka_text current, topic, group;
	char number[12], partition_text[12];
};

struct kafka_memory {
	struct proto_memory *budget;  /* not owned */
	struct kafka_topics *topics;
	uint32_t due_first, due_len;
	uint32_t correlation;         /* of the latest request */
	bool asked;                   /* a request was seen */
	bool raw, raw_replies;        /* SaslHandshake version 0 was seen: tokens without headers follow */
	struct kafka_text client;     /* the id that it gave */
	struct kafka_due due[KAFKA_DUE];
	struct kafka_message way[2];  /* by enum proto_side */
};

struct kafka_state {
	struct kafka_memory *memory; /* external; NULL without memory: nothing is parsed then */
};
_Static_assert(sizeof(struct kafka_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

struct kafka_request {
	uint32_t size;
	int16_t key, version;
	uint32_t correlation;
	int16_t client_len; /* -1: null */
	const struct kafka_api *api;
};

static inline struct slice kafka_text_slice(const struct kafka_text *t) { return slice_make(t->text, t->len); }

/* kafka_detect.c */
int kafka_detect(struct slice in, enum proto_side side);
/* The header of a request up to its client id, of which KAFKA_HEAD bytes are there. False: it is none. */
bool kafka_request_read(struct slice in, struct kafka_request *ret);
/* Where the next message may begin behind lost bytes; in.len: nowhere. */
size_t kafka_find(const struct kafka_memory *m, enum proto_side side, struct slice in);

/* kafka_due.c: what is due, in order of the requests. */
void kafka_due_push(struct kafka_memory *m, struct kafka_due due);
/* The latest, if its correlation id is this; else NULL. */
struct kafka_due *kafka_due_latest(struct kafka_memory *m, uint32_t correlation);
void kafka_due_drop_latest(struct kafka_memory *m);
/* Takes it out, with those before it, which will not be answered any more. False: nothing is known of it. */
bool kafka_due_take(struct kafka_memory *m, uint32_t correlation, struct kafka_due *ret);
bool kafka_due_has(const struct kafka_memory *m, uint32_t correlation);

#endif
