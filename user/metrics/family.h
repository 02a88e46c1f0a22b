/* SPDX-License-Identifier: Apache-2.0 */
/* What metrics exist: families (families.def) and the groups of labels they share. Constant tables only. */
#ifndef PLUMB_METRICS_FAMILY_H
#define PLUMB_METRICS_FAMILY_H

#include "lib/buffer.h"
#include "model/attribute.h"

enum { MICRO = 1000000, NANO = 1000000000 };
enum { GROUP_LABELS_MAX = 10, HISTOGRAM_BOUNDS_MAX = 16 };

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO };

/* Families of one group have the same labels, so one series object holds them all. */
enum metric_group {
	GROUP_HTTP_SERVER, GROUP_HTTP_CLIENT, GROUP_DB_CLIENT, GROUP_DB_SERVER, GROUP_DNS_CLIENT, GROUP_DNS_SERVER, GROUP_RPC_SERVER, GROUP_RPC_CLIENT,
	GROUP_MESSAGING_CLIENT, GROUP_MESSAGING_PROCESS, GROUP_MESSAGING_SERVER, GROUP_SPAN,
	GROUP_TCP, GROUP_TCP_FAILURE, GROUP_PROCESS, GROUP_GPU_CALL, GROUP_GPU_ERROR, GROUP_GPU_BYTES, GROUP_GPU_PROCESS,
	GROUP_SERIES_COUNT, /* the ones above are kept in the series table */
	GROUP_TARGET = GROUP_SERIES_COUNT, /* labels are resource attributes */
	GROUP_GPU_KERNEL, /* the names that are shown change */
	GROUP_SELF,   /* plumb's own: values are read when rendered */
	GROUP_COUNT
};

enum metric_family_id {
#define FAMILY(id, ...) FAMILY_##id,
#include "metrics/families.def"
#undef FAMILY
	FAMILY_COUNT
};

struct metric_family {
	const char *name;
	const char *unit;
	const char *help;
	const char *variant_label;     /* "" = none */
	const char *const *variants;   /* NULL-terminated; NULL = none, or filled at run time */
	const uint64_t *bounds;        /* ascending, in stored units; NULL = no histogram */
	uint32_t bounds_count;
	uint32_t scale;
	uint8_t kind;                  /* enum metric_kind */
	uint8_t group;                 /* enum metric_group */
};

/* The first label of every group is service_name. Labels with an attribute are filled from the span. */
struct metric_label {
	const char *name;
	uint16_t attr; /* enum attr_id, ATTR_COUNT = not from a span */
};

struct metric_group_info {
	struct metric_label labels[GROUP_LABELS_MAX];
	uint32_t count;
	uint16_t first; /* first family */
};

extern const struct metric_family metric_families[FAMILY_COUNT];
extern const struct metric_group_info metric_groups[GROUP_COUNT];

/* Writes the table of docs/metrics.md: one Markdown row per family, in the order of families.def. Errors are the buffer's. */
int metric_families_describe(struct buffer *out);

#endif
