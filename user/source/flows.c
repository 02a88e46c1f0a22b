/* SPDX-License-Identifier: Apache-2.0 */
#include "source/flows.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/hash.h"

static const uint64_t duplicate_ns = 1000000;      /* a packet seen at two interfaces is seen twice within this time */
static const uint64_t idle_ns = 60000000000;       /* a conversation silent for so long is another one when it goes on */
static const uint64_t hold_ns = 1000000000;        /* how long the first bytes of a stream are waited for: as long as conn/ waits for others */
static const uint32_t late_syn_bytes = 1024 * 1024; /* how far behind data that overtook it a SYN may be */

struct flow_key {
	uint8_t addr[2][16]; /* the lower end first */
	uint16_t port[2];
	uint16_t family;
	uint8_t protocol;
	uint8_t pad;
};

/*
 * A segment that came before the first bytes of its stream. conn/ takes the first record of a direction for its beginning, so
 * this one case of disorder is mended here; the place of the first bytes is known from the SYN.
 */
struct held {
	struct held *next;
	uint64_t offset;
	uint32_t len, captured;
	uint8_t bytes[];
};

/* One direction: bytes sent by end i of the key. */
struct flow_way {
	struct held *held, *held_last; /* segments that came before the stream's first bytes, in the order they came */
	uint64_t held_ns;
	bool told;        /* a record of its bytes was given out */
	bool begun;       /* last is known */
	bool syn;         /* its SYN was seen, isn is known */
	bool fin;         /* its FIN was seen, at offset fin_at */
	bool fin_acked;
	uint32_t isn;
	uint32_t last_len;
	uint64_t first;   /* lowest offset known */
	uint64_t last;    /* offset behind the highest byte seen; datagrams: bytes so far */
	uint64_t fin_at;
	uint64_t last_offset, last_ns; /* of the latest segment with payload */
};

enum flow_state { FLOW_NEW, FLOW_OPEN, FLOW_CLOSED };

struct flow {
	struct flow_key key;
	uint64_t hash;
	uint64_t sock;
	uint64_t seen_ns, syn_ns;
	uint8_t state; /* enum flow_state: NEW has no record yet */
	uint8_t role;  /* enum plumb_role */
	uint8_t local; /* end of the key that is the client's */
	uint32_t connect_us;
	uint32_t retransmits; /* of both ways */
	struct flow_way ways[2];
	struct flow *older, *newer;
};

void flows_init(struct flows *f, flows_emit_fn emit, void *ctx)
{
	*f = (struct flows){ .next_sock = 1, .emit = emit, .ctx = ctx };
	map_init(&f->map, FLOWS_MAX);
	slab_init(&f->slab, sizeof(struct flow), FLOWS_MAX);
}

static void held_free(struct flows *f, struct held *h)
{
	f->held_bytes -= sizeof(*h) + h->captured;
	free(h);
}

static void held_drop(struct flows *f, struct flow *w)
{
	for (int i = 0; i < 2; i++)
		for (struct held *h = w->ways[i].held; h; h = w->ways[i].held) {
			w->ways[i].held = h->next;
			held_free(f, h);
		}
}

void flows_done(struct flows *f)
{
	for (struct flow *w = f->oldest; w; w = w->newer)
		held_drop(f, w);
	map_done(&f->map);
	slab_done(&f->slab);
}

static void lru_remove(struct flows *f, struct flow *w)
{
	*(w->older ? &w->older->newer : &f->oldest) = w->newer;
	*(w->newer ? &w->newer->older : &f->newest) = w->older;
}

static void lru_add(struct flows *f, struct flow *w)
{
	w->older = f->newest;
	w->newer = NULL;
	*(f->newest ? &f->newest->newer : &f->oldest) = w;
	f->newest = w;
}

static struct plumb_rec_header header_of(uint16_t type, uint64_t time_ns)
{
	return (struct plumb_rec_header){ .size = (uint32_t)record_fixed_bytes(type), .type = type, .cpu = 0xffff, .time_ns = time_ns };
}

static uint8_t sock_type(const struct flow *w)
{
	return w->key.protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
}

