/* SPDX-License-Identifier: Apache-2.0 */
#include "correlate/correlate.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "correlate/activity.h"
#include "correlate/bytes_place.h"
#include "lib/hash.h"
#include "lib/prefetch.h"

enum { HOLD_NS = 50 * 1000 * 1000, MAX_HELD = 8192, MAX_NODES = 65536, DEPTH_MAX = 256 };
static const uint64_t linger_ns = UINT64_C(2000000000);
static const uint64_t idle_memory_ns = UINT64_C(120000000000);
enum { OWN_CALLS_RARE = 20 }; /* a pause in which so small a part of a call of the process's own is to be expected tells of none */
enum { LINGER_PART = 8 }; /* of all nodes */

/* What began an exchange that begins now. */
struct io {
	uint64_t sock;
	uint32_t tid, turn;
	uint8_t direction;
	bool nonblock, watched;
};

struct correlate {
	struct correlate_options options;
	struct correlate_handler handler;
	struct correlate_counts counts;
	uint8_t seed[16];
	uint64_t now_ns; /* latest record time */
	uint64_t first_ns; /* of the run */
	struct conn_table *conns;
	struct io io; /* the latest */
	struct activity activity;
	struct map by_bytes; /* struct trace_node with a living exchange, or lingering, by the place of its request's first byte */
	struct slab nodes;
	struct trace_node *held_first, *held_last; /* in order of due_ns */
	struct trace_node *linger_first, *linger_last; /* the same */
	uint32_t lingering;
};

int correlate_new(const struct correlate_options *o, const struct correlate_handler *h, struct conn_table *conns, struct correlate **ret_correlate)
{
	struct correlate *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->conns = conns;
	c->options = *o;
	c->handler = *h;
	if (!c->options.hold_ns)
		c->options.hold_ns = HOLD_NS;
	if (!c->options.max_held)
		c->options.max_held = MAX_HELD;
	if (!c->options.max_nodes)
		c->options.max_nodes = MAX_NODES;
	activity_init(&c->activity, c->options.max_nodes);
	map_init(&c->by_bytes, c->options.max_nodes);
	slab_init(&c->nodes, sizeof(struct trace_node), c->options.max_nodes);
	*ret_correlate = c;
	return 0;
}

void correlate_free(struct correlate *c)
{
	if (!c)
		return;
	activity_done(&c->activity);
	map_done(&c->by_bytes);
	slab_done(&c->nodes);
	free(c);
}

void correlate_start(struct correlate *c, const struct plumb_rec_start *start)
{
	memcpy(c->seed, start->seed, sizeof(c->seed));
	c->first_ns = start->h.time_ns;
}

/* --- identities --- */

/* What an exchange is, in bytes without padding: the same in every replay. */
struct identity {
	uint8_t seed[16];
	uint64_t sock, offset, start_ns, key;
	uint64_t role;
};

static bool all_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

/* An id of all zeros is invalid; it would take a hash of 2^-64 luck, and then it is one. */
static void make_ids(const struct correlate *c, const struct exchange *x, uint64_t sock, uint8_t ret_trace[16], uint8_t ret_span[8])
{
	const struct exchange_side *side = x->flags & EXCHANGE_NO_REQUEST ? &x->response : &x->request;
	struct identity id = { .sock = sock, .offset = side->offset, .start_ns = side->start_ns, .key = x->keyed ? x->key : 0, .role = x->role };
	XXH128_canonical_t trace;
	XXH64_canonical_t span;

	memcpy(id.seed, c->seed, sizeof(id.seed));
	XXH128_canonicalFromHash(&trace, XXH3_128bits_withSeed(&id, sizeof(id), 1));
	XXH64_canonicalFromHash(&span, hash_bytes(&id, sizeof(id), 2));
	memcpy(ret_trace, trace.digest, 16);
	memcpy(ret_span, span.digest, 8);
	if (all_zero(ret_trace, 16))
		ret_trace[15] = 1;
	if (all_zero(ret_span, 8))
		ret_span[7] = 1;
}

