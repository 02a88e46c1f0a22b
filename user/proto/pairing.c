/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pairing.h"

#include <stddef.h>

#include "lib/hash.h"
#include "lib/prefetch.h"

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

enum { TWIN_STEPS = 64 }; /* exchanges looked at for a twin: one that is further behind is left to its time-out */

enum { EARLY_MAX = 64 }; /* of one connection; what is beyond it no request explains */

enum { EARLY_NS = 2 * 1000 * 1000 }; /* how much later than its response a request's record may be processed */

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

static void list_add(struct exchange_list *l, struct exchange *x, uint64_t deadline_ns)
{
	x->deadline_ns = deadline_ns;
	x->older = l->newest;
	x->newer = NULL;
	*(l->newest ? &l->newest->newer : &l->oldest) = x;
	l->newest = x;
}

static void list_remove(struct exchange_list *l, struct exchange *x)
{
	*(x->older ? &x->older->newer : &l->oldest) = x->newer;
	*(x->newer ? &x->newer->older : &l->newest) = x->older;
}

static void early_add(struct pairing *p, struct exchange *x, uint64_t deadline_ns)
{
	x->state |= EARLY;
	x->conn->early++;
	list_add(&p->early, x, deadline_ns);
}

static void early_remove(struct pairing *p, struct exchange *x)
{
	x->state &= ~(uint32_t)EARLY;
	x->conn->early--;
	list_remove(&p->early, x);
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

/*
 * The peer of a datagram that a socket without a fixed peer receives is often not known (its address is copied out after the
 * record is written), so a key is looked up alone, and a peer tells exchanges apart only where both sides know it.
 */
static bool peer_known(const struct endpoint *e) { return e && e->port != 0; }

static bool peer_fits(const struct exchange *x, const struct extent *at)
{
	return !peer_known(at->peer) || !peer_known(&x->peer) ||
	       (x->peer.port == at->peer->port && memcmp(x->peer.addr, at->peer->addr, sizeof(x->peer.addr)) == 0);
}

/* The oldest open exchange of this key and peer. */
static struct exchange *key_find(const struct pairing *p, const struct connection *c, uint64_t key, const struct extent *at)
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

static void set_key(struct pairing *p, struct exchange *x, const struct message *m)
{
	if (!m->keyed)
		return;
	x->keyed = true;
	x->key = m->key;
	x->hash = key_hash(p, x->conn, m->key);
	key_add(p, x);
}

static void announce(struct pairing *p, struct exchange *x, uint64_t known_ns)
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

/* Out of all tables and over to the handler. */
static void complete(struct pairing *p, struct exchange *x)
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
		early_remove(p, x);
	else
		list_remove(&p->waiting, x);
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
	announce(p, x, 0);
	p->handler.end(p->handler.ctx, x);
}

static void set_error(struct exchange *x, const char *error_type)
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
		set_error(x, "evicted");
	}
	p->counts->exchanges_evicted++;
	complete(p, x);
}

/* `request`: these bytes ask, else they answer. */
static struct exchange *exchange_new(struct pairing *p, struct connection *c, enum plumb_direction dir, bool request, const struct extent *at)
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
	p->counts->exchanges_open++;
	list_add(&p->waiting, x, at->start_ns + p->timeout_ns);
	return x;
}

/* The end of a request was lost, and its response has come: all that passed its way by now is of it, where nothing else is open. */
static void request_as_seen(const struct connection *c, struct exchange *x)
{
	const struct stream *s = &c->streams[x->role == PLUMB_ROLE_CLIENT ? PLUMB_EGRESS : PLUMB_INGRESS];

	if (x->keyed || c->open > 1 || !(x->state & REQUEST_BEGUN) || x->state & REQUEST_ENDED)
		return;
	if (s->end > x->request.offset)
		x->request.bytes = s->end - x->request.offset;
	if (!x->request.end_ns && s->last_ns >= x->request.start_ns)
		x->request.end_ns = s->last_ns;
}

static void complete_if_done(struct pairing *p, struct exchange *x)
{
	if (x->state & EARLY)
		return;
	if (x->state & REQUEST_ENDED && x->state & NO_RESPONSE) {
		complete(p, x);
		return;
	}
	bool request_done = x->state & REQUEST_ENDED || !(x->state & REQUEST_BEGUN) || x->flags & (EXCHANGE_HOLE | EXCHANGE_MALFORMED);
	if (x->state & RESPONSE_ENDED && request_done) {
		request_as_seen(x->conn, x);
		complete(p, x);
	}
}

