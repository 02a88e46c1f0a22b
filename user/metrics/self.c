/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/self.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "metrics/series.h"

static const char *const loss_names[] = {
	[PLUMB_LOSS_RING_FULL] = "ring_full", [PLUMB_LOSS_RING_FULL_BYTES] = "ring_full_bytes", [PLUMB_LOSS_RING_FULL_EVENT] = "ring_full_event",
	[PLUMB_LOSS_NESTED] = "nested", [PLUMB_LOSS_STORAGE] = "storage", [PLUMB_LOSS_FAULT] = "fault", [PLUMB_LOSS_UNREADABLE] = "unreadable",
	[PLUMB_LOSS_TRUNCATED] = "truncated", [PLUMB_LOSS_ENGINE_RESTART] = "engine_restart", [PLUMB_LOSS_DESCRIBE] = "describe",
	[PLUMB_LOSS_CONTROL] = "control", [PLUMB_LOSS_SHED] = "shed", [PLUMB_LOSS_UNSENT_SPANS] = "unsent_spans",
	[PLUMB_LOSS_OPEN_REQUESTS] = "open_requests", [PLUMB_LOSS_CALLS] = "calls",
	[PLUMB_LOSS_GPU_CALLS] = "gpu_calls", [PLUMB_LOSS_GPU_ALLOCATIONS] = "gpu_allocations",
};
_Static_assert(sizeof(loss_names) / sizeof(loss_names[0]) == PLUMB_LOSS_REASONS, "a loss reason without a name");

static const char *const unseen_names[] = {
	[CONN_UNSEEN_HOLE] = "hole", [CONN_UNSEEN_CUT] = "cut", [CONN_UNSEEN_REFUSED] = "refused", [CONN_UNSEEN_EVICTED] = "evicted",
	[CONN_UNSEEN_INCOMPLETE] = "incomplete", [CONN_UNSEEN_OVERLAP] = "overlap",
};
_Static_assert(sizeof(unseen_names) / sizeof(unseen_names[0]) == CONN_UNSEEN_REASONS, "a reason without a name");

static const char *const protocol_names[] = {
	"unknown",
#define PROTOCOL(id, symbol, name, ...) name,
#include "../../bpf/abi/protocols.def"
#undef PROTOCOL
};

const char *metrics_loss_name(uint32_t reason)
{
	return reason < PLUMB_LOSS_REASONS ? loss_names[reason] : "unknown";
}

void self_cost_record(struct self_cost *c, const struct plumb_rec_self *r)
{
	size_t len = strnlen(r->name, sizeof(r->name));

	if (len == 0) {
		c->probe_cpu_ns = r->run_ns;
		c->probe_rss_bytes = r->memory_bytes;
		c->probe_known = true;
		return;
	}
	if (len == 4 && memcmp(r->name, "maps", 4) == 0) {
		c->map_bytes = r->memory_bytes;
		return;
	}
	uint32_t i = 0;
	while (i < c->count && strncmp(c->programs[i].name, r->name, sizeof(r->name)) != 0)
		i++;
	if (i == SELF_PROGRAMS_MAX)
		return;
	if (i == c->count)
		c->count++;
	c->programs[i] = *r;
	c->programs[i].name[sizeof(r->name) - 1] = '\0';
}

static const struct metric_family *begin(const struct prom *p, enum metric_family_id id)
{
	prom_family(p, &metric_families[id]);
	return &metric_families[id];
}

static void single(const struct prom *p, enum metric_family_id id, uint64_t value)
{
	prom_sample(p, begin(p, id), "", "", value);
}

struct named {
	const char *name;
	uint64_t value;
};

static void several(const struct prom *p, enum metric_family_id id, const struct named *values, size_t n)
{
	const struct metric_family *f = begin(p, id);

	for (size_t i = 0; i < n; i++)
		prom_sample(p, f, f->variant_label, values[i].name, values[i].value);
}

#define SEVERAL(p, id, ...) several(p, id, (const struct named[]){ __VA_ARGS__ }, sizeof((const struct named[]){ __VA_ARGS__ }) / sizeof(struct named))

static void by_protocol(const struct prom *p, enum metric_family_id id, const uint64_t counts[PLUMB_PROTO_COUNT])
{
	const struct metric_family *f = begin(p, id);

	for (size_t i = 1; i < PLUMB_PROTO_COUNT; i++)
		prom_sample(p, f, f->variant_label, protocol_names[i], counts[i]);
}

