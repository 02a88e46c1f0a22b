/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/reassembly.h"

#include <stdlib.h>

enum {
	HOLD_SOCKET_NS = 5 * 1000 * 1000,
	HOLD_WIRE_NS = 1000 * 1000 * 1000,
	PENDING_MAX = 512,               /* segments per direction */
	CACHED_MAX_BYTES = 1024 * 1024,  /* free blocks kept for the next stream */
	RESTART_BYTES = 1 << 30,         /* an offset so far behind is not late but another numbering */
};

static const uint64_t END_MAX = 1ull << 48; /* bytes; no connection moves so many unseen */

/* Bytes that arrived beyond a gap, or the end of the stream (len 0). */
struct segment {
	struct segment *next;
	uint64_t offset;
	uint64_t time_ns;
	uint64_t flow;
	uint64_t hold_ns;
	uint32_t tid;
	uint32_t len;      /* true length */
	uint32_t captured; /* of bytes */
	uint32_t cap;      /* of this block */
	uint8_t bytes[];
};

/* Where in time and in which thread the bytes at hand were moved. */
struct origin {
	uint64_t time_ns;
	uint64_t flow;
	uint32_t tid;
};

void reassembly_init(struct reassembly *r, const struct conn_options *o, const struct conn_handler *h, struct conn_counts *counts)
{
	memset(r, 0, sizeof(*r));
	r->handler = *h;
	r->counts = counts;
	r->max_buffer_bytes = o->max_buffer_bytes ? o->max_buffer_bytes : 16u << 20;
	r->max_stream_bytes = o->max_stream_bytes ? o->max_stream_bytes : 256u << 10;
	if (r->max_stream_bytes > 1u << REASSEMBLY_CLASS_MAX)
		r->max_stream_bytes = 1u << REASSEMBLY_CLASS_MAX;
}

void reassembly_done(struct reassembly *r)
{
	for (unsigned c = 0; c <= REASSEMBLY_CLASS_MAX; c++)
		for (void *block = r->free[c], *next; block; block = next) {
			memcpy(&next, block, sizeof(next));
			free(block);
		}
	memset(r->free, 0, sizeof(r->free));
	r->cached_bytes = 0;
}

static unsigned class_of(size_t bytes)
{
	unsigned c = REASSEMBLY_CLASS_MIN;

	while ((size_t)1 << c < bytes)
		c++;
	return c;
}

static void evict(struct reassembly *r, struct stream *s);

/* A block of at least `bytes` for stream s, or NULL: it has itself waited longest, or there is no memory. *ret_cap is the block's true size. */
static void *block_get(struct reassembly *r, const struct stream *s, size_t bytes, uint32_t *ret_cap)
{
	if (bytes > (size_t)1 << REASSEMBLY_CLASS_MAX)
		return NULL;

	unsigned c = class_of(bytes);
	uint32_t cap = 1u << c;
	while (r->used_bytes + cap > r->max_buffer_bytes) {
		if (!r->held_first || r->held_first == s)
			return NULL;
		evict(r, r->held_first);
	}

	void *block = r->free[c];
	if (block) {
		memcpy(&r->free[c], block, sizeof(void *));
		r->cached_bytes -= cap;
	} else {
		block = malloc(cap);
		if (!block)
			return NULL;
	}
	r->used_bytes += cap;
	*ret_cap = cap;
	return block;
}

static void block_put(struct reassembly *r, void *block, uint32_t cap)
{
	unsigned c = class_of(cap);

	r->used_bytes -= cap;
	if (r->cached_bytes + cap > CACHED_MAX_BYTES) {
		free(block);
		return;
	}
	memcpy(block, &r->free[c], sizeof(void *));
	r->free[c] = block;
	r->cached_bytes += cap;
}

static void held_remove(struct reassembly *r, struct stream *s)
{
	if (!s->holder)
		return;
	*(s->held_prev ? &s->held_prev->held_next : &r->held_first) = s->held_next;
	*(s->held_next ? &s->held_next->held_prev : &r->held_last) = s->held_prev;
	s->held_prev = s->held_next = NULL;
	s->holder = NULL;
}

/* To the end of the list if s holds anything: its first byte waits from now on. */
static void held_renew(struct reassembly *r, struct connection *c, struct stream *s)
{
	held_remove(r, s);
	if (!s->data && !s->pending)
		return;
	s->holder = c;
	s->held_prev = r->held_last;
	*(r->held_last ? &r->held_last->held_next : &r->held_first) = s;
	r->held_last = s;
}

