/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded table of series: a group of families × a set of label values → plain integers. Found by the hash of the label values, so the hot path
 * neither allocates nor locks once a label set is known. At the maximum per service and group, updates go to that service's overflow series; at the maximum of
 * all, to the group's (label otel_metric_overflow="true", as the OpenTelemetry SDK does): sums over a group stay exact. A series that nothing has
 * touched for expire_ns is dropped unless somebody has pinned it.
 */
#ifndef PLUMB_METRICS_SERIES_H
#define PLUMB_METRICS_SERIES_H

#include "lib/map.h"
#include "lib/slab.h"
#include "metrics/family.h"

enum { LABEL_VALUE_MAX = 255 }; /* bytes; a longer value is cut at a UTF-8 boundary */

struct exemplar {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint64_t value;    /* in the family's stored unit */
	uint64_t unix_ns;
};

struct quota {
	uint64_t key;
	uint32_t used;
};

struct series {
	struct series *prev, *next; /* of the group, in order of creation */
	uint64_t hash;
	uint64_t touched_ns;        /* record time; 0 = before any time was known */
	struct quota *quota;        /* NULL for overflow series */
	struct exemplar **exemplars; /* per bucket of the group's first family when that is a histogram of spans, else NULL */
	uint64_t *values;           /* see series_slot() */
	uint8_t *key;               /* overflow flag, then length and bytes of each value */
	uint32_t key_len;
	uint32_t pins;
	uint8_t group;
	bool overflow;
	bool used;                  /* false: the group's overflow series, never needed so far */
	bool ended;                 /* its process is gone: gauges are no longer shown */
};

struct series_counts {
	uint64_t active, limit, expired, exemplars_refused;
	uint64_t overflow[GROUP_SERIES_COUNT]; /* updates that went to an overflow series */
};

struct series_table;

int series_table_new(uint32_t per_service, uint32_t max, uint64_t expire_ns, struct series_table **ret_table);
void series_table_free(struct series_table *t);

/* The series of these label values (metric_groups[group].count of them, [0] is the service), or an overflow series. Never NULL; valid until the
 * next call that may drop series (get, sweep) unless pinned. */
struct series *series_get(struct series_table *t, enum metric_group group, const struct slice *values, uint64_t now_ns);
void series_pin(struct series *s);
void series_unpin(struct series *s);
/* Frees a series before its time; it must not be pinned. Overflow series are left alone. */
void series_drop(struct series_table *t, struct series *s);
/* Drops what has expired. */
void series_sweep(struct series_table *t, uint64_t now_ns);
struct series *series_first(const struct series_table *t, enum metric_group group);
void series_table_counts(const struct series_table *t, struct series_counts *ret);

/* Values of a family in a series: a counter or gauge has one per variant, a histogram its buckets (bounds_count + 1, not cumulative) and then the sum. */
uint64_t *series_slot(const struct series_table *t, const struct series *s, enum metric_family_id family);
/* Returns the bucket. */
uint32_t series_observe(struct series_table *t, struct series *s, enum metric_family_id family, uint64_t value);
void series_exemplar(struct series_table *t, struct series *s, uint32_t bucket, const struct exemplar *e);

/* Value i of the label set, as a view into the key. */
struct slice series_label(const struct series *s, uint32_t i);

#endif
