/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/masker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/map.h"
#include "lib/slab.h"
#include "proto/masker_calls.h"
#include "proto/masker_way.h"
#include "proto/rocketmq_wire.h"
#include "proto/zookeeper_wire.h"

enum { PORT_DNS = 53, PORT_MDNS = 5353, PORT_LLMNR = 5355, PREFACE_BYTES = 16 };

struct masker {
	uint32_t max;
	uint64_t key;
	struct map map;
	struct slab slab;
	struct mask_conn *oldest, *newest;
};

int masker_new(uint32_t max_connections, uint64_t key, struct masker **ret_masker)
{
	struct masker *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->max = max_connections ? max_connections : 65536;
	m->key = key;
	map_init(&m->map, m->max);
	slab_init(&m->slab, sizeof(struct mask_conn), m->max);
	*ret_masker = m;
	return 0;
}

void masker_free(struct masker *m)
{
	if (!m)
		return;
	map_done(&m->map);
	slab_done(&m->slab);
	free(m);
}

static void forget(struct masker *m, struct mask_conn *c)
{
	map_remove(&m->map, c->sock);
	*(c->older ? &c->older->newer : &m->oldest) = c->newer;
	*(c->newer ? &c->newer->older : &m->newest) = c->older;
	slab_put(&m->slab, c);
}

static struct mask_conn *conn_of(struct masker *m, uint64_t sock)
{
	struct mask_conn *c = map_get(&m->map, sock);

	if (c)
		return c;
	if (m->map.len >= m->max && m->oldest)
		forget(m, m->oldest);
	c = slab_get(&m->slab);
	if (!c)
		return NULL;
	c->sock = sock;
	c->key = m->key;
	if (map_put(&m->map, sock, c)) {
		slab_put(&m->slab, c);
		return NULL;
	}
	c->older = m->newest;
	*(m->newest ? &m->newest->newer : &m->oldest) = c;
	m->newest = c;
	return c;
}

#define MASKER_MASKED(symbol) &mask_##symbol
#define MASKER_BLANK(symbol) NULL
#define MASKER_CALLS(symbol) NULL
#define MASKER_EXTERN_MASKED(symbol) extern const struct mask_ops mask_##symbol;
#define MASKER_EXTERN_BLANK(symbol)
#define MASKER_EXTERN_CALLS(symbol)

#define PROTOCOL(id, symbol, name, family, statement, recording, ...) MASKER_EXTERN_##recording(symbol)
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL

static const struct mask_ops *const maskers[PLUMB_PROTO_COUNT] = {
#define PROTOCOL(id, symbol, name, family, statement, recording, ...) [PLUMB_PROTO_##id] = MASKER_##recording(symbol),
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
};

/* If the first bytes lie, the protocol's masker finds no word of its list and masks all. */
static uint8_t protocol_by(struct slice in)
{
	enum mask_opens best = MASK_OPENS_NOT;
	uint8_t protocol = PLUMB_PROTO_NONE;

	for (uint8_t id = 1; id < (uint8_t)PLUMB_PROTO_COUNT; id++) {
		enum mask_opens opens = maskers[id] && maskers[id]->opens ? maskers[id]->opens(in) : MASK_OPENS_NOT;
		if (opens <= best)
			continue;
		best = opens;
		protocol = id;
	}
	return protocol;
}

static bool begins(const struct mask_conn *c, struct slice in) { return maskers[c->protocol] && maskers[c->protocol]->begins && maskers[c->protocol]->begins(in); }

/* Way 0 is the one of who spoke first: for PostgreSQL the client, whose start-up message named the protocol, for MySQL the server, which greets. */
static struct mask_way *way_of(struct mask_conn *c, uint8_t direction)
{
	return &c->ways[direction != c->to_server];
}

static void run(struct mask_conn *c, struct mask_way *y, uint8_t *p, size_t n)
{
	const struct mask_ops *ops = maskers[c->protocol];

	y->key = c->key;
	if (y->state < MASK_LOST && ops && ops->mask)
		ops->mask(c, y, p, n);
	else
		memset(p, 'x', n);
}