static int emit_open(struct flows *f, struct flow *w, uint64_t time_ns)
{
	bool begins = w->key.protocol == IPPROTO_UDP || w->ways[0].syn || w->ways[1].syn;
	struct record rec = { .u.sock = {
		.h = header_of(PLUMB_REC_SOCK_OPEN, time_ns),
		.sock = w->sock,
		.family = w->key.family,
		.type = sock_type(w),
		.role = w->role,
		.local_port = w->key.port[w->local],
		.remote_port = w->key.port[!w->local],
		.flags = begins ? 0 : PLUMB_SOCK_PREEXISTING,
		.connect_us = w->connect_us,
	} };

	memcpy(rec.u.sock.local_addr, w->key.addr[w->local], 16);
	memcpy(rec.u.sock.remote_addr, w->key.addr[!w->local], 16);
	w->state = FLOW_OPEN;
	return f->emit(f->ctx, &rec, SLICE_NONE);
}

static int emit_chunks(struct flows *f, struct record *rec, size_t fixed, struct captured c)
{
	struct plumb_rec_data *d = &rec->u.data; /* first member of a datagram's too */

	while (c.len) {
		bool last = c.len <= PLUMB_PAYLOAD_MAX || c.bytes.len <= PLUMB_PAYLOAD_MAX || fixed != sizeof(*d);
		struct slice payload = slice_head(c.bytes, PLUMB_PAYLOAD_MAX);
		d->len = last ? c.len : PLUMB_PAYLOAD_MAX;
		d->captured = (uint32_t)payload.len;
		d->h.size = (uint32_t)((fixed + payload.len + 7) & ~(size_t)7);
		int err = f->emit(f->ctx, rec, payload);
		if (err || last)
			return err;
		d->offset += d->len;
		d->flags |= PLUMB_DATA_CONTINUED;
		c = (struct captured){ slice_from(c.bytes, d->len), c.len - d->len };
	}
	return 0;
}

static struct record data_record(const struct flow *w, uint8_t from, uint64_t offset, uint64_t time_ns)
{
	return (struct record){ .u.data = {
		.h = header_of(PLUMB_REC_DATA, time_ns),
		.sock = w->sock,
		.offset = offset,
		.direction = from == w->local ? PLUMB_EGRESS : PLUMB_INGRESS,
		.flags = PLUMB_DATA_WIRE,
	} };
}

/* Gives out what waited for a beginning that came, or will not come. */
static int held_release(struct flows *f, struct flow *w, uint8_t from, uint64_t time_ns)
{
	struct flow_way *y = &w->ways[from];
	int err = 0;

	y->told = true;
	while (y->held && !err) {
		struct held *h = y->held;
		struct record rec = data_record(w, from, h->offset, time_ns);
		y->held = h->next;
		err = emit_chunks(f, &rec, sizeof(rec.u.data), (struct captured){ slice_make(h->bytes, h->captured), h->len });
		held_free(f, h);
	}
	return err;
}

static int held_release_both(struct flows *f, struct flow *w, uint64_t time_ns)
{
	int err = w->ways[0].held ? held_release(f, w, 0, time_ns) : 0;

	return !err && w->ways[1].held ? held_release(f, w, 1, time_ns) : err;
}

static bool hold(struct flows *f, struct flow_way *y, uint64_t offset, struct captured c, uint64_t time_ns)
{
	size_t bytes = sizeof(struct held) + c.bytes.len;

	if (f->held_bytes + bytes > FLOWS_HELD_BYTES)
		return false;
	struct held *h = malloc(bytes);
	if (!h)
		return false;
	*h = (struct held){ .offset = offset, .len = c.len, .captured = (uint32_t)c.bytes.len };
	if (c.bytes.len)
		memcpy(h->bytes, c.bytes.ptr, c.bytes.len);
	if (!y->held)
		y->held_ns = time_ns;
	*(y->held ? &y->held_last->next : &y->held) = h;
	y->held_last = h;
	f->held_bytes += bytes;
	return true;
}

static uint64_t way_bytes(const struct flow_way *y)
{
	return y->begun ? y->last - y->first : 0;
}

static int emit_close(struct flows *f, struct flow *w, int error, uint32_t flags, uint64_t time_ns)
{
	struct record rec = { .u.sock_stats = {
		.h = header_of(PLUMB_REC_SOCK_CLOSE, time_ns),
		.sock = w->sock,
		.bytes_sent = way_bytes(&w->ways[w->local]),
		.bytes_received = way_bytes(&w->ways[!w->local]),
		.retransmits = w->retransmits,
		.error = error,
		.flags = flags,
		.family = w->key.family,
		.type = sock_type(w),
		.role = w->role,
		.local_port = w->key.port[w->local],
		.remote_port = w->key.port[!w->local],
	} };

	memcpy(rec.u.sock_stats.local_addr, w->key.addr[w->local], 16);
	memcpy(rec.u.sock_stats.remote_addr, w->key.addr[!w->local], 16);
	bool told = w->state == FLOW_OPEN;
	int err = told ? held_release_both(f, w, time_ns) : 0;
	w->state = FLOW_CLOSED;
	return told && !err ? f->emit(f->ctx, &rec, SLICE_NONE) : err;
}

