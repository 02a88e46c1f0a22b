/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pairing_table.h"

enum { EARLY_MAX = 64 }; /* of one connection; what is beyond it no request explains */

enum { EARLY_NS = 2 * 1000 * 1000 }; /* how much later than its response a request's record may be processed */

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
		pairing_complete(p, x);
		return;
	}
	bool request_done = x->state & REQUEST_ENDED || !(x->state & REQUEST_BEGUN) || x->flags & (EXCHANGE_HOLE | EXCHANGE_MALFORMED);
	if (x->state & RESPONSE_ENDED && request_done) {
		request_as_seen(x->conn, x);
		pairing_complete(p, x);
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
	pairing_complete(p, x);
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
		deadline_remove(&p->waiting, x);
		deadline_add(&p->waiting, x, end_ns + p->timeout_ns);
	}
	complete_if_done(p, x);
}

/* What the connection becomes lasts as long as it does, and comes from who asked for it. */
static void begin_session(struct pairing *p, struct connection *c, const struct exchange *from, uint64_t time_ns)
{
	enum plumb_direction dir = from->role == PLUMB_ROLE_CLIENT ? PLUMB_EGRESS : PLUMB_INGRESS;
	struct extent at = { .offset = c->streams[dir].next, .start_ns = time_ns, .end_ns = time_ns, .tid = from->request.tid, .flow = from->request.flow, .side = PROTO_TO_SERVER };
	const struct message m = { .keyed = true, .key = PROTO_SESSION_KEY };
	struct exchange *x = pairing_new_exchange(p, c, dir, true, &at); /* never in the place of `from`, which has no key */

	if (!x)
		return;
	x->protocol = c->next;
	x->flags |= EXCHANGE_SESSION;
	for (uint32_t i = 0; i < from->nattrs; i++)
		if (from->attrs[i].type == ATTR_TYPE_STR)
			x->attrs[x->nattrs++] = (struct attr){ .id = from->attrs[i].id, .type = ATTR_TYPE_STR, .str = pairing_keep_text(p, x, from->attrs[i].str) };
	pairing_set_key(p, x, &m);
	x->state |= REQUEST_BEGUN;
	side_begin(&x->request, &at);
	pairing_announce(p, x, time_ns);
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
		struct exchange *x = pairing_find(p, c, m->key, at);
		return x && x->state & EARLY ? x : NULL;
	}
	for (struct exchange *x = c->first; x; x = x->next)
		if (x->state & EARLY)
			return x;
	return NULL;
}

static struct exchange *adopt(struct pairing *p, struct exchange *x)
{
	pairing_early_remove(p, x);
	deadline_add(&p->waiting, x, x->response.start_ns + p->timeout_ns);
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

/*
 * A call of a library is told of when it returns, and until then another thread may have read the answer. Of a connection that is known from its middle that answer was taken for one without a request: it
 * came while this request's call was under way. Who reads requests may have waited in the call for long, and have answered others meanwhile.
 */
static bool is_answered(struct connection *c, enum plumb_direction dir, const struct extent *at)
{
	bool is = dir == PLUMB_EGRESS && c->alone_ns && !c->synced && !c->first && c->streams[dir].call_ns < c->alone_ns && c->alone_ns <= at->start_ns;

	c->alone_ns = 0;
	return is;
}

static struct exchange *begin_request(struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m,
				      const struct extent *at)
{
	struct progress *pr = &c->progress[dir];

	if (pr->open && !m->keyed)
		pairing_end(p, c, dir, at->offset, at->start_ns);
	if (m->flags & MESSAGE_FLUSH)
		start_afresh(p, c, at->start_ns);
	if (!m->keyed && is_answered(c, dir, at)) {
		pr->refused = true;
		c->synced = true;
		return NULL;
	}
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
			x = pairing_new_exchange(p, c, dir, true, at);
		if (!x) {
			pr->refused = true;
			if (!m->keyed)
				c->ghosts++;
			return NULL;
		}
		pairing_set_key(p, x, m);
	}
	x->state |= REQUEST_BEGUN;
	side_begin(&x->request, at);
	return x;
}

/* Responses. */

static struct exchange *find_request(const struct pairing *p, struct connection *c, const struct message *m, const struct extent *at)
{
	if (m->keyed)
		return pairing_find(p, c, m->key, at);
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
	struct exchange *x = pairing_new_exchange(p, c, dir, false, at);

	if (!x)
		return NULL;
	pairing_set_key(p, x, m);
	if (c->synced && c->early < EARLY_MAX) {
		deadline_remove(&p->waiting, x);
		pairing_early_add(p, x, at->start_ns + EARLY_NS);
	} else if (!m->keyed) {
		c->alone_ns = at->start_ns;
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
		pairing_complete(p, x);
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
		if (m->flags & MESSAGE_ERROR && !(o->state & QUIET)) /* that one says nothing when it went well */
			exchange_fail(o, m->error_type);
		pairing_complete(p, o);
	}
}

/* Any message. */