static uint32_t stream_held(const struct stream *s)
{
	return s->data ? (uint32_t)(s->end - s->next) : 0;
}

static void stream_release(struct reassembly *r, struct stream *s)
{
	if (!s->data)
		return;
	r->counts->buffered_bytes -= stream_held(s);
	block_put(r, s->data, s->cap);
	s->data = NULL;
	s->cap = 0;
	if (!s->pending)
		held_remove(r, s);
}

/* Appends to what waits. False at a limit. */
static bool stream_append(struct reassembly *r, struct connection *c, struct stream *s, struct slice in)
{
	uint32_t held = stream_held(s);
	size_t want = held + in.len;

	if (want > r->max_stream_bytes)
		return false;
	if (want > s->cap) {
		uint32_t cap;
		uint8_t *data = block_get(r, s, want, &cap);
		if (!data)
			return false;
		if (s->data) {
			memcpy(data, s->data, held);
			block_put(r, s->data, s->cap);
		}
		s->data = data;
		s->cap = cap;
	}
	memcpy(s->data + held, in.ptr, in.len);
	s->end += in.len;
	r->counts->buffered_bytes += in.len;
	if (!s->holder)
		held_renew(r, c, s);
	return true;
}

static void set_first(struct stream *s, const struct origin *o)
{
	s->first_ns = o->time_ns;
	s->first_tid = o->tid;
	s->first_flow = o->flow;
}

/* The handler took n of the bytes that wait, and maybe wants to skip more of them. */
static void stream_consume(struct reassembly *r, struct connection *c, struct stream *s, uint64_t n, const struct origin *o)
{
	uint32_t held = stream_held(s);

	if (n > held)
		n = held;
	if (s->skip_until > s->next + n)
		n = s->skip_until - s->next < held ? s->skip_until - s->next : held;
	if (n == 0)
		return;
	if (n == held) {
		stream_release(r, s);
		s->next = s->end;
		return;
	}
	memmove(s->data, s->data + n, held - n);
	s->next += n;
	r->counts->buffered_bytes -= n;
	if (s->next >= s->fresh)
		set_first(s, o);
	held_renew(r, c, s);
}

static size_t hand_out(struct reassembly *r, struct connection *c, enum plumb_direction dir, struct slice in, uint64_t time_ns);

/* Offers what waits in a direction. */
static void offer(struct reassembly *r, struct connection *c, enum plumb_direction dir, uint64_t time_ns)
{
	struct stream *s = &c->streams[dir];
	struct origin o = { s->last_ns, s->flow, s->tid };

	if (!s->data)
		return;
	uint64_t skip_before = s->skip_until;
	size_t n = hand_out(r, c, dir, slice_make(s->data, stream_held(s)), time_ns);
	stream_consume(r, c, s, n, &o);
	if (s->skip_until != skip_before && s->skip_until == s->next)
		r->handler.skipped(r->handler.ctx, c, dir, time_ns);
}

/* Nothing will come behind what waits for a message start: the consumer may have put off looking for it until there is more. */
static void offer_last(struct reassembly *r, struct connection *c, enum plumb_direction dir, uint64_t time_ns)
{
	if (c->streams[dir].lost && c->phase == CONNECTION_PARSE)
		offer(r, c, dir, time_ns);
}

/* Calls the consumer; if it asks for the other direction's waiting bytes, those go first. */
static size_t hand_out(struct reassembly *r, struct connection *c, enum plumb_direction dir, struct slice in, uint64_t time_ns)
{
	size_t n = r->handler.bytes(r->handler.ctx, c, dir, in, time_ns);

	if (!c->redo)
		return n;
	c->redo = false;
	offer(r, c, dir == PLUMB_INGRESS ? PLUMB_EGRESS : PLUMB_INGRESS, time_ns);
	c->redo = false;
	n = r->handler.bytes(r->handler.ctx, c, dir, in, time_ns);
	c->redo = false;
	return n;
}

/* Bytes that will never come. What waits before them cannot be completed: the handler sees it (stream.data) and it is dropped. */
static void lose(struct reassembly *r, struct connection *c, enum plumb_direction dir, uint64_t len, enum conn_unseen why, uint64_t time_ns)
{
	struct stream *s = &c->streams[dir];

	r->counts->holes++;
	r->counts->unseen_bytes[why] += len;
	r->counts->unseen_bytes[CONN_UNSEEN_INCOMPLETE] += stream_held(s);
	s->lost = true;
	s->cut = why == CONN_UNSEEN_CUT;
	r->handler.hole(r->handler.ctx, c, dir, s->end, s->end + len, time_ns);
	stream_release(r, s);
	s->end += len;
	s->next = s->end;
}

