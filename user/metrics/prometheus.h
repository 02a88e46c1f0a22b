/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes metric families as Prometheus text (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4) or OpenMetrics 1.0
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/). Errors are the buffer's (`failed`). Label values that are not UTF-8 get U+FFFD for each bad byte.
 */
#ifndef PLUMB_METRICS_PROMETHEUS_H
#define PLUMB_METRICS_PROMETHEUS_H

#include "metrics/series.h"

struct prom {
	struct buffer *out; /* not owned */
	bool openmetrics;
};

/* HELP, TYPE and UNIT of a family; its samples must follow before another family's. */
void prom_family(const struct prom *p, const struct metric_family *f);
/* The same for a family that is not in families.def (sinks' own). `name` is without _total. */
void prom_family_raw(const struct prom *p, const char *name, const char *help, bool counter);

/* One sample of a counter, gauge or info: value in stored units. label = "" for none. */
void prom_sample(const struct prom *p, const struct metric_family *f, const char *label, const char *label_value, uint64_t value);
/* All samples of a family whose group is kept in a series table. Writes nothing, not even the head, when there are none. */
void prom_series(const struct prom *p, const struct series_table *t, enum metric_family_id family);

/* name="value" with escaping, behind a comma unless *first. */
void prom_label(const struct prom *p, const char *name, struct slice value, bool *first);
/* value / scale as a decimal fraction, exactly. */
void prom_scaled(const struct prom *p, uint64_t value, uint32_t scale);
void prom_end(const struct prom *p);

#endif
