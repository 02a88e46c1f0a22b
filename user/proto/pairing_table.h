/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of open exchanges: their memory, limits, lists by deadline, keys and attributes. What begins and ends them is pairing.c. For proto/pairing*.c only.
 */
#ifndef PLUMB_PROTO_PAIRING_TABLE_H
#define PLUMB_PROTO_PAIRING_TABLE_H

#include <string.h>

#include "proto/pairing.h"

enum { PAIRING_RANGE_STEPS = 64 }; /* of answers of several, for each exchange: those that no peer means well look at the same ones over and over */

/* exchange.state */
enum {
	REQUEST_BEGUN = 1,
	REQUEST_ENDED = 2,
	RESPONSE_BEGUN = 4,
	RESPONSE_ENDED = 8,
	NO_RESPONSE = 16,
	ANNOUNCED = 32, /* handler.begin was called */
	EARLY = 64,     /* in the list `early` */
	TWIN = 128,     /* another exchange of the same key was open when it began */
	HAS_TWINS = 256, /* it is the one in the table, and others of its key began after it */
	QUIET = 512,    /* silence is an answer */
};

/* Of connection c, newest: request bytes ask, else they answer. NULL at a limit, which is counted; a connection with more than its share gives way. */
struct exchange *pairing_new_exchange(struct pairing *p, struct connection *c, enum plumb_direction dir, bool request, const struct extent *at);
/* Tells handler.begin, the first time. known_ns: see exchange.h. */
void pairing_announce(struct pairing *p, struct exchange *x, uint64_t known_ns);
/* Out of all tables and over to handler.end, which owns it then. */
void pairing_complete(struct pairing *p, struct exchange *x);
/* The first error stays; "" is none. */
void exchange_fail(struct exchange *x, const char *error_type);

/* pairing.waiting or pairing.early; an exchange is in one of them. */
void deadline_add(struct exchange_list *l, struct exchange *x, uint64_t deadline_ns);
void deadline_remove(struct exchange_list *l, struct exchange *x);
void pairing_early_add(struct pairing *p, struct exchange *x, uint64_t deadline_ns);
void pairing_early_remove(struct pairing *p, struct exchange *x);

/* As the message has it, if it has one. */
void pairing_set_key(struct pairing *p, struct exchange *x, const struct message *m);
/* The oldest open exchange of this key and peer. */
struct exchange *pairing_find(const struct pairing *p, const struct connection *c, uint64_t key, const struct extent *at);

/* What the message says, copied; what does not fit is EXCHANGE_TRUNCATED. */
void pairing_keep_attrs(struct pairing *p, struct exchange *x, const struct message *m);
struct slice pairing_keep_text(struct pairing *p, struct exchange *x, struct slice s);

/*
 * The peer of a datagram that a socket without a fixed peer receives is often not known (its address is copied out after the
 * record is written), so a key is looked up alone, and a peer tells exchanges apart only where both sides know it.
 */
static inline bool peer_known(const struct endpoint *e) { return e && e->port != 0; }

#endif