/* The bytes that wait become a hole. */
static void forget(struct reassembly *r, struct connection *c, enum plumb_direction dir, enum conn_unseen why, uint64_t time_ns)
{
	struct stream *s = &c->streams[dir];
	uint32_t held = stream_held(s);

	s->end = s->next;
	r->counts->buffered_bytes -= held;
	lose(r, c, dir, held, why, time_ns);
}

/* The part of `len` bytes at the stream's end that nobody needs. */
static uint64_t skip(struct reassembly *r, struct connection *c, enum plumb_direction dir, uint64_t len, uint64_t time_ns)
{
	struct stream *s = &c->streams[dir];

	if (s->end >= s->skip_until)
		return 0;
	uint64_t n = s->skip_until - s->end < len ? s->skip_until - s->end : len;
	s->end += n;
	s->next = s->end;
	if (s->end == s->skip_until)
		r->handler.skipped(r->handler.ctx, c, dir, time_ns);
	return n;
}

/* More bytes behind those that wait. */
static bool extend(struct reassembly *r, struct connection *c, enum plumb_direction dir, struct slice in, const struct origin *o)
{
	struct stream *s = &c->streams[dir];
	uint64_t fresh = s->end;

	if (!stream_append(r, c, s, in)) {
		forget(r, c, dir, CONN_UNSEEN_REFUSED, o->time_ns);
		return false;
	}
	s->fresh = fresh;
	offer(r, c, dir, o->time_ns);
	return true;
}

/* Contiguous bytes at s->end. */
static void take(struct reassembly *r, struct connection *c, enum plumb_direction dir, struct slice in, const struct origin *o)
{
	struct stream *s = &c->streams[dir];

	while (in.len) {
		uint64_t n = skip(r, c, dir, in.len, o->time_ns);
		if (n) {
			in = slice_from(in, n);
			continue;
		}
		if (s->data) {
			if (extend(r, c, dir, in, o))
				return;
			continue;
		}
		set_first(s, o);
		s->fresh = s->end;
		n = hand_out(r, c, dir, in, o->time_ns);
		if (n > in.len)
			n = in.len;
		s->next += n;
		s->end = s->next;
		in = slice_from(in, n);
		if (s->skip_until > s->end || in.len == 0)
			continue;
		if (!stream_append(r, c, s, in))
			lose(r, c, dir, in.len, CONN_UNSEEN_REFUSED, o->time_ns);
		return;
	}
}

static void miss(struct reassembly *r, struct connection *c, enum plumb_direction dir, uint64_t len, enum conn_unseen why, uint64_t time_ns)
{
	if (why != CONN_UNSEEN_CUT)
		c->streams[dir].unseen_ns = time_ns;
	offer_last(r, c, dir, time_ns);
	len -= skip(r, c, dir, len, time_ns);
	if (len)
		lose(r, c, dir, len, why, time_ns);
}

static void finish(struct reassembly *r, struct connection *c, enum plumb_direction dir, uint64_t time_ns)
{
	struct stream *s = &c->streams[dir];

	if (s->eof)
		return;
	s->eof = true;
	offer_last(r, c, dir, time_ns);
	r->handler.eof(r->handler.ctx, c, dir, time_ns);
}

/* A record whose first byte is at or before the stream's end. */
static void place(struct reassembly *r, struct connection *c, enum plumb_direction dir, uint64_t offset, uint32_t len, struct slice in,
		  const struct origin *o)
{
	struct stream *s = &c->streams[dir];
	uint64_t known = s->end - offset;

	if (len == 0) {
		finish(r, c, dir, o->time_ns);
		return;
	}
	if (o->time_ns > s->last_ns)
		s->last_ns = o->time_ns;
	s->tid = o->tid;
	s->flow = o->flow;
	if (known) {
		r->counts->unseen_bytes[CONN_UNSEEN_OVERLAP] += known < len ? known : len;
		if (known >= len)
			return;
	}
	uint64_t captured = in.len > known ? in.len - known : 0;
	if (captured)
		take(r, c, dir, slice_make(in.ptr + known, captured), o);
	uint64_t rest = len - known - captured;
	if (rest)
		miss(r, c, dir, rest, CONN_UNSEEN_CUT, o->time_ns);
}

static void waiting_add(struct reassembly *r, struct connection *c)
{
	if (c->waiting_at)
		return;
	r->waiting[r->nwaiting++] = c;
	c->waiting_at = r->nwaiting;
}

