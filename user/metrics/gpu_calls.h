/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of GPU drivers to series. Records are cumulative for each process: what a later one has more than the one before is added, so a record that is lost, or came twice, changes nothing once the next
 * one is there.
 */
#ifndef PLUMB_METRICS_GPU_CALLS_H
#define PLUMB_METRICS_GPU_CALLS_H

#include "metrics/series.h"
#include "model/process.h"
#include "model/record.h"

struct gpu_calls;

/* max: functions and processes that are followed. */
int gpu_calls_new(uint32_t max, struct series_table *series, struct gpu_calls **ret_gpu);
void gpu_calls_free(struct gpu_calls *g);
/* process: NULL unknown. */
void gpu_calls_record(struct gpu_calls *g, const struct process *process, const struct plumb_rec_gpu_calls *r, uint64_t now_ns);
void gpu_calls_process(struct gpu_calls *g, const struct process *process, const struct plumb_rec_gpu_process *r, uint64_t now_ns);
uint64_t gpu_calls_refused(const struct gpu_calls *g); /* records of what could not be followed */

#endif
