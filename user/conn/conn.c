/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "conn/reassembly.h"
#include "lib/hash.h"
#include "lib/ipv4.h"
#include "lib/map.h"
#include "lib/slab.h"

enum {
	CLOSED_SLOTS = 4096,                    /* sockets remembered after their end */
	CLOSED_NS = 1000 * 1000 * 1000,         /* how long late records of a closed socket are expected */
	REMEMBERED_SLOTS = 4096,                /* sockets dropped before their end */
	SWEPT = 64,                             /* Unix streams, and sessions, looked at in one tick */
	TOUCH_NS = 64 * 1000 * 1000,            /* precision of "least recently used" */
};

enum { LRU_TCP, LRU_UNIX, LRU_SESSION, LRU_DATAGRAM, LRU_LISTS }; /* TCP: what ends with a close record */

struct lru {
	struct connection *first, *last; /* least recently used first */
	struct connection *swept;        /* where the next tick's sweep goes on; NULL: from the first */
};

struct closed {
	uint64_t sock;
	uint64_t time_ns;
};

/* A socket is announced once: who it is must outlast its connection here if the socket does. The process is not kept, every I/O names it. */
struct remembered {
	uint64_t sock; /* 0 = none */
	uint64_t pair;
	struct endpoint local, remote;
	uint32_t netns, flags;
	uint16_t family;
	uint8_t type, role;
	char path[108];
};

struct conn_table {
	struct slab slab;
	struct map by_sock;   /* cookie to connection */
	struct lru lru[LRU_LISTS];
	struct connection *latest; /* of the latest look-up */
	struct process_table *processes;
	struct reassembly streams;
	struct conn_counts counts;
	uint64_t idle_ns;
	uint64_t now_ns;
	struct closed closed[CLOSED_SLOTS]; /* by hash of the cookie, as the next */
	struct remembered remembered[REMEMBERED_SLOTS];
};

int conn_table_new(const struct conn_options *o, const struct conn_handler *h, struct process_table *processes, struct conn_table **ret_table)
{
	struct conn_table *t = calloc(1, sizeof(*t));
	uint32_t max = o->max_connections ? o->max_connections : 65536;

	if (!t)
		return -ENOMEM;
	slab_init(&t->slab, sizeof(struct connection), max);
	map_init(&t->by_sock, max);
	reassembly_init(&t->streams, o, h, &t->counts);
	t->processes = processes;
	t->idle_ns = o->idle_ns ? o->idle_ns : 60ull * 1000 * 1000 * 1000;
	*ret_table = t;
	return 0;
}

/* Addresses. */

/* An IPv6 socket that talks IPv4 is an IPv4 connection: its other end may be an IPv4 socket. */
static uint16_t normalise(uint16_t family, struct endpoint *local, struct endpoint *remote)
{
	bool mapped = ipv4_is_mapped(remote->addr) || ipv4_is_mapped(local->addr);

	if (family != AF_INET6 || !mapped)
		return family;
	struct endpoint *ends[2] = { local, remote };
	for (int i = 0; i < 2; i++) {
		memmove(ends[i]->addr, ends[i]->addr + IPV4_MAPPED_AT, 4);
		memset(ends[i]->addr + 4, 0, 12);
	}
	return AF_INET;
}

/* Least recently used. */

static struct lru *lru_of(struct conn_table *t, const struct connection *c)
{
	if (PLUMB_IS_SESSION(c->sock))
		return &t->lru[LRU_SESSION];
	return &t->lru[c->type == SOCK_DGRAM ? LRU_DATAGRAM : c->family == AF_UNIX ? LRU_UNIX : LRU_TCP];
}

static void lru_remove(struct conn_table *t, struct connection *c)
{
	struct lru *l = lru_of(t, c);

	if (l->swept == c)
		l->swept = c->lru_next;
	*(c->lru_prev ? &c->lru_prev->lru_next : &l->first) = c->lru_next;
	*(c->lru_next ? &c->lru_next->lru_prev : &l->last) = c->lru_prev;
	c->lru_prev = c->lru_next = NULL;
}

