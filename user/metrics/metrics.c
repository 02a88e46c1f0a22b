/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/metrics.h"

#include <errno.h>
#include <stdlib.h>

#include "metrics/gpu_calls.h"
#include "metrics/gpu_kernels.h"
#include "metrics/self.h"
#include "metrics/sockets.h"
#include "metrics/targets.h"

enum { SERIES_PER_SERVICE = 500, SERIES_MAX = 20000, SOCKETS_MAX = 65536, TARGETS_MAX = 4096, GPU_CALLS_MAX = 16384, GPU_NAMES_MAX = 8192 };
#define EXPIRE_NS (15ull * 60 * 1000000000)

struct metrics {
	struct series_table *series;
	struct sockets *sockets;
	struct targets *targets;
	struct gpu_calls *gpu_calls;
	struct gpu_kernels *gpu_kernels;
	struct self_cost cost;
	uint64_t now_ns; /* latest record time seen: never goes back */
	uint8_t label_of[GROUP_SERIES_COUNT][ATTR_COUNT]; /* 1 + index of the label that an attribute fills, 0 = none */
};

int metrics_new(const struct metrics_options *o, struct metrics **ret_metrics)
{
	struct metrics *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	for (size_t g = 0; g < GROUP_SERIES_COUNT; g++)
		for (uint32_t i = 0; i < metric_groups[g].count; i++)
			if (metric_groups[g].labels[i].attr < ATTR_COUNT)
				m->label_of[g][metric_groups[g].labels[i].attr] = (uint8_t)(i + 1);
	err = series_table_new(o->series_per_service ? o->series_per_service : SERIES_PER_SERVICE, o->series_max ? o->series_max : SERIES_MAX,
		o->expire_ns ? o->expire_ns : EXPIRE_NS, &m->series);
	if (!err)
		err = sockets_new(SOCKETS_MAX, m->series, &m->sockets);
	if (!err)
		err = targets_new(TARGETS_MAX, m->series, &m->targets);
	if (!err)
		err = gpu_calls_new(GPU_CALLS_MAX, m->series, &m->gpu_calls);
	if (!err)
		err = gpu_kernels_new(GPU_NAMES_MAX, o->expire_ns ? o->expire_ns : EXPIRE_NS, &m->gpu_kernels);
	if (err) {
		metrics_free(m);
		return err;
	}
	*ret_metrics = m;
	return 0;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	gpu_kernels_free(m->gpu_kernels);
	gpu_calls_free(m->gpu_calls);
	targets_free(m->targets);
	sockets_free(m->sockets);
	series_table_free(m->series);
	free(m);
}

static uint64_t advance(struct metrics *m, uint64_t time_ns)
{
	if (time_ns > m->now_ns)
		m->now_ns = time_ns;
	return m->now_ns;
}

/* Families of a new protocol family are chosen here; until then its spans count in plumb_span_duration_seconds. */
static enum metric_group span_group(const struct span *s)
{
	bool client = s->kind == SPAN_CLIENT;

	if (s->family == PROTO_FAMILY_MESSAGING && s->server_end)
		return GROUP_MESSAGING_SERVER;
	if (s->family == PROTO_FAMILY_MESSAGING)
		return s->kind == SPAN_CONSUMER ? GROUP_MESSAGING_PROCESS : GROUP_MESSAGING_CLIENT;
	if (!client && s->kind != SPAN_SERVER)
		return GROUP_SPAN;
	switch (s->family) {
	case PROTO_FAMILY_HTTP:
		return client ? GROUP_HTTP_CLIENT : GROUP_HTTP_SERVER;
	case PROTO_FAMILY_DB:
		return client ? GROUP_DB_CLIENT : GROUP_DB_SERVER;
	case PROTO_FAMILY_DNS:
		return client ? GROUP_DNS_CLIENT : GROUP_DNS_SERVER;
	case PROTO_FAMILY_RPC:
		return client ? GROUP_RPC_CLIENT : GROUP_RPC_SERVER;
	default:
		return GROUP_SPAN;
	}
}

/* Decimal digits at the end of `to`; their view. */
static struct slice digits(int64_t v, char to[24])
{
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	size_t at = 24;

	do {
		to[--at] = (char)('0' + u % 10);
		u /= 10;
	} while (u);
	if (v < 0)
		to[--at] = '-';
	return slice_make(to + at, 24 - at);
}

/* The messages of a span at the end of a broker's client; `values` are the labels, which the groups of those have in common. */
static void count_messages(struct metrics *m, const struct span *s, const struct slice *values, uint64_t now_ns)
{
	const struct attr *type = attr_find(s->attrs, s->nattrs, ATTR_MESSAGING_OPERATION_TYPE), *n = attr_find(s->attrs, s->nattrs, ATTR_MESSAGING_BATCH_MESSAGE_COUNT);
	struct slice what = type && type->type == ATTR_TYPE_STR ? type->str : SLICE_NONE;
	bool sent = slice_eq(what, SLICE_LIT("send"));

	if (s->server_end || (!sent && !slice_eq(what, SLICE_LIT("receive")) && !slice_eq(what, SLICE_LIT("process"))))
		return;
	struct series *series = series_get(m->series, GROUP_MESSAGING_CLIENT, values, now_ns);
	*series_slot(m->series, series, sent ? FAMILY_MESSAGING_SENT : FAMILY_MESSAGING_CONSUMED) += n && n->type == ATTR_TYPE_INT && n->num >= 0 ? (uint64_t)n->num : 1;
}