/* A root's decision. By ratio: the 56 random bits of a trace id against a threshold (W3C Trace Context level 2, OpenTelemetry's consistent sampling). */
static bool sampler_decides(const struct correlate *c, const uint8_t trace_id[16])
{
	if (c->options.sampler != SAMPLER_RATIO)
		return c->options.sampler == SAMPLER_ALWAYS_ON;
	double ratio = c->options.ratio < 0 ? 0 : c->options.ratio > 1 ? 1 : c->options.ratio;
	uint64_t random = load_be64(trace_id + 8) & ((1ULL << 56) - 1);

	return random >= (uint64_t)((1 - ratio) * (double)(1ULL << 56));
}

/* --- nodes --- */

static struct trace_node *node_new(struct correlate *c, struct exchange *x)
{
	struct trace_node *n = slab_get(&c->nodes);

	if (!n)
		return NULL;
	n->x = x;
	n->refs = 1;
	n->role = x->role;
	n->start_ns = x->request.start_ns ? x->request.start_ns : x->response.start_ns;
	make_ids(c, x, x->conn->sock, n->trace_id, n->span_id);
	x->trace = n;
	return n;
}

/* Gives back one reference and what only this node still refers to. */
static void node_unref(struct correlate *c, struct trace_node *n)
{
	while (n && --n->refs == 0) {
		struct trace_node *parent = n->parent;
		slab_put(&c->nodes, n);
		n = parent;
	}
}

/* The first of n and its ancestors that is frozen, or else the root. */
static struct trace_node *node_top(struct trace_node *n)
{
	while (!n->frozen && n->parent)
		n = n->parent;
	return n;
}

/* Fixes the trace id and the sampling decision of n and of all above it. */
static void node_freeze(struct correlate *c, struct trace_node *n)
{
	struct trace_node *top = node_top(n);

	if (!top->frozen) {
		top->sampled = sampler_decides(c, top->trace_id);
		top->frozen = true;
	}
	for (; n != top; n = n->parent) {
		memcpy(n->trace_id, top->trace_id, sizeof(n->trace_id));
		n->sampled = top->sampled;
		n->frozen = true;
	}
}

static bool same_trace(const uint8_t *a, const uint8_t *b) { return memcmp(a, b, 16) == 0; }

static bool same_wire(const struct trace_node *a, const struct trace_node *b)
{
	return a->has_wire && b->has_wire && same_trace(a->wire.trace_id, b->wire.trace_id) &&
	       memcmp(a->wire.span_id, b->wire.span_id, sizeof(a->wire.span_id)) == 0;
}

/* True if `of` is n or above it, or the chain is so long that we will not make it longer. */
static bool is_above(const struct trace_node *of, const struct trace_node *n)
{
	int depth = 0;

	for (; n; n = n->parent)
		if (n == of || ++depth > DEPTH_MAX)
			return true;
	return false;
}

/*
 * Makes parent the parent of child. If the child's trace is fixed already, the parent's joins it where that is still open; two traces that are both fixed and differ
 * stay apart.
 */
static bool node_link(struct correlate *c, struct trace_node *child, struct trace_node *parent, enum join join)
{
	if (child->parent || is_above(child, parent))
		return false;
	if (child->frozen) {
		struct trace_node *top = node_top(parent);
		if (!top->frozen) {
			memcpy(top->trace_id, child->trace_id, sizeof(top->trace_id));
			top->sampled = child->sampled;
			top->frozen = true;
		} else if (!same_trace(top->trace_id, child->trace_id)) {
			c->counts.contradicted++;
			return false;
		}
	}
	child->parent = parent;
	child->join = (uint8_t)join;
	parent->refs++;
	return true;
}

/* Of a call that its parent is known to have made, and waits for. */
static void call_is_over(struct trace_node *n)
{
	if (n->under_way)
		n->parent->calls--;
	n->under_way = false;
}

/* --- evidence 1: context on the wire --- */

static void wire_apply(struct correlate *c, struct trace_node *n, const struct trace_context *wire)
{
	if (n->frozen && !same_trace(n->trace_id, wire->trace_id)) {
		c->counts.contradicted++; /* it was settled for a child's sake before the context was seen */
		return;
	}
	n->has_wire = true;
	n->wire = *wire;
	if (n->parent && n->join != JOIN_SOCKET && !same_wire(n, n->parent)) {
		/* The wire outranks what the thread suggested. */
		struct trace_node *old = n->parent;
		call_is_over(n);
		n->parent = NULL;
		node_unref(c, old);
	}
	if (!n->parent)
		n->join = JOIN_WIRE;
	if (n->frozen)
		return;
	memcpy(n->trace_id, wire->trace_id, sizeof(n->trace_id));
	bool obey = c->options.parent_based && wire->sampled != CONTEXT_DEFERRED;
	n->sampled = obey ? wire->sampled == CONTEXT_SAMPLED : sampler_decides(c, n->trace_id);
	n->frozen = true;
}

