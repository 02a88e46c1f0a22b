/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of an AMQP 1.0 connection: its sessions and links. All of it is of the budget of parsers. For proto/amqp10*.c only. */
#ifndef PLUMB_PROTO_AMQP10_STATE_H
#define PLUMB_PROTO_AMQP10_STATE_H

#include "proto/amqp10_wire.h"
#include "proto/memory.h"

enum {
	AMQP10_SESSIONS = 256, /* at once, of a connection */
	AMQP10_HALVES = 1024,  /* halves of links, of a connection */
	AMQP10_CHANNELS = 1024,
	AMQP10_HANDLES = 1024,
	AMQP10_ADDRESS = 512,  /* bytes of one that are kept */
	AMQP10_LATEST = 256,   /* deliveries whose link is remembered; a power of two */
	AMQP10_SYSTEM = 16,
};

/* One end of a link: what one side calls it by. */
struct amqp10_link {
	uint32_t name;     /* hash */
	uint32_t delivery; /* in progress */
	uint16_t id;
	uint16_t losses;   /* of its direction when that began */
	bool named;        /* its attach was seen */
	bool sends;
	bool busy;         /* a delivery is in progress */
	bool refused;      /* a detach will say why */
	bool temporary;    /* the address was made for it */
	uint64_t alone_ns; /* attached by the server without having been asked; 0 = no */
	struct amqp10_link *peer; /* its other end */
	uint8_t *address;
	uint16_t address_len, address_room;
};

/* Deliveries of one direction of a session: numbers that wrap. */
struct amqp10_series {
	uint32_t first, newest; /* of those that may not be settled */
	uint32_t credit;        /* deliveries that dispositions may still cover: bounds the work */
	uint16_t losses;        /* of its direction when the newest was seen */
	bool any;
	uint16_t link[AMQP10_LATEST];
};

struct amqp10_session {
	uint32_t serial;
	uint32_t asked; /* attaches that are not answered yet */
	bool begun;     /* it was seen to begin */
	bool known[2];
	uint16_t channel[2]; /* by the side that sends on it */
	struct amqp10_series series[2];
	struct amqp10_link **links[2]; /* by handle */
	uint16_t nlinks[2];
};

struct amqp10_conn {
	struct proto_memory *memory; /* not owned */
	uint16_t losses[2];
	uint8_t step[2];  /* events that the frame at hand has given */
	bool opening;     /* the exchange of the open has begun */
	bool tls_asked;
	bool system_known;
	char system[AMQP10_SYSTEM];
	char text[2][40]; /* of ids that are no text */
	uint8_t address[AMQP10_ADDRESS];
	uint32_t serial, number;
	uint16_t link_id, halves, sessions;
	struct amqp10_session **session[2]; /* by channel */
	uint16_t channels[2];
};

struct amqp10_conn *amqp10_conn_new(struct proto_memory *memory); /* NULL without memory */
void amqp10_conn_free(struct amqp10_conn *c);

struct amqp10_session *amqp10_session_find(const struct amqp10_conn *c, enum proto_side side, uint16_t channel);
/* Where it was not seen to begin, both sides are taken to use the same channel. NULL without room. */
struct amqp10_session *amqp10_session_get(struct amqp10_conn *c, enum proto_side side, uint16_t channel);
struct amqp10_session *amqp10_session_begin(struct amqp10_conn *c, enum proto_side side, uint16_t channel);
/* The other side's channel is this session's, too. */
void amqp10_session_join(struct amqp10_conn *c, struct amqp10_session *s, enum proto_side side, uint16_t channel);
/* This side says nothing more on it; gone when neither does. */
void amqp10_session_leave(struct amqp10_conn *c, struct amqp10_session *s, enum proto_side side);

struct amqp10_link *amqp10_link_find(const struct amqp10_session *s, enum proto_side side, uint64_t handle);
struct amqp10_link *amqp10_link_get(struct amqp10_conn *c, struct amqp10_session *s, enum proto_side side, uint64_t handle);
/* The end of the other side that has this name and direction. */
struct amqp10_link *amqp10_link_peer(const struct amqp10_session *s, enum proto_side side, uint32_t name, bool sends);
void amqp10_link_remove(struct amqp10_conn *c, struct amqp10_session *s, enum proto_side side, uint64_t handle);
void amqp10_link_address(struct amqp10_conn *c, struct amqp10_link *l, struct slice address);
/* Its address, or that which its other end knows: in c->address, so that it outlives the link. */
struct slice amqp10_link_name(struct amqp10_conn *c, const struct amqp10_link *l);

static inline bool amqp10_series_open(const struct amqp10_series *s) { return s->any && (int32_t)(s->newest - s->first) >= 0; }

#endif