static void waiting_remove(struct reassembly *r, struct connection *c)
{
	if (!c->waiting_at)
		return;
	struct connection *last = r->waiting[--r->nwaiting];
	r->waiting[c->waiting_at - 1] = last;
	last->waiting_at = c->waiting_at;
	c->waiting_at = 0;
}

static struct segment *pending_pop(struct reassembly *r, struct stream *s)
{
	struct segment *g = s->pending;

	s->pending = g->next;
	s->pending_count--;
	s->pending_bytes -= g->captured;
	if (!s->pending && !s->data)
		held_remove(r, s);
	return g;
}

/* Takes the memory of the stream that has waited longest: nothing of it is handed out, as that could ask for memory in turn. */
static void evict(struct reassembly *r, struct stream *s)
{
	struct connection *c = s->holder;
	enum plumb_direction dir = s == &c->streams[PLUMB_EGRESS] ? PLUMB_EGRESS : PLUMB_INGRESS;

	if (s->data)
		forget(r, c, dir, CONN_UNSEEN_EVICTED, s->last_ns);
	while (s->pending) {
		struct segment *g = pending_pop(r, s);
		if (g->offset > s->end)
			miss(r, c, dir, g->offset - s->end, CONN_UNSEEN_HOLE, g->time_ns);
		uint64_t known = s->end - g->offset < g->len ? s->end - g->offset : g->len;
		r->counts->unseen_bytes[CONN_UNSEEN_OVERLAP] += known;
		if (!g->len)
			finish(r, c, dir, g->time_ns);
		else
			miss(r, c, dir, g->len - known, CONN_UNSEEN_EVICTED, g->time_ns);
		block_put(r, g, g->cap);
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what is in the list has a holder */
	if (!c->streams[0].pending && !c->streams[1].pending)
		waiting_remove(r, c);
	held_remove(r, s);
}

/* The direction whose pending bytes came first, -1 if there are none. */
static int pending_first(const struct connection *c)
{
	const struct segment *first = NULL;
	int at = -1;

	for (int d = 0; d < 2; d++) {
		const struct segment *g = c->streams[d].pending;
		if (g && (!first || g->time_ns < first->time_ns)) {
			first = g;
			at = d;
		}
	}
	return at;
}

static bool behind_gap(const struct stream *s)
{
	const struct segment *g = s->pending;

	return g && g->offset > s->end;
}

/*
 * The direction of which pending bytes can be handed out now, -1 if there is none. At a socket the other direction waits at a gap, too: an answer that went ahead
 * of its request would be given to another one. On the wire segments overtake each other all the time, and nobody waits.
 */
static int pending_ready(const struct connection *c)
{
	int d = pending_first(c);

	if (d < 0 || !behind_gap(&c->streams[d]))
		return d;
	const struct segment *g = c->streams[d].pending;
	d = !d;
	return g->hold_ns == HOLD_WIRE_NS && c->streams[d].pending && !behind_gap(&c->streams[d]) ? d : -1;
}

/* Everything pending that has become contiguous, in the order in which it came: a request before its answer. */
static void drain(struct reassembly *r, struct connection *c)
{
	for (int d; (d = pending_ready(c)) >= 0;) {
		struct stream *s = &c->streams[d];
		struct segment *g = pending_pop(r, s);
		struct origin o = { g->time_ns > s->last_ns ? g->time_ns : s->last_ns, g->flow, g->tid };
		place(r, c, (enum plumb_direction)d, g->offset, g->len, slice_make(g->bytes, g->captured), &o);
		block_put(r, g, g->cap);
	}
	if (!c->streams[0].pending && !c->streams[1].pending)
		waiting_remove(r, c);
}

/*
 * The gap before what has waited longest will not be filled any more. A later one of the other direction stays: what came before it is handed out first, so that it lies
 * where it was.
 */
static void give_up(struct reassembly *r, struct connection *c, uint64_t time_ns)
{
	int d = pending_first(c);

	if (d >= 0 && behind_gap(&c->streams[d])) {
		const struct segment *g = c->streams[d].pending;
		miss(r, c, (enum plumb_direction)d, g->offset - c->streams[d].end, CONN_UNSEEN_HOLE, g->time_ns < time_ns ? g->time_ns : time_ns);
	}
	drain(r, c);
}

/* Have the gaps been there for long enough? The younger one decides, but not for ever. */
static bool is_over(const struct connection *c, uint64_t time_ns)
{
	bool young = false, old = false;

	for (int d = 0; d < 2; d++) {
		const struct segment *g = c->streams[d].pending;
		uint64_t age = g && time_ns > g->time_ns ? time_ns - g->time_ns : 0;
		young |= g && age <= g->hold_ns;
		old |= g && age > 2 * g->hold_ns;
	}
	return old || !young;
}

static void expire(struct reassembly *r, struct connection *c, uint64_t time_ns)
{
	while (c->waiting_at && is_over(c, time_ns))
		give_up(r, c, time_ns);
}

/* Keeps a record that lies beyond a gap. False at a limit: the gap is then a hole at once. */
static bool hold(struct reassembly *r, struct connection *c, const struct plumb_rec_data *d, struct slice in)
{
	struct stream *s = &c->streams[d->direction];
	uint32_t cap;

	if (s->pending_count >= PENDING_MAX || s->pending_bytes + in.len > r->max_stream_bytes)
		return false;
	if (!c->waiting_at && r->nwaiting == REASSEMBLY_WAITING_MAX)
		return false;
	struct segment *g = block_get(r, s, sizeof(*g) + in.len, &cap);
	if (!g)
		return false;
	*g = (struct segment){
		.offset = d->offset, .time_ns = d->h.time_ns, .flow = d->flow, .tid = d->tid, .len = d->len, .captured = (uint32_t)in.len, .cap = cap,
		.hold_ns = d->flags & PLUMB_DATA_WIRE ? HOLD_WIRE_NS : HOLD_SOCKET_NS,
	};
	if (in.len)
		memcpy(g->bytes, in.ptr, in.len);

	struct segment *before = NULL, *at = s->pending;
	while (at && at->offset <= g->offset) {
		before = at;
		at = at->next;
	}
	g->next = at;
	if (before)
		before->next = g;
	else
		s->pending = g;
	s->pending_count++;
	s->pending_bytes += g->captured;
	r->counts->reordered += d->offset > s->end; /* not what only waits for the other direction */
	waiting_add(r, c);
	if (!s->holder)
		held_renew(r, c, s);
	return true;
}

/*
 * While bytes of the other direction are missing, what comes in this one waits with what lies behind the gap: a request that went ahead of the answers before it
 * would be taken for pipelined, and be given another's answer. On the wire segments overtake each other all the time, and nobody waits.
 */
static bool waits_for_other(const struct connection *c, const struct plumb_rec_data *d)
{
	const struct stream *s = &c->streams[d->direction ? PLUMB_EGRESS : PLUMB_INGRESS], *other = &c->streams[d->direction ? PLUMB_INGRESS : PLUMB_EGRESS];

	return other->pending && !s->pending && d->len && !(d->flags & PLUMB_DATA_WIRE) && d->offset == s->end;
}

/* The first offset of a direction begins its stream. */
static void begin(struct stream *s, uint64_t offset)
{
	s->begun = true;
	s->next = s->end = s->skip_until = s->fresh = offset;
}

void reassembly_expect(struct connection *c, enum plumb_direction dir, uint64_t offset)
{
	struct stream *s = &c->streams[dir];

	if (!s->begun)
		begin(s, offset);
}

/* What passed since the latest record was left out on purpose: no gap. */
static void resume(struct reassembly *r, struct connection *c, uint64_t time_ns)
{
	reassembly_flush(r, c, time_ns);
	for (int d = 0; d < 2; d++) {
		if (c->streams[d].data)
			forget(r, c, (enum plumb_direction)d, CONN_UNSEEN_INCOMPLETE, time_ns);
		c->streams[d].begun = false;
		c->streams[d].skip_until = 0;
	}
	r->handler.resumed(r->handler.ctx, c, time_ns);
}

/* From here on the kernel encrypts. What waits is of a record that nobody will complete. */
static void uncover(struct reassembly *r, struct connection *c, const struct plumb_rec_data *d)
{
	reassembly_flush(r, c, d->h.time_ns);
	for (int i = 0; i < 2; i++) {
		struct stream *s = &c->streams[i];
		r->counts->unseen_bytes[CONN_UNSEEN_INCOMPLETE] += stream_held(s);
		stream_release(r, s);
		s->begun = s->lost = s->cut = false;
		s->skip_until = 0;
	}
	c->plain = true;
	r->handler.uncovered(r->handler.ctx, c, d->h.time_ns);
	/* It is seen from its first byte on, unless that is not known. */
	c->synced = !PLUMB_IS_UNPLACED(d->offset) && (uint32_t)d->offset == 0;
}

void reassembly_data(struct reassembly *r, struct connection *c, const struct plumb_rec_data *d, struct slice payload)
{
	enum plumb_direction dir = d->direction ? PLUMB_EGRESS : PLUMB_INGRESS;
	struct stream *s = &c->streams[dir];
	struct slice in = slice_head(payload, d->len);
	struct origin o = { d->h.time_ns, d->flow, d->tid };

	if (c->waiting_at)
		expire(r, c, d->h.time_ns);
	if (d->flags & PLUMB_DATA_RESUMED)
		resume(r, c, d->h.time_ns);
	s->call_ns = d->h.time_ns - (PLUMB_IS_SESSION(d->sock) && d->took_ns < d->h.time_ns ? d->took_ns : 0);
	/* A call may have been under way when the beginning was looked up. */
	if (s->begun && !s->bytes && d->offset < s->end && d->len)
		begin(s, d->offset);
	s->bytes += d->len;
	r->counts->bytes[dir] += d->len;
	r->counts->captured_bytes[dir] += in.len;
	if (d->flags & PLUMB_DATA_COVERED && !c->covered && !PLUMB_IS_SESSION(d->sock)) {
		c->covered = true;
		r->handler.covered(r->handler.ctx, c, d->h.time_ns);
	}
	if (PLUMB_IS_PLAIN(d->offset) != c->plain) {
		if (c->plain) { /* encrypted bytes, which come too late */
			r->counts->unseen_bytes[CONN_UNSEEN_HOLE] += d->len;
			return;
		}
		uncover(r, c, d);
	}
	if (!s->begun) {
		if (d->len == 0) {
			finish(r, c, dir, d->h.time_ns);
			return;
		}
		begin(s, d->offset);
	}
	if (d->offset > UINT64_MAX - d->len)
		return; /* cannot be: no stream is that long */
	uint64_t offset = d->offset;
	if (d->len == 0 && !(d->flags & PLUMB_DATA_WIRE)) {
		/* At a socket the call that finds the end comes last; on the wire the end has its place in the stream. */
		while (pending_first(c) >= 0)
			give_up(r, c, d->h.time_ns);
		if (offset > s->end && offset - s->end < END_MAX)
			miss(r, c, dir, offset - s->end, CONN_UNSEEN_HOLE, d->h.time_ns);
		offset = s->end;
	}
	if (offset < s->end && s->end - offset > RESTART_BYTES && d->len) {
		lose(r, c, dir, 0, CONN_UNSEEN_HOLE, d->h.time_ns);
		s->next = s->end = s->skip_until = s->fresh = offset;
	}
	while (offset > s->end) {
		if (hold(r, c, d, in))
			return;
		if (s->pending && ((struct segment *)s->pending)->offset <= offset)
			give_up(r, c, d->h.time_ns);
		else
			miss(r, c, dir, offset - s->end, CONN_UNSEEN_HOLE, d->h.time_ns);
	}
	if (waits_for_other(c, d) && hold(r, c, d, in))
		return;
	place(r, c, dir, offset, d->len, in, &o);
	if (c->waiting_at)
		drain(r, c);
}

void reassembly_tick(struct reassembly *r, uint64_t time_ns)
{
	for (uint32_t i = r->nwaiting; i-- > 0;)
		if (i < r->nwaiting)
			expire(r, r->waiting[i], time_ns);
}

void reassembly_flush(struct reassembly *r, struct connection *c, uint64_t time_ns)
{
	while (pending_first(c) >= 0)
		give_up(r, c, time_ns);
	for (int d = 0; d < 2; d++)
		offer_last(r, c, (enum plumb_direction)d, time_ns);
}

void reassembly_end(struct reassembly *r, struct connection *c, enum plumb_direction dir, uint64_t offset, uint64_t time_ns)
{
	struct stream *s = &c->streams[dir];

	if (s->begun && offset > s->end && offset - s->end < END_MAX)
		miss(r, c, dir, offset - s->end, CONN_UNSEEN_HOLE, time_ns);
}

void reassembly_release(struct reassembly *r, struct connection *c)
{
	for (int d = 0; d < 2; d++) {
		struct stream *s = &c->streams[d];
		r->counts->unseen_bytes[CONN_UNSEEN_INCOMPLETE] += stream_held(s);
		stream_release(r, s);
		while (s->pending) {
			struct segment *g = pending_pop(r, s);
			block_put(r, g, g->cap);
		}
	}
	waiting_remove(r, c);
}