static void wire_find(struct correlate *c, struct trace_node *n)
{
	struct trace_context wire;

	if (!n->has_wire && context_find(n->x->attrs, n->x->nattrs, &wire))
		wire_apply(c, n, &wire);
}

/* --- evidence 2: the other end of the same bytes --- */

static void socket_link(struct correlate *c, struct trace_node *server, struct trace_node *client)
{
	if (server->has_wire && !client->has_wire && !client->frozen)
		wire_apply(c, client, &server->wire); /* the same bytes left here, so the context did too */
	if (!node_link(c, server, client, JOIN_SOCKET))
		return;
	/* What has arrived had been sent: the sender's record was only made later. */
	if (client->x && client->x->request.start_ns > server->x->request.start_ns) {
		client->x->request.start_ns = server->x->request.start_ns;
		client->start_ns = server->start_ns;
	}
}

static void socket_join(struct correlate *c, struct trace_node *n)
{
	struct bytes_place p;

	if (n->indexed || (n->role != PLUMB_ROLE_CLIENT && n->role != PLUMB_ROLE_SERVER) || !bytes_place_of(n->x, n->role, &p))
		return;
	n->bytes_key = hash_bytes(&p, sizeof(p), 0);
	n->indexed = map_add(&c->by_bytes, n->bytes_key, n) == 0;
	p.role = n->role == PLUMB_ROLE_CLIENT ? PLUMB_ROLE_SERVER : PLUMB_ROLE_CLIENT;
	struct trace_node *other = map_get(&c->by_bytes, hash_bytes(&p, sizeof(p), 0));
	if (!other)
		return;
	struct trace_node *server = n->role == PLUMB_ROLE_SERVER ? n : other, *client = n->role == PLUMB_ROLE_SERVER ? other : n;
	/* Which socket a session uses was found out, so it may be wrong. */
	if (((p.family == AF_UNIX || p.session == 2) && !client->x) || ((p.family == AF_UNIX || p.session) && client->x && !bytes_place_is_plausible(client->x, server->x)))
		c->counts.contradicted++;
	else
		socket_link(c, server, client);
}

/* --- evidence 3: who is handling what --- */

/*
 * Goroutines, and the tasks of other runtimes, go on in whatever thread is free: there the thread is no evidence. Go is known by its executable, others by what they do.
 */
static bool tasks_move(const struct process *p, uint64_t flow)
{
	return p && !flow && (p->tasks_move || p->flags & PLUMB_PROCESS_GOLANG);
}

/* How often a process makes calls of its own shows while it serves no request. */
static void serving_begins(struct correlate *c, struct trace_node *n)
{
	struct process *p = n->x->process;

	if (!p)
		return;
	n->serving = true;
	if (p->serving++)
		return;
	uint64_t since_ns = p->idle_since_ns ? p->idle_since_ns : p->start_ns > c->first_ns ? p->start_ns : c->first_ns;
	p->idle_ns += c->now_ns > since_ns ? c->now_ns - since_ns : 0;
	if (p->idle_ns > idle_memory_ns) {
		p->idle_ns /= 2;
		p->own_calls /= 2;
	}
}

static void serving_ends(struct correlate *c, struct trace_node *n)
{
	struct process *p = n->x->process;

	if (!n->serving)
		return;
	n->serving = false;
	if (--p->serving == 0)
		p->idle_since_ns = c->now_ns;
}

/* Weak evidence counts only where a call of the process's own is not to be expected in the time in which the request was silent. */
static bool is_plausible(const struct process *p, const struct trace_node *request, uint64_t start_ns)
{
	uint64_t silent_ns = start_ns > request->touched_ns ? start_ns - request->touched_ns : 0;

	return !p || silent_ns < p->idle_ns / OWN_CALLS_RARE / (p->own_calls + 1);
}

