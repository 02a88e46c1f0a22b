/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	THREADS = 2048,                   /* places, by hash of the thread */
	HELD_MAX = 512,
	HELD_MAX_BYTES = 4 * 1024 * 1024,
	HOLD_NS = 100 * 1000 * 1000,
	GOROUTINE_NS = 1000 * 1000,
	AROUND_NS = 1000 * 1000 * 1000,   /* encrypted bytes that were read so long ago may be those that are read now */
	APPLICATION_DATA = 23,            /* a record's first byte (RFC 8446, 5.1) */
	RECORD_MIN = 17,                  /* what TLS adds to the bytes of a record at least: its type within, a tag of 16 (RFC 8446, 5.2) */
};

/* The latest encrypted bytes that a thread has moved, by direction. */
struct thread {
	uint32_t tid;
	uint64_t sock[2];
	uint64_t time_ns[2];
	uint32_t len[2];
};

/* A record that waits for its session's socket. */
struct held {
	struct held *next;
	struct record rec;
	bool leads;        /* no other of its session stands before it */
	size_t len;
	uint8_t payload[];
};

struct sessions {
	struct sessions_handler handler;
	struct conn_table *conns;
	struct sessions_counts counts;
	bool by_ports;                    /* a session without a socket is not watched, as far as is known */
	struct held *first, *last;        /* oldest first */
	size_t held, held_bytes;
	struct thread threads[THREADS];
};

int sessions_new(const struct sessions_handler *h, struct conn_table *conns, struct sessions **ret_sessions)
{
	struct sessions *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->handler = *h;
	s->conns = conns;
	*ret_sessions = s;
	return 0;
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	while (s->first) {
		struct held *h = s->first;
		s->first = h->next;
		free(h);
	}
	free(s);
}

void sessions_start(struct sessions *s, const struct plumb_rec_start *r) { s->by_ports = r->flags & PLUMB_START_PORTS; }

static struct thread *thread_of(struct sessions *s, uint32_t tid) { return &s->threads[(tid * 2654435761u) >> 21]; }

/* --- which socket --- */

/* Its bytes may be those of a session: nobody has understood them. One that was seen from its beginning would be known for TLS by its first bytes. */
static bool may_be_encrypted(const struct connection *c)
{
	if (c->type != SOCK_STREAM)
		return false;
	return c->phase == CONNECTION_PARSE ? c->protocol == PLUMB_PROTO_TLS : c->phase == CONNECTION_OPAQUE || !c->synced;
}

static struct connection *candidate(struct sessions *s, uint64_t sock, uint64_t session, bool within)
{
	struct connection *c = sock ? conn_table_get(s->conns, sock) : NULL;

	if (!c || !may_be_encrypted(c))
		return NULL;
	return !c->above || c->above == session || within ? c : NULL;
}

static struct connection *find_within(struct sessions *s, const struct plumb_rec_data *d)
{
	const struct thread *t = thread_of(s, d->tid);
	uint64_t begin_ns = d->h.time_ns - d->took_ns;
	struct connection *c = NULL;

	for (int i = 0; i < 2 && !c; i++) {
		int dir = i ? !d->direction : d->direction;
		if (t->tid == d->tid && t->time_ns[dir] >= begin_ns && t->time_ns[dir] <= d->h.time_ns)
			c = candidate(s, t->sock[dir], d->sock, true);
	}
	return c;
}

/*
 * A goroutine may have come to this thread just now. What it has read before the call may be the end of a handshake with the first request behind it: a moment ago, and enough for what it has of it now.
 */
static bool may_be_of_goroutine(const struct thread *t, const struct plumb_rec_data *d)
{
	return d->h.time_ns - t->time_ns[PLUMB_INGRESS] < GOROUTINE_NS && t->len[PLUMB_INGRESS] >= d->len + RECORD_MIN;
}

static struct connection *find_before(struct sessions *s, const struct plumb_rec_data *d)
{
	const struct thread *t = thread_of(s, d->tid);

	if (d->direction != PLUMB_INGRESS || t->tid != d->tid || d->h.time_ns - t->time_ns[PLUMB_INGRESS] > AROUND_NS || (d->flow && !may_be_of_goroutine(t, d)))
		return NULL;
	return candidate(s, t->sock[PLUMB_INGRESS], d->sock, false);
}

static void place(struct sessions *s, struct connection *session, struct connection *socket, bool within)
{
	conn_table_stack(s->conns, session, socket);
	s->counts.found[within ? 0 : 1]++;
	s->handler.encrypted(s->handler.ctx, socket);
}

/* --- those that wait --- */

static bool waits(const struct sessions *s, uint64_t session)
{
	const struct held *h = s->first;

	while (h && h->rec.u.data.sock != session)
		h = h->next;
	return h != NULL;
}

static bool hold(struct sessions *s, const struct record *rec, struct slice payload)
{
	struct held *h = s->held < HELD_MAX && s->held_bytes + payload.len <= HELD_MAX_BYTES ? malloc(sizeof(*h) + payload.len) : NULL;

	if (!h) {
		s->counts.refused++;
		return false;
	}
	h->next = NULL;
	h->leads = !waits(s, rec->u.data.sock);
	h->rec = *rec;
	h->len = payload.len;
	if (payload.len)
		memcpy(h->payload, payload.ptr, payload.len);
	*(s->last ? &s->last->next : &s->first) = h;
	s->last = h;
	s->held++;
	s->held_bytes += payload.len;
	s->counts.waited++;
	return true;
}

/* --- where in its socket's stream a session's bytes are --- */

