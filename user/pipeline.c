/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline.h"

#include <errno.h>
#include <stdlib.h>

#include "conn/sessions.h"

struct pipeline {
	struct process_table *processes;
	struct conn_table *conns;
	struct sessions *sessions;
	struct proto_engine *proto;
	struct correlate *correlate;
	struct span_builder *builder;
	struct metrics *metrics;
	struct pipeline_filter filter;
	bool protocols[PLUMB_PROTO_COUNT];
	struct sink *const *sinks;
	void (*policy)(void *ctx, uint64_t sock, const struct capture *capture);
	void *policy_ctx;
	struct link_progress *progress;
	uint64_t now_ns;
	uint64_t realtime_offset_ns;
	uint64_t spans; /* given to the sinks */
	uint64_t loss[PLUMB_LOSS_REASONS];
	struct span span; /* scratch: large */
};

static void on_begin(void *ctx, struct exchange *x)
{
	struct pipeline *p = ctx;

	if (p->progress)
		p->progress->begun++;
	correlate_begin(p->correlate, x);
}

static void on_end(void *ctx, struct exchange *x)
{
	struct pipeline *p = ctx;

	correlate_end(p->correlate, x);
}

static void on_policy(void *ctx, uint64_t sock, const struct capture *capture)
{
	struct pipeline *p = ctx;

	if (p->policy)
		p->policy(p->policy_ctx, sock, capture);
}

static bool wanted(const struct pipeline *p, const struct span *s)
{
	const struct pipeline_filter *f = &p->filter;

	if (f->protocols && (s->protocol >= PLUMB_PROTO_COUNT || !p->protocols[s->protocol]))
		return false;
	if (f->errors_only && s->status != SPAN_STATUS_ERROR)
		return false;
	if (s->end_ns - s->start_ns < f->min_duration_ns)
		return false;
	return !f->max_spans || p->spans < f->max_spans;
}

static void on_release(void *ctx, struct exchange *x)
{
	struct pipeline *p = ctx;
	struct span *s = &p->span;

	span_build(p->builder, x, s);
	s->realtime_offset_ns = p->realtime_offset_ns;
	correlate_settle(p->correlate, x, s);
	/* A response whose request was not seen has no duration, and its request may have been counted: it is in plumb_unmatched_responses_total. */
	if (!(x->flags & EXCHANGE_NO_REQUEST))
		metrics_span(p->metrics, s);
	if (s->sampled && wanted(p, s)) {
		p->spans++;
		for (struct sink *const *sink = p->sinks; sink && *sink; sink++)
			(*sink)->ops->span(*sink, s); /* refusals are counted by the sink */
	}
	if (p->progress)
		p->progress->ended++;
	proto_engine_free_exchange(p->proto, x);
}

/* An I/O: who reads and writes is known to correlate/ before the bytes are parsed, as they may begin an exchange. */
static void on_io(void *ctx, const struct record *rec, struct slice payload)
{
	struct pipeline *p = ctx;
	struct connection *c = conn_table_touch(p->conns, rec);

	if (c) {
		c->parsed = 0;
		correlate_io(p->correlate, c, &rec->u.data);
	}
	conn_table_record(p->conns, rec, payload);
	if (c && c->parsed == CONNECTION_PARSED_UPKEEP)
		correlate_upkeep(p->correlate, c);
}

static void on_encrypted(void *ctx, struct connection *c)
{
	struct pipeline *p = ctx;

	proto_engine_encrypted(p->proto, c);
}

static int make_stages(struct pipeline *p, const struct pipeline_options *o)
{
	const struct proto_engine_handler exchanges = { .begin = on_begin, .end = on_end, .policy = on_policy, .ctx = p };
	const struct sessions_handler data = { .data = on_io, .encrypted = on_encrypted, .ctx = p };
	const struct correlate_handler settled = { .release = on_release, .ctx = p };
	struct proto_engine_options proto = o->proto;
	struct conn_handler bytes;

	int err = process_table_new(0, &p->processes);
	if (err)
		return err;
	proto.processes = p->processes;
	err = proto_engine_new(&proto, &exchanges, &p->proto);
	if (err)
		return err;
	proto_engine_conn_handler(p->proto, &bytes);
	err = conn_table_new(&o->conn, &bytes, p->processes, &p->conns);
	if (err)
		return err;
	err = sessions_new(&data, p->conns, &p->sessions);
	if (err)
		return err;
	err = correlate_new(&o->correlate, &settled, p->conns, &p->correlate);
	if (err)
		return err;
	err = span_builder_new(&o->span, &p->builder);
	if (err)
		return err;
	return metrics_new(&o->metrics, &p->metrics);
}

