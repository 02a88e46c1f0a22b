/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets and sessions that move bytes, and what is found out of them. */
#ifndef PLUMB_SESSIONS_FIXTURE_H
#define PLUMB_SESSIONS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "conn/sessions.h"

enum { MS = 1000 * 1000, PID = 4710, OTHER_PID = 4720, TID = 4711, OTHER_TID = 4712, SOCKET = 17, OTHER = 19, THIRD = 23 };

#define SESSION(n) (1ull << PLUMB_SESSION_BIT | (n))

struct fixture {
	struct conn_table *conns;
	struct process_table *processes;
	struct sessions *sessions;
	uint64_t now;
	uint64_t order[64]; /* offsets of the sessions' records, as they were handed on */
	size_t n;
	uint64_t flow; /* as the latest was handed on */
	uint16_t flags;
	size_t closed;
	int error;
	struct connection *encrypted;
};

static inline size_t on_bytes(void *ctx, struct connection *c, enum plumb_direction dir, struct slice in, uint64_t time_ns)
{
	(void)ctx, (void)c, (void)dir, (void)time_ns;
	return in.len;
}

static inline void on_hole(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t from, uint64_t to, uint64_t time_ns)
{
	(void)ctx, (void)c, (void)dir, (void)time_ns;
	assert_true(from < to);
}

static inline void on_nothing(void *ctx, struct connection *c, enum plumb_direction dir, uint64_t time_ns) { (void)ctx, (void)c, (void)dir, (void)time_ns; }

static inline void on_resumed(void *ctx, struct connection *c, uint64_t time_ns) { (void)ctx, (void)c, (void)time_ns; }

static inline void on_datagram(void *ctx, struct connection *c, enum plumb_direction dir, struct slice in, const struct plumb_rec_dgram *rec)
{
	(void)ctx, (void)c, (void)dir, (void)in, (void)rec;
}

static inline void on_close(void *ctx, struct connection *c, int error, bool evicted, uint64_t time_ns)
{
	struct fixture *f = ctx;

	(void)evicted, (void)time_ns;
	if (PLUMB_IS_SESSION(c->sock)) {
		f->closed++;
		f->error = error;
	}
}

static inline void on_data(void *ctx, const struct record *rec, struct slice payload)
{
	struct fixture *f = ctx;

	if (PLUMB_IS_SESSION(rec->u.data.sock)) {
		assert_true(f->n < sizeof(f->order) / sizeof(f->order[0]));
		f->order[f->n++] = rec->u.data.offset;
		f->flow = rec->u.data.flow;
		f->flags = rec->u.data.flags;
	}
	conn_table_record(f->conns, rec, payload);
}

static inline void on_encrypted(void *ctx, struct connection *c) { ((struct fixture *)ctx)->encrypted = c; }

static inline void begin_with(struct fixture *f, uint32_t max_connections)
{
	const struct conn_handler h = { on_bytes, on_hole, on_nothing, on_resumed, on_resumed, on_resumed, on_nothing, on_datagram, on_close, f };
	const struct sessions_handler data = { .data = on_data, .encrypted = on_encrypted, .ctx = f };

	memset(f, 0, sizeof(*f));
	f->now = 1000ull * MS;
	assert_int_equal(process_table_new(0, &f->processes), 0);
	assert_int_equal(conn_table_new(&(struct conn_options){ .max_connections = max_connections }, &h, f->processes, &f->conns), 0);
	assert_int_equal(sessions_new(&data, f->conns, &f->sessions), 0);
}

static inline void begin(struct fixture *f) { begin_with(f, 0); }

static inline void done(struct fixture *f)
{
	sessions_free(f->sessions);
	conn_table_free(f->conns);
	process_table_free(f->processes);
}

static inline void socket_opens(struct fixture *f, uint64_t sock, uint16_t port)
{
	struct record r = { .u.sock = { .sock = sock, .family = AF_INET, .type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT, .local_port = 40000, .remote_port = port,
					.local_addr = { 10, 0, 0, 1 }, .remote_addr = { 10, 0, 0, 2 } } };

	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_SOCK_OPEN, .time_ns = f->now += 1000 };
	conn_table_record(f->conns, &r, SLICE_NONE);
	/* As its first bytes have said. */
	struct connection *c = conn_table_get(f->conns, sock);
	c->phase = CONNECTION_PARSE;
	c->protocol = PLUMB_PROTO_TLS;
}