/* Encrypted bytes have moved. */
static void carry(struct connection *socket, const struct plumb_rec_data *io)
{
	struct carried *moved = &socket->carried[io->direction];

	if (!moved->any) {
		moved->any = true;
		moved->from = io->offset;
		moved->from_ns = io->h.time_ns;
	}
	moved->end = io->offset + io->len;
	moved->end_ns = io->h.time_ns;
}

/*
 * What is read begins with what came since the last bytes were read; if nothing did, it is the rest of that. What is written does, too, if it left within the call; where the program carries it, it leaves next, behind
 * what has left since the last bytes were written; if nothing did, it leaves with those.
 */
static void cross(struct sessions *s, struct connection *session, const struct plumb_rec_data *d)
{
	struct connection *socket = session->below ? conn_table_get(s->conns, session->below) : NULL;
	struct crossing *at = &session->crossing[d->direction];
	struct carried *moved = socket ? &socket->carried[d->direction] : NULL;

	if (!moved || !moved->any)
		return;
	*at = (struct crossing){ .plain = d->offset };
	moved->any = false;
	if (d->direction == PLUMB_INGRESS || moved->from_ns >= d->h.time_ns - d->took_ns)
		at->carried = moved->from;
	else if (moved->end_ns <= d->h.time_ns)
		at->carried = moved->end;
	else
		return; /* it has waited here, and something before it left meanwhile */
	at->known = true;
}

static void hand_on(struct sessions *s, const struct record *rec, struct slice payload)
{
	struct connection *c = conn_table_get(s->conns, rec->u.data.sock);

	if (s->by_ports && !(c && c->below)) {
		s->counts.unwatched++;
		return;
	}
	if (c)
		cross(s, c, &rec->u.data);
	s->handler.data(s->handler.ctx, rec, payload);
}

/* Hands on those of one session. */
static void let_go(struct sessions *s, uint64_t session)
{
	struct held **at = &s->first, *h;

	s->last = NULL;
	while ((h = *at)) {
		if (h->rec.u.data.sock != session) {
			s->last = h;
			at = &h->next;
			continue;
		}
		*at = h->next;
		s->held--;
		s->held_bytes -= h->len;
		hand_on(s, &h->rec, slice_make(h->payload, h->len));
		free(h);
	}
}

/* Encrypted bytes leave: those of which of the sessions that its thread has written to? The first for which there are enough of them. Not those of a handshake, where they were captured. */
static void find_behind(struct sessions *s, const struct plumb_rec_data *io, struct slice payload)
{
	struct held *h = s->first;

	if (payload.len && payload.ptr[0] != APPLICATION_DATA)
		return;
	while (h && !(h->leads && !h->rec.u.data.flow && h->rec.u.data.tid == io->tid && h->rec.u.data.direction == PLUMB_EGRESS && io->len >= h->rec.u.data.len + RECORD_MIN))
		h = h->next;
	if (!h)
		return;
	struct connection *socket = candidate(s, io->sock, h->rec.u.data.sock, false), *session = conn_table_get(s->conns, h->rec.u.data.sock);
	if (!socket || !session)
		return;
	place(s, session, socket, false);
	let_go(s, session->sock);
}

static void give_up(struct sessions *s, uint64_t session)
{
	s->counts.unknown++;
	let_go(s, session);
}

/* --- records --- */

static void note(struct sessions *s, const struct plumb_rec_data *io)
{
	struct thread *t = thread_of(s, io->tid);

	if (t->tid != io->tid)
		*t = (struct thread){ .tid = io->tid };
	t->sock[io->direction] = io->sock;
	t->time_ns[io->direction] = io->h.time_ns;
	t->len[io->direction] = io->len;
}

static void session_data(struct sessions *s, const struct record *rec, struct slice payload)
{
	const struct plumb_rec_data *d = &rec->u.data;
	struct connection *c = conn_table_touch(s->conns, rec), *socket = NULL;

	if (c && d->flags & PLUMB_DATA_MIDWAY)
		c->flags |= PLUMB_SOCK_PREEXISTING;
	if (c && !c->below) {
		socket = find_within(s, d);
		bool within = socket != NULL;
		if (!socket)
			socket = find_before(s, d);
		if (socket) {
			place(s, c, socket, within);
			let_go(s, d->sock);
		} else if ((!c->unplaced || waits(s, d->sock)) && hold(s, rec, payload)) {
			c->unplaced = true; /* of one that was given up once the rest does not wait */
			return;
		} else {
			let_go(s, d->sock);
		}
	}
	hand_on(s, rec, payload);
}

void sessions_data(struct sessions *s, const struct record *rec, struct slice payload)
{
	const struct plumb_rec_data *d = &rec->u.data;

	if (PLUMB_IS_SESSION(d->sock)) {
		session_data(s, rec, payload);
		return;
	}
	s->handler.data(s->handler.ctx, rec, payload);
	if (d->len == 0 || d->tid == 0)
		return;
	struct connection *c = conn_table_get(s->conns, d->sock);
	if (!c || !may_be_encrypted(c))
		return;
	note(s, d);
	carry(c, d);
	if (s->first && d->direction == PLUMB_EGRESS)
		find_behind(s, d, payload);
}

void sessions_close(struct sessions *s, uint64_t session)
{
	if (waits(s, session))
		give_up(s, session);
}

void sessions_tick(struct sessions *s, uint64_t time_ns)
{
	while (s->first && time_ns > s->first->rec.u.h.time_ns + HOLD_NS)
		give_up(s, s->first->rec.u.data.sock);
}

void sessions_flush(struct sessions *s)
{
	while (s->first)
		give_up(s, s->first->rec.u.data.sock);
}

void sessions_counts(const struct sessions *s, struct sessions_counts *ret) { *ret = s->counts; }
