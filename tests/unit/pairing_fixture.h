/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of a Redis client from records to exchanges, and counts of what has become of them, for the tests of pairing. Behind cmocka.h. */
#ifndef PLUMB_TESTS_PAIRING_FIXTURE_H
#define PLUMB_TESTS_PAIRING_FIXTURE_H

#include <sys/socket.h>

#include "proto/engine.h"

enum { MS = 1000 * 1000 };

struct fixture {
	struct process_table *processes;
	struct conn_table *conns;
	struct proto_engine *engine;
	uint64_t now;
	uint64_t offset[2];
	uint64_t begun, ended, errors, no_request, holes, answered;
	uint64_t strangers; /* answered by a response that did not come at once */
	uint64_t turn_from, turn_ns; /* if set: turns of one request and its response are so long, from then on */
	uint64_t whole, mixed; /* without a hole: request and response of one turn; of two */
	uint64_t policies, policies_forgotten;
	struct capture capture; /* asked for last */
	struct exchange latest; /* without its memory */
};

static inline void on_begin(void *ctx, struct exchange *x)
{
	(void)x;
	((struct fixture *)ctx)->begun++;
}

static inline void on_end(void *ctx, struct exchange *x)
{
	struct fixture *f = ctx;

	f->ended++;
	f->errors += (x->flags & EXCHANGE_ERROR) != 0;
	f->no_request += (x->flags & EXCHANGE_NO_REQUEST) != 0;
	f->holes += (x->flags & EXCHANGE_HOLE) != 0;
	f->answered += x->response.start_ns != 0;
	f->strangers += x->request.start_ns && x->response.start_ns && x->response.start_ns != x->request.start_ns + MS / 10;
	if (f->turn_ns && !(x->flags & (EXCHANGE_HOLE | EXCHANGE_NO_REQUEST)) && x->response.start_ns) {
		bool same = (x->request.start_ns - f->turn_from) / f->turn_ns == (x->response.start_ns - f->turn_from) / f->turn_ns;
		*(same ? &f->whole : &f->mixed) += 1;
	}
	f->latest = *x;
	proto_engine_free_exchange(f->engine, x);
}

static inline void on_policy(void *ctx, uint64_t sock, const struct capture *capture)
{
	struct fixture *f = ctx;

	(void)sock;
	if (capture)
		f->capture = *capture;
	f->policies += capture != NULL;
	f->policies_forgotten += capture == NULL;
}

static inline void feed(struct fixture *f, const struct record *r, struct slice payload) { conn_table_record(f->conns, r, payload); }

static inline void open_socket(struct fixture *f, uint32_t flags)
{
	struct record r = { .u.sock = { .sock = 1, .family = AF_INET, .type = SOCK_STREAM, .role = PLUMB_ROLE_CLIENT, .remote_port = 6379, .flags = flags,
				      .offset = { f->offset[0], f->offset[1] } } };

	r.u.h.type = PLUMB_REC_SOCK_OPEN;
	r.u.h.time_ns = f->now;
	feed(f, &r, SLICE_NONE);
}

static inline void fixture_init(struct fixture *f, struct proto_engine_options o, uint32_t flags)
{
	const struct proto_engine_handler h = { on_begin, on_end, on_policy, f };
	const struct conn_options conns = { 0 };
	struct conn_handler bytes;

	memset(f, 0, sizeof(*f));
	f->now = 1000 * MS;
	f->offset[0] = f->offset[1] = 1ull << 32 | 7;
	assert_int_equal(process_table_new(0, &f->processes), 0);
	o.processes = f->processes;
	assert_int_equal(proto_engine_new(&o, &h, &f->engine), 0);
	proto_engine_conn_handler(f->engine, &bytes);
	assert_int_equal(conn_table_new(&conns, &bytes, f->processes, &f->conns), 0);
	open_socket(f, flags);
}

static inline void fixture_done(struct fixture *f)
{
	struct proto_counts n;

	conn_table_free(f->conns);
	proto_engine_counts(f->engine, &n);
	assert_int_equal(n.exchanges_open, 0);
	assert_int_equal(f->begun, f->ended);
	proto_engine_free(f->engine);
	process_table_free(f->processes);
}

static inline void io(struct fixture *f, enum plumb_direction dir, const void *bytes, size_t len, size_t captured)
{
	struct record r = { .u.data = { .sock = 1, .offset = f->offset[dir], .pid = 11, .tid = 11, .len = (uint32_t)len, .captured = (uint32_t)captured,
					.direction = (uint8_t)dir } };

	f->now += MS / 10;
	f->offset[dir] += len;
	r.u.h.type = PLUMB_REC_DATA;
	r.u.h.time_ns = f->now;
	if (len == 0)
		r.u.data.flags = PLUMB_DATA_EOF;
	feed(f, &r, slice_make(bytes, captured));
}

static inline void text(struct fixture *f, enum plumb_direction dir, const char *s) { io(f, dir, s, strlen(s), strlen(s)); }
static inline void request(struct fixture *f) { text(f, PLUMB_EGRESS, "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"); }
static inline void response(struct fixture *f) { text(f, PLUMB_INGRESS, "$5\r\nvalue\r\n"); }

static inline void close_socket(struct fixture *f, int error)
{
	struct record r = { .u.sock_stats = { .sock = 1, .error = error, .offset = { f->offset[0], f->offset[1] } } };

	f->now += MS;
	r.u.h.type = PLUMB_REC_SOCK_CLOSE;
	r.u.h.time_ns = f->now;
	feed(f, &r, SLICE_NONE);
}

static inline void tick(struct fixture *f, uint64_t later_ns)
{
	struct record r = { .u.h = { .type = PLUMB_REC_TICK } };

	f->now += later_ns;
	r.u.h.time_ns = f->now;
	feed(f, &r, SLICE_NONE);
	proto_engine_tick(f->engine, f->now);
}

#endif
