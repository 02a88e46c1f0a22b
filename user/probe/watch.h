/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes there are: those that are watched are described to the engine as they come. Told by exec, fork and exit events; /proc is walked once, at the start
 * of an engine.
 */
#ifndef PLUMB_PROBE_WATCH_H
#define PLUMB_PROBE_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "model/record.h"
#include "probe/load.h"

struct probe_options;
struct watch;

/* emit sends a record to the engine: 0, or a negative errno; -EAGAIN is tried again at the next tick. */
int watch_new(struct loaded *l, const struct probe_options *o, int (*emit)(void *ctx, const void *record, size_t size), void *ctx, struct watch **ret_watch);
void watch_free(struct watch *w);
void watch_event(struct watch *w, const struct plumb_rec_header *h); /* FORK, EXEC, EXIT */
void watch_describe(struct watch *w, uint32_t pid, const struct plumb_rec_exec *exec);
void watch_describe_all(struct watch *w); /* all that runs; in portions, at each tick */
void watch_tick(struct watch *w, uint64_t now_ns);
void watch_stats(struct watch *w);        /* PROC_STAT of every process described and alive */
uint64_t watch_lost(const struct watch *w); /* processes that could not be described */

#endif