/* The connection was opened for a request, and this is the first that it serves. */
static uint64_t take_opener(struct correlate *c, struct connection *conn)
{
	uint64_t opener;

	if (conn->below && !conn->opener && c->conns)
		conn = conn_table_get(c->conns, conn->below);
	if (!conn)
		return 0;
	opener = conn->opener;
	conn->opener = 0;
	return opener;
}

static void thread_join(struct correlate *c, struct trace_node *n)
{
	struct exchange *x = n->x;
	struct activity_call call = {
		.by = { x->process ? x->process->pid : 0, x->request.tid, x->request.flow },
		.start_ns = n->start_ns,
		.wire = n->has_wire ? &n->wire : NULL,
		.conn = x->conn,
		.opener = take_opener(c, x->conn),
		.within = x->flags & EXCHANGE_WITHIN,
	};
	struct trace_node *request;
	enum join join = JOIN_PROCESS;
	enum activity_answer answer;

	if (call.by.tid == 0 && call.by.flow == 0)
		return;
	if (c->io.sock == x->conn->sock) {
		call.watched = c->io.watched;
		call.turn = c->io.turn;
		/* What is known only by its answer was sent in an earlier turn. */
		call.turn_known = c->io.direction == PLUMB_EGRESS && c->io.tid == x->request.tid;
	}
	if (x->flags & EXCHANGE_CARRIED || tasks_move(x->process, call.by.flow))
		answer = activity_find_alone(&c->activity, call.by.pid, n->start_ns, &request);
	else
		answer = activity_find(&c->activity, &call, &request, &join);
	if (answer == ACTIVITY_NONE && x->process)
		x->process->own_calls++;
	/* Of its response bytes were lost: whether it is still being handled, nobody knows. */
	if (answer == ACTIVITY_FOUND && request->x && request->x->flags & EXCHANGE_HOLE && request->x->response.start_ns)
		answer = ACTIVITY_AMBIGUOUS;
	if (answer == ACTIVITY_FOUND && join == JOIN_PROCESS && !is_plausible(x->process, request, n->start_ns))
		answer = ACTIVITY_AMBIGUOUS;
	c->counts.ambiguous += answer == ACTIVITY_AMBIGUOUS;
	/* A context on the wire names another parent, unless it is the one that the request came with, merely handed on. */
	if (answer == ACTIVITY_FOUND && (!n->has_wire || same_wire(n, request)) && node_link(c, n, request, join) && !call.within) {
		n->under_way = true;
		request->calls++;
	}
}

/* Something of the request's was read just now, by the latest I/O. */
static void claim(struct correlate *c, struct trace_node *n)
{
	n->touched_ns = c->now_ns;
	activity_claim(&c->activity, n, c->io.tid, c->io.turn, c->io.sock);
}

/* The thread that read last of the request is the one that handles it. */
static void thread_handles(struct correlate *c, struct trace_node *n)
{
	const struct stream *in = &n->x->conn->streams[PLUMB_INGRESS];
	struct activity_caller by = { n->x->process ? n->x->process->pid : 0, in->tid, in->flow };

	if (n->x->flags & EXCHANGE_ONE_WAY)
		return; /* when all of it is there, it is over */
	if (by.tid == 0 && by.flow == 0) {
		by.tid = n->x->request.tid;
		by.flow = n->x->request.flow;
	}
	serving_begins(c, n);
	n->touched_ns = c->now_ns;
	if (c->io.sock == n->x->conn->sock && c->io.direction == PLUMB_INGRESS && c->io.tid == by.tid) {
		n->loop = c->io.nonblock || c->io.watched;
		claim(c, n);
	}
	activity_start(&c->activity, n, by, n->x->flags & EXCHANGE_CARRIED);
}

/* A session's turn is told in part: the thread's latest, or one near it. What is said of a socket holds for the session on it. */
static void note_session_io(struct correlate *c, const struct connection *conn, const struct plumb_rec_data *io)
{
	const struct connection *below = conn->below && c->conns ? conn_table_get(c->conns, conn->below) : NULL;
	uint32_t latest = activity_latest_turn(&c->activity, io->tid);
	uint32_t ahead = (((uint32_t)io->flags >> PLUMB_DATA_TURN_SHIFT) - latest) & 0xff;

	c->io.turn = latest + ahead - (ahead & 0x80 ? 0x100 : 0);
	c->io.nonblock = below && below->io_flags & PLUMB_DATA_NONBLOCK;
	c->io.watched = below && below->io_flags & PLUMB_DATA_WATCHED;
}

