/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pairing_table.h"

#include <stddef.h>

#include "lib/hash.h"
#include "lib/prefetch.h"

enum { TWIN_STEPS = 64 }; /* exchanges looked at for a twin: one that is further behind is left to its time-out */

void pairing_init(struct pairing *p, const struct proto_engine_options *o, const struct proto_engine_handler *h, struct proto_counts *counts)
{
	uint32_t max = o->max_exchanges ? o->max_exchanges : 32768;

	*p = (struct pairing){
		.handler = *h,
		.counts = counts,
		.processes = o->processes,
		.max_per_connection = o->max_per_connection ? o->max_per_connection : 16384,
		.fair_share = max / PAIRING_SHARES,
		.timeout_ns = o->timeout_ns ? o->timeout_ns : 60ull * 1000 * 1000 * 1000,
	};
	slab_init(&p->small, sizeof(struct exchange), max);
	slab_init(&p->large, EXCHANGE_ARENA_LARGE_BYTES, max / 8 + 1);
	map_init(&p->keyed, max);
}

void pairing_done(struct pairing *p)
{
	map_done(&p->keyed);
	slab_done(&p->large);
	slab_done(&p->small);
}

void pairing_free_exchange(struct pairing *p, struct exchange *x)
{
	if (p->processes)
		process_table_unref(p->processes, x->process);
	if (x->large)
		slab_put(&p->large, x->large);
	slab_put(&p->small, x);
}

/* Lists by deadline. */

void deadline_add(struct exchange_list *l, struct exchange *x, uint64_t deadline_ns)
{
	x->deadline_ns = deadline_ns;
	x->older = l->newest;
	x->newer = NULL;
	*(l->newest ? &l->newest->newer : &l->oldest) = x;
	l->newest = x;
}

void deadline_remove(struct exchange_list *l, struct exchange *x)
{
	*(x->older ? &x->older->newer : &l->oldest) = x->newer;
	*(x->newer ? &x->newer->older : &l->newest) = x->older;
}

void pairing_early_add(struct pairing *p, struct exchange *x, uint64_t deadline_ns)
{
	x->state |= EARLY;
	x->conn->early++;
	deadline_add(&p->early, x, deadline_ns);
}

void pairing_early_remove(struct pairing *p, struct exchange *x)
{
	x->state &= ~(uint32_t)EARLY;
	x->conn->early--;
	deadline_remove(&p->early, x);
}

/* Keys. */

static uint64_t key_hash(const struct pairing *p, const struct connection *c, uint64_t key)
{
	uint64_t words[2] = { c->sock, key };

	return hash_bytes(words, sizeof(words), p->seed);
}

static bool same_key(const struct exchange *a, const struct exchange *b) { return a->keyed && a->key == b->key && a->hash == b->hash; }

static void key_add(struct pairing *p, struct exchange *x)
{
	struct exchange *old = map_get(&p->keyed, x->hash);

	if (old) {
		x->state |= TWIN; /* the older one is answered first */
		old->state |= HAS_TWINS;
	} else {
		if (map_put(&p->keyed, x->hash, x)) /* never full, but there may be no memory: its response will find nothing */
			p->counts->exchanges_refused++;
	}
}

static struct exchange *next_twin(const struct exchange *x, struct exchange *at, int *steps)
{
	if (!(x->state & HAS_TWINS))
		return NULL;
	for (; at && (*steps)++ < TWIN_STEPS; at = at->next)
		if (at->state & TWIN && same_key(at, x))
			return at;
	return NULL;
}

static void key_remove(struct pairing *p, struct exchange *x)
{
	int steps = 0;

	if (map_get(&p->keyed, x->hash) != x)
		return;
	map_remove(&p->keyed, x->hash);
	struct exchange *twin = next_twin(x, x->next, &steps);
	if (!twin)
		return;
	(void)map_put(&p->keyed, twin->hash, twin); /* in the place just left: cannot fail */
	twin->state &= ~(uint32_t)TWIN;
	twin->state |= HAS_TWINS; /* perhaps */
}

static bool peer_fits(const struct exchange *x, const struct extent *at)
{
	return !peer_known(at->peer) || !peer_known(&x->peer) ||
	       (x->peer.port == at->peer->port && memcmp(x->peer.addr, at->peer->addr, sizeof(x->peer.addr)) == 0);
}