/*
 * Nobody will tell where this response ended, and the next request has begun, or nothing more comes: it lasted until the last byte that passed its way. Where several
 * are open these may be another one's.
 */
static void end_as_seen(const struct connection *c, struct exchange *x, uint64_t time_ns)
{
	const struct stream *s = &c->streams[x->role == PLUMB_ROLE_CLIENT ? PLUMB_INGRESS : PLUMB_EGRESS];
	uint64_t since_ns = x->state & RESPONSE_BEGUN ? x->response.start_ns : x->request.end_ns;

	if (x->state & RESPONSE_ENDED || s->last_ns > time_ns || s->last_ns <= since_ns || (c->open > 1 && !(x->state & RESPONSE_BEGUN)))
		return;
	x->response.end_ns = s->last_ns;
	if (x->state & RESPONSE_BEGUN && !x->keyed && s->end > x->response.offset)
		x->response.bytes = s->end - x->response.offset;
}

/* Incomplete, and over: what comes belongs to others. */
static void give_up(struct pairing *p, struct exchange *x, uint64_t time_ns)
{
	end_as_seen(x->conn, x, time_ns);
	x->flags |= EXCHANGE_HOLE;
	complete(p, x);
}

/* Attributes. */

static struct slice keep_text(struct pairing *p, struct exchange *x, struct slice s)
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

static void keep_attrs(struct pairing *p, struct exchange *x, const struct message *m)
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
			to->str = keep_text(p, x, slice_make(a->str.ptr, a->str.len));
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

/* Sides. */

static void side_begin(struct exchange_side *s, const struct extent *at)
{
	*s = (struct exchange_side){ .start_ns = at->start_ns, .offset = at->offset, .tid = at->tid, .flow = at->flow };
}

static void end_side(struct pairing *p, struct exchange *x, bool response, uint64_t end, uint64_t end_ns)
{
	struct exchange_side *s = response ? &x->response : &x->request;

	if (x->state & (response ? RESPONSE_ENDED : REQUEST_ENDED)) {
		complete_if_done(p, x); /* ended before it began: its abortion was seen first */
		return;
	}
	s->end_ns = end_ns;
	if (!x->keyed && end > s->offset)
		s->bytes = end - s->offset;
	x->state |= response ? RESPONSE_ENDED : REQUEST_ENDED;
	if (!response && !(x->state & EARLY)) {
		/* From the end of the request the response has its time. */
		list_remove(&p->waiting, x);
		list_add(&p->waiting, x, end_ns + p->timeout_ns);
	}
	complete_if_done(p, x);
}

/* What the connection becomes lasts as long as it does, and comes from who asked for it. */
static void begin_session(struct pairing *p, struct connection *c, const struct exchange *from, uint64_t time_ns)
{
	enum plumb_direction dir = from->role == PLUMB_ROLE_CLIENT ? PLUMB_EGRESS : PLUMB_INGRESS;
	struct extent at = { .offset = c->streams[dir].next, .start_ns = time_ns, .end_ns = time_ns, .tid = from->request.tid, .flow = from->request.flow, .side = PROTO_TO_SERVER };
	const struct message m = { .keyed = true, .key = PROTO_SESSION_KEY };
	struct exchange *x = exchange_new(p, c, dir, true, &at); /* never in the place of `from`, which has no key */

	if (!x)
		return;
	x->protocol = c->next;
	x->flags |= EXCHANGE_SESSION;
	for (uint32_t i = 0; i < from->nattrs; i++)
		if (from->attrs[i].type == ATTR_TYPE_STR)
			x->attrs[x->nattrs++] = (struct attr){ .id = from->attrs[i].id, .type = ATTR_TYPE_STR, .str = keep_text(p, x, from->attrs[i].str) };
	set_key(p, x, &m);
	x->state |= REQUEST_BEGUN;
	side_begin(&x->request, &at);
	announce(p, x, time_ns);
}

static void switch_to(struct pairing *p, struct connection *c, const struct exchange *x, uint16_t next, uint64_t time_ns)
{
	const struct proto_ops *ops = proto_get(next);

	c->phase = CONNECTION_OPAQUE;
	c->next = next;
	if (x && ops && ops->session && p->enabled[next])
		begin_session(p, c, x, time_ns);
}

