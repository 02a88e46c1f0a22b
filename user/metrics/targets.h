/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of processes. As with sockets, what was counted of a process's totals is kept, so that sums stay exact in overflow series too. Living processes
 * only: a process that has ended leaves its counters to the series table, which drops them when they expire. Bounded; refused ones are counted.
 */
#ifndef PLUMB_METRICS_TARGETS_H
#define PLUMB_METRICS_TARGETS_H

#include "metrics/prometheus.h"
#include "model/process.h"

struct targets;

int targets_new(uint32_t max, struct series_table *series, struct targets **ret_targets);
void targets_free(struct targets *t); /* before its series table */
/* After each new description or statistics, and once at exit. */
void targets_process(struct targets *t, const struct process *p, uint64_t now_ns);
/* service.name of a living process as last heard; SLICE_NONE if unknown. Valid until the next targets_process(). */
struct slice targets_service(const struct targets *t, uint32_t pid, uint64_t *ret_generation);
/* target_info of all living processes. */
void targets_render(const struct targets *t, const struct prom *p);
uint64_t targets_refused(const struct targets *t);

#endif