static void render_programs(const struct prom *p, const struct self_cost *c)
{
	if (!c->count)
		return;
	const struct metric_family *f = begin(p, FAMILY_BPF_SECONDS);
	for (uint32_t i = 0; i < c->count; i++)
		prom_sample(p, f, f->variant_label, c->programs[i].name, c->programs[i].run_ns);
	f = begin(p, FAMILY_BPF_RUNS);
	for (uint32_t i = 0; i < c->count; i++)
		prom_sample(p, f, f->variant_label, c->programs[i].name, c->programs[i].run_count);
}

static void render_libraries(const struct prom *p, const struct plumb_rec_libraries *r, const struct sessions_counts *tls)
{
	single(p, FAMILY_LIBRARY_FILES, r->files);
	single(p, FAMILY_LIBRARY_PROCESSES, r->processes);
	single(p, FAMILY_LIBRARY_TRAPS, r->traps);
	single(p, FAMILY_LIBRARY_TRAP_SECONDS, r->trap_ns);
	single(p, FAMILY_LIBRARY_SHED, r->shed);
	SEVERAL(p, FAMILY_LIBRARY_UNSEEN, { "attach", r->refused }, { "mapping", r->unknown });
	if (r->flags & PLUMB_LIBRARIES_JVMS)
		SEVERAL(p, FAMILY_JVMS, { "loaded", r->jvms_loaded }, { "had_it", r->jvms_had_it }, { "refused", r->jvms_refused });
	SEVERAL(p, FAMILY_TLS_SESSIONS, { "descriptor", tls->found[SESSIONS_BY_DESCRIPTOR] }, { "within", tls->found[SESSIONS_WITHIN] }, { "record", tls->found[SESSIONS_BY_RECORD] }, { "around", tls->found[SESSIONS_AROUND] }, { "none", tls->unknown });
	single(p, FAMILY_TLS_RECORDS_REFUSED, tls->refused);
	single(p, FAMILY_TLS_RECORDS_UNWATCHED, tls->unwatched);
}

static void render_cost(const struct prom *p, const struct metrics_self *self, const struct self_cost *c)
{
	const struct named cpu[] = { { "engine", self->engine_cpu_ns }, { "probe", c->probe_cpu_ns } };
	const struct named rss[] = { { "engine", self->engine_rss_bytes }, { "probe", c->probe_rss_bytes } };

	several(p, FAMILY_CPU, cpu, c->probe_known ? 2 : 1);
	several(p, FAMILY_RESIDENT, rss, c->probe_known ? 2 : 1);
	single(p, FAMILY_MAP_MEMORY, c->map_bytes);
	render_programs(p, c);
	if (c->overhead.h.size) {
		single(p, FAMILY_OVERHEAD, c->overhead.cost_ppm);
		single(p, FAMILY_OVERHEAD_BUDGET, c->overhead.budget_ppm ? c->overhead.budget_ppm : MICRO);
		single(p, FAMILY_SHED_LEVEL, c->overhead.level);
	}
	if (c->libraries.h.size)
		render_libraries(p, &c->libraries, &self->sessions);
	single(p, FAMILY_RESTARTS, self->engine_restarts);
	single(p, FAMILY_WEB_EVICTED, self->web_evicted);
}