void pairing_end(struct pairing *p, struct connection *c, enum plumb_direction dir, uint64_t end, uint64_t end_ns)
{
	struct progress *pr = &c->progress[dir];
	struct exchange *x = pr->exchange;
	bool response = pr->open == 1 + MESSAGE_RESPONSE;

	if (pr->open && pr->switch_after)
		switch_to(p, c, x, pr->next, end_ns);
	pr->open = 0;
	pr->end_after_skip = pr->until_close = pr->switch_after = pr->refused = false;
	pr->exchange = NULL;
	if (x)
		end_side(p, x, response, end, end_ns);
}

/* Requests. */

/* The oldest response that came before its request. */
static struct exchange *find_early(const struct pairing *p, struct connection *c, const struct message *m, const struct extent *at)
{
	if (!c->early)
		return NULL;
	if (m->keyed) {
		struct exchange *x = key_find(p, c, m->key, at);
		return x && x->state & EARLY ? x : NULL;
	}
	for (struct exchange *x = c->first; x; x = x->next)
		if (x->state & EARLY)
			return x;
	return NULL;
}

static struct exchange *adopt(struct pairing *p, struct exchange *x)
{
	early_remove(p, x);
	list_add(&p->waiting, x, x->response.start_ns + p->timeout_ns);
	p->counts->adopted++;
	return x;
}

/* In one I/O the end of a request and the beginning of the next: nobody can have answered in between. */
static bool came_with_the_last(const struct connection *c, enum plumb_direction dir, const struct extent *at)
{
	const struct exchange *x = c->last;

	return x && (x->state & (REQUEST_ENDED | RESPONSE_BEGUN | EARLY)) == REQUEST_ENDED && !(x->flags & EXCHANGE_HOLE) && x->request.end_ns == at->start_ns &&
	       at->start_ns != c->streams[dir].unseen_ns;
}

/* Before a request begins: what do the open ones tell? See the header. */
static void observe_request(struct pairing *p, struct connection *c, enum plumb_direction dir, const struct extent *at)
{
	/* Where a response is lost and the next not found yet, it may have been this request's: as good as open. */
	bool searching = c->streams[dir == PLUMB_EGRESS ? PLUMB_INGRESS : PLUMB_EGRESS].lost;
	bool open = c->first && !(c->first->state & EARLY);

	bool turn = c->answered;

	c->answered = false;
	if (came_with_the_last(c, dir, at))
		c->pipelines = true;
	if (open && turn && c->synced)
		c->may_overlap = true; /* or an answer was lost: the next one, or its absence, tells */
	bool rests = !c->pipelines || (turn && !c->overlaps);

	if (open && !c->synced && rests) {
		for (struct exchange *x = c->first, *next; x; x = next) {
			next = x->next;
			give_up(p, x, at->start_ns);
		}
		open = false;
	}
	if (!open && !searching && !c->ghosts && rests)
		c->synced = true;
	if (!open)
		c->response_loss = RESPONSE_LOSS_NONE; /* what was lost before this request is not its response */
}

/* The parser knows that what is open will not be answered any more, and that the next response is this request's. */
static void start_afresh(struct pairing *p, struct connection *c, uint64_t time_ns)
{
	for (struct exchange *x = c->first, *next; x; x = next) {
		next = x->next;
		if (x->state & EARLY)
			continue;
		give_up(p, x, time_ns);
	}
	c->ghosts = 0;
	c->synced = true;
}

static struct exchange *begin_request(struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m,
				      const struct extent *at)
{
	struct progress *pr = &c->progress[dir];

	if (pr->open && !m->keyed)
		pairing_end(p, c, dir, at->offset, at->start_ns);
	if (m->flags & MESSAGE_FLUSH)
		start_afresh(p, c, at->start_ns);
	/* Behind a request without exchange no response is early. */
	struct exchange *x = c->ghosts && !m->keyed ? NULL : find_early(p, c, m, at);
	if (x) {
		adopt(p, x);
	} else {
		if (!m->keyed)
			observe_request(p, c, dir, at);
		else if (!c->first)
			c->synced = true;
		if (c->ghosts)
			p->counts->exchanges_refused++;
		else
			x = exchange_new(p, c, dir, true, at);
		if (!x) {
			pr->refused = true;
			if (!m->keyed)
				c->ghosts++;
			return NULL;
		}
		set_key(p, x, m);
	}
	x->state |= REQUEST_BEGUN;
	side_begin(&x->request, at);
	return x;
}

