/* SPDX-License-Identifier: Apache-2.0 */
#include "correlate/activity.h"

#include "lib/hash.h"

enum { WIRE_SCAN_MAX = 64, TURN_SCAN_MAX = 64 }; /* requests looked at for one with the same context, or of the same turn */
enum { UNPROMPTED_RARE = 64, CALLS_REMEMBERED = 4096 }; /* of a loop's calls: one in so many may be unprompted, and of so many it is remembered */
static const uint64_t waiting_ns = UINT64_C(2000000000); /* who waits longer may do nothing but wait: a client may ask for what has not happened yet */

struct handler_thread {
	struct activity_caller who; /* see caller_key() */
	uint64_t key;
	struct trace_node *first, *last; /* runnable ones stand before the others */
	uint32_t active, runnable;
	uint32_t unknown_calls; /* of requests that are under way: of which, nobody could tell */
	struct trace_node *current; /* made the previous call, and nothing was read since */
};

struct handler_process {
	uint32_t pid;
	uint32_t active;
	struct trace_node *first;
};

/* It is not known to have made a call since something of it was read, nor to wait for an answer. */
static bool could_call(const struct trace_node *n) { return n->runnable && !n->called && !n->calls; }

void activity_init(struct activity *a, size_t max_requests)
{
	map_init(&a->threads, max_requests);
	map_init(&a->processes, max_requests);
	slab_init(&a->thread_slab, sizeof(struct handler_thread), max_requests);
	slab_init(&a->process_slab, sizeof(struct handler_process), max_requests);
}

void activity_done(struct activity *a)
{
	map_done(&a->threads);
	map_done(&a->processes);
	slab_done(&a->thread_slab);
	slab_done(&a->process_slab);
}

/*
 * Goroutines change threads, so a flow counts within its process. A thread's id is enough by itself, and must be: the process that a socket
 * was opened by and the one that uses it may differ.
 */
static uint64_t caller_key(struct activity_caller *who)
{
	if (who->flow)
		who->tid = 0;
	else
		who->pid = 0;
	return hash_bytes(who, sizeof(*who), 0);
}

static struct handler_thread *thread_find(const struct activity *a, struct activity_caller who)
{
	if (a->threads.len == 0 || (who.tid == 0 && who.flow == 0))
		return NULL;
	struct handler_thread *t = map_get(&a->threads, caller_key(&who));
	bool same = t && t->who.pid == who.pid && t->who.tid == who.tid && t->who.flow == who.flow;

	return same ? t : NULL;
}

static struct handler_thread *thread_get(struct activity *a, struct activity_caller who)
{
	uint64_t key = caller_key(&who);
	struct handler_thread *t = thread_find(a, who);

	if (t || map_get(&a->threads, key)) /* a key that two share serves the first only */
		return t;
	t = slab_get(&a->thread_slab);
	if (!t)
		return NULL;
	if (map_put(&a->threads, key, t)) {
		slab_put(&a->thread_slab, t);
		return NULL;
	}
	t->who = who;
	t->key = key;
	return t;
}

static void list_add(struct handler_thread *t, struct trace_node *n)
{
	if (n->runnable) {
		n->thread_prev = NULL;
		n->thread_next = t->first;
		*(t->first ? &t->first->thread_prev : &t->last) = n;
		t->first = n;
		t->runnable++;
	} else {
		n->thread_next = NULL;
		n->thread_prev = t->last;
		*(t->last ? &t->last->thread_next : &t->first) = n;
		t->last = n;
	}
	t->active++;
}

static void list_remove(struct handler_thread *t, struct trace_node *n)
{
	*(n->thread_prev ? &n->thread_prev->thread_next : &t->first) = n->thread_next;
	*(n->thread_next ? &n->thread_next->thread_prev : &t->last) = n->thread_prev;
	t->active--;
	t->runnable -= n->runnable;
}

static void set_runnable(struct trace_node *n, bool runnable)
{
	list_remove(n->thread, n);
	n->runnable = runnable;
	list_add(n->thread, n);
}

static void thread_leave(struct activity *a, struct trace_node *n)
{
	struct handler_thread *t = n->thread;

	if (!t)
		return;
	list_remove(t, n);
	if (could_call(n) && !n->answered && t->unknown_calls)
		t->unknown_calls--; /* one of them was its own, as it seems */
	if (t->current == n)
		t->current = NULL;
	n->thread = NULL;
	if (t->active == 0) {
		map_remove(&a->threads, t->key);
		slab_put(&a->thread_slab, t);
	}
}