static void render_stages(const struct prom *p, const struct metrics_self *s)
{
	single(p, FAMILY_RECORDS, s->source.records);
	SEVERAL(p, FAMILY_RECORDS_SKIPPED, { "unknown", s->source.unknown }, { "corrupt", s->source.corrupt },
		{ "socket_closed", s->conn.late }, { "no_connection", s->conn.refused });
	single(p, FAMILY_RECORDS_LATE, s->source.late);
	SEVERAL(p, FAMILY_PROCESSES, { "made", s->processes.made }, { "expired", s->processes.expired }, { "evicted", s->processes.evicted },
		{ "refused", s->processes.refused }, { "text_cut", s->processes.text_cut });
	single(p, FAMILY_PROCESSES_ACTIVE, s->processes.active);
	SEVERAL(p, FAMILY_CONNECTIONS, { "opened", s->conn.opened }, { "closed", s->conn.closed }, { "evicted", s->conn.evicted },
		{ "idle_closed", s->conn.idle_closed }, { "forgotten", s->conn.forgotten }, { "opaque", s->proto.opaque },
		{ "parser_refused", s->proto.parsers_refused });
	single(p, FAMILY_CONNECTIONS_ACTIVE, s->conn.active);
	SEVERAL(p, FAMILY_STREAM_BYTES, { "ingress", s->conn.bytes[PLUMB_INGRESS] }, { "egress", s->conn.bytes[PLUMB_EGRESS] });
	SEVERAL(p, FAMILY_CAPTURED_BYTES, { "ingress", s->conn.captured_bytes[PLUMB_INGRESS] }, { "egress", s->conn.captured_bytes[PLUMB_EGRESS] });
	single(p, FAMILY_STREAM_HOLES, s->conn.holes);
	const struct metric_family *f = begin(p, FAMILY_STREAM_LOST);
	for (size_t i = 0; i < CONN_UNSEEN_REASONS; i++)
		prom_sample(p, f, f->variant_label, unseen_names[i], s->conn.unseen_bytes[i]);
	single(p, FAMILY_STREAM_BUFFERED, s->conn.buffered_bytes);
	single(p, FAMILY_PARSER_BYTES, s->proto.parser_bytes);
	single(p, FAMILY_PARSER_REFUSED, s->proto.parser_bytes_refused);
	by_protocol(p, FAMILY_DETECTED, s->proto.detected);
	by_protocol(p, FAMILY_MESSAGES, s->proto.messages);
	by_protocol(p, FAMILY_EXCHANGES, s->proto.exchanges);
	by_protocol(p, FAMILY_PARSE_ERRORS, s->proto.bad);
	by_protocol(p, FAMILY_RESYNCS, s->proto.resyncs);
	by_protocol(p, FAMILY_RESYNC_BYTES, s->proto.resync_bytes);
	by_protocol(p, FAMILY_UNANSWERED, s->proto.unanswered);
	by_protocol(p, FAMILY_UNMATCHED, s->proto.unmatched);
	single(p, FAMILY_ONEWAY, s->proto.oneway);
	single(p, FAMILY_EARLY_RESPONSES, s->proto.adopted);
	single(p, FAMILY_CAPTURE_RAISED, s->proto.policy_raised);
	single(p, FAMILY_EXCHANGES_REFUSED, s->proto.exchanges_refused);
	single(p, FAMILY_EXCHANGES_EVICTED, s->proto.exchanges_evicted);
	single(p, FAMILY_EXCHANGES_OPEN, s->proto.exchanges_open);
	SEVERAL(p, FAMILY_HANDLES, { "evicted", s->proto.calls.evicted }, { "refused", s->proto.calls.refused },
		{ "statement_not_seen", s->proto.calls.not_seen }, { "unknown", s->proto.calls.unknown });
	single(p, FAMILY_HANDLES_ACTIVE, s->proto.calls.handles);
	single(p, FAMILY_SPANS, s->span.built);
	SEVERAL(p, FAMILY_SPAN_CUTS, { "route_overflow", s->span.route_overflow }, { "attribute_dropped", s->span.attrs_dropped },
		{ "text_cut", s->span.text_cut }, { "exchange_full", s->proto.attrs_cut });
	SEVERAL(p, FAMILY_JOINED, { "wire", s->correlate.joined_wire }, { "socket", s->correlate.joined_socket },
		{ "thread", s->correlate.joined_thread }, { "flow", s->correlate.joined_flow },
		{ "process", s->correlate.joined_process });
	single(p, FAMILY_ROOTS, s->correlate.roots);
	single(p, FAMILY_AMBIGUOUS, s->correlate.ambiguous);
	single(p, FAMILY_CONTRADICTED, s->correlate.contradicted);
	single(p, FAMILY_UNPLACED, s->correlate.refused);
	single(p, FAMILY_HELD, s->correlate.held);
	single(p, FAMILY_RELEASED_EARLY, s->correlate.released_early);
}

