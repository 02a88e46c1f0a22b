/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: the only place that wires the stages. Records in, spans to sinks and aggregates; a pure function of
 * its records (no clock, no /proc).
 */
#ifndef PLUMB_PIPELINE_H
#define PLUMB_PIPELINE_H

#include "metrics/metrics.h"
#include "model/link.h"
#include "source/source.h"

struct pipeline_filter { /* which spans reach the sinks; metrics see all */
	const bool *protocols;   /* by PLUMB_PROTO_*, NULL = all */
	uint64_t min_duration_ns;
	bool errors_only;
	uint64_t max_spans;      /* 0 = no end; pipeline_done() is true once so many were given to the sinks */
};

struct pipeline_options {
	struct conn_options conn;
	struct proto_engine_options proto;
	struct span_options span;
	struct correlate_options correlate;
	struct metrics_options metrics;
	struct pipeline_filter filter;
	struct sink *const *sinks;  /* NULL-terminated, not owned */
	void (*policy)(void *ctx, uint64_t sock, const struct capture *capture); /* NULL = nobody to tell (files) */
	void *policy_ctx;
	struct link_progress *progress; /* requests begun and ended are counted there too, for who outlives this process; NULL = nobody asks */
};

struct pipeline;

int pipeline_new(const struct pipeline_options *o, struct pipeline **ret_pipeline);
void pipeline_free(struct pipeline *p);
/* A source_record_fn; ctx is the pipeline. */
int pipeline_record(void *ctx, const struct record *rec, struct slice payload);
/* By enum plumb_loss, as the probe has told so far. */
const uint64_t *pipeline_losses(const struct pipeline *p);
/* End of input: open exchanges of files end as they are, held spans go out. */
void pipeline_finish(struct pipeline *p);
bool pipeline_done(const struct pipeline *p);
/* Fills in what the stages have counted. */
void pipeline_counts(const struct pipeline *p, struct metrics_self *self);
int pipeline_metrics(struct pipeline *p, const struct metrics_self *outside, bool openmetrics, struct buffer *out); /* outside: what only the caller knows (source, cpu) */

#endif