static void note_io(struct correlate *c, struct connection *conn, const struct plumb_rec_data *io)
{
	bool uring = io->path == PLUMB_PATH_IO_URING; /* who uses it waits for what it brings, whatever the socket */

	if (io->h.time_ns > c->now_ns)
		c->now_ns = io->h.time_ns;
	conn->io_flags = io->flags;
	c->io = (struct io){ .sock = conn->sock, .tid = io->tid, .turn = io->turn, .direction = io->direction,
			     .nonblock = uring || io->flags & PLUMB_DATA_NONBLOCK, .watched = uring || io->flags & PLUMB_DATA_WATCHED };
	if (PLUMB_IS_SESSION(conn->sock))
		note_session_io(c, conn, io);
}

void correlate_io(struct correlate *c, struct connection *conn, const struct plumb_rec_data *io)
{
	struct trace_node *n = conn->correlate;
	struct activity_caller by = { io->pid, io->tid, io->flow };
	/* What is encrypted is read once more, by the session. */
	bool read = io->direction == PLUMB_INGRESS && io->len && !conn->above && conn->protocol != PLUMB_PROTO_TLS && !(io->flags & PLUMB_DATA_COVERED);

	note_io(c, conn, io);
	activity_seen(&c->activity, io->tid, c->io.turn, read ? conn->sock : 0);
	if (io->direction == PLUMB_EGRESS) {
		if (n && n->role == PLUMB_ROLE_SERVER) {
			/* Answered by another thread than the one that read it. */
			if (!io->flow && n->x && n->x->process && conn->streams[PLUMB_INGRESS].tid && conn->streams[PLUMB_INGRESS].tid != io->tid)
				n->x->process->tasks_move = true;
			activity_turn(&c->activity, by);
		}
		return;
	}
	activity_turn(&c->activity, by);
	if (!n)
		return;
	if (n->role == PLUMB_ROLE_SERVER && n->x && n->x->request.end_ns == 0) {
		activity_move(&c->activity, n, by);
		claim(c, n);
	} else if (n->role == PLUMB_ROLE_CLIENT && n->parent && conn->open <= 1) {
		/* Of several that are under way, whose answer it is shows when it ends. */
		activity_resume(n->parent);
		claim(c, n->parent);
	}
}

void correlate_upkeep(struct correlate *c, const struct connection *conn)
{
	/* A client may do something of its own about what its server says of the connection. */
	if (conn->role == PLUMB_ROLE_SERVER && c->io.sock == conn->sock && c->io.direction == PLUMB_INGRESS)
		activity_disregard(&c->activity, c->io.tid, conn->sock);
}

void correlate_open(struct correlate *c, struct connection *conn, const struct plumb_rec_sock *open)
{
	if (open->role == PLUMB_ROLE_CLIENT && open->tid)
		conn->opener = activity_opener(&c->activity, open->tid, open->turn, open->h.time_ns);
}

/* --- the life of an exchange --- */

static struct trace_node *enter(struct correlate *c, struct exchange *x)
{
	struct trace_node *n = node_new(c, x);

	if (!n)
		return NULL;
	n->late = x->known_ns && x->known_ns < c->now_ns;
	wire_find(c, n);
	socket_join(c, n);
	return n;
}

void correlate_begin(struct correlate *c, struct exchange *x)
{
	struct trace_node *n = enter(c, x);

	if (!n)
		return;
	if (!(x->flags & EXCHANGE_SESSION))
		x->conn->correlate = n;
	if ((x->flags & EXCHANGE_NO_REQUEST) || (x->response.end_ns && !(x->flags & EXCHANGE_WITHIN)))
		return; /* heard of when it was over: whatever was being handled then is not now */
	if (n->role == PLUMB_ROLE_SERVER && !(x->flags & EXCHANGE_SESSION))
		thread_handles(c, n);
	else if (n->role == PLUMB_ROLE_CLIENT)
		thread_join(c, n);
}

static void copy_ends(struct exchange *x)
{
	const struct connection *conn = x->conn;
	struct exchange_ends *e = &x->ends;

	e->local = conn->local;
	e->remote = conn->type == SOCK_DGRAM && x->peer.port ? x->peer : conn->remote;
	e->sock = conn->sock;
	e->family = conn->family;
	e->type = conn->type;
	memcpy(e->path, conn->path, sizeof(e->path));
}

