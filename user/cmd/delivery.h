/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the operator when a collector stops taking spans or refuses them, and when it takes them again, from what its sink counts. One line each time, not one for each try. */
#ifndef PLUMB_CMD_DELIVERY_H
#define PLUMB_CMD_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "sink/sink.h"

struct delivery {
	double exported, retries, rejected; /* when last looked at */
	double told;                        /* rejected ones that a line has said */
	uint64_t next_ms;
	bool failing, refusing;
};

/* Cheap until it is due again, some seconds later. */
void delivery_watch(struct delivery *d, const struct sink *s, uint64_t now_ms);
/* At the end of a run, after the flush: what was not delivered (and why, as far as the sink says), what was refused, what stays on disk for the next one. */
void delivery_report(struct delivery *d, const struct sink *s, uint64_t undelivered);

#endif