/* Responses. */

static struct exchange *find_request(const struct pairing *p, struct connection *c, const struct message *m, const struct extent *at)
{
	if (m->keyed)
		return key_find(p, c, m->key, at);
	if (c->early == c->open)
		return NULL;
	for (struct exchange *x = c->first; x; x = x->next)
		if (!(x->state & RESPONSE_BEGUN))
			return x;
	return NULL;
}

/* A response without request: early if none can have been missed, else alone. */
static struct exchange *begin_unmatched(struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m,
					const struct extent *at)
{
	struct exchange *x = exchange_new(p, c, dir, false, at);

	if (!x)
		return NULL;
	set_key(p, x, m);
	if (c->synced && c->early < EARLY_MAX) {
		list_remove(&p->waiting, x);
		early_add(p, x, at->start_ns + EARLY_NS);
	}
	return x;
}

/* After a loss: whose a response is, and whether a request was answered, is not known for now. */
static bool unsure(const struct connection *c) { return !c->synced && (c->pipelines || c->keyed); }

static bool may_be_answered(const struct exchange *x, uint64_t time_ns)
{
	return x && !(x->state & (RESPONSE_BEGUN | EARLY)) && x->request.start_ns <= time_ns;
}

/*
 * Bytes were lost; now, at time_ns, another response begins. Where one was to begin at least its head was among them, so what comes now must not be given to the same
 * request. If the client never pipelined, all that were open by now but the newest were answered in there, too.
 */
static void responses_lost(struct pairing *p, struct connection *c, uint64_t time_ns)
{
	bool first = c->response_loss == RESPONSE_LOSS_HEAD;

	for (struct exchange *x = c->first, *next; x; x = next) {
		next = x->next;
		if (!may_be_answered(x, time_ns))
			continue;
		if (!first && (c->pipelines || !may_be_answered(next, time_ns)))
			break;
		first = false;
		x->flags |= EXCHANGE_HOLE;
		complete(p, x);
	}
}

static struct exchange *begin_response(struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m,
				       const struct extent *at)
{
	struct progress *pr = &c->progress[dir];

	if (pr->open && !m->keyed)
		pairing_end(p, c, dir, at->offset, at->start_ns); /* its end was lost */
	if (m->flags & MESSAGE_INTERIM)
		return NULL;
	if (c->response_loss && !m->keyed)
		responses_lost(p, c, at->start_ns);
	c->response_loss = RESPONSE_LOSS_NONE;
	c->answered = true;
	struct exchange *x = find_request(p, c, m, at);
	if (x && x->state & RESPONSE_BEGUN)
		return x; /* keyed: a further part that begins again */
	/*
	 * Only now: a request behind an unanswered one may also mean that a response was lost, which
	 * shows when the next one comes.
	 */
	if (x && c->synced && may_be_answered(x->next, at->start_ns))
		c->pipelines = true;
	if (x && c->synced)
		c->overlaps |= c->may_overlap;
	c->may_overlap = false;
	if (!x && c->ghosts && !m->keyed) {
		c->ghosts--;
		pr->refused = true;
		return NULL;
	}
	if (!x)
		x = begin_unmatched(p, c, dir, m, at);
	if (!x)
		return NULL;
	x->state |= RESPONSE_BEGUN;
	if (!m->keyed && unsure(c))
		x->flags |= EXCHANGE_HOLE;
	if (peer_known(at->peer))
		x->peer = *at->peer;
	side_begin(&x->response, at);
	return x;
}

/* Everything older than x that has no response got its answer with x's. */
static void flush_older(struct pairing *p, struct connection *c, const struct message *m, struct exchange *x, const struct extent *at)
{
	for (struct exchange *o = c->first, *next; o && o != x; o = next) {
		next = o->next;
		if (o->state & (RESPONSE_BEGUN | EARLY) || (!x && m->keyed && o->keyed && o->key > m->key))
			continue;
		side_begin(&o->response, at);
		o->response.end_ns = at->end_ns;
		o->state |= RESPONSE_BEGUN | RESPONSE_ENDED | REQUEST_ENDED;
		if (!c->synced) /* or its own answer was lost */
			o->flags |= EXCHANGE_HOLE;
		if (m->flags & MESSAGE_ERROR)
			set_error(o, m->error_type);
		complete(p, o);
	}
}

