/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame of a method on its way to messages: shared by amqp.c (frames), amqp_ask.c (synchronous methods), amqp_series.c (what is numbered and confirmed) and amqp_close.c
 * (what a broker closes).
 *
 * Keys: who asks, whether it is one of a series (publishes, deliveries) or any other request, the channel, the number.
 */
#ifndef PLUMB_PROTO_AMQP_CALL_H
#define PLUMB_PROTO_AMQP_CALL_H

#include "proto/amqp_state.h"

enum {
	AMQP_REPLY_SUCCESS = 200,
	AMQP_EARLY_MS = 2,   /* how much later than its answer a request may be told */
	AMQP_NO_ACK = 2,     /* bit of Consume */
	AMQP_ANNOUNCED = AMQP_OF_NOBODY + 1, /* enum amqp_content: the first half of a GetOk was told */
};

/* One frame of a method. */
struct amqp_call {
	struct amqp_conn *c;
	struct amqp_channel *ch;
	const struct amqp_method *m;
	struct amqp_fields f;
	enum proto_side side;
	uint64_t whole; /* bytes of the frame */
	struct slice in;
	struct parse_result *ret;
};

/* amqp_call.c */
/* `n` bytes, seen or not. */
void amqp_consume_bytes(struct parse_result *ret, struct slice in, uint64_t n);
/* They are of no message. */
enum parse_status amqp_pass(struct parse_result *ret, struct slice in, uint64_t n);
/* The event in *ret, and the frame is done. */
enum parse_status amqp_done(const struct amqp_call *k);
/* The event in *ret, and the same frame again. */
enum parse_status amqp_again(const struct amqp_call *k);
uint64_t amqp_key(enum proto_side asker, bool series, const struct amqp_channel *ch, uint64_t number);
struct message *amqp_event(const struct amqp_call *k, enum message_kind kind, uint64_t key, uint32_t flags);
/* For all from first to last. */
struct message *amqp_range(const struct amqp_call *k, uint64_t first, uint64_t last, uint32_t flags);
enum parse_status amqp_oneway(const struct amqp_call *k);
void amqp_fail(struct message *m, const char *error);
/* What a reply code says; `failed`: if it says of a failure, this is the one. */
void amqp_add_code(const struct amqp_call *k, struct message *m, bool failed);
void amqp_add_operation(struct message *m, const char *name, const char *type);
void amqp_add_destination(const struct amqp_call *k, struct message *m, struct slice queue);
/* Content follows: enum amqp_content. */
void amqp_expect_body(const struct amqp_call *k, uint8_t what, uint64_t key);
/* All of them that are open end without an answer. */
enum parse_status amqp_end_series(const struct amqp_call *k, enum proto_side asker, struct amqp_series *s, uint32_t flags, const char *error);
/* The broker uses this delivery tag. True: the event in *ret comes first. */
bool amqp_use_tag(const struct amqp_call *k);
void amqp_forget_asks(struct amqp_asks *a, uint32_t n);
/* The oldest n will not be answered. */
enum parse_status amqp_end_asks(const struct amqp_call *k, enum proto_side asker, uint32_t n, uint32_t flags, const char *error);
/* The number of a request that is not kept. */
uint32_t amqp_next_number(struct amqp_asks *a);

/* amqp_ask.c, amqp_series.c, amqp_close.c: what a method means; the event in *ret. */
/* The request itself. */
struct message *amqp_ask_event(const struct amqp_call *k);
/* Before a request is asked. True: the event in *ret comes first. */
bool amqp_ask_first(const struct amqp_call *k);
enum parse_status amqp_ask(const struct amqp_call *k);
enum parse_status amqp_reply(const struct amqp_call *k);
enum parse_status amqp_publish(const struct amqp_call *k);
enum parse_status amqp_deliver(const struct amqp_call *k);
enum parse_status amqp_settle(const struct amqp_call *k);
enum parse_status amqp_returned(const struct amqp_call *k);
enum parse_status amqp_channel_closed(const struct amqp_call *k);
enum parse_status amqp_connection_closed(const struct amqp_call *k);

static inline enum proto_side amqp_other(enum proto_side side) { return side == PROTO_TO_SERVER ? PROTO_TO_CLIENT : PROTO_TO_SERVER; }

static inline bool amqp_series_open(const struct amqp_series *s) { return s->newest && s->first <= s->newest; }

static inline uint64_t amqp_ask_key(const struct amqp_call *k, enum proto_side asker, uint32_t number) { return amqp_key(asker, false, k->ch, number); }

#endif