static void lru_add(struct conn_table *t, struct connection *c)
{
	struct lru *l = lru_of(t, c);

	c->lru_prev = l->last;
	c->lru_next = NULL;
	*(l->last ? &l->last->lru_next : &l->first) = c;
	l->last = c;
	c->touched_ns = t->now_ns;
}

static void touch(struct conn_table *t, struct connection *c, uint64_t time_ns)
{
	if (time_ns > c->seen_ns)
		c->seen_ns = time_ns;
	if (t->now_ns - c->touched_ns < TOUCH_NS)
		return;
	lru_remove(t, c);
	lru_add(t, c);
}

/* Life of a connection. */

static struct closed *closed_slot(struct conn_table *t, uint64_t sock)
{
	return &t->closed[(sock * 0x9e3779b97f4a7c15ull) >> 52 & (CLOSED_SLOTS - 1)];
}

static struct remembered *remembered_slot(struct conn_table *t, uint64_t sock)
{
	return &t->remembered[(sock * 0x9e3779b97f4a7c15ull) >> 52 & (REMEMBERED_SLOTS - 1)];
}

static void remember(struct conn_table *t, const struct connection *c)
{
	struct remembered *m = remembered_slot(t, c->sock);

	/* A datagram names its peer, which is all there is to know of a client's socket; and each look-up of a name leaves one behind. */
	if (!c->family || (c->type == SOCK_DGRAM && c->family != AF_UNIX && c->role == PLUMB_ROLE_CLIENT))
		return;
	t->counts.forgotten += m->sock != 0 && m->sock != c->sock;
	*m = (struct remembered){
		.sock = c->sock, .pair = c->pair, .local = c->local, .remote = c->remote, .netns = c->netns, .flags = c->flags,
		.family = c->family, .type = c->type, .role = c->role,
	};
	memcpy(m->path, c->path, sizeof(m->path));
}

static void forget(struct conn_table *t, uint64_t sock)
{
	struct remembered *m = remembered_slot(t, sock);

	if (m->sock == sock)
		m->sock = 0;
}

static void drop(struct conn_table *t, struct connection *c, int error, bool evicted, uint64_t time_ns)
{
	reassembly_flush(&t->streams, c, time_ns);
	t->streams.handler.close(t->streams.handler.ctx, c, error, evicted, time_ns);
	reassembly_release(&t->streams, c);
	t->counts.unplaced += PLUMB_IS_SESSION(c->sock) && !c->placed;
	lru_remove(t, c);
	map_remove(&t->by_sock, c->sock);
	process_table_unref(t->processes, c->process);
	if (t->latest == c)
		t->latest = NULL;
	slab_put(&t->slab, c);
	t->counts.active--;
}

static void evict(struct conn_table *t)
{
	struct connection *oldest = NULL;

	for (int l = 0; l < LRU_LISTS; l++)
		if (t->lru[l].first && (!oldest || t->lru[l].first->touched_ns < oldest->touched_ns))
			oldest = t->lru[l].first;
	if (!oldest)
		return;
	t->counts.evicted++;
	remember(t, oldest);
	drop(t, oldest, 0, true, t->now_ns);
}

static void set_process(struct conn_table *t, struct connection *c, uint32_t pid)
{
	if (pid == 0 || (c->pid == pid && c->process))
		return;
	process_table_unref(t->processes, c->process);
	c->process = process_table_ref(t->processes, pid);
	c->pid = pid;
}

static struct connection *make(struct conn_table *t, uint64_t sock, uint8_t type, uint64_t time_ns)
{
	struct connection *c = slab_get(&t->slab);

	if (!c) {
		evict(t);
		c = slab_get(&t->slab);
	}
	if (!c || map_put(&t->by_sock, sock, c) < 0) {
		if (c)
			slab_put(&t->slab, c);
		t->counts.refused++;
		return NULL;
	}
	c->sock = sock;
	c->type = type;
	c->opened_ns = c->seen_ns = time_ns;
	lru_add(t, c);
	t->counts.opened++;
	t->counts.active++;
	t->latest = c;
	return c;
}