struct exchange *pairing_find(const struct pairing *p, const struct connection *c, uint64_t key, const struct extent *at)
{
	struct exchange *x = map_get(&p->keyed, key_hash(p, c, key));

	if (!x || x->conn != c || x->key != key)
		return NULL;
	if (peer_fits(x, at))
		return x;
	int steps = 0;
	for (struct exchange *twin = next_twin(x, x->next, &steps); twin; twin = next_twin(x, twin->next, &steps))
		if (peer_fits(twin, at))
			return twin;
	return NULL;
}

/* Life of an exchange. */

void pairing_set_key(struct pairing *p, struct exchange *x, const struct message *m)
{
	if (!m->keyed)
		return;
	x->keyed = true;
	x->key = m->key;
	x->hash = key_hash(p, x->conn, m->key);
	key_add(p, x);
}

void pairing_announce(struct pairing *p, struct exchange *x, uint64_t known_ns)
{
	if (x->state & ANNOUNCED)
		return;
	x->known_ns = known_ns;
	x->state |= ANNOUNCED;
	p->handler.begin(p->handler.ctx, x);
}

static void leave_heavy(struct pairing *p, const struct connection *c)
{
	uint32_t i = 0;

	while (p->heavy[i] != c)
		i++;
	p->heavy[i] = p->heavy[--p->heavy_count];
}

void pairing_complete(struct pairing *p, struct exchange *x)
{
	struct connection *c = x->conn;

	for (int d = 0; d < 2; d++)
		if (c->progress[d].exchange == x)
			c->progress[d].exchange = NULL;
	if (x->keyed)
		key_remove(p, x);
	*(x->prev ? &x->prev->next : &c->first) = x->next;
	*(x->next ? &x->next->prev : &c->last) = x->prev;
	if (--c->open == p->fair_share)
		leave_heavy(p, c);
	if (x->state & EARLY)
		pairing_early_remove(p, x);
	else
		deadline_remove(&p->waiting, x);
	x->prev = x->next = x->older = x->newer = NULL;
	if (!(x->state & REQUEST_BEGUN)) {
		x->flags |= EXCHANGE_NO_REQUEST;
		p->counts->unmatched[x->protocol]++;
	}
	if (!(x->state & (RESPONSE_BEGUN | NO_RESPONSE | QUIET)))
		p->counts->unanswered[x->protocol]++;
	if (x->flags & EXCHANGE_TRUNCATED)
		p->counts->attrs_cut++;
	p->counts->exchanges_open--;
	p->counts->exchanges[x->protocol]++;
	pairing_announce(p, x, 0);
	p->handler.end(p->handler.ctx, x);
}

void exchange_fail(struct exchange *x, const char *error_type)
{
	size_t len = strnlen(error_type, sizeof(x->error_type) - 1);

	if (len == 0 || x->flags & EXCHANGE_ERROR)
		return;
	x->flags |= EXCHANGE_ERROR;
	memcpy(x->error_type, error_type, len);
	x->error_type[len] = 0;
}

/*
 * The table is full: an exchange of the connection that has most gives way, if that is more than its fair share. By key it is the one
 * that has waited longest. In order it is the newest, which becomes a ghost: the responses to those before it still find theirs.
 */
static void make_room(struct pairing *p, const struct connection *asker, uint64_t time_ns)
{
	struct connection *c = NULL;

	for (uint32_t i = 0; i < p->heavy_count; i++)
		if (!c || p->heavy[i]->open > c->open)
			c = p->heavy[i];
	if (!c || (c != asker && c->open <= asker->open) || (c == asker && !c->first->keyed))
		return;
	struct exchange *x = c->first->keyed ? c->first : c->last;
	if (!x->keyed && !(x->state & RESPONSE_BEGUN))
		c->ghosts++;
	for (int d = 0; d < 2; d++)
		if (c->progress[d].exchange == x)
			c->progress[d].refused = true;
	if (x->keyed || x->state & EARLY)
		c->synced = false; /* its other half, should it come, is nobody's */
	if (!(x->state & REQUEST_ENDED))
		x->request.end_ns = time_ns;
	if (!(x->state & RESPONSE_ENDED)) {
		x->response.end_ns = time_ns;
		exchange_fail(x, "evicted");
	}
	p->counts->exchanges_evicted++;
	pairing_complete(p, x);
}

