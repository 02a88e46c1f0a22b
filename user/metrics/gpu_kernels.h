/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels that processes launch on a GPU, by name: those launched most of each process are shown, the rest together, as names are many. Which are shown changes, so the families are gauges.
 */
#ifndef PLUMB_METRICS_GPU_KERNELS_H
#define PLUMB_METRICS_GPU_KERNELS_H

#include "metrics/prometheus.h"
#include "model/process.h"
#include "model/record.h"

enum { GPU_KERNELS_SHOWN = 20 };

struct gpu_kernels;

/* expire_ns: how long those of a process that has ended are shown. */
int gpu_kernels_new(uint32_t max, uint64_t expire_ns, struct gpu_kernels **ret_kernels);
void gpu_kernels_free(struct gpu_kernels *k);
/* process: NULL unknown. */
void gpu_kernels_record(struct gpu_kernels *k, const struct process *process, const struct plumb_rec_gpu_kernel *r);
void gpu_kernels_process(struct gpu_kernels *k, const struct process *process, const struct plumb_rec_gpu_process *r, uint64_t now_ns);
void gpu_kernels_render(struct gpu_kernels *k, const struct prom *p, uint64_t now_ns);
uint64_t gpu_kernels_refused(const struct gpu_kernels *k); /* records of names or processes that found no place */

#endif