/* Any message. */

static struct exchange *current(const struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m,
				const struct extent *at)
{
	if (!m->keyed)
		return c->progress[dir].exchange;
	return key_find(p, c, m->key, at);
}

/* One side has ended it: what was in progress of it ends here. */
static void abort_exchange(struct pairing *p, struct exchange *x, const struct extent *at)
{
	if (!(x->state & REQUEST_ENDED))
		x->request.end_ns = at->end_ns;
	if (!(x->state & RESPONSE_ENDED))
		x->response.end_ns = at->end_ns;
	x->state |= REQUEST_ENDED | RESPONSE_ENDED;
	complete_if_done(p, x);
}

/* One of those that a response or an end is for. */
static void settle(struct pairing *p, struct exchange *x, const struct message *m, const struct extent *at)
{
	if (x->state & RESPONSE_ENDED)
		return;
	if (m->flags & MESSAGE_QUIET) {
		x->state |= QUIET;
		return;
	}
	if (m->flags & MESSAGE_ABORT && x->state & QUIET && !(x->state & RESPONSE_BEGUN)) { /* as good as answered when it was asked */
		if (!x->request.end_ns)
			x->request.end_ns = at->end_ns;
		x->response.end_ns = x->request.end_ns;
		x->state |= REQUEST_ENDED | RESPONSE_ENDED;
		complete_if_done(p, x);
		return;
	}
	keep_attrs(p, x, m);
	x->flags |= m->flags & MESSAGE_UNSURE ? EXCHANGE_HOLE : 0;
	if (m->flags & MESSAGE_ABORT) {
		abort_exchange(p, x, at);
		return;
	}
	if (!(x->state & RESPONSE_BEGUN))
		side_begin(&x->response, at);
	x->response.bytes += at->bytes;
	x->response.end_ns = at->end_ns;
	x->state |= RESPONSE_BEGUN | RESPONSE_ENDED;
	complete_if_done(p, x);
}

/* Key by key, or one open exchange after the other, whichever are fewer. */
static void settle_range(struct pairing *p, struct connection *c, const struct message *m, const struct extent *at)
{
	c->response_loss = RESPONSE_LOSS_NONE;
	c->answered = true;
	if (m->first > m->key)
		return;
	if (m->key - m->first < c->open) {
		for (uint64_t key = m->first;; key++) {
			struct exchange *x = key_find(p, c, key, at);
			if (x)
				settle(p, x, m, at);
			if (key == m->key)
				break;
		}
		return;
	}
	for (struct exchange *x = c->first, *next; x; x = next) {
		next = x->next;
		if (x->keyed && x->key >= m->first && x->key <= m->key)
			settle(p, x, m, at);
	}
}

/* Ends the message of this event unless it goes on behind it. */
static void end_event(struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m, const struct extent *at)
{
	if (m->flags & MESSAGE_END_AFTER_SKIP)
		c->progress[dir].end_after_skip = true;
	else if (m->flags & MESSAGE_END && !(m->flags & MESSAGE_UNTIL_CLOSE))
		pairing_end(p, c, dir, at->end, at->end_ns);
}

static void oneway(struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m, const struct extent *at)
{
	struct progress *pr = &c->progress[dir];

	if (m->flags & MESSAGE_BEGIN)
		p->counts->oneway++;
	if (m->flags & MESSAGE_SWITCH) {
		pr->switch_after = true;
		pr->next = m->next;
	}
	pr->exchange = NULL;
	pr->open = 1 + MESSAGE_ONEWAY;
	pr->until_close |= (m->flags & MESSAGE_UNTIL_CLOSE) != 0;
	end_event(p, c, dir, m, at);
}