struct connection *conn_table_get(struct conn_table *t, uint64_t sock)
{
	if (!t->latest || t->latest->sock != sock) {
		struct connection *c = map_get(&t->by_sock, sock);
		if (!c)
			return NULL;
		t->latest = c;
	}
	return t->latest;
}

/* What a record tells of the socket itself; what is known already stays unless the record knows more. */
struct identity {
	uint32_t pid, netns;
	uint16_t family;
	uint8_t type, role;
	uint32_t flags;
	struct endpoint local, remote;
};

static void identify(struct conn_table *t, struct connection *c, const struct identity *id)
{
	struct endpoint local = id->local, remote = id->remote;
	uint16_t family = normalise(id->family, &local, &remote);

	lru_remove(t, c); /* the list depends on family and type */
	if (family) {
		c->family = family;
		c->local = local;
		c->remote = remote;
	}
	if (id->type)
		c->type = id->type;
	if (id->role)
		c->role = id->role;
	if (id->netns)
		c->netns = id->netns;
	c->flags |= id->flags;
	lru_add(t, c);
	if (!c->process)
		set_process(t, c, id->pid);
}

/* The socket of a connection made anew may have been here before. */
static void recall(struct conn_table *t, struct connection *c)
{
	struct remembered *m = remembered_slot(t, c->sock);

	if (m->sock != c->sock || !m->family)
		return;
	struct identity id = {
		.netns = m->netns, .family = m->family, .type = m->type, .role = m->role, .flags = m->flags, .local = m->local, .remote = m->remote,
	};
	identify(t, c, &id);
	c->pair = m->pair;
	c->placed = PLUMB_IS_SESSION(c->sock);
	memcpy(c->path, m->path, sizeof(c->path));
	m->sock = 0;
}

static void record_open(struct conn_table *t, const struct plumb_rec_sock *r)
{
	struct connection *c = conn_table_get(t, r->sock);
	bool fresh = !c;

	closed_slot(t, r->sock)->sock = 0;
	forget(t, r->sock);
	if (fresh)
		c = make(t, r->sock, r->type, r->h.time_ns);
	if (!c)
		return;
	struct identity id = {
		.pid = r->pid, .netns = r->netns, .family = r->family, .type = r->type, .role = r->role, .flags = r->flags,
		.local.port = r->local_port, .remote.port = r->remote_port,
	};
	memcpy(id.local.addr, r->local_addr, 16);
	memcpy(id.remote.addr, r->remote_addr, 16);
	identify(t, c, &id);
	if (r->pair)
		c->pair = r->pair;
	memcpy(c->path, r->path, sizeof(c->path) - 1);
	if (fresh && !(r->flags & PLUMB_SOCK_PREEXISTING))
		c->synced = true;
	for (int d = 0; d < 2; d++)
		if (r->offset[d])
			reassembly_expect(c, (enum plumb_direction)d, r->offset[d]);
	touch(t, c, r->h.time_ns);
}

void conn_table_stack(struct conn_table *t, struct connection *above, struct connection *below)
{
	struct connection *other = below->above && below->above != above->sock ? conn_table_get(t, below->above) : NULL;
	struct identity id = {
		.netns = below->netns, .family = below->family, .type = below->type, .role = below->role, .local = below->local, .remote = below->remote,
	};

	if (other)
		other->below = 0;
	identify(t, above, &id);
	above->pair = below->pair;
	memcpy(above->path, below->path, sizeof(above->path));
	above->below = below->sock;
	above->placed = true;
	below->above = above->sock;
}

/* The session that a socket carried ends with it. */
static void close_above(struct conn_table *t, uint64_t session, uint64_t sock, int error, uint64_t time_ns)
{
	struct connection *c = session ? conn_table_get(t, session) : NULL;

	if (!c || c->below != sock)
		return;
	*closed_slot(t, session) = (struct closed){ session, time_ns };
	t->counts.closed++;
	drop(t, c, error, false, time_ns);
}

