/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a process is exported as an OpenTelemetry resource: its attributes but plumb's own, service.name in any case, numbers
 * where the semantic conventions want numbers (https://opentelemetry.io/docs/specs/semconv/resource/process/).
 */
#ifndef PLUMB_SINK_RESOURCE_H
#define PLUMB_SINK_RESOURCE_H

#include "model/process.h"

enum { RESOURCE_ATTRS_MAX = PROCESS_ATTRS_MAX + 1 };

struct resource_attr {
	struct slice key;
	struct slice str; /* views into the process */
	bool is_int;
	int64_t num;
};

/* Fills attrs and returns their number. p may be NULL. */
size_t resource_attrs(const struct process *p, struct resource_attr attrs[RESOURCE_ATTRS_MAX]);

#endif