static void flow_reset(struct flows *f, struct flow *w, const struct flow_key *key, uint64_t hash)
{
	held_drop(f, w);
	*w = (struct flow){ .key = *key, .hash = hash, .sock = f->next_sock++, .older = w->older, .newer = w->newer };
}

static struct flow *evict_one(struct flows *f, uint64_t time_ns, int *ret_err)
{
	struct flow *w = f->oldest;

	*ret_err = emit_close(f, w, 0, 0, time_ns);
	map_remove(&f->map, w->hash);
	lru_remove(f, w);
	f->evicted++;
	return w;
}

/* The packet's flow, made if need be. NULL without memory or when a record was refused; *ret_err says which. */
static struct flow *flow_of(struct flows *f, const struct packet *p, uint64_t time_ns, uint8_t *ret_from, int *ret_err)
{
	int order = memcmp(p->src, p->dst, 16);
	bool src_first = order < 0 || (order == 0 && p->sport <= p->dport);
	struct flow_key key = {
		.port = { src_first ? p->sport : p->dport, src_first ? p->dport : p->sport },
		.family = p->family,
		.protocol = p->protocol,
	};
	memcpy(key.addr[0], src_first ? p->src : p->dst, 16);
	memcpy(key.addr[1], src_first ? p->dst : p->src, 16);
	*ret_from = src_first ? 0 : 1;
	*ret_err = 0;

	uint64_t hash = hash_bytes(&key, sizeof(key), 0);
	struct flow *w = map_get(&f->map, hash);
	if (w) {
		lru_remove(f, w);
		lru_add(f, w);
		if (memcmp(&w->key, &key, sizeof(key)) == 0)
			return w;
		/* Two keys of one hash: the older flow gives way. */
		*ret_err = emit_close(f, w, 0, 0, time_ns);
		flow_reset(f, w, &key, hash);
		return *ret_err ? NULL : w;
	}
	if (f->map.len >= FLOWS_MAX)
		w = evict_one(f, time_ns, ret_err);
	else
		w = slab_get(&f->slab);
	if (!w) {
		*ret_err = -ENOMEM;
		return NULL;
	}
	int err = map_put(&f->map, hash, w);
	if (err) {
		slab_put(&f->slab, w);
		*ret_err = err;
		return NULL;
	}
	flow_reset(f, w, &key, hash);
	lru_add(f, w);
	return *ret_err ? NULL : w;
}

/* The 64-bit offset of a sequence number: the nearest to what was seen last. Starts high enough that nothing goes below zero. */
static uint64_t unwrap(struct flow_way *y, uint32_t seq)
{
	if (!y->begun) {
		y->begun = true;
		y->first = y->last = 1ULL << 32 | seq;
	}
	return y->last + (uint64_t)(int64_t)(int32_t)(seq - (uint32_t)y->last);
}

static int tcp_data(struct flows *f, struct flow *w, uint8_t from, const struct packet *p, uint64_t offset, uint64_t time_ns)
{
	struct flow_way *y = &w->ways[from];
	bool twice = offset == y->last_offset && p->payload.len == y->last_len && time_ns - y->last_ns <= duplicate_ns;

	if (offset + p->payload.len <= y->last && !twice)
		w->retransmits++;
	y->last_offset = offset;
	y->last_len = p->payload.len;
	y->last_ns = time_ns;
	bool early = y->syn && !y->told && offset > y->first;
	if (offset < y->first)
		y->first = offset;
	if (offset + p->payload.len > y->last)
		y->last = offset + p->payload.len;
	if (early && hold(f, y, offset, p->payload, time_ns))
		return 0;
	int err = early ? held_release(f, w, from, time_ns) : 0; /* no room to wait */
	struct record rec = data_record(w, from, offset, time_ns);
	if (!err)
		err = emit_chunks(f, &rec, sizeof(rec.u.data), p->payload);
	return err ? err : held_release(f, w, from, time_ns);
}