/* What release_oldest() and the span builder will read of the node behind `n`, and the node behind that one. */
static void prefetch_behind(const struct trace_node *n)
{
	const struct trace_node *next = n->held_next; /* asked for when the one before n was released */

	if (!next)
		return;
	prefetch(next->x, offsetof(struct exchange, attrs) + 8 * sizeof(struct attr));
	prefetch(&next->x->nattrs, offsetof(struct exchange, arena_memory) - offsetof(struct exchange, nattrs) + 256);
	if (next->held_next)
		prefetch(next->held_next, sizeof(*next));
}

/* Nobody finds it any more. */
static void leave(struct correlate *c, struct trace_node *n)
{
	if (n->indexed)
		map_remove(&c->by_bytes, n->bytes_key);
	n->indexed = false;
	node_unref(c, n);
}

static void leave_oldest(struct correlate *c)
{
	struct trace_node *n = c->linger_first;

	c->linger_first = n->held_next;
	if (!c->linger_first)
		c->linger_last = NULL;
	c->lingering--;
	leave(c, n);
}

/* Its span is made, and no answer tells that the other end has read it: that one may still come to it, and finds it by its bytes. */
static void linger(struct correlate *c, struct trace_node *n)
{
	n->due_ns = c->now_ns + linger_ns;
	node_unref(c, n->parent); /* its ids are fixed: who called it need not stay */
	n->parent = NULL;
	n->held_next = NULL;
	*(c->linger_last ? &c->linger_last->held_next : &c->linger_first) = n;
	c->linger_last = n;
	if (++c->lingering > c->options.max_nodes / LINGER_PART)
		leave_oldest(c);
}

static void release(struct correlate *c, struct trace_node *n)
{
	static const size_t count_of[JOINS] = {
		[JOIN_NONE] = offsetof(struct correlate_counts, roots),
		[JOIN_WIRE] = offsetof(struct correlate_counts, joined_wire),
		[JOIN_SOCKET] = offsetof(struct correlate_counts, joined_socket),
		[JOIN_THREAD] = offsetof(struct correlate_counts, joined_thread),
		[JOIN_FLOW] = offsetof(struct correlate_counts, joined_flow),
		[JOIN_PROCESS] = offsetof(struct correlate_counts, joined_process),
	};

	++*(uint64_t *)(void *)((char *)&c->counts + count_of[n->join]);
	bool lingers = n->indexed && n->role == PLUMB_ROLE_CLIENT && !n->x->response.start_ns && n->x->ends.family != AF_UNIX;
	node_freeze(c, n);
	c->handler.release(c->handler.ctx, n->x);
	n->x = NULL;
	if (lingers)
		linger(c, n);
	else
		leave(c, n);
}

static void release_oldest(struct correlate *c)
{
	struct trace_node *n = c->held_first;

	prefetch_behind(n);
	c->held_first = n->held_next;
	if (!c->held_first)
		c->held_last = NULL;
	c->counts.held--;
	release(c, n);
}

/*
 * Nothing that may still come can change n's trace: it was answered, and above it stands a caller, whose own causes came before it on its thread, or a trace from the
 * wire. What is left to wait for is the caller of a server's request, whose record another CPU may write later. And the server of a call that was only known with its
 * answer: it is known with the answer too, which it may have told of later than the caller. So may the server whose session of a TLS library waited for its socket to be found.
 */
static bool is_settled(struct trace_node *n)
{
	if (!n->x->response.end_ns || n->late || PLUMB_IS_SESSION(n->x->ends.sock))
		return false;
	n = node_top(n);
	return n->role == PLUMB_ROLE_CLIENT || n->has_wire;
}

static void hold(struct correlate *c, struct trace_node *n)
{
	n->due_ns = c->now_ns + c->options.hold_ns;
	*(c->held_last ? &c->held_last->held_next : &c->held_first) = n;
	c->held_last = n;
	if (++c->counts.held > c->options.max_held) {
		c->counts.released_early++;
		release_oldest(c);
	}
}