static inline void closes(struct fixture *f, uint64_t sock, int error)
{
	struct record r = { .u.sock_stats = { .sock = sock, .error = error } };

	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_SOCK_CLOSE, .time_ns = f->now += 1000 };
	conn_table_record(f->conns, &r, SLICE_NONE);
}

/* len bytes, of which none was captured, or their first. */
static inline void moves(struct fixture *f, uint64_t sock, uint32_t tid, enum plumb_direction dir, uint64_t offset, uint32_t len, uint32_t took_ns, int first)
{
	struct record r = { .u.data = { .sock = sock, .tid = tid, .direction = (uint8_t)dir, .offset = offset, .len = len, .took_ns = took_ns, .captured = first >= 0 } };
	uint8_t byte = (uint8_t)first;

	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f->now += 1000 };
	sessions_data(f->sessions, &r, first >= 0 ? slice_make(&byte, 1) : SLICE_NONE);
}

static inline void writes(struct fixture *f, uint64_t sock, uint32_t tid, uint64_t offset, uint32_t len, uint32_t took_ns) { moves(f, sock, tid, PLUMB_EGRESS, offset, len, took_ns, -1); }

static inline void reads(struct fixture *f, uint64_t sock, uint32_t tid, uint64_t offset, uint32_t len, uint32_t took_ns) { moves(f, sock, tid, PLUMB_INGRESS, offset, len, took_ns, -1); }

struct tls_record {
	uint8_t type;
	uint16_t len;
};

/* By which the records that follow are known, in what is behind their heads: a sequence number, and what is only theirs. */
static inline uint64_t number_of_first(uint8_t only) { return plumb_record_number((uint8_t[PLUMB_RECORD_BYTES]){ [7] = 1, [8] = only, [15] = 77 }); }

/* A record of this number, whose first bytes were captured. */
static inline void moves_numbered(struct fixture *f, uint64_t sock, uint32_t pid, uint32_t tid, enum plumb_direction dir, uint8_t only, uint16_t len)
{
	static uint64_t offset = 1ull << 33;
	uint8_t bytes[5 + PLUMB_RECORD_BYTES] = { 23, 3, 3, (uint8_t)(len >> 8), (uint8_t)len, [5 + 7] = 1, [5 + 8] = only, [5 + 15] = 77 };
	struct record r = { .u.data = { .sock = sock, .pid = pid, .tid = tid, .direction = (uint8_t)dir, .offset = offset += 5u + len, .len = 5u + len, .captured = sizeof(bytes) } };

	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f->now += 1000 };
	sessions_data(f->sessions, &r, slice_make(bytes, sizeof(bytes)));
}

/* What a session has moved, of which this is said besides; number: of a record, 0 none. */
static inline void session_moves(struct fixture *f, uint64_t session, uint32_t pid, uint32_t tid, enum plumb_direction dir, uint32_t len, uint16_t flags, uint64_t number)
{
	struct record r = { .u.data = { .sock = session, .pid = pid, .tid = tid, .direction = (uint8_t)dir, .len = len, .flags = flags, .record = number } };

	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f->now += 1000 };
	sessions_data(f->sessions, &r, SLICE_NONE);
}

/* Whole records, all captured. */
static inline void moves_records(struct fixture *f, uint64_t sock, enum plumb_direction dir, size_t n, const struct tls_record *records)
{
	static uint64_t offset = 1ull << 32;
	uint8_t bytes[4096] = { 0 };
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		memcpy(bytes + len, (uint8_t[]){ records[i].type, 3, 3, (uint8_t)(records[i].len >> 8), (uint8_t)records[i].len }, 5);
		len += 5 + (size_t)records[i].len;
		assert_true(len <= sizeof(bytes));
	}
	struct record r = { .u.data = { .sock = sock, .tid = TID, .direction = (uint8_t)dir, .offset = offset += len, .len = (uint32_t)len, .captured = (uint32_t)len } };
	r.u.h = (struct plumb_rec_header){ .type = PLUMB_REC_DATA, .time_ns = f->now += 1000 };
	sessions_data(f->sessions, &r, slice_make(bytes, len));
}

static inline void assert_counted(const struct fixture *f, uint64_t within, uint64_t around, uint64_t none)
{
	struct sessions_counts n;

	sessions_counts(f->sessions, &n);
	assert_int_equal(n.found[SESSIONS_WITHIN], within);
	assert_int_equal(n.found[SESSIONS_AROUND], around);
	assert_int_equal(n.unknown, none);
}

static inline uint64_t below(struct fixture *f, uint64_t session)
{
	const struct connection *c = conn_table_get(f->conns, session);

	assert_non_null(c);
	return c->below;
}

#endif