void pairing_message(struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m, const struct extent *at)
{
	struct progress *pr = &c->progress[dir];
	bool response = m->kind == MESSAGE_RESPONSE;
	struct exchange *x;

	if (m->flags & MESSAGE_BEGIN)
		p->counts->messages[c->protocol]++;
	if (m->kind == MESSAGE_ONEWAY) {
		oneway(p, c, dir, m, at);
		return;
	}
	c->keyed = m->keyed;
	if (m->flags & MESSAGE_RANGE) {
		settle_range(p, c, m, at);
		return;
	}
	if (m->flags & MESSAGE_ABORT) {
		x = key_find(p, c, m->key, at);
		if (x) {
			keep_attrs(p, x, m);
			x->flags |= m->flags & MESSAGE_UNSURE ? EXCHANGE_HOLE : 0;
			abort_exchange(p, x, at);
		}
		return;
	}
	if (!(m->flags & MESSAGE_BEGIN))
		x = current(p, c, dir, m, at);
	else if (response)
		x = begin_response(p, c, dir, m, at);
	else
		x = begin_request(p, c, dir, m, at);

	pr->open = (uint8_t)(1 + m->kind);
	pr->exchange = x;
	pr->until_close |= (m->flags & MESSAGE_UNTIL_CLOSE) != 0;
	if (m->flags & MESSAGE_SWITCH) {
		pr->switch_after = true;
		pr->next = m->next;
	}
	if (x) {
		keep_attrs(p, x, m);
		(response ? &x->response : &x->request)->bytes += at->bytes;
		if (m->flags & MESSAGE_NO_RESPONSE)
			x->state |= NO_RESPONSE;
		if (m->flags & MESSAGE_QUIET)
			x->state |= QUIET;
		if (m->flags & MESSAGE_UNSURE)
			x->flags |= EXCHANGE_HOLE;
		if (x->state & REQUEST_BEGUN)
			announce(p, x, at->end_ns);
	} else if (!response && pr->refused && m->flags & MESSAGE_NO_RESPONSE && c->ghosts) {
		c->ghosts--;
		pr->refused = false;
	}
	if (response && m->flags & MESSAGE_FLUSH)
		flush_older(p, c, m, x, at);
	end_event(p, c, dir, m, at);
}

/* Loss. */

/* No request will come for this response: it stands alone. */
static void give_up_early(struct pairing *p, struct exchange *x)
{
	early_remove(p, x);
	list_add(&p->waiting, x, x->response.start_ns + p->timeout_ns);
	x->conn->synced = false;
	complete_if_done(p, x);
}

static void expire_early(struct pairing *p, uint64_t time_ns)
{
	while (pairing_has_early(p, time_ns))
		give_up_early(p, p->early.oldest);
}

/* Responses that have come already are those of the lost requests. True if there were any. */
static bool requests_lost(struct pairing *p, struct connection *c)
{
	bool any = false;

	for (struct exchange *x = c->first, *next; x; x = next) {
		next = x->next;
		if (!(x->state & EARLY))
			continue;
		any = true;
		give_up_early(p, x);
	}
	return any;
}

void pairing_lost(struct pairing *p, struct connection *c, enum plumb_direction dir, bool whole, const struct extent *at)
{
	struct progress *pr = &c->progress[dir];

	c->synced = c->may_overlap = false;
	/* Of a request in progress only a part is lost, but behind it there may be others. */
	bool explained = at->side == PROTO_TO_SERVER && !c->keyed && requests_lost(p, c);
	if (explained || (pr->exchange && at->side == PROTO_TO_SERVER))
		c->answered = false; /* what comes next may be of the same turn as what was lost */
	if (whole && at->side == PROTO_TO_CLIENT && c->response_loss != RESPONSE_LOSS_HEAD)
		c->response_loss = pr->open && !c->keyed ? RESPONSE_LOSS_BEHIND : RESPONSE_LOSS_HEAD;
	if (pr->exchange) {
		pr->exchange->flags |= EXCHANGE_HOLE;
		return;
	}
	if (c->keyed || pr->open)
		return;
	if (at->side == PROTO_TO_CLIENT) {
		if (c->first)
			c->first->flags |= EXCHANGE_HOLE;
	} else if (whole && !c->ghosts) {
		/* At least the head of a request was in there: its response must not be given to the next one. */
		if (explained)
			return;
		observe_request(p, c, dir, at);
		struct exchange *x = exchange_new(p, c, dir, true, at);
		c->synced = false;
		if (!x)
			return;
		x->flags |= EXCHANGE_HOLE;
		x->state |= REQUEST_BEGUN | REQUEST_ENDED;
		side_begin(&x->request, at);
		x->request.end_ns = at->end_ns;
		x->request.bytes = at->end - at->offset;
		announce(p, x, at->end_ns);
	}
}

