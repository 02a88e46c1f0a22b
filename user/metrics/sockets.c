/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/ipv4.h"

/* A closed socket is remembered so long, because a report made on another CPU before the close may come after it. */
#define CLOSED_KEPT_NS 10000000000ull

struct tracked {
	uint64_t sock;
	uint64_t sent, received; /* counted so far */
	uint64_t touched_ns, generation;
	struct series *series;   /* pinned; NULL when closed */
	struct tracked *newer, *older;
	uint32_t retransmits;
	bool closed;
	bool midway;             /* what the totals held before this engine heard of the socket is still to be left out */
};

struct sockets {
	struct series_table *series; /* not owned */
	struct map map;
	struct slab slab;
	struct tracked *newest, *oldest; /* in order of the latest record */
	uint64_t forgotten;
};

/* What the three record types have in common. */
struct identity {
	uint16_t family, local_port, remote_port;
	uint8_t type, role;
	const uint8_t *remote_addr;
};

struct labels {
	char peer[INET6_ADDRSTRLEN];
	char port[8];
	struct slice values[4];
};

static const struct { int number; const char *name; } error_names[] = {
	{ ECONNREFUSED, "ECONNREFUSED" }, { ETIMEDOUT, "ETIMEDOUT" }, { EHOSTUNREACH, "EHOSTUNREACH" }, { ENETUNREACH, "ENETUNREACH" },
	{ ECONNRESET, "ECONNRESET" }, { ECONNABORTED, "ECONNABORTED" }, { EADDRNOTAVAIL, "EADDRNOTAVAIL" }, { EADDRINUSE, "EADDRINUSE" },
	{ EPIPE, "EPIPE" }, { EACCES, "EACCES" }, { EPERM, "EPERM" }, { ENETDOWN, "ENETDOWN" }, { EHOSTDOWN, "EHOSTDOWN" }, { EPROTO, "EPROTO" },
	{ EINTR, "EINTR" }, { ENOBUFS, "ENOBUFS" }, { ENOMEM, "ENOMEM" }, { EINVAL, "EINVAL" },
};

static const char *const role_names[] = { "", "client", "server" };

int sockets_new(uint32_t max, struct series_table *series, struct sockets **ret_sockets)
{
	struct sockets *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->series = series;
	map_init(&t->map, max);
	slab_init(&t->slab, sizeof(struct tracked), max);
	*ret_sockets = t;
	return 0;
}

void sockets_free(struct sockets *t)
{
	if (!t)
		return;
	map_done(&t->map);
	slab_done(&t->slab);
	free(t);
}

uint64_t sockets_forgotten(const struct sockets *t)
{
	return t->forgotten;
}

static void unlink_tracked(struct sockets *t, struct tracked *k)
{
	if (k->newer)
		k->newer->older = k->older;
	else
		t->newest = k->older;
	if (k->older)
		k->older->newer = k->newer;
	else
		t->oldest = k->newer;
}

static void link_newest(struct sockets *t, struct tracked *k)
{
	k->newer = NULL;
	k->older = t->newest;
	if (t->newest)
		t->newest->newer = k;
	else
		t->oldest = k;
	t->newest = k;
}

static void add(struct sockets *t, const struct series *s, enum metric_family_id family, uint64_t n)
{
	*series_slot(t->series, s, family) += n;
}

/* Ends the socket's share in its series. */
static void detach(struct sockets *t, struct tracked *k)
{
	if (!k->series)
		return;
	add(t, k->series, FAMILY_TCP_ACTIVE, UINT64_MAX);
	series_unpin(k->series);
	k->series = NULL;
}

static void forget(struct sockets *t, struct tracked *k)
{
	detach(t, k);
	unlink_tracked(t, k);
	map_remove(&t->map, k->sock);
	slab_put(&t->slab, k);
}

static struct tracked *track(struct sockets *t, uint64_t sock, uint64_t now_ns)
{
	struct tracked *k;

	while (t->oldest && t->oldest->closed && now_ns > t->oldest->touched_ns + CLOSED_KEPT_NS)
		forget(t, t->oldest);
	k = slab_get(&t->slab);
	if (!k && t->oldest) {
		if (!t->oldest->closed)
			t->forgotten++;
		forget(t, t->oldest);
		k = slab_get(&t->slab);
	}
	if (!k)
		return NULL;
	k->sock = sock;
	if (map_put(&t->map, sock, k) < 0) {
		slab_put(&t->slab, k);
		return NULL;
	}
	link_newest(t, k);
	return k;
}

