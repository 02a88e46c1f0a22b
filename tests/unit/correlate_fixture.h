/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synthetic calls between processes, for the tests of correlate: each is one exchange at one end, told of as the pipeline would, and asked for its span when it is
 * released. Behind cmocka.h.
 */
#ifndef PLUMB_TESTS_CORRELATE_FIXTURE_H
#define PLUMB_TESTS_CORRELATE_FIXTURE_H

#include <sys/socket.h>

#include "correlate/correlate.h"

enum { HOLD = 50 * 1000 * 1000 };

struct call { /* one exchange at one end, and what became of it */
	struct exchange x;
	uint16_t io_flags;
	struct connection conn;
	struct span span;
	bool released;
	int order;
};

struct fixture {
	struct correlate *c;
	int released;
	uint32_t turn; /* of whoever moves bytes */
};

static struct process processes[32]; /* by pid */

static inline void release(void *ctx, struct exchange *x)
{
	struct fixture *f = ctx;
	struct call *k = (struct call *)(void *)x;

	assert_null(x->conn);
	assert_false(k->released);
	memset(&k->span, 0, sizeof(k->span));
	correlate_settle(f->c, x, &k->span);
	k->released = true;
	k->order = f->released++;
}

static inline void open_with(struct fixture *f, struct correlate_options o)
{
	struct correlate_handler h = { release, f };
	struct plumb_rec_start start = { .seed = { 1, 2, 3 } }; /* at 0: what serves nothing until its first request has been idle since */

	*f = (struct fixture){ 0 };
	memset(processes, 0, sizeof(processes));
	assert_int_equal(correlate_new(&o, &h, NULL, &f->c), 0);
	correlate_start(f->c, &start);
}

static inline void open_default(struct fixture *f) { open_with(f, (struct correlate_options){ .sampler = SAMPLER_ALWAYS_ON, .parent_based = true }); }

static inline struct correlate_counts finish(struct fixture *f)
{
	struct correlate_counts n;

	correlate_flush(f->c);
	correlate_counts(f->c, &n);
	correlate_free(f->c);
	return n;
}

static uint64_t next_sock = 100;

/* An exchange of process pid on thread tid; both ends of one call have the same client port and offset. */
static inline void make(struct call *k, uint8_t role, uint32_t pid, uint32_t tid, uint64_t start_ns, uint16_t client_port, uint32_t offset)
{
	struct endpoint client = { { 127, 0, 0, 1 }, client_port }, server = { { 127, 0, 0, 1 }, 8080 };

	memset(k, 0, sizeof(*k));
	processes[pid % 32].pid = pid;
	k->conn.sock = next_sock++;
	k->conn.family = AF_INET;
	k->conn.type = SOCK_STREAM;
	k->conn.role = role;
	k->conn.local = role == PLUMB_ROLE_SERVER ? server : client;
	k->conn.remote = role == PLUMB_ROLE_SERVER ? client : server;
	k->conn.streams[role == PLUMB_ROLE_SERVER ? PLUMB_INGRESS : PLUMB_EGRESS].tid = tid;
	k->x.conn = &k->conn;
	k->x.process = &processes[pid % 32];
	k->x.role = role;
	k->x.request = (struct exchange_side){ .start_ns = start_ns, .end_ns = start_ns + 10, .offset = offset, .tid = tid };
	k->x.known_ns = start_ns;
}

static inline void server(struct call *k, uint32_t pid, uint32_t tid, uint64_t start_ns, uint16_t client_port)
{
	make(k, PLUMB_ROLE_SERVER, pid, tid, start_ns, client_port, 977);
}

static inline void client(struct call *k, uint32_t pid, uint32_t tid, uint64_t start_ns, uint16_t client_port)
{
	/* The other half of the 64-bit offset differs between the ends: only the sequence number is common. */
	make(k, PLUMB_ROLE_CLIENT, pid, tid, start_ns, client_port, 977);
	k->x.request.offset |= 1ULL << 32;
}

/* The same of an event loop: its sockets do not block, and epoll waits for them. */
static inline void loop_server(struct call *k, uint32_t pid, uint32_t tid, uint64_t start_ns, uint16_t client_port)
{
	server(k, pid, tid, start_ns, client_port);
	k->io_flags = PLUMB_DATA_NONBLOCK | PLUMB_DATA_WATCHED;
}

static inline void loop_client(struct call *k, uint32_t pid, uint32_t tid, uint64_t start_ns, uint16_t client_port)
{
	client(k, pid, tid, start_ns, client_port);
	k->io_flags = PLUMB_DATA_NONBLOCK | PLUMB_DATA_WATCHED;
}

static inline void context(struct call *k, const char *traceparent)
{
	k->x.attrs[k->x.nattrs++] = (struct attr){ .id = ATTR_RAW_TRACEPARENT, .type = ATTR_TYPE_STR, .str = slice_str(traceparent) };
}

/* What the pipeline does: the I/O first, then what the parser found in it. */
static inline void io(struct fixture *f, struct call *k, enum plumb_direction dir, uint32_t tid, uint64_t time_ns)
{
	struct plumb_rec_data d = { .h.time_ns = time_ns, .sock = k->conn.sock, .pid = k->x.process->pid, .tid = tid, .direction = (uint8_t)dir, .len = 1,
				    .flags = k->io_flags, .turn = f->turn };

	correlate_io(f->c, &k->conn, &d);
}

static inline void begin(struct fixture *f, struct call *k)
{
	io(f, k, k->x.role == PLUMB_ROLE_SERVER ? PLUMB_INGRESS : PLUMB_EGRESS, k->x.request.tid, k->x.request.start_ns);
	correlate_begin(f->c, &k->x);
}

static inline void end(struct fixture *f, struct call *k, uint64_t end_ns)
{
	k->x.response.start_ns = k->x.response.end_ns = end_ns;
	io(f, k, k->x.role == PLUMB_ROLE_SERVER ? PLUMB_EGRESS : PLUMB_INGRESS, k->x.request.tid, end_ns);
	correlate_end(f->c, &k->x);
	assert_null(k->conn.correlate);
}

static inline void assert_child(const struct call *child, const struct call *parent, const char *join)
{
	const struct attr *a = attr_find(child->span.attrs, child->span.nattrs, ATTR_PLUMB_JOIN);

	assert_true(child->released && parent->released);
	assert_memory_equal(child->span.trace_id, parent->span.trace_id, 16);
	assert_memory_equal(child->span.parent_id, parent->span.span_id, 8);
	assert_memory_not_equal(child->span.span_id, parent->span.span_id, 8);
	assert_non_null(a);
	assert_true(slice_eq(a->str, slice_str(join)));
	assert_false(child->span.remote_parent);
}

static inline void assert_root(const struct call *k)
{
	static const uint8_t zero[16];

	assert_true(k->released);
	assert_memory_equal(k->span.parent_id, zero, 8);
	assert_memory_not_equal(k->span.trace_id, zero, 16);
	assert_memory_not_equal(k->span.span_id, zero, 8);
	assert_null(attr_find(k->span.attrs, k->span.nattrs, ATTR_PLUMB_JOIN));
}

#endif
