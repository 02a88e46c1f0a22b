/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/conversation.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "proto/engine.h"

enum { SERVER_PORT = 23456, CLIENT_PORT = 34567, IO_BYTES = 16384, STEP_NS = 100000, FIRST_OFFSET = 4711 };

struct conversations {
	struct process_table *processes;
	struct conn_table *conns;
	struct proto_engine *engine;
	uint64_t now, sock;
	uint64_t offset[2]; /* by enum plumb_direction */
};

static void on_begin(void *ctx, struct exchange *x)
{
	(void)ctx;
	(void)x;
}

static void on_end(void *ctx, struct exchange *x)
{
	struct conversations *s = ctx;

	proto_engine_free_exchange(s->engine, x);
}

struct conversations *conversations_new(void)
{
	struct conversations *s = calloc(1, sizeof(*s));
	struct conn_handler bytes;

	if (!s || process_table_new(0, &s->processes) != 0)
		abort();
	const struct proto_engine_handler h = { on_begin, on_end, NULL, s };
	const struct proto_engine_options o = { .processes = s->processes };
	const struct conn_options conns = { .max_connections = 64 };
	if (proto_engine_new(&o, &h, &s->engine) != 0)
		abort();
	proto_engine_conn_handler(s->engine, &bytes);
	if (conn_table_new(&conns, &bytes, s->processes, &s->conns) != 0)
		abort();
	s->now = 1000000000;
	return s;
}

void conversations_free(struct conversations *s)
{
	conn_table_free(s->conns);
	proto_engine_free(s->engine);
	process_table_free(s->processes);
	free(s);
}

static void feed(struct conversations *s, struct record *r, uint16_t type, struct slice payload)
{
	s->now += STEP_NS;
	r->u.h.type = type;
	r->u.h.time_ns = s->now;
	conn_table_record(s->conns, r, payload);
}

static void open_socket(struct conversations *s, const struct fixture *f, const struct conversation *c)
{
	uint16_t server = c->port ? c->port : SERVER_PORT;
	bool serves = c->role == PLUMB_ROLE_SERVER;
	struct record r = { .u.sock = { .sock = ++s->sock, .family = AF_INET, .type = f->datagram ? SOCK_DGRAM : SOCK_STREAM, .role = c->role,
				      .local_port = serves ? server : CLIENT_PORT, .remote_port = serves ? CLIENT_PORT : server,
				      .flags = c->op || c->at ? PLUMB_SOCK_PREEXISTING : 0, .offset = { FIRST_OFFSET, FIRST_OFFSET } } };

	s->offset[0] = s->offset[1] = FIRST_OFFSET;
	feed(s, &r, PLUMB_REC_SOCK_OPEN, SLICE_NONE);
}

static void close_socket(struct conversations *s)
{
	struct record r = { .u.sock_stats = { .sock = s->sock, .offset = { s->offset[0], s->offset[1] } } };

	feed(s, &r, PLUMB_REC_SOCK_CLOSE, SLICE_NONE);
}

/* An I/O of `len` bytes, or the end of the direction. */
static void io(struct conversations *s, bool datagram, enum plumb_direction dir, struct slice captured, size_t len)
{
	struct record r = { .u.data = { .sock = s->sock, .offset = s->offset[dir], .pid = 11, .tid = 11, .len = (uint32_t)len, .captured = (uint32_t)captured.len,
				      .direction = (uint8_t)dir, .flags = len ? 0 : PLUMB_DATA_EOF } };

	s->offset[dir] += len;
	feed(s, &r, datagram ? PLUMB_REC_DGRAM : PLUMB_REC_DATA, captured);
}

static void run_op(struct conversations *s, const struct fixture *f, const struct fixture_op *op, size_t at, enum plumb_direction dir)
{
	if (op->kind == FIXTURE_EOF) {
		io(s, f->datagram, dir, SLICE_NONE, 0);
	} else if (op->kind == FIXTURE_HOLE) {
		io(s, f->datagram, dir, SLICE_NONE, op->len);
	} else if (f->datagram) {
		io(s, true, dir, slice_make(f->bytes.data + op->at, op->len), op->len);
	} else {
		for (size_t n; at < op->len; at += n) {
			n = op->len - at < IO_BYTES ? op->len - at : IO_BYTES;
			io(s, false, dir, slice_make(f->bytes.data + op->at + at, n), n);
		}
	}
}

void conversation_run(struct conversations *s, const struct fixture *f, const struct conversation *c, struct conversation_found *ret)
{
	struct proto_counts before, after;
	bool serves = c->role == PLUMB_ROLE_SERVER;

	proto_engine_counts(s->engine, &before);
	open_socket(s, f, c);
	for (size_t i = c->op; i < f->nops; i++) {
		bool to_server = f->op[i].side == PROTO_TO_SERVER;
		run_op(s, f, &f->op[i], i == c->op ? c->at : 0, to_server == serves ? PLUMB_INGRESS : PLUMB_EGRESS);
	}
	close_socket(s);
	proto_engine_finish(s->engine, s->now);
	proto_engine_counts(s->engine, &after);
	for (int id = 0; id < PLUMB_PROTO_COUNT; id++)
		ret->detected[id] = after.detected[id] - before.detected[id];
}
