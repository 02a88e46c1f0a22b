/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aggregates kept in the engine, rendered in Prometheus' text format or OpenMetrics. Every family has a maximum of series per service; what exceeds it goes to
 * one overflow series and is counted, so totals stay right. Not thread-safe: the engine's thread alone.
 */
#ifndef PLUMB_METRICS_METRICS_H
#define PLUMB_METRICS_METRICS_H

#include "conn/conn.h"
#include "conn/sessions.h"
#include "correlate/correlate.h"
#include "lib/buffer.h"
#include "model/span.h"
#include "proto/engine.h"
#include "sink/sink.h"
#include "source/source.h"
#include "span/builder.h"

struct metrics_options {
	uint32_t series_per_service; /* per family; 0 = 500 */
	uint32_t series_max;         /* all together; 0 = 20000 */
	uint64_t expire_ns;          /* series of processes and peers unused so long are dropped; 0 = 15 min */
};

/* What other stages count about themselves; filled by the pipeline when somebody asks for the metrics. */
struct metrics_self {
	struct source_counts source;
	struct process_counts processes;
	struct conn_counts conn;
	struct sessions_counts sessions;
	struct proto_counts proto;
	struct span_counts span;
	struct correlate_counts correlate;
	uint64_t loss[PLUMB_LOSS_REASONS];
	uint64_t engine_cpu_ns, engine_rss_bytes, engine_restarts, web_evicted;
	const struct sink *const *sinks; /* NULL-terminated; their stats() is called */
};

struct metrics;

int metrics_new(const struct metrics_options *o, struct metrics **ret_metrics);
void metrics_free(struct metrics *m);
void metrics_span(struct metrics *m, const struct span *s); /* sampled or not */
/*
 * SOCK_OPEN, SOCK_CLOSE, SOCK_STATS with the connection they belong to (NULL unknown). owner: the process that the record names, for sockets without a
 * connection, such as those whose connect failed; NULL unknown.
 */
void metrics_socket(struct metrics *m, const struct connection *c, const struct process *owner, const struct record *rec);
void metrics_process(struct metrics *m, const struct process *p); /* after PROC_STAT and at exit */
/* GPU_CALLS, GPU_KERNEL, GPU_PROCESS. process: NULL unknown. */
void metrics_gpu_record(struct metrics *m, const struct process *process, const struct record *rec);
void metrics_self_record(struct metrics *m, const struct plumb_rec_self *r);
void metrics_overhead_record(struct metrics *m, const struct plumb_rec_overhead *r);
void metrics_libraries_record(struct metrics *m, const struct plumb_rec_libraries *r);
/* Name of an enum plumb_loss as the label `reason` has it. */
const char *metrics_loss_name(uint32_t reason);
/* Errors: those of the buffer (-ENOBUFS at its maximum, -ENOMEM). */
int metrics_render(struct metrics *m, const struct metrics_self *self, bool openmetrics, uint64_t now_ns, struct buffer *out);

#endif