static void thread_enter(struct activity *a, struct trace_node *n, struct activity_caller by)
{
	struct handler_thread *t = thread_get(a, by);

	if (!t)
		return;
	n->thread = t;
	n->runnable = true;
	list_add(t, n);
}

static void process_enter(struct activity *a, struct trace_node *n, uint32_t pid)
{
	struct handler_process *p = map_get(&a->processes, pid);

	if (pid == 0)
		return; /* unknown: requests of any process may be meant */
	if (!p) {
		p = slab_get(&a->process_slab);
		if (!p)
			return;
		if (map_put(&a->processes, pid, p)) {
			slab_put(&a->process_slab, p);
			return;
		}
		p->pid = pid;
	}
	n->alone = p->active == 0;
	if (p->active == 1)
		p->first->alone = false;
	n->process = p;
	n->process_next = p->first;
	if (p->first)
		p->first->process_prev = n;
	p->first = n;
	p->active++;
}

static void process_leave(struct activity *a, struct trace_node *n)
{
	struct handler_process *p = n->process;

	if (!p)
		return;
	*(n->process_prev ? &n->process_prev->process_next : &p->first) = n->process_next;
	if (n->process_next)
		n->process_next->process_prev = n->process_prev;
	n->process = NULL;
	n->process_prev = n->process_next = NULL;
	if (--p->active == 0) {
		map_remove(&a->processes, p->pid);
		slab_put(&a->process_slab, p);
	}
}

void activity_start(struct activity *a, struct trace_node *n, struct activity_caller by, bool carried)
{
	if (by.tid == 0 && by.flow == 0)
		return; /* seen on the wire */
	if (!carried)
		thread_enter(a, n, by);
	process_enter(a, n, by.pid);
}

void activity_stop(struct activity *a, struct trace_node *n)
{
	thread_leave(a, n);
	process_leave(a, n);
}

void activity_move(struct activity *a, struct trace_node *n, struct activity_caller to)
{
	if (!n->thread || n->thread == thread_find(a, to))
		return;
	thread_leave(a, n);
	thread_enter(a, n, to);
}

void activity_turn(struct activity *a, struct activity_caller by)
{
	struct handler_thread *t = thread_find(a, by);

	if (t)
		t->current = NULL;
}

/* --- turns --- */

static struct activity_loop *loop_of(struct activity *a, uint32_t tid) { return &a->loops[(tid * 2654435761u) >> 22]; }

/* Nobody has claimed what was read before: it was somebody else's. */
static void settle_read(struct activity_loop *l)
{
	if (l->read && !l->claimed) {
		l->foreign = true;
		l->foreign_turn = l->turn;
	}
	l->read = 0;
	l->claimed = false;
}

void activity_seen(struct activity *a, uint32_t tid, uint32_t turn, uint64_t read)
{
	struct activity_loop *l = loop_of(a, tid);

	if (tid == 0)
		return;
	if (l->tid != tid)
		*l = (struct activity_loop){ .tid = tid, .turn = turn };
	if ((int32_t)(turn - l->turn) < 0)
		return; /* what had to wait elsewhere is told of late */
	if (turn != l->turn || read)
		settle_read(l);
	if (turn != l->turn)
		l->prompt = false;
	l->turn = turn;
	if (read) {
		l->read = read;
		l->prompt = true;
	}
}

void activity_disregard(struct activity *a, uint32_t tid, uint64_t sock)
{
	struct activity_loop *l = loop_of(a, tid);

	if (l->tid == tid && l->read == sock && !l->claimed)
		l->read = 0;
}

uint32_t activity_latest_turn(struct activity *a, uint32_t tid)
{
	const struct activity_loop *l = loop_of(a, tid);

	return l->tid == tid ? l->turn : 0;
}

void activity_claim(struct activity *a, struct trace_node *n, uint32_t tid, uint32_t turn, uint64_t sock)
{
	struct activity_loop *l = loop_of(a, tid);

	n->turn = turn;
	n->turn_tid = tid;
	n->called = false;
	if (l->tid == tid && l->read == sock)
		l->claimed = true;
}

