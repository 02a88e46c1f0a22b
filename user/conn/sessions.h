/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of TLS libraries: whose socket they use. A session's plaintext is a connection of its own in the table; it has its addresses from the socket's, which is found by what its thread did:
 *
 * - the library's own structures say so (PLUMB_REC_SESSION), and then nothing else does;
 * - encrypted bytes were moved within the call that moved the plaintext: the library itself uses the socket;
 * - or before a call that read, or behind one that wrote: the program carries the bytes (memory BIOs). Whose they are of several sockets' a record tells that both have, whatever thread has moved it (PLUMB_DATA_RECORD);
 *   where none is known, the lengths of the records that the same thread has moved. What was written waits here until they leave, and so does what was read if it may have come by more than one socket.
 *
 * A socket that is known to carry something else is no candidate, nor, but for the first kind of evidence, one that another session uses. Without a socket after a tenth of a second the plaintext goes on
 * with no address; where sockets are watched by their ports it does not, as nobody knows whether it is wanted.
 */
#ifndef PLUMB_CONN_SESSIONS_H
#define PLUMB_CONN_SESSIONS_H

#include "conn/conn.h"

struct sessions_handler {
	/* A DATA record whose place is known, or that has waited long enough. Its connection is in the table. */
	void (*data)(void *ctx, const struct record *rec, struct slice payload);
	/* This connection's bytes are encrypted. */
	void (*encrypted)(void *ctx, struct connection *c);
	void *ctx;
};

enum sessions_evidence { SESSIONS_BY_DESCRIPTOR, SESSIONS_WITHIN, SESSIONS_BY_RECORD, SESSIONS_AROUND, SESSIONS_EVIDENCE };

struct sessions_counts {
	/* Sessions, each once: */
	uint64_t found[SESSIONS_EVIDENCE]; /* whose socket was found, by the first evidence */
	uint64_t unknown;                  /* that have ended without */
	uint64_t refused;                  /* records that could not wait for their session's socket, as too many did */
	uint64_t unwatched;                /* records of sessions without a socket, where sockets are watched by their ports: not looked at */
};

struct sessions;

int sessions_new(const struct sessions_handler *h, struct conn_table *conns, struct sessions **ret_sessions);
void sessions_free(struct sessions *s);
void sessions_start(struct sessions *s, const struct plumb_rec_start *r);
/* A DATA record, of a socket or of a session; handed on now or later, those of one session in their order. */
void sessions_data(struct sessions *s, const struct record *rec, struct slice payload);
/* Which socket is under a session, of which data may have come or not. */
void sessions_socket(struct sessions *s, const struct plumb_rec_session *r);
/* The session is over: what of it waits is handed on. */
void sessions_close(struct sessions *s, uint64_t session);
void sessions_tick(struct sessions *s, uint64_t time_ns);
/* End of input: what waits is handed on. */
void sessions_flush(struct sessions *s);
void sessions_counts(const struct sessions *s, struct sessions_counts *ret);

#endif