/*
 * n bytes that were not captured. Inside a body of known length they are stepped over by masking as many; else the place is lost.
 */
static void hole(struct mask_conn *c, struct mask_way *y, uint64_t n)
{
	const struct mask_ops *ops = maskers[c->protocol];
	uint8_t nothing[256] = { 0 };

	if (y->state >= MASK_LOST)
		return;
	if (y->remain < n || !ops || (y->remain == n && !ops->ends_with_body)) {
		y->state = MASK_LOST;
		return;
	}
	/* The rest of the body stands at no known place of its grammar: nothing of it stays. */
	y->type = 0;
	y->word_len = MASK_WORD;
	if (ops->hole)
		ops->hole(y);
	if (n > sizeof(nothing)) {
		y->remain -= n - sizeof(nothing);
		n = sizeof(nothing);
	}
	run(c, y, nothing, (size_t)n);
}

/*
 * A server of HTTP/2 may have spoken first, with a byte that PostgreSQL's client begins with, too. What it said is masked by now; the
 * client's preface cannot be mistaken.
 */
static void maybe_http2(struct mask_conn *c, const struct plumb_rec_data *d, const uint8_t *p, size_t len)
{
	struct mask_way *y = way_of(c, d->direction);

	if (c->protocol != PLUMB_PROTO_POSTGRES || y->begun || len < PREFACE_BYTES || memcmp(p, "PRI * HTTP/2.0\r\n", PREFACE_BYTES) != 0)
		return;
	c->protocol = PLUMB_PROTO_HTTP1; /* its masker knows the rest */
	way_of(c, !d->direction)->state = MASK_LOST;
}

/* Servers of Kafka and of ZooKeeper read a size first, alone. What follows it tells them apart; until then both have kept it, and nothing else. */
static void maybe_zookeeper(struct mask_conn *c, const struct plumb_rec_data *d, const uint8_t *p, size_t len)
{
	struct mask_way *y = way_of(c, d->direction);
	uint8_t first[ZOOKEEPER_CONNECT];

	if (c->protocol != PLUMB_PROTO_KAFKA || c->ways[1].begun || y != &c->ways[0] || y->state || y->digits != ZOOKEEPER_SIZE || d->offset != y->next || len < sizeof(first) - ZOOKEEPER_SIZE)
		return;
	memcpy(first, y->word, ZOOKEEPER_SIZE);
	memcpy(first + ZOOKEEPER_SIZE, p, sizeof(first) - ZOOKEEPER_SIZE);
	if (maskers[PLUMB_PROTO_ZOOKEEPER]->opens(slice_make(first, sizeof(first))) != MASK_OPENS_SURELY)
		return;
	c->protocol = PLUMB_PROTO_ZOOKEEPER;
	/* Nothing that is Kafka's goes on: the other way has not begun. */
	memset(c->memory, 0, sizeof(c->memory));
	memset(y->memory, 0, sizeof(y->memory));
	y->remain = y->number = y->length = y->part = 0;
	y->flags = 0;
}

/*
 * A reader that takes a length alone, and then what is behind it: it was taken for Kafka's, whose requests go on with a zero, and with a small version where it is followed by a second. What
 * stayed of it is a length in Thrift and RocketMQ, too, and if what follows lies, their maskers mask all.
 */
static void maybe_other(struct mask_conn *c, const struct plumb_rec_data *d, const uint8_t *p, size_t len)
{
	struct mask_way *y = way_of(c, d->direction);

	if (!c->length_alone || len == 0)
		return;
	c->length_alone = false;
	uint8_t protocol = p[0] == 0x80 || p[0] == 0x82 || p[0] == 0x0f ? PLUMB_PROTO_THRIFT : rocketmq_goes_on(load_be32(c->length), slice_make(p, len)) ? PLUMB_PROTO_ROCKETMQ : PLUMB_PROTO_NONE;
	if (d->direction != c->to_server || y->next != d->offset || protocol == PLUMB_PROTO_NONE)
		return;
	c->protocol = protocol;
	memset(c->memory, 0, sizeof(c->memory));
	*y = (struct mask_way){ .next = y->next, .begun = true };
	maskers[protocol]->mask(c, y, c->length, sizeof(c->length));
}