int pipeline_new(const struct pipeline_options *o, struct pipeline **ret_pipeline)
{
	struct pipeline *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->filter = o->filter;
	if (o->filter.protocols)
		memcpy(p->protocols, o->filter.protocols, sizeof(p->protocols));
	p->sinks = o->sinks;
	p->policy = o->policy;
	p->policy_ctx = o->policy_ctx;
	p->progress = o->progress;
	int err = make_stages(p, o);
	if (err) {
		pipeline_free(p);
		return err;
	}
	*ret_pipeline = p;
	return 0;
}

/* What is still open goes the usual way to its end, so that every object returns to its owner. */
void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	if (p->metrics) { /* the last stage made: all others are there */
		pipeline_finish(p);
		conn_table_free(p->conns);
		correlate_flush(p->correlate);
		metrics_free(p->metrics);
	} else {
		conn_table_free(p->conns);
	}
	if (p->builder)
		span_builder_free(p->builder);
	if (p->correlate)
		correlate_free(p->correlate);
	sessions_free(p->sessions);
	proto_engine_free(p->proto);
	process_table_free(p->processes);
	free(p);
}

static void on_tick(struct pipeline *p)
{
	proto_engine_tick(p->proto, p->now_ns);
	correlate_tick(p->correlate, p->now_ns);
	for (struct sink *const *sink = p->sinks; sink && *sink; sink++)
		if ((*sink)->ops->tick)
			(*sink)->ops->tick(*sink, p->now_ns);
}

static void on_process(struct pipeline *p, const struct record *rec, struct slice payload)
{
	if (rec->u.h.type == PLUMB_REC_EXIT || rec->u.h.type == PLUMB_REC_EXEC)
		proto_engine_forget_process(p->proto, rec->u.h.type == PLUMB_REC_EXIT ? rec->u.exit.pid : rec->u.exec.pid);
	process_table_record(p->processes, rec, payload);
	if (rec->u.h.type != PLUMB_REC_PROC_STAT && rec->u.h.type != PLUMB_REC_EXIT)
		return;
	struct process *process = process_table_ref(p->processes, rec->u.h.type == PLUMB_REC_EXIT ? rec->u.exit.pid : rec->u.proc_stat.pid);
	if (process)
		metrics_process(p->metrics, process);
	process_table_unref(p->processes, process);
}

static void on_gpu(struct pipeline *p, const struct record *rec)
{
	uint32_t pid = rec->u.h.type == PLUMB_REC_GPU_CALLS ? rec->u.gpu_calls.pid : rec->u.h.type == PLUMB_REC_GPU_KERNEL ? rec->u.gpu_kernel.pid : rec->u.gpu_process.pid;
	struct process *process = process_table_ref(p->processes, pid);

	metrics_gpu_record(p->metrics, process, rec);
	process_table_unref(p->processes, process);
}

/* Before the connection goes, and after it comes. */
static void on_socket_metrics(struct pipeline *p, const struct record *rec, uint64_t sock, uint32_t pid)
{
	const struct connection *c = conn_table_get(p->conns, sock);
	struct process *owner = pid && !(c && c->process) ? process_table_ref(p->processes, pid) : NULL;

	metrics_socket(p->metrics, c, owner, rec);
	process_table_unref(p->processes, owner);
}

static void on_open(struct pipeline *p, const struct plumb_rec_sock *r)
{
	struct connection *c = conn_table_get(p->conns, r->sock);

	if (c)
		correlate_open(p->correlate, c, r);
}

static void on_start(struct pipeline *p, const struct plumb_rec_start *r)
{
	uint64_t seed;

	memcpy(&seed, r->seed, sizeof(seed));
	p->realtime_offset_ns = r->realtime_offset_ns;
	sessions_start(p->sessions, r);
	proto_engine_seed(p->proto, seed);
	correlate_start(p->correlate, r);
}