static int tcp_fin(struct flows *f, struct flow *w, uint8_t from, uint64_t offset, uint64_t time_ns)
{
	struct flow_way *y = &w->ways[from];

	if (y->fin)
		return 0;
	y->fin = true;
	y->fin_at = offset;
	int err = held_release(f, w, from, time_ns); /* the end must not come before what it ends */
	if (err)
		return err;
	struct record rec = data_record(w, from, offset, time_ns);
	rec.u.data.flags |= PLUMB_DATA_EOF;
	return f->emit(f->ctx, &rec, SLICE_NONE);
}

/*
 * Who called whom, at the first sight of a connection. Without handshake the lower port is taken for the
 * server's, the engine may know better.
 */
static void tcp_ends(struct flow *w, uint8_t from, const struct packet *p)
{
	if (p->tcp_flags & PACKET_SYN) {
		w->local = p->tcp_flags & PACKET_ACK ? !from : from;
		w->role = PLUMB_ROLE_CLIENT;
	} else {
		w->local = w->key.port[0] == w->key.port[1] ? from : w->key.port[0] > w->key.port[1] ? 0 : 1;
		w->role = PLUMB_ROLE_UNKNOWN;
	}
}

/* Whether this SYN cannot belong to the connection as it is known. */
static bool syn_is_new(const struct flow *w, uint8_t from, const struct packet *p)
{
	const struct flow_way *y = &w->ways[from];

	if (y->syn)
		return y->isn != p->seq;
	if (w->state == FLOW_CLOSED)
		return !(p->tcp_flags & PACKET_ACK) || !w->ways[!from].syn;
	/* Data overtook it, or the capture began within the handshake. */
	return y->begun && (uint32_t)y->first - (p->seq + 1) > late_syn_bytes;
}

static int tcp_syn(struct flows *f, struct flow *w, uint8_t from, const struct packet *p, uint64_t time_ns)
{
	struct flow_way *y = &w->ways[from];

	if (!y->syn) {
		y->syn = true;
		y->isn = p->seq;
		unwrap(y, p->seq + 1);
	}
	if (!(p->tcp_flags & PACKET_ACK))
		w->syn_ns = w->syn_ns ? w->syn_ns : time_ns;
	else if (w->state == FLOW_NEW && w->syn_ns)
		w->connect_us = (uint32_t)((time_ns - w->syn_ns) / 1000);
	/* The first SYN alone says nothing yet: told once it is answered or data comes. */
	bool answered = p->tcp_flags & PACKET_ACK || p->payload.len;
	return answered && w->state == FLOW_NEW ? emit_open(f, w, time_ns) : 0;
}

static int tcp_reset(struct flows *f, struct flow *w, uint8_t from, uint64_t time_ns)
{
	bool refused = w->state == FLOW_NEW && w->ways[!from].syn && !w->ways[from].syn;
	int err = w->state == FLOW_NEW ? emit_open(f, w, time_ns) : 0;

	if (err)
		return err;
	return refused ? emit_close(f, w, ECONNREFUSED, PLUMB_SOCK_CONNECT_FAILED | PLUMB_SOCK_RESET, time_ns)
		       : emit_close(f, w, ECONNRESET, PLUMB_SOCK_RESET, time_ns);
}

static bool said_goodbye(const struct flow *w)
{
	return w->ways[0].fin && w->ways[1].fin;
}

/* Both FINs acknowledged: nothing can come any more, as each end has everything. */
static bool tcp_acked(struct flow *w, uint8_t from, const struct packet *p)
{
	struct flow_way *other = &w->ways[!from];

	if (p->tcp_flags & PACKET_ACK && other->fin && (int32_t)(p->ack - (uint32_t)(other->fin_at + 1)) >= 0)
		other->fin_acked = true;
	return said_goodbye(w) && w->ways[0].fin_acked && w->ways[1].fin_acked;
}