static void record_stats(struct conn_table *t, const struct plumb_rec_sock_stats *r)
{
	struct connection *c = conn_table_get(t, r->sock);

	if (!c)
		return;
	if (!c->family && r->family) {
		struct identity id = {
			.pid = r->pid, .netns = r->netns, .family = r->family, .type = r->type, .role = r->role,
			.local.port = r->local_port, .remote.port = r->remote_port,
		};
		memcpy(id.local.addr, r->local_addr, 16);
		memcpy(id.remote.addr, r->remote_addr, 16);
		identify(t, c, &id);
	}
	c->flags |= r->flags;
	touch(t, c, r->h.time_ns);
}

static void record_close(struct conn_table *t, const struct plumb_rec_sock_stats *r)
{
	struct connection *c = conn_table_get(t, r->sock);
	int error = r->error;

	*closed_slot(t, r->sock) = (struct closed){ r->sock, r->h.time_ns };
	forget(t, r->sock);
	if (!c)
		return;
	record_stats(t, r);
	if (error < 0)
		error = -error;
	if (!error && r->flags & PLUMB_SOCK_RESET)
		error = ECONNRESET;
	t->counts.closed++;
	reassembly_flush(&t->streams, c, r->h.time_ns);
	/* Who closes waits for nothing any more; unless bytes came afterwards, which the process that closed first may have sent. */
	uint64_t ended_ns = r->closed_ns;
	if (!ended_ns || ended_ns > r->h.time_ns || ended_ns < c->streams[0].last_ns || ended_ns < c->streams[1].last_ns)
		ended_ns = r->h.time_ns;
	for (int d = 0; d < 2; d++)
		if (r->offset[d] && !(r->flags & PLUMB_SOCK_LEFT))
			reassembly_end(&t->streams, c, (enum plumb_direction)d, r->offset[d], ended_ns);
	/* What its last user did with it was not looked at. */
	if (r->flags & PLUMB_SOCK_LEFT)
		t->streams.handler.resumed(t->streams.handler.ctx, c, ended_ns);
	uint64_t above = c->above, below = c->below;
	drop(t, c, error, false, ended_ns);
	close_above(t, above, r->sock, error, ended_ns);
	struct connection *carrier = below ? conn_table_get(t, below) : NULL;
	if (carrier && carrier->above == r->sock)
		carrier->above = 0; /* it may carry another */
}

/* It is known from its first byte on, which is number 0 in both directions. */
static void begin_session(struct connection *c)
{
	c->synced = true;
	reassembly_expect(c, PLUMB_INGRESS, 0);
	reassembly_expect(c, PLUMB_EGRESS, 0);
}

struct connection *conn_table_touch(struct conn_table *t, const struct record *rec)
{
	const struct plumb_rec_data *d = &rec->u.data;
	struct connection *c = conn_table_get(t, d->sock);

	if (!c) {
		const struct closed *gone = closed_slot(t, d->sock);
		if (gone->sock == d->sock && d->h.time_ns < gone->time_ns + CLOSED_NS) {
			t->counts.late++;
			return NULL;
		}
		c = make(t, d->sock, d->h.type == PLUMB_REC_DGRAM ? SOCK_DGRAM : SOCK_STREAM, d->h.time_ns);
		if (!c)
			return NULL;
		/* Not one that was known before: to an engine that ended, or in a connection that gave way to others. */
		if (PLUMB_IS_SESSION(d->sock) && !(d->flags & PLUMB_DATA_MIDWAY) && d->offset == 0)
			begin_session(c);
		recall(t, c);
		if (d->h.type == PLUMB_REC_DGRAM && !c->family)
			c->family = rec->u.dgram.family;
	}
	if (d->pid && (d->pid != c->pid || !c->process))
		set_process(t, c, d->pid);
	return c;
}

static void record_datagram(struct conn_table *t, struct connection *c, const struct plumb_rec_dgram *r, struct slice payload)
{
	enum plumb_direction dir = r->d.direction ? PLUMB_EGRESS : PLUMB_INGRESS;
	struct stream *s = &c->streams[dir];

	s->begun = true;
	s->bytes += r->d.len;
	s->first_ns = s->last_ns = r->d.h.time_ns;
	s->tid = s->first_tid = r->d.tid;
	s->flow = s->first_flow = r->d.flow;
	t->counts.bytes[dir] += r->d.len;
	payload = slice_head(payload, r->d.len);
	t->counts.captured_bytes[dir] += payload.len;
	t->streams.handler.datagram(t->streams.handler.ctx, c, dir, payload, r);
}