struct exchange *pairing_new_exchange(struct pairing *p, struct connection *c, enum plumb_direction dir, bool request, const struct extent *at)
{
	if (p->small.used == p->small.max && c->open < p->max_per_connection)
		make_room(p, c, at->start_ns);
	struct exchange *x = c->open < p->max_per_connection ? slab_get_raw(&p->small) : NULL;

	if (!x) {
		p->counts->exchanges_refused++;
		return NULL;
	}
	/* attrs and arena_memory are large and read only as far as they were written. */
	prefetch(x->attrs, 8 * sizeof(x->attrs[0]));
	prefetch(x->arena_memory, 256);
	memset(x, 0, offsetof(struct exchange, attrs));
	memset((uint8_t *)x + offsetof(struct exchange, nattrs), 0, offsetof(struct exchange, arena_memory) - offsetof(struct exchange, nattrs));
	x->id = ++p->next_id;
	x->conn = c;
	x->process = process_hold(c->process);
	x->protocol = c->protocol;
	x->role = (dir == PLUMB_EGRESS) == request ? PLUMB_ROLE_CLIENT : PLUMB_ROLE_SERVER;
	x->flags = (at->side == PROTO_TO_SERVER) == request ? 0 : EXCHANGE_REVERSED;
	x->peer = peer_known(at->peer) ? *at->peer : c->remote;
	arena_init(&x->arena, x->arena_memory, EXCHANGE_ARENA_BYTES);

	x->prev = c->last;
	*(c->last ? &c->last->next : &c->first) = x;
	c->last = x;
	if (c->open++ == p->fair_share)
		p->heavy[p->heavy_count++] = c;
	c->range_credit = c->range_credit > UINT32_MAX - PAIRING_RANGE_STEPS ? UINT32_MAX : c->range_credit + PAIRING_RANGE_STEPS;
	p->counts->exchanges_open++;
	deadline_add(&p->waiting, x, at->start_ns + p->timeout_ns);
	return x;
}

/* Attributes. */

struct slice pairing_keep_text(struct pairing *p, struct exchange *x, struct slice s)
{
	bool cut = false;

	if (s.len > x->arena.cap - x->arena.used && !x->large) {
		x->large = slab_get_raw(&p->large);
		if (x->large)
			arena_init(&x->arena, x->large, EXCHANGE_ARENA_LARGE_BYTES); /* what the small one holds stays valid */
	}
	s = arena_copy(&x->arena, s, &cut);
	if (cut)
		x->flags |= EXCHANGE_TRUNCATED;
	return s;
}

void pairing_keep_attrs(struct pairing *p, struct exchange *x, const struct message *m)
{
	uint32_t before = x->nattrs; /* a message's own are told apart by the parser */
	bool repeats = m->kind == MESSAGE_RESPONSE && m->flags & MESSAGE_BEGIN && x->state & REQUEST_BEGUN;

	for (uint32_t i = 0; i < m->nattrs && i < MESSAGE_ATTRS_MAX; i++) {
		const struct attr *a = &m->attrs[i];
		uint32_t slot = 0;

		/*
		 * Once each: a later part of a message knows better than an earlier one, and a request
		 * knows better than its response.
		 */
		while (slot < before && (x->attrs[slot].id != a->id || a->id == ATTR_RAW_LINK))
			slot++;
		if (slot < before && repeats)
			continue;
		if (slot == before)
			slot = x->nattrs;
		if (slot == EXCHANGE_ATTRS_MAX) {
			x->flags |= EXCHANGE_TRUNCATED;
			continue;
		}
		/* Field by field, as the parser has just written them: a wide load of narrow stores makes the processor wait. */
		struct attr *to = &x->attrs[slot];
		to->id = a->id;
		to->type = a->type;
		if (a->type == ATTR_TYPE_STR)
			to->str = pairing_keep_text(p, x, slice_make(a->str.ptr, a->str.len));
		else
			to->num = a->num;
		if (slot == x->nattrs)
			x->nattrs++;
	}
	if (m->flags & MESSAGE_ERROR) {
		x->flags |= EXCHANGE_ERROR;
		memcpy(x->error_type, m->error_type, sizeof(x->error_type) - 1);
	}
}