static struct exchange *current(const struct pairing *p, struct connection *c, enum plumb_direction dir, const struct message *m,
				const struct extent *at)
{
	if (!m->keyed)
		return c->progress[dir].exchange;
	return pairing_find(p, c, m->key, at);
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
	x->flags |= m->flags & MESSAGE_UNSURE ? EXCHANGE_HOLE : 0;
	if (m->flags & MESSAGE_ABORT && x->state & QUIET && !(x->state & RESPONSE_BEGUN)) { /* as good as answered when it was asked */
		if (!x->request.end_ns)
			x->request.end_ns = at->end_ns;
		x->response.end_ns = x->request.end_ns;
		x->state |= REQUEST_ENDED | RESPONSE_ENDED;
		complete_if_done(p, x);
		return;
	}
	pairing_keep_attrs(p, x, m);
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

/* False: this connection's answers of several have looked at enough. What they left open ends marked, and no failure is made of it. */
static bool may_look(struct connection *c)
{
	if (c->range_credit == 0) {
		c->synced = false;
		return false;
	}
	c->range_credit--;
	return true;
}

/* Key by key, or one open exchange after the other, whichever are fewer. */
static void settle_range(struct pairing *p, struct connection *c, const struct message *m, const struct extent *at)
{
	c->response_loss = RESPONSE_LOSS_NONE;
	c->answered = true;
	if (m->first > m->key)
		return;
	if (m->key - m->first < c->open) {
		for (uint64_t key = m->first; may_look(c); key++) {
			struct exchange *x = pairing_find(p, c, key, at);
			if (x)
				settle(p, x, m, at);
			if (key == m->key)
				break;
		}
		return;
	}
	for (struct exchange *x = c->first, *next; x && may_look(c); x = next) {
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
		x = pairing_find(p, c, m->key, at);
		if (x) {
			pairing_keep_attrs(p, x, m);
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
		pairing_keep_attrs(p, x, m);
		(response ? &x->response : &x->request)->bytes += at->bytes;
		if (m->flags & MESSAGE_NO_RESPONSE) {
			x->state |= NO_RESPONSE;
			x->flags |= EXCHANGE_ONE_WAY;
		}
		if (m->flags & MESSAGE_QUIET)
			x->state |= QUIET;
		if (m->flags & MESSAGE_UNSURE)
			x->flags |= EXCHANGE_HOLE;
		if (proto_get(c->protocol)->carried)
			x->flags |= EXCHANGE_CARRIED;
		if (x->state & REQUEST_BEGUN)
			pairing_announce(p, x, at->end_ns);
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
	pairing_early_remove(p, x);
	deadline_add(&p->waiting, x, x->response.start_ns + p->timeout_ns);
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
		struct exchange *x = pairing_new_exchange(p, c, dir, true, at);
		c->synced = false;
		if (!x)
			return;
		x->flags |= EXCHANGE_HOLE;
		x->state |= REQUEST_BEGUN | REQUEST_ENDED;
		side_begin(&x->request, at);
		x->request.end_ns = at->end_ns;
		x->request.bytes = at->end - at->offset;
		pairing_announce(p, x, at->end_ns);
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

/* Of a body whose length was announced and of which no more comes: its size is what was transferred. */
static void body_as_seen(struct connection *c, enum plumb_direction dir)
{
	const struct progress *pr = &c->progress[dir];
	const struct stream *s = &c->streams[dir];
	const enum attr_id id = pr->open == 1 + MESSAGE_RESPONSE ? ATTR_HTTP_RESPONSE_BODY_SIZE : ATTR_HTTP_REQUEST_BODY_SIZE;

	if (!pr->exchange || !pr->end_after_skip || s->skip_until <= s->end)
		return;
	uint64_t missing = s->skip_until - s->end;
	for (uint32_t i = 0; i < pr->exchange->nattrs; i++) {
		struct attr *a = &pr->exchange->attrs[i];
		if (a->id == id && (uint64_t)a->num >= missing)
			a->num -= (int64_t)missing;
	}
}

void pairing_close(struct pairing *p, struct connection *c, const char *error_type, uint32_t flags, uint64_t time_ns)
{
	for (int d = 0; d < 2 && !(flags & EXCHANGE_HOLE); d++)
		body_as_seen(c, (enum plumb_direction)d);
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
				exchange_fail(x, error_type ? error_type : "connection_closed");
		}
		pairing_complete(p, x);
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
	const struct proto_ops *ops = proto_get(next);
	struct exchange *x = c->first, *after;

	/* Only what was asked for before the switch is answered behind it. */
	if (x && !x->keyed && !(x->state & (RESPONSE_BEGUN | EARLY)) && ops && ops->answers_switch) {
		x->protocol = next;
		pairing_set_key(p, x, &m);
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
			deadline_remove(&p->waiting, x);
			deadline_add(&p->waiting, x, time_ns + p->timeout_ns);
			continue;
		}
		x->flags |= unsure(x->conn) ? EXCHANGE_HOLE : 0;
		if (!(x->state & QUIET))
			x->conn->synced = false; /* the late response, should it come, is nobody's */
		x->response.end_ns = x->state & QUIET ? x->request.end_ns : time_ns;
		if (!(x->flags & EXCHANGE_HOLE) && !(x->state & QUIET)) /* no failure is made of a record that was lost */
			exchange_fail(x, "timeout");
		pairing_complete(p, x);
	}
}
