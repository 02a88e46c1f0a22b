/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted in the kernel of calls of GPU drivers (bpf/abi/gpu.h), as records: what has changed once a second, and what a process has left when it ends or executes another program. After that its
 * places there are free. A record that could not be sent is sent again.
 */
#ifndef PLUMB_PROBE_GPU_H
#define PLUMB_PROBE_GPU_H

#include "probe/load.h"

struct gpu;

/* emit: 0, or negative errno if the record was not taken. l must have functions (loaded_has_functions()). */
int gpu_new(struct loaded *l, int (*emit)(void *ctx, const void *record, size_t size), void *ctx, struct gpu **ret_gpu);
void gpu_free(struct gpu *g);
/* Exits and execs. */
void gpu_event(struct gpu *g, const struct plumb_rec_header *h);
void gpu_tick(struct gpu *g, uint64_t now_ns);
/* All that there is, changed or not: for an engine that is new, and before one ends. */
void gpu_report(struct gpu *g, uint64_t now_ns);

#endif