static void render_tables(const struct prom *p, const struct self_tables *t)
{
	single(p, FAMILY_SERIES, t->series.active);
	single(p, FAMILY_SERIES_MAX, t->series.limit);
	single(p, FAMILY_SERIES_EXPIRED, t->series.expired);
	const struct metric_family *f = begin(p, FAMILY_OVERFLOW);
	for (size_t g = 0; g < GROUP_SERIES_COUNT; g++)
		prom_sample(p, f, f->variant_label, metric_families[metric_groups[g].first].name, t->series.overflow[g]);
	SEVERAL(p, FAMILY_TRACKING, { "sockets", t->sockets_forgotten }, { "processes", t->targets_refused }, { "gpu", t->gpu_refused },
		{ "exemplars", t->series.exemplars_refused });
}

/* One statistic of a sink. Several sinks may name the same one, so all are gathered before any is written. */
struct sink_stat {
	char name[96], help[160], label[48], value[LABEL_VALUE_MAX + 1];
	const char *sink;
	double number;
	bool counter;
	bool written;
};

struct sink_stats {
	struct sink_stat items[SELF_SINK_STATS_MAX];
	size_t count;
	const char *sink;
};

static void gather(void *ctx, const char *name, const char *help, const char *label, const char *label_value, double value, bool counter)
{
	struct sink_stats *all = ctx;
	struct sink_stat s = { .sink = all->sink, .number = value, .counter = counter };
	size_t len = strlen(name);

	if (counter && len > 6 && strcmp(name + len - 6, "_total") == 0)
		len -= 6;
	snprintf(s.name, sizeof(s.name), "%.*s", (int)len, name);
	snprintf(s.help, sizeof(s.help), "%s", help ? help : name);
	/* "sink" is said already. */
	if (label && label[0] && strcmp(label, "sink") != 0) {
		snprintf(s.label, sizeof(s.label), "%s", label);
		snprintf(s.value, sizeof(s.value), "%s", label_value ? label_value : "");
	}
	for (size_t i = 0; i < all->count; i++) {
		struct sink_stat *o = &all->items[i];
		if (o->sink == s.sink && !strcmp(o->name, s.name) && !strcmp(o->label, s.label) && !strcmp(o->value, s.value)) {
			o->number += s.number; /* two sinks of one kind */
			return;
		}
	}
	if (all->count < SELF_SINK_STATS_MAX)
		all->items[all->count++] = s;
}

static void write_stat(const struct prom *p, const struct sink_stat *s)
{
	bool first = true;

	buffer_printf(p->out, "%s%s", s->name, s->counter ? "_total" : "");
	prom_label(p, "sink", slice_str(s->sink), &first);
	if (s->label[0])
		prom_label(p, s->label, slice_str(s->value), &first);
	buffer_printf(p->out, "} %.17g\n", s->number);
}

static void render_sinks(const struct prom *p, const struct sink *const *sinks)
{
	struct sink_stats *all;

	if (!sinks || !sinks[0])
		return;
	all = calloc(1, sizeof(*all));
	if (!all) {
		p->out->failed = p->out->failed ? p->out->failed : -ENOMEM;
		return;
	}
	for (size_t i = 0; sinks[i]; i++) {
		all->sink = sinks[i]->ops->name;
		if (sinks[i]->ops->stats)
			sinks[i]->ops->stats(sinks[i], gather, all);
	}
	for (size_t i = 0; i < all->count; i++) {
		if (all->items[i].written)
			continue;
		prom_family_raw(p, all->items[i].name, all->items[i].help, all->items[i].counter);
		for (size_t k = i; k < all->count; k++) {
			if (strcmp(all->items[k].name, all->items[i].name) != 0)
				continue;
			all->items[k].counter = all->items[i].counter;
			all->items[k].written = true;
			write_stat(p, &all->items[k]);
		}
	}
	free(all);
}

void self_render(const struct prom *p, const struct metrics_self *self, const struct self_cost *cost, const struct self_tables *tables)
{
	const struct metric_family *f = begin(p, FAMILY_BUILD);

	prom_sample(p, f, f->variant_label, PLUMB_VERSION, 1);
	render_stages(p, self);
	f = begin(p, FAMILY_LOST);
	for (uint32_t i = 0; i < PLUMB_LOSS_REASONS; i++)
		prom_sample(p, f, f->variant_label, loss_names[i], self->loss[i]);
	render_cost(p, self, cost);
	render_tables(p, tables);
	render_sinks(p, self->sinks);
}