void activity_claim_latest(struct activity *a, struct trace_node *n, uint32_t tid, uint64_t sock)
{
	struct activity_loop *l = loop_of(a, tid);

	if (l->tid != tid || l->read != sock)
		return;
	if (n) {
		activity_claim(a, n, tid, l->turn, sock);
	} else {
		l->foreign = true;
		l->foreign_turn = l->turn;
	}
}

static bool read_foreign(struct activity *a, uint32_t tid, uint32_t turn)
{
	struct activity_loop *l = loop_of(a, tid);

	if (l->tid != tid)
		return true; /* or so one must suppose */
	if (l->turn == turn)
		settle_read(l);
	return l->foreign && l->foreign_turn == turn;
}

static bool is_of_turn(const struct trace_node *n, uint32_t tid, uint32_t turn) { return n->turn_tid == tid && n->turn == turn; }

/* The only one of the thread's requests of which something was read in that turn. *ret_runnable: the only one that has made no call since. */
static struct trace_node *only_of_turn(const struct handler_thread *t, uint32_t turn, struct trace_node **ret_runnable)
{
	struct trace_node *only = NULL;
	uint32_t found = 0, runnable = 0;
	int looked_at = 0;

	*ret_runnable = NULL;
	for (struct trace_node *n = t->first; n; n = n->thread_next) {
		if (++looked_at > TURN_SCAN_MAX)
			return *ret_runnable = NULL;
		if (!is_of_turn(n, t->who.tid, turn))
			continue;
		only = n;
		found++;
		runnable += n->runnable;
		if (n->runnable)
			*ret_runnable = n;
	}
	if (runnable != 1)
		*ret_runnable = NULL;
	return found == 1 ? only : NULL;
}

/* The thread makes a call. Do its calls come in turns in which it has read something, all but a few? Else some follow what nobody sees: a timer, a name that another thread has looked up. */
static bool is_prompted(struct activity *a, uint32_t tid, uint32_t turn)
{
	struct activity_loop *l = loop_of(a, tid);

	if (l->tid != tid || (int32_t)(turn - l->turn) < 0)
		return false;
	++*(l->turn == turn && l->prompt ? &l->prompted : &l->unprompted);
	if (l->prompted + l->unprompted > CALLS_REMEMBERED) {
		l->prompted /= 2;
		l->unprompted /= 2;
	}
	return l->prompted >= UNPROMPTED_RARE * l->unprompted;
}

/* All that is known to be waited for is seen; this one waits for something else, or for nothing. */
static bool waits_unseen(const struct trace_node *n, uint64_t now_ns) { return could_call(n) && n->x && n->x->request.end_ns && now_ns < n->touched_ns + waiting_ns; }

/*
 * May a request of another turn have waited for what nobody sees? It may have come in this turn, as a busy loop does not sleep in between. Where calls are seen to follow such things, so may those of a
 * request that waits for an answer as well.
 */
static bool others_wait(const struct handler_thread *t, uint32_t turn, uint64_t now_ns, bool prompted)
{
	int looked_at = 0;

	for (struct trace_node *n = t->first; n && (n->runnable || !prompted); n = n->thread_next)
		if (++looked_at > TURN_SCAN_MAX || (!is_of_turn(n, t->who.tid, turn) && (prompted ? waits_unseen(n, now_ns) : now_ns < n->touched_ns + waiting_ns)))
			return true;
	return false;
}

/*
 * Nobody can tell which request has made this call. When as many were made as there are requests that could have, each has, if each makes one: else one such call would make all that follow it uncertain, too. A
 * loop whose calls follow what nobody sees is not trusted with that.
 */
static void called_by_one(struct handler_thread *t, bool prompted)
{
	struct trace_node *could[TURN_SCAN_MAX];
	uint32_t n_could = 0;
	int looked_at = 0;

	for (struct trace_node *n = t->first; n && n->runnable; n = n->thread_next) {
		if (++looked_at > TURN_SCAN_MAX)
			return;
		if (could_call(n))
			could[n_could++] = n;
	}
	if (++t->unknown_calls < n_could || !prompted)
		return;
	t->unknown_calls = 0;
	for (uint32_t i = 0; i < n_could; i++)
		could[i]->called = true;
}