static int tcp_packet(struct flows *f, struct flow *w, uint8_t from, const struct packet *p, uint64_t time_ns)
{
	bool syn = p->tcp_flags & PACKET_SYN, first = w->seen_ns == 0;
	int err = 0;

	if (!first && ((syn && syn_is_new(w, from, p)) || (w->state == FLOW_CLOSED && time_ns - w->seen_ns > idle_ns))) {
		err = emit_close(f, w, 0, 0, time_ns);
		flow_reset(f, w, &(struct flow_key){ 0 }, w->hash);
		return err ? err : -EAGAIN;
	}
	if (w->state == FLOW_CLOSED)
		return 0; /* stragglers */
	if (first)
		tcp_ends(w, from, p);
	w->seen_ns = time_ns ? time_ns : 1;
	if (syn)
		err = tcp_syn(f, w, from, p, time_ns);
	if (err)
		return err;

	bool rst = p->tcp_flags & PACKET_RST, fin = p->tcp_flags & PACKET_FIN;
	if (rst)
		return tcp_reset(f, w, from, time_ns);
	if (w->state == FLOW_NEW && (p->payload.len || fin))
		err = emit_open(f, w, time_ns);
	for (uint8_t i = 0; i < 2 && !err; i++)
		if (w->ways[i].held && time_ns - w->ways[i].held_ns > hold_ns)
			err = held_release(f, w, i, time_ns);
	uint64_t offset = unwrap(&w->ways[from], p->seq + syn);
	if (!err && p->payload.len)
		err = tcp_data(f, w, from, p, offset, time_ns);
	if (!err && fin)
		err = tcp_fin(f, w, from, offset + p->payload.len, time_ns);
	if (!err && tcp_acked(w, from, p))
		err = emit_close(f, w, 0, 0, time_ns);
	return err;
}

/* The same datagram seen at a second interface: same ends, same bytes, at nearly the same time. */
static bool seen_before(struct flows *f, const struct flow *w, uint8_t from, const struct packet *p, uint64_t time_ns)
{
	uint64_t hash = hash_bytes(p->payload.bytes.ptr, p->payload.bytes.len, w->hash + from + p->payload.len);

	for (size_t i = 0; i < FLOWS_RECENT; i++)
		if (f->recent[i].hash == hash && f->recent[i].time_ns && time_ns - f->recent[i].time_ns <= duplicate_ns)
			return true;
	f->recent[f->recent_at++ % FLOWS_RECENT] = (struct flows_recent){ hash, time_ns };
	return false;
}

static int udp_packet(struct flows *f, struct flow *w, uint8_t from, const struct packet *p, uint64_t time_ns)
{
	if (w->state == FLOW_OPEN && time_ns - w->seen_ns > idle_ns) {
		struct flow_key key = w->key;
		int err = emit_close(f, w, 0, 0, time_ns);
		if (err)
			return err;
		flow_reset(f, w, &key, w->hash);
	}
	w->seen_ns = time_ns;
	if (seen_before(f, w, from, p, time_ns)) {
		f->duplicates++;
		return 0;
	}
	if (w->state == FLOW_NEW) {
		w->local = from;
		w->role = PLUMB_ROLE_CLIENT;
		int err = emit_open(f, w, time_ns);
		if (err)
			return err;
	}
	struct flow_way *y = &w->ways[from];
	struct record rec = data_record(w, from, y->last, time_ns);
	rec.u.h.type = PLUMB_REC_DGRAM;
	rec.u.dgram.family = w->key.family;
	rec.u.dgram.peer_port = w->key.port[!w->local];
	rec.u.dgram.pad = 0;
	memcpy(rec.u.dgram.peer_addr, w->key.addr[!w->local], 16);
	y->begun = true;
	y->last += p->payload.len;
	return emit_chunks(f, &rec, sizeof(rec.u.dgram), p->payload);
}

int flows_packet(struct flows *f, const struct packet *p, uint64_t time_ns)
{
	uint8_t from;
	int err;
	struct flow *w = flow_of(f, p, time_ns, &from, &err);

	if (!w)
		return err;
	if (p->protocol == IPPROTO_UDP)
		return udp_packet(f, w, from, p, time_ns);
	struct flow_key key = w->key;
	err = tcp_packet(f, w, from, p, time_ns);
	if (err != -EAGAIN)
		return err;
	w->key = key; /* the ends met again: a new connection of the same ports */
	return tcp_packet(f, w, from, p, time_ns);
}

int flows_finish(struct flows *f, uint64_t time_ns)
{
	int err = 0;

	for (struct flow *w = f->oldest; w && !err; w = w->newer) {
		err = held_release_both(f, w, time_ns);
		if (!err && w->state == FLOW_OPEN && w->key.protocol == IPPROTO_TCP && said_goodbye(w))
			err = emit_close(f, w, 0, 0, time_ns);
	}
	return err;
}