/*
 * Ports of the calling end are ephemeral and would make a series of every connection: server_port is the listening end's, whichever side this is. Without
 * a role nobody knows which one that is.
 */
static void labels_make(struct labels *l, const struct identity *id, uint8_t role, struct slice service)
{
	bool v4 = id->family == AF_INET, v4_mapped = !v4 && ipv4_is_mapped(id->remote_addr);
	uint16_t port = role == PLUMB_ROLE_CLIENT ? id->remote_port : role == PLUMB_ROLE_SERVER ? id->local_port : 0;

	if (!inet_ntop(v4 || v4_mapped ? AF_INET : AF_INET6, id->remote_addr + (v4_mapped ? IPV4_MAPPED_AT : 0), l->peer, sizeof(l->peer)))
		l->peer[0] = '\0';
	l->port[0] = '\0';
	if (port)
		snprintf(l->port, sizeof(l->port), "%u", (unsigned int)port);
	l->values[0] = service;
	l->values[1] = slice_str(role_names[role <= PLUMB_ROLE_SERVER ? role : PLUMB_ROLE_UNKNOWN]);
	l->values[2] = slice_str(l->peer);
	l->values[3] = slice_str(l->port);
}

static struct series *series_of(struct sockets *t, const struct identity *id, uint8_t role, struct slice service, uint64_t now_ns)
{
	struct labels l;

	labels_make(&l, id, role, service);
	return series_get(t->series, GROUP_TCP, l.values, now_ns);
}

static void attach(struct sockets *t, struct tracked *k, struct series *s)
{
	series_pin(s);
	k->series = s;
	add(t, s, FAMILY_TCP_ACTIVE, 1);
}

static void count_failure(struct sockets *t, const struct identity *id, struct slice service, int error, uint64_t now_ns)
{
	struct labels l;
	char number[24];
	const char *name = NULL;

	for (size_t i = 0; i < sizeof(error_names) / sizeof(error_names[0]); i++)
		if (error_names[i].number == error)
			name = error_names[i].name;
	if (!name) {
		snprintf(number, sizeof(number), error ? "errno_%d" : "unknown", error);
		name = number;
	}
	labels_make(&l, id, PLUMB_ROLE_CLIENT, service);
	struct slice values[] = { l.values[0], l.values[2], l.values[3], slice_str(name) };
	add(t, series_get(t->series, GROUP_TCP_FAILURE, values, now_ns), FAMILY_TCP_FAILURES, 1);
}

/* Adds what is new in the totals. A total below what was counted is an older report that came late: nothing new. */
static void count_totals(struct sockets *t, struct tracked *k, const struct series *s, const struct plumb_rec_sock_stats *r)
{
	if (r->bytes_sent > k->sent) {
		add(t, s, FAMILY_TCP_SENT, r->bytes_sent - k->sent);
		k->sent = r->bytes_sent;
	}
	if (r->bytes_received > k->received) {
		add(t, s, FAMILY_TCP_RECEIVED, r->bytes_received - k->received);
		k->received = r->bytes_received;
	}
	if (r->retransmits > k->retransmits) {
		add(t, s, FAMILY_TCP_RETRANSMITS, r->retransmits - k->retransmits);
		k->retransmits = r->retransmits;
	}
}

/*
 * The totals of a socket that was open before the engine begin before it did: a restarted engine would count once more what its predecessor had. What it saw
 * pass itself is the share that counts.
 */
static void leave_out_earlier(struct tracked *k, const struct plumb_rec_sock_stats *r, const uint64_t seen[2])
{
	k->midway = false;
	k->sent = r->bytes_sent > seen[PLUMB_EGRESS] ? r->bytes_sent - seen[PLUMB_EGRESS] : 0;
	k->received = r->bytes_received > seen[PLUMB_INGRESS] ? r->bytes_received - seen[PLUMB_INGRESS] : 0;
	k->retransmits = r->retransmits;
}

