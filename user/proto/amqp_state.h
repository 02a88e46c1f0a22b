/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of an AMQP connection: its channels and consumers. All of it is of the budget of parsers. For proto/amqp*.c only. */
#ifndef PLUMB_PROTO_AMQP_STATE_H
#define PLUMB_PROTO_AMQP_STATE_H

#include "proto/amqp_wire.h"
#include "proto/memory.h"

enum {
	AMQP_ASKS = 16,       /* synchronous requests of one side that wait on one channel; clients have one */
	AMQP_CONSUMERS = 256, /* of a connection; of others it is not known what they confirm */
	AMQP_MANDATORY = 64,  /* confirmed publishes that may be returned, the latest of a connection */
	AMQP_NAME = 800,      /* exchange, routing key and queue */
};

enum amqp_content { AMQP_NONE, AMQP_OF_REQUEST, AMQP_OF_RESPONSE, AMQP_OF_NOBODY };

/* The message that a method announced: its header and body come behind it. */
struct amqp_body {
	uint64_t key, left;
	uint16_t losses; /* of its direction when it began */
	uint8_t what;    /* enum amqp_content */
	bool headed;     /* the header has come */
};

/* A synchronous request that is not answered yet. */
struct amqp_ask {
	uint32_t id, number;
	uint16_t losses; /* of the other direction when it was asked */
	bool no_ack;     /* Consume */
};

struct amqp_asks {
	struct amqp_ask at[AMQP_ASKS];
	uint32_t len;
	uint32_t unkept; /* asked when there was no room: as many answers are nobody's */
	uint32_t number; /* of the next */
	uint32_t early;  /* the method whose answer has come before it; 0 = none */
	uint64_t early_ns;
};

/* Requests that are numbered one by one, and confirmed by number: publishes, deliveries. */
struct amqp_series {
	uint64_t newest; /* number of the last one seen; 0 = none */
	uint64_t first;  /* of those that one confirmation of several is for */
	uint64_t ahead;  /* confirmed before it was seen; 0 = none */
};

struct amqp_channel {
	uint16_t id;
	bool opened;           /* it was seen to open */
	bool confirms;         /* publishes are confirmed, and their numbers known */
	uint8_t unknown;       /* deliveries in a row of which it is not known whether they are confirmed */
	uint16_t losses;       /* of the client's direction when the numbers were known */
	uint64_t acked;        /* highest number of a publish that the broker confirmed; 0 = none */
	uint64_t moved_ns;     /* when it last published, or the broker confirmed */
	bool caused;           /* closing: the request that is to blame was found */
	struct amqp_body body[2]; /* by enum proto_side */
	struct amqp_asks asks[2]; /* by the side they go to */
	struct amqp_series published, delivered;
	uint8_t *queue;        /* that the latest Get or Consume named */
	uint16_t queue_len, queue_room;
};

struct amqp_consumer {
	uint64_t tag; /* hash */
	uint16_t channel;
	bool used, no_ack;
	uint8_t *queue;
	uint16_t queue_len, queue_room;
};

struct amqp_mandatory {
	uint64_t where; /* hash of exchange and routing key */
	uint64_t number;
	uint16_t channel; /* 0 = none */
};

struct amqp_conn {
	struct proto_memory *memory; /* not owned */
	uint16_t losses[2];
	bool begun[2];
	bool predicted;     /* where the latest body from the broker ends was not read but foretold */
	bool interleaves;   /* and that was wrong once: frames of other channels come in between */
	bool closed;        /* a server's Connection.Close was seen */
	char code[8];       /* text of a reply code */
	char name[AMQP_NAME];
	struct amqp_channel **channels; /* by id, in a hash table of `nchannels` places, a power of two */
	uint32_t nchannels, used;
	uint32_t mandatory_next;
	struct amqp_mandatory mandatory[AMQP_MANDATORY];
	uint32_t nconsumers;
	struct amqp_consumer *consumers; /* AMQP_CONSUMERS; NULL before the first */
};

struct amqp_conn *amqp_conn_new(struct proto_memory *memory); /* NULL without memory */
void amqp_conn_free(struct amqp_conn *c);
/* Made if it is not known; NULL without memory. */
struct amqp_channel *amqp_channel_get(struct amqp_conn *c, uint16_t id);
/* NULL: nothing was said on it. */
struct amqp_channel *amqp_channel_find(struct amqp_conn *c, uint16_t id);
/* It is closed: what opens by its id is another one. */
void amqp_channel_clear(struct amqp_conn *c, struct amqp_channel *ch);
void amqp_channel_queue(struct amqp_conn *c, struct amqp_channel *ch, struct slice queue);

struct amqp_consumer *amqp_consumer_find(struct amqp_conn *c, uint16_t channel, struct slice tag);
void amqp_consumer_add(struct amqp_conn *c, const struct amqp_channel *ch, struct slice tag, bool no_ack);
void amqp_consumer_remove(struct amqp_conn *c, uint16_t channel, struct slice tag);

void amqp_mandatory_add(struct amqp_conn *c, const struct amqp_channel *ch, const struct amqp_fields *f);
/* Number of the oldest publish of this channel to where `f` was to go; 0: none. It is forgotten. */
uint64_t amqp_mandatory_take(struct amqp_conn *c, const struct amqp_channel *ch, const struct amqp_fields *f);

/* messaging.destination.name, in c->name. `queue` may be none. */
struct slice amqp_destination(struct amqp_conn *c, struct slice exchange, struct slice key, struct slice queue);

#endif
