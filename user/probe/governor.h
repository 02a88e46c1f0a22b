/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps plumb within its budget: told once a second what plumb has cost, it says what is given up. Clock, measuring and doing are the caller's.
 *
 * What is given up, in this order, and restored in the opposite one:
 *   level 1       payload: at most GOVERNOR_HEAD_BYTES of each I/O are captured
 *   level 2 to 7  connections: one of 2, 4, … 64 is looked at; of the others only bytes and turns (requests that were begun) are counted
 */
#ifndef PLUMB_PROBE_GOVERNOR_H
#define PLUMB_PROBE_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

enum { GOVERNOR_HEAD_BYTES = 1024, GOVERNOR_LEVEL_MAX = 7 };

struct governor {
	uint64_t budget_ppm; /* of all CPUs together; 0 = without limit, nothing is ever given up */
	uint32_t ncpus;
	uint32_t level;
	uint64_t cost_ppm;   /* moving average */
	uint64_t time_ns, cpu_ns; /* of the latest measurement; 0 = none yet */
	uint64_t changed_ns; /* when the level last changed */
	uint32_t seen;       /* measurements since then */
};

/* share: of the whole machine, 0.03 = 3 %; 0 or 1 and more = without limit. */
void governor_init(struct governor *g, double share, uint32_t ncpus);

/*
 * One measurement. cpu_ns: CPU time of plumb's processes so far (a smaller one than before, after a restart, begins anew); bpf_ppm: the share of one CPU that
 * the BPF programs take at present. Returns true if the level has changed.
 */
bool governor_feed(struct governor *g, uint64_t time_ns, uint64_t cpu_ns, uint64_t bpf_ppm);

/* Most bytes captured of each I/O, UINT32_MAX for no limit. */
uint32_t governor_capture_bytes(const struct governor *g);
/* One connection of 2^shift is looked at. */
uint32_t governor_sample_shift(const struct governor *g);

#endif