static void on_open(struct sockets *t, const struct plumb_rec_sock *r, struct slice service, uint64_t generation, uint8_t role)
{
	struct identity id = { r->family, r->local_port, r->remote_port, r->type, role, r->remote_addr };
	struct tracked *known = map_get(&t->map, r->sock);

	/* Connected once more after a failure or a disconnect; but an older record that comes late opens nothing. */
	if (known && known->closed && r->h.time_ns > known->touched_ns)
		forget(t, known);
	else if (known) /* told again after an engine restart, or its statistics came first */
		return;
	struct series *s = series_of(t, &id, role, service, r->h.time_ns);
	struct tracked *k = NULL;
	series_pin(s);
	k = track(t, r->sock, r->h.time_ns);
	series_unpin(s);
	if (!(r->flags & PLUMB_SOCK_PREEXISTING) && role != PLUMB_ROLE_UNKNOWN)
		add(t, s, role == PLUMB_ROLE_CLIENT ? FAMILY_TCP_CONNECTS : FAMILY_TCP_ACCEPTS, 1);
	if (!k) {
		t->forgotten++;
		return;
	}
	k->touched_ns = r->h.time_ns;
	k->generation = generation;
	k->midway = r->flags & PLUMB_SOCK_PREEXISTING;
	attach(t, k, s);
}

static void on_stats(struct sockets *t, const struct plumb_rec_sock_stats *r, struct slice service, uint64_t generation, uint8_t role, const uint64_t seen[2])
{
	struct identity id = { r->family, r->local_port, r->remote_port, r->type, role, r->remote_addr };
	uint64_t now_ns = r->h.time_ns;
	bool closing = r->h.type == PLUMB_REC_SOCK_CLOSE;
	bool failed = closing && (r->flags & PLUMB_SOCK_CONNECT_FAILED);
	struct tracked *k = map_get(&t->map, r->sock);

	if (k && k->closed && failed && now_ns > k->touched_ns) { /* tried again on the same socket */
		forget(t, k);
		k = NULL;
	}
	if (k && k->closed)
		return;
	if (failed)
		count_failure(t, &id, service, r->error < 0 ? -r->error : r->error, now_ns);
	if (!k) {
		k = track(t, r->sock, now_ns);
		if (!k) {
			t->forgotten++;
			return;
		}
		k->generation = generation;
		k->midway = r->flags & PLUMB_SOCK_PREEXISTING;
	} else {
		unlink_tracked(t, k);
		link_newest(t, k);
	}
	k->touched_ns = now_ns;
	/* A process that got its name since then: what follows is counted under it. */
	if (k->series && generation && k->generation != generation) {
		detach(t, k);
		k->generation = generation;
	}
	bool unused_failure = !k->series && (r->flags & PLUMB_SOCK_CONNECT_FAILED);
	if (!k->series && !unused_failure)
		attach(t, k, series_of(t, &id, role, service, now_ns));
	if (k->series) {
		struct series *s = k->series;
		if (now_ns > s->touched_ns)
			s->touched_ns = now_ns;
		if (k->midway)
			leave_out_earlier(k, r, seen);
		count_totals(t, k, s, r);
		if (r->srtt_us)
			series_observe(t->series, s, FAMILY_TCP_RTT, r->srtt_us);
		if (closing && (r->flags & PLUMB_SOCK_RESET))
			add(t, s, FAMILY_TCP_RESETS, 1);
	}
	if (closing) {
		k->closed = true;
		detach(t, k);
	}
}

void sockets_record(struct sockets *t, const struct record *rec, struct slice service, uint64_t generation, uint8_t role, const uint64_t seen[2])
{
	bool open = rec->u.h.type == PLUMB_REC_SOCK_OPEN;

	if (!open && rec->u.h.type != PLUMB_REC_SOCK_CLOSE && rec->u.h.type != PLUMB_REC_SOCK_STATS)
		return;
	uint16_t family = open ? rec->u.sock.family : rec->u.sock_stats.family;
	uint8_t type = open ? rec->u.sock.type : rec->u.sock_stats.type;
	if (type != SOCK_STREAM || (family != AF_INET && family != AF_INET6))
		return;
	if (open)
		on_open(t, &rec->u.sock, service, generation, role);
	else
		on_stats(t, &rec->u.sock_stats, service, generation, role, seen);
}
