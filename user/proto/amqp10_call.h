/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame on its way to messages: shared by amqp10.c (frames, login, open), amqp10_link.c (links, and what ends them) and amqp10_delivery.c (transfers and their outcome).
 *
 * Keys: who asks, what kind of request, the session, a number: of a delivery, the hash of a link's name, or one of our own.
 */
#ifndef PLUMB_PROTO_AMQP10_CALL_H
#define PLUMB_PROTO_AMQP10_CALL_H

#include "proto/amqp10_state.h"

enum amqp10_kind { AMQP10_KEY_OTHER, AMQP10_KEY_OPEN, AMQP10_KEY_ATTACH, AMQP10_KEY_DELIVERY };

enum { AMQP10_RUNS = 6 }; /* events of one frame that say so of ranges */

/* One frame. */
struct amqp10_call {
	struct amqp10_conn *c;
	enum proto_side side;
	struct amqp10_frame f;
	const struct amqp10_performative *p;
	struct slice in;
	struct parse_result *ret;
};

struct amqp10_run {
	uint64_t first, last; /* keys */
};

/* Ranges of requests that have the same end; then the frame's own event, if it has one. */
struct amqp10_plan {
	struct amqp10_run run[AMQP10_RUNS];
	uint32_t n;
};

uint64_t amqp10_key(enum proto_side asker, enum amqp10_kind kind, const struct amqp10_session *s, uint32_t number);
uint64_t amqp10_own_key(struct amqp10_conn *c, enum proto_side asker);
struct message *amqp10_event(const struct amqp10_call *k, enum message_kind kind, uint64_t key, uint32_t flags);
/* The frame is of no message. */
enum parse_status amqp10_pass(const struct amqp10_call *k);
/* The event in *ret, and the frame is done. */
enum parse_status amqp10_done(const struct amqp10_call *k);
/* The event in *ret, and the same frame again: c->step has counted. */
enum parse_status amqp10_again(const struct amqp10_call *k);
void amqp10_add_system(const struct amqp10_call *k, struct message *m);
void amqp10_add_operation(const struct amqp10_call *k, struct message *m, const char *name, const char *type);
void amqp10_add_destination(struct message *m, struct slice address, bool temporary);
void amqp10_fail(struct message *m, struct slice error);
/* What a described error says. False: there is none. */
bool amqp10_add_error(struct message *m, const struct amqp10_value *error);

void amqp10_plan_add(struct amqp10_plan *plan, uint64_t first, uint64_t last);
/* Deliveries first..last that `asker` sends: their numbers may wrap. */
void amqp10_plan_deliveries(struct amqp10_plan *plan, enum proto_side asker, const struct amqp10_session *s, uint32_t first, uint32_t last);
/* The range that is due, if there is one left: all of it is over, by `error` or for the reason `why`. */
bool amqp10_plan_abort(const struct amqp10_call *k, const struct amqp10_plan *plan, const struct amqp10_value *error, const char *why);

/* amqp10_link.c, amqp10_delivery.c: what a performative means. */
enum parse_status amqp10_begin(const struct amqp10_call *k);
enum parse_status amqp10_attach(const struct amqp10_call *k);
enum parse_status amqp10_detach(const struct amqp10_call *k);
enum parse_status amqp10_end(const struct amqp10_call *k);
enum parse_status amqp10_close_frame(const struct amqp10_call *k);
enum parse_status amqp10_transfer(const struct amqp10_call *k);
enum parse_status amqp10_disposition(const struct amqp10_call *k);

static inline enum proto_side amqp10_other(enum proto_side side) { return side == PROTO_TO_SERVER ? PROTO_TO_CLIENT : PROTO_TO_SERVER; }

#endif