static void call_ended(struct correlate *c, struct trace_node *n, uint32_t reader)
{
	if (n->x->response.end_ns)
		activity_claim_latest(&c->activity, n->parent, reader, n->x->ends.sock);
	call_is_over(n);
	if (!n->parent)
		return;
	n->parent->touched_ns = c->now_ns;
	activity_resume(n->parent);
}

void correlate_end(struct correlate *c, struct exchange *x)
{
	struct trace_node *n = x->trace ? x->trace : enter(c, x);

	if (x->conn->correlate == n)
		x->conn->correlate = NULL;
	copy_ends(x);
	uint32_t reader = x->conn->streams[PLUMB_INGRESS].tid;
	x->conn = NULL;
	if (x->response.end_ns > c->now_ns)
		c->now_ns = x->response.end_ns;
	if (!n) {
		c->counts.refused++;
		c->handler.release(c->handler.ctx, x);
		return;
	}
	wire_find(c, n);
	activity_stop(&c->activity, n);
	serving_ends(c, n);
	if (n->role == PLUMB_ROLE_CLIENT && !(x->flags & EXCHANGE_WITHIN))
		call_ended(c, n, reader);
	if (is_settled(n))
		release(c, n); /* while it is in the processor's caches */
	else
		hold(c, n);
}

void correlate_tick(struct correlate *c, uint64_t time_ns)
{
	if (time_ns > c->now_ns)
		c->now_ns = time_ns;
	while (c->held_first && c->held_first->due_ns <= c->now_ns)
		release_oldest(c);
	while (c->linger_first && c->linger_first->due_ns <= c->now_ns)
		leave_oldest(c);
}

void correlate_flush(struct correlate *c)
{
	while (c->held_first)
		release_oldest(c);
	while (c->linger_first)
		leave_oldest(c);
}

static void settle_alone(struct correlate *c, const struct exchange *x, struct span *span)
{
	make_ids(c, x, x->ends.sock, span->trace_id, span->span_id);
	memset(span->parent_id, 0, sizeof(span->parent_id));
	span->sampled = sampler_decides(c, span->trace_id);
	span->remote_parent = false;
	span->trace_state = SLICE_NONE;
}

static void add_links(const struct exchange *x, struct span *span)
{
	struct trace_context context;

	for (uint32_t i = 0; i < x->nattrs && i < EXCHANGE_ATTRS_MAX; i++) {
		const struct attr *a = &x->attrs[i];
		if (a->id != ATTR_RAW_LINK || a->type != ATTR_TYPE_STR || !context_parse_traceparent(a->str, &context))
			continue;
		if (span->nlinks == SPAN_LINKS_MAX) {
			span->links_dropped++;
			continue;
		}
		struct span_link *l = &span->links[span->nlinks++];
		memcpy(l->trace_id, context.trace_id, sizeof(l->trace_id));
		memcpy(l->span_id, context.span_id, sizeof(l->span_id));
	}
}

void correlate_settle(struct correlate *c, struct exchange *x, struct span *span)
{
	static const char *const names[JOINS] = { NULL, "wire", "socket", "thread", "flow", "process" };
	struct trace_node *n = x->trace;

	add_links(x, span);
	if (!n) {
		settle_alone(c, x, span);
		return;
	}
	const struct attr *state = n->has_wire ? attr_find(x->attrs, x->nattrs, ATTR_RAW_TRACESTATE) : NULL;

	node_freeze(c, n);
	memcpy(span->trace_id, n->trace_id, sizeof(span->trace_id));
	memcpy(span->span_id, n->span_id, sizeof(span->span_id));
	memset(span->parent_id, 0, sizeof(span->parent_id));
	if (n->parent)
		memcpy(span->parent_id, n->parent->span_id, sizeof(span->parent_id));
	else if (n->has_wire)
		memcpy(span->parent_id, n->wire.span_id, sizeof(span->parent_id));
	span->remote_parent = !n->parent && n->has_wire;
	span->sampled = n->sampled;
	span->trace_state = state && state->type == ATTR_TYPE_STR ? state->str : SLICE_NONE;
	if (names[n->join] && span->nattrs < SPAN_ATTRS_MAX)
		span->attrs[span->nattrs++] = (struct attr){ .id = ATTR_PLUMB_JOIN, .type = ATTR_TYPE_STR, .str = slice_str(names[n->join]) };
}

void correlate_counts(const struct correlate *c, struct correlate_counts *ret)
{
	*ret = c->counts;
}