static void drop_idle(struct conn_table *t, struct connection *c)
{
	t->counts.idle_closed++;
	remember(t, c);
	drop(t, c, 0, false, t->now_ns);
}

/* Nothing reports the close of a Unix stream: it is over when its peer or its process has ended and nobody has used it for a while. A pool's idle connection stays. */
static void sweep_unix(struct conn_table *t)
{
	struct lru *l = &t->lru[LRU_UNIX];
	struct connection *c = l->swept ? l->swept : l->first, *next;

	for (int n = 0; c && n < SWEPT; n++, c = next) {
		next = c->lru_next;
		if (t->now_ns - c->touched_ns <= t->idle_ns)
			next = NULL; /* all behind it were used later */
		else if (c->streams[PLUMB_INGRESS].eof || (c->process && c->process->exit_ns))
			drop_idle(t, c);
	}
	l->swept = c;
}

/* A session that is not given back, and whose socket is not known or has others that use it, ends with its process. Records of it may come a moment later. */
static void sweep_sessions(struct conn_table *t)
{
	struct lru *l = &t->lru[LRU_SESSION];
	struct connection *c = l->swept ? l->swept : l->first, *next;

	for (int n = 0; c && n < SWEPT; n++, c = next) {
		next = c->lru_next;
		uint64_t ended_ns = c->process ? c->process->exit_ns : 0;
		if (!ended_ns || t->now_ns - ended_ns <= CLOSED_NS)
			continue;
		struct connection *carrier = c->below ? conn_table_get(t, c->below) : NULL;
		if (carrier && carrier->above == c->sock)
			carrier->above = 0;
		t->counts.closed++;
		drop(t, c, 0, false, ended_ns);
	}
	l->swept = c;
}

static void record_tick(struct conn_table *t)
{
	struct lru *datagram = &t->lru[LRU_DATAGRAM];

	reassembly_tick(&t->streams, t->now_ns);
	while (datagram->first && t->now_ns - datagram->first->touched_ns > t->idle_ns)
		drop_idle(t, datagram->first);
	sweep_unix(t);
	sweep_sessions(t);
}

void conn_table_record(struct conn_table *t, const struct record *rec, struct slice payload)
{
	struct connection *c;

	if (rec->u.h.time_ns > t->now_ns)
		t->now_ns = rec->u.h.time_ns;
	switch (rec->u.h.type) {
	case PLUMB_REC_DATA:
	case PLUMB_REC_DGRAM:
		c = conn_table_touch(t, rec);
		if (!c)
			return;
		touch(t, c, rec->u.h.time_ns);
		if (rec->u.h.type == PLUMB_REC_DATA)
			reassembly_data(&t->streams, c, &rec->u.data, payload);
		else
			record_datagram(t, c, &rec->u.dgram, payload);
		break;
	case PLUMB_REC_SOCK_OPEN: record_open(t, &rec->u.sock); break;
	case PLUMB_REC_SOCK_CLOSE: record_close(t, &rec->u.sock_stats); break;
	case PLUMB_REC_SOCK_STATS: record_stats(t, &rec->u.sock_stats); break;
	case PLUMB_REC_TICK: record_tick(t); break;
	default: break;
	}
}

void conn_table_flush(struct conn_table *t)
{
	while (t->streams.nwaiting)
		reassembly_flush(&t->streams, t->streams.waiting[t->streams.nwaiting - 1], t->now_ns);
}

void conn_table_free(struct conn_table *t)
{
	if (!t)
		return;
	for (int l = 0; l < LRU_LISTS; l++)
		while (t->lru[l].first)
			drop(t, t->lru[l].first, 0, true, t->now_ns);
	reassembly_done(&t->streams);
	map_done(&t->by_sock);
	slab_done(&t->slab);
	free(t);
}

void conn_table_counts(const struct conn_table *t, struct conn_counts *ret) { *ret = t->counts; }