static void stream(struct masker *m, const struct plumb_rec_data *d, uint8_t *p, size_t len)
{
	struct mask_conn *c = d->len ? conn_of(m, d->sock) : NULL;

	/* From here on the kernel encrypts: what was said before was a handshake, and nothing of it goes on. */
	if (c && PLUMB_IS_PLAIN(d->offset) && !c->plain) {
		forget(m, c);
		c = conn_of(m, d->sock);
		if (c)
			c->plain = true;
	}
	if (!c || c->plain != PLUMB_IS_PLAIN(d->offset)) {
		if (len)
			memset(p, 'x', len);
		return;
	}
	if (!c->protocol && len) {
		bool first = !c->ways[0].begun && !c->ways[1].begun;
		c->protocol = first ? protocol_by(slice_make(p, len)) : maskers[PLUMB_PROTO_HTTP1]->begins(slice_make(p, len)) ? PLUMB_PROTO_HTTP1 : PLUMB_PROTO_NONE;
		c->to_server = d->direction; /* who speaks first */
		c->length_alone = c->protocol == PLUMB_PROTO_KAFKA && first && len == sizeof(c->length) && d->len == len;
		if (c->length_alone)
			memcpy(c->length, p, len);
	} else {
		maybe_other(c, d, p, len);
	}
	maybe_http2(c, d, p, len);
	maybe_zookeeper(c, d, p, len);
	struct mask_way *y = way_of(c, d->direction);
	if (y->begun && d->offset < y->next) { /* seen before, or out of order: its place is past */
		if (len)
			memset(p, 'x', len);
		return;
	}
	if (y->begun && d->offset > y->next)
		y->state = y->state == MASK_OPAQUE ? MASK_OPAQUE : MASK_LOST;
	y->begun = true;
	y->next = d->offset + d->len;
	if (y->state == MASK_LOST && !(d->flags & PLUMB_DATA_CONTINUED) && begins(c, slice_make(p, len)))
		*y = (struct mask_way){ .next = y->next, .begun = true }; /* a new message */
	if (len)
		run(c, y, p, len);
	if (d->len > len)
		hole(c, y, d->len - len);
}

static bool is_dns(uint16_t port)
{
	return port == PORT_DNS || port == PORT_MDNS || port == PORT_LLMNR;
}

static void datagram(struct masker *m, const struct plumb_rec_dgram *d, uint8_t *p, size_t len)
{
	const struct mask_conn *c = map_get(&m->map, d->d.sock);

	if (is_dns(d->peer_port) || (c && c->protocol == PLUMB_PROTO_DNS))
		mask_dns_datagram(p, len);
	else
		memset(p, 'x', len);
}

void masker_record(void *ctx, struct record *rec, uint8_t *payload, size_t len)
{
	struct masker *m = ctx;
	struct mask_conn *c;

	switch (rec->u.h.type) {
	case PLUMB_REC_SOCK_OPEN:
		c = map_get(&m->map, rec->u.sock.sock);
		if (c)
			forget(m, c);
		if (rec->u.sock.type == SOCK_DGRAM && is_dns(rec->u.sock.local_port) && (c = conn_of(m, rec->u.sock.sock)))
			c->protocol = PLUMB_PROTO_DNS;
		break;
	case PLUMB_REC_SOCK_CLOSE:
		c = map_get(&m->map, rec->u.sock_stats.sock);
		if (c)
			forget(m, c);
		break;
	case PLUMB_REC_DATA:
		if (PLUMB_IS_SESSION(rec->u.data.sock) && rec->u.data.flags & PLUMB_DATA_RECORD)
			rec->u.data.record = mask_tls_number(m->key, rec->u.data.record);
		stream(m, &rec->u.data, payload, len);
		break;
	case PLUMB_REC_CALL:
		if (len)
			mask_call(&rec->u.call, payload, len);
		break;
	case PLUMB_REC_DGRAM:
		if (len)
			datagram(m, &rec->u.dgram, payload, len);
		break;
	default: break;
	}
}