void pairing_malformed(struct pairing *p, struct connection *c, enum plumb_direction dir, enum proto_side side)
{
	struct exchange *x = c->progress[dir].exchange;

	c->synced = c->may_overlap = false;
	if (side == PROTO_TO_SERVER && !c->keyed)
		(void)requests_lost(p, c);
	if (!x && !c->keyed && !c->progress[dir].open && side == PROTO_TO_CLIENT)
		x = c->first;
	if (x)
		x->flags |= EXCHANGE_MALFORMED;
}

/* Ends. */

void pairing_close(struct pairing *p, struct connection *c, const char *error_type, uint32_t flags, uint64_t time_ns)
{
	for (struct exchange *x = c->first, *next; x; x = next) {
		next = x->next;
		if (!(x->state & RESPONSE_ENDED)) {
			/* It lasted until there was no hope for an answer any more. */
			if (!x->request.end_ns)
				x->request.end_ns = time_ns;
			x->response.end_ns = x->state & QUIET ? x->request.end_ns : time_ns;
			x->flags |= flags | (unsure(c) || c->response_loss ? EXCHANGE_HOLE : 0);
			if (x->flags & EXCHANGE_HOLE)
				end_as_seen(c, x, time_ns);
			/* No failure is made of a record that was lost. */
			if (!(x->state & QUIET) && (error_type || !(x->flags & EXCHANGE_HOLE)))
				set_error(x, error_type ? error_type : "connection_closed");
		}
		complete(p, x);
	}
	for (int d = 0; d < 2; d++) {
		struct progress *pr = &c->progress[d];
		pr->exchange = NULL;
		pr->open = 0;
		pr->end_after_skip = pr->until_close = pr->switch_after = pr->refused = false;
	}
	c->ghosts = 0;
}

void pairing_switch(struct pairing *p, struct connection *c, uint16_t next, uint64_t time_ns)
{
	const struct message m = { .keyed = true, .key = PROTO_SESSION_KEY };
	struct exchange *x = c->first, *after;

	/* Only what was asked for before the switch is answered behind it. */
	if (x && !x->keyed && !(x->state & (RESPONSE_BEGUN | EARLY)) && next == PLUMB_PROTO_HTTP2) {
		x->protocol = next;
		set_key(p, x, &m);
	}
	for (x = c->first; x; x = after) {
		after = x->next;
		if (!x->keyed || x->protocol != next)
			give_up(p, x, time_ns);
	}
	for (int d = 0; d < 2; d++)
		c->progress[d] = (struct progress){ .want = c->progress[d].want };
	c->ghosts = 0;
	c->pipelines = c->may_overlap = c->overlaps = false;
	c->response_loss = RESPONSE_LOSS_NONE;
}

/* Where bytes were lost, what does not move any more has lost its end: by key nothing that comes later tells. */
static bool stands_still(struct exchange *x)
{
	uint64_t bytes = x->request.bytes + x->response.bytes, before = x->moved;

	x->moved = bytes;
	return x->keyed && unsure(x->conn) && bytes == before;
}

void pairing_tick(struct pairing *p, uint64_t time_ns)
{
	expire_early(p, time_ns);
	while (p->waiting.oldest && p->waiting.oldest->deadline_ns < time_ns) {
		struct exchange *x = p->waiting.oldest;

		bool begun = x->state & RESPONSE_BEGUN || !(x->state & REQUEST_ENDED);
		if (begun && !stands_still(x)) { /* still moving: a long body is no time-out */
			list_remove(&p->waiting, x);
			list_add(&p->waiting, x, time_ns + p->timeout_ns);
			continue;
		}
		x->flags |= unsure(x->conn) ? EXCHANGE_HOLE : 0;
		if (!(x->state & QUIET))
			x->conn->synced = false; /* the late response, should it come, is nobody's */
		x->response.end_ns = x->state & QUIET ? x->request.end_ns : time_ns;
		if (!(x->flags & EXCHANGE_HOLE) && !(x->state & QUIET)) /* no failure is made of a record that was lost */
			set_error(x, "timeout");
		complete(p, x);
	}
}