/* The request that calls in this turn, as far as what was read tells. */
static struct trace_node *turn_tells(struct activity *a, struct handler_thread *t, uint32_t turn, uint64_t now_ns, struct trace_node *current)
{
	struct trace_node *runnable, *n = NULL;
	bool prompted = is_prompted(a, t->who.tid, turn);

	if (!read_foreign(a, t->who.tid, turn) && !others_wait(t, turn, now_ns, prompted)) {
		n = only_of_turn(t, turn, &runnable);
		n = n ? n : runnable;
		if (!n && current && is_of_turn(current, t->who.tid, turn))
			n = current;
	}
	if (!n)
		called_by_one(t, prompted);
	return n;
}

static bool is_loop(const struct handler_thread *t, const struct activity_call *call)
{
	const struct trace_node *n = t->first;

	return !t->who.flow && ((call->watched && n->loop) || (n->x && n->x->conn == call->conn));
}

static struct trace_node *find_opener(const struct handler_thread *t, uint64_t id)
{
	struct trace_node *n = t->first;

	for (int i = 0; n && i < TURN_SCAN_MAX; i++, n = n->thread_next)
		if (n->x && n->x->id == id)
			return n;
	return NULL;
}

uint64_t activity_opener(struct activity *a, uint32_t tid, uint32_t turn, uint64_t now_ns)
{
	struct handler_thread *t = thread_find(a, (struct activity_caller){ 0, tid, 0 });
	struct trace_node *n = t && t->first->loop ? turn_tells(a, t, turn, now_ns, NULL) : NULL;

	if (!n || !n->x)
		return ACTIVITY_OPENER_UNKNOWN;
	n->called = true;
	return n->x->id;
}

void activity_resume(struct trace_node *n)
{
	n->answered = true;
	if (n->thread && !n->runnable)
		set_runnable(n, true);
}

static struct trace_node *find_by_wire(const struct handler_thread *t, const struct trace_context *wire)
{
	struct trace_node *n = t->first;

	for (int i = 0; n && i < WIRE_SCAN_MAX; i++, n = n->thread_next)
		if (n->has_wire && memcmp(n->wire.trace_id, wire->trace_id, sizeof(wire->trace_id)) == 0 &&
		    memcmp(n->wire.span_id, wire->span_id, sizeof(wire->span_id)) == 0)
			return n;
	return NULL;
}

static struct trace_node *thread_choose(const struct handler_thread *t, const struct trace_context *wire)
{
	struct trace_node *n = wire ? find_by_wire(t, wire) : NULL;

	if (n || t->active == 1)
		return n ? n : t->first;
	if (t->runnable == 1)
		return t->first;
	return t->runnable == 0 ? t->current : NULL;
}

enum activity_answer activity_find_alone(struct activity *a, uint32_t pid, uint64_t start_ns, struct trace_node **ret_node)
{
	struct handler_process *p = map_get(&a->processes, pid);

	if (!p || p->active == 0)
		return ACTIVITY_NONE;
	if (p->active != 1 || !p->first->alone || p->first->start_ns > start_ns)
		return ACTIVITY_AMBIGUOUS;
	*ret_node = p->first;
	return ACTIVITY_FOUND;
}

enum activity_answer activity_find(struct activity *a, const struct activity_call *call, struct trace_node **ret_node, enum join *ret_join)
{
	struct handler_thread *t = thread_find(a, call->by);
	struct trace_node *n = NULL;

	*ret_join = JOIN_PROCESS;
	if (!t)
		return activity_find_alone(a, call->by.pid, call->start_ns, ret_node);
	if (is_loop(t, call)) {
		n = call->wire ? find_by_wire(t, call->wire) : NULL;
		if (!n)
			n = call->opener ? find_opener(t, call->opener) : call->turn_known ? turn_tells(a, t, call->turn, call->start_ns, t->current) : NULL;
		if (!n)
			return activity_find_alone(a, call->by.pid, call->start_ns, ret_node);
	} else {
		n = thread_choose(t, call->wire);
	}
	*ret_join = call->by.flow ? JOIN_FLOW : JOIN_THREAD;
	if (!n || n->start_ns > call->start_ns)
		return ACTIVITY_AMBIGUOUS;
	if (!call->within) {
		set_runnable(n, false);
		t->current = n;
	}
	*ret_node = n;
	return ACTIVITY_FOUND;
}
