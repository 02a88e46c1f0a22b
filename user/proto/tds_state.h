/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser of a TDS connection keeps, and what its files share; for proto/tds*.c and its masker only. */
#ifndef PLUMB_PROTO_TDS_STATE_H
#define PLUMB_PROTO_TDS_STATE_H

#include "proto/tds_memory.h"

/* The data of SMP under way in one direction. */
struct tds_frame {
	uint32_t left;
	uint16_t session;
};

struct tds_state {
	struct tds_memory *memory; /* external; NULL without memory: nothing is parsed then */
	uint64_t early_ns;         /* when the response without request began */
	struct tds_frame frame[2]; /* by enum proto_side */
	struct tds_version version;
	bool version_known;
	bool mars;       /* sessions of MARS */
	bool secret;     /* a handshake of TLS was seen in packets: what follows may be records of TLS */
	uint8_t encryption; /* enum tds_encryption, of the server's answer */
	bool login_sent; /* in such records */
	bool found, found_first; /* behind a loss, a packet of the server's; a message begins with it */
};
_Static_assert(sizeof(struct tds_state) <= CONNECTION_PARSER_BYTES, "parser state too large");

/* Where a well-known procedure has what is looked for, counted from 1; 0 = nowhere. [MS-TDS] 2.2.6.6, and the procedures' own pages. */
struct tds_procedure {
	const char *name;
	uint8_t statement, handle; /* handle: that it is given, or gives */
	enum tds_procedure_kind { TDS_OTHER, TDS_RUNS, TDS_PREPARES, TDS_EXECUTES, TDS_UNPREPARES } kind;
};
const struct tds_procedure *tds_procedure_get(uint16_t id); /* NULL: none of them */
const struct tds_procedure *tds_procedure(const struct tds_session *x);

/*
 * tds_request.c, tds_response.c. _walk goes on with a message: it consumes all of *in, unless w->pass says that some of what follows need not be seen. _end adds
 * what was found, and is false if the response goes on with another message.
 */
void tds_request_begin(struct tds_session *x, uint8_t type);
void tds_request_walk(struct tds_state *s, struct tds_session *x, struct slice *in);
void tds_request_end(struct tds_state *s, struct tds_session *x, struct message *m);
void tds_response_begin(struct tds_session *x);
void tds_response_walk(struct tds_state *s, struct tds_session *x, struct slice *in);
/* The last bytes of a message of which the rest was not looked at. */
void tds_response_tail(struct tds_state *s, struct tds_session *x, const uint8_t *p);
size_t tds_tail_len(const struct tds_state *s);
bool tds_response_end(struct tds_state *s, struct tds_session *x, struct message *m);

static inline void tds_add_text(struct message *m, enum attr_id id, const char *text) { message_add_str(m, id, slice_str(text)); }

/* The database in use, as the conventions want it. */
void tds_add_namespace(struct tds_state *s, struct message *m);

#endif