void metrics_span(struct metrics *m, const struct span *s)
{
	static const char *const kinds[] = { "", "internal", "server", "client", "producer", "consumer" };
	enum metric_group group = span_group(s);
	enum metric_family_id family = (enum metric_family_id)metric_groups[group].first;
	struct slice values[GROUP_LABELS_MAX] = { process_service(s->process) };
	char numbers[GROUP_LABELS_MAX][24];
	uint64_t now_ns = advance(m, s->end_ns);

	if (s->family == PROTO_FAMILY_GPU) /* all calls are counted in the kernel, of which few have a span */
		return;
	if (group == GROUP_SPAN)
		values[1] = slice_str(kinds[s->kind <= SPAN_CONSUMER ? s->kind : 0]);
	for (uint32_t i = 0; i < s->nattrs; i++) {
		const struct attr *a = &s->attrs[i];
		uint8_t label = a->id < ATTR_COUNT ? m->label_of[group][a->id] : 0;
		if (!label)
			continue;
		if (a->type == ATTR_TYPE_STR)
			values[label - 1] = a->str;
		else if (a->type == ATTR_TYPE_INT)
			values[label - 1] = digits(a->num, numbers[label - 1]);
	}
	uint8_t operation = m->label_of[group][ATTR_DB_OPERATION_NAME];
	if (operation && s->operation.len)
		values[operation - 1] = s->operation;
	struct series *series = series_get(m->series, group, values, now_ns);
	if (s->family == PROTO_FAMILY_MESSAGING)
		count_messages(m, s, values, now_ns);
	uint64_t duration_ns = s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0;
	uint32_t bucket = series_observe(m->series, series, family, duration_ns);
	if (!s->sampled) /* an exemplar must lead to a trace that exists */
		return;
	struct exemplar e = { .value = duration_ns, .unix_ns = s->end_ns + s->realtime_offset_ns };
	memcpy(e.trace_id, s->trace_id, sizeof(e.trace_id));
	memcpy(e.span_id, s->span_id, sizeof(e.span_id));
	series_exemplar(m->series, series, bucket, &e);
}

void metrics_socket(struct metrics *m, const struct connection *c, const struct process *owner, const struct record *rec)
{
	const uint64_t seen[2] = { c ? c->streams[0].bytes : 0, c ? c->streams[1].bytes : 0 };
	bool open = rec->u.h.type == PLUMB_REC_SOCK_OPEN;
	uint8_t role = open ? rec->u.sock.role : rec->u.sock_stats.role;
	struct slice service;
	uint64_t generation = 0;

	advance(m, rec->u.h.time_ns);
	if (role == PLUMB_ROLE_UNKNOWN && c)
		role = c->role;
	if (c && c->process)
		owner = c->process;
	if (owner) {
		service = process_service(owner);
		generation = owner->generation;
	} else {
		service = targets_service(m->targets, open ? rec->u.sock.pid : rec->u.sock_stats.pid, &generation);
	}
	if (!service.len)
		service = process_service(NULL);
	sockets_record(m->sockets, rec, service, generation, role, seen);
}

void metrics_process(struct metrics *m, const struct process *p)
{
	targets_process(m->targets, p, advance(m, p->exit_ns));
}

void metrics_gpu_record(struct metrics *m, const struct process *process, const struct record *rec)
{
	uint64_t now_ns = advance(m, rec->u.h.time_ns);

	switch (rec->u.h.type) {
	case PLUMB_REC_GPU_CALLS: gpu_calls_record(m->gpu_calls, process, &rec->u.gpu_calls, now_ns); break;
	case PLUMB_REC_GPU_KERNEL: gpu_kernels_record(m->gpu_kernels, process, &rec->u.gpu_kernel); break;
	case PLUMB_REC_GPU_PROCESS:
		gpu_calls_process(m->gpu_calls, process, &rec->u.gpu_process, now_ns);
		gpu_kernels_process(m->gpu_kernels, process, &rec->u.gpu_process, now_ns);
		break;
	default: break;
	}
}

void metrics_self_record(struct metrics *m, const struct plumb_rec_self *r)
{
	advance(m, r->h.time_ns);
	self_cost_record(&m->cost, r);
}

void metrics_overhead_record(struct metrics *m, const struct plumb_rec_overhead *r)
{
	advance(m, r->h.time_ns);
	m->cost.overhead = *r;
}

void metrics_libraries_record(struct metrics *m, const struct plumb_rec_libraries *r)
{
	advance(m, r->h.time_ns);
	m->cost.libraries = *r;
}

int metrics_render(struct metrics *m, const struct metrics_self *self, bool openmetrics, uint64_t now_ns, struct buffer *out)
{
	struct prom p = { out, openmetrics };
	struct self_tables tables;

	series_sweep(m->series, advance(m, now_ns));
	for (int i = 0; i < FAMILY_COUNT; i++)
		if (metric_families[i].group < GROUP_SERIES_COUNT)
			prom_series(&p, m->series, (enum metric_family_id)i);
	targets_render(m->targets, &p);
	gpu_kernels_render(m->gpu_kernels, &p, m->now_ns);
	series_table_counts(m->series, &tables.series);
	tables.sockets_forgotten = sockets_forgotten(m->sockets);
	tables.targets_refused = targets_refused(m->targets);
	tables.gpu_refused = gpu_calls_refused(m->gpu_calls) + gpu_kernels_refused(m->gpu_kernels);
	self_render(&p, self, &m->cost, &tables);
	prom_end(&p);
	return out->failed;
}