int pipeline_record(void *ctx, const struct record *rec, struct slice payload)
{
	struct pipeline *p = ctx;

	if (rec->u.h.time_ns > p->now_ns)
		p->now_ns = rec->u.h.time_ns;
	switch (rec->u.h.type) {
	case PLUMB_REC_DATA: sessions_data(p->sessions, rec, payload); break;
	case PLUMB_REC_SESSION: sessions_socket(p->sessions, &rec->u.session); break;
	case PLUMB_REC_DGRAM: on_io(p, rec, payload); break;
	case PLUMB_REC_SOCK_OPEN:
		conn_table_record(p->conns, rec, payload);
		on_open(p, &rec->u.sock);
		on_socket_metrics(p, rec, rec->u.sock.sock, rec->u.sock.pid);
		break;
	case PLUMB_REC_SOCK_CLOSE:
	case PLUMB_REC_SOCK_STATS:
		if (PLUMB_IS_SESSION(rec->u.sock_stats.sock))
			sessions_close(p->sessions, rec->u.sock_stats.sock);
		else
			on_socket_metrics(p, rec, rec->u.sock_stats.sock, rec->u.sock_stats.pid);
		conn_table_record(p->conns, rec, payload);
		break;
	case PLUMB_REC_FORK:
	case PLUMB_REC_EXEC:
	case PLUMB_REC_EXIT:
	case PLUMB_REC_PROCESS:
	case PLUMB_REC_PROC_STAT: on_process(p, rec, payload); break;
	case PLUMB_REC_TICK:
		process_table_record(p->processes, rec, payload);
		conn_table_record(p->conns, rec, payload);
		sessions_tick(p->sessions, p->now_ns);
		on_tick(p);
		break;
	case PLUMB_REC_GPU_CALLS:
	case PLUMB_REC_GPU_KERNEL:
	case PLUMB_REC_GPU_PROCESS: on_gpu(p, rec); break;
	case PLUMB_REC_CALL: proto_engine_call(p->proto, &rec->u.call, payload); break;
	case PLUMB_REC_START: on_start(p, &rec->u.start); break;
	case PLUMB_REC_CLOCK: p->realtime_offset_ns = rec->u.clock.realtime_offset_ns; break;
	case PLUMB_REC_LOSS:
		if (rec->u.loss.reason < PLUMB_LOSS_REASONS)
			p->loss[rec->u.loss.reason] = rec->u.loss.count;
		break;
	case PLUMB_REC_OVERHEAD: metrics_overhead_record(p->metrics, &rec->u.overhead); break;
	case PLUMB_REC_LIBRARIES: metrics_libraries_record(p->metrics, &rec->u.libraries); break;
	case PLUMB_REC_SELF: metrics_self_record(p->metrics, &rec->u.self); break;
	default: break;
	}
	return 0;
}

void pipeline_finish(struct pipeline *p)
{
	sessions_flush(p->sessions);
	conn_table_flush(p->conns);
	proto_engine_finish(p->proto, p->now_ns);
	correlate_flush(p->correlate);
	on_tick(p);
}

const uint64_t *pipeline_losses(const struct pipeline *p) { return p->loss; }

bool pipeline_done(const struct pipeline *p) { return p->filter.max_spans && p->spans >= p->filter.max_spans; }

void pipeline_counts(const struct pipeline *p, struct metrics_self *self)
{
	process_table_counts(p->processes, &self->processes);
	conn_table_counts(p->conns, &self->conn);
	sessions_counts(p->sessions, &self->sessions);
	proto_engine_counts(p->proto, &self->proto);
	span_builder_counts(p->builder, &self->span);
	correlate_counts(p->correlate, &self->correlate);
	memcpy(self->loss, p->loss, sizeof(self->loss));
}

int pipeline_metrics(struct pipeline *p, const struct metrics_self *outside, bool openmetrics, struct buffer *out)
{
	struct metrics_self self = *outside;

	pipeline_counts(p, &self);
	if (!self.sinks)
		self.sinks = (const struct sink *const *)p->sinks;
	return metrics_render(p->metrics, &self, openmetrics, p->now_ns, out);
}
