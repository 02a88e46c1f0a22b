/* SPDX-License-Identifier: Apache-2.0 */
/* plumb's metrics about itself, rendered from what the other stages counted. */
#ifndef PLUMB_METRICS_SELF_H
#define PLUMB_METRICS_SELF_H

#include "metrics/metrics.h"
#include "metrics/prometheus.h"

enum { SELF_PROGRAMS_MAX = 64, SELF_SINK_STATS_MAX = 128 };

/* Latest plumb_rec_self of each name. */
struct self_cost {
	struct plumb_rec_self programs[SELF_PROGRAMS_MAX];
	uint32_t count;
	struct plumb_rec_overhead overhead; /* size 0 = none yet */
	struct plumb_rec_libraries libraries; /* likewise */
	uint64_t probe_cpu_ns, probe_rss_bytes, map_bytes;
	bool probe_known;
};

struct self_tables { /* what the aggregates count about themselves */
	struct series_counts series;
	uint64_t sockets_forgotten, targets_refused, gpu_refused;
};

void self_cost_record(struct self_cost *c, const struct plumb_rec_self *r);
void self_render(const struct prom *p, const struct metrics_self *self, const struct self_cost *cost, const struct self_tables *tables);

#endif
