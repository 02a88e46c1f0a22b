/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Calls of GPU drivers, counted in the kernel: most are too many for a record each. What is counted of a process is cumulative from its first call on, and told now and then
 * as a whole, so that a record that is lost costs nothing but its time. Bodies of records of these kinds are made of these structs.
 */
#ifndef PLUMB_GPU_H
#define PLUMB_GPU_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

enum plumb_gpu_call {
	PLUMB_GPU_NONE = 0,
#define GPU_CALL(id, ...) PLUMB_GPU_##id,
#include "gpu.def"
#undef GPU_CALL
	PLUMB_GPU_CALLS,
};

/* Upper bounds of the buckets of durations, in ns; the last bucket has none. */
#define PLUMB_GPU_BOUNDS(BOUND)                                                                                                                          \
	BOUND(0, 2000) BOUND(1, 5000) BOUND(2, 10000) BOUND(3, 20000) BOUND(4, 50000) BOUND(5, 100000) BOUND(6, 500000) BOUND(7, 1000000) BOUND(8, 5000000) \
	BOUND(9, 10000000) BOUND(10, 50000000) BOUND(11, 100000000) BOUND(12, 500000000) BOUND(13, 1000000000) BOUND(14, 5000000000)
#define PLUMB_GPU_BUCKETS 16

#define PLUMB_GPU_CODES 6        /* that are counted of one call */
#define PLUMB_GPU_NAME_BYTES 252 /* of a kernel's name, its NUL included; a longer one is cut */
#define PLUMB_GPU_KERNELS 512    /* names that are counted of one process */
#define PLUMB_GPU_TOLD 100       /* calls of one process that are told of one by one, in a second */

/* A result that is not success. */
struct plumb_gpu_code {
	__s32 code; /* 0: none yet */
	__u32 pad;
	__u64 count;
};

/* Calls of one function by one process. */
struct plumb_gpu_totals {
	__u64 last_ns; /* end of the latest one, CLOCK_BOOTTIME */
	__u64 count;
	__u64 other_errors; /* with further codes than `codes` has room for */
	__u64 sum_ns;
	__u64 bytes;   /* that those that succeeded copied, set or took */
	__u64 buckets[PLUMB_GPU_BUCKETS];
	struct plumb_gpu_code codes[PLUMB_GPU_CODES];
};

enum plumb_gpu_memory { PLUMB_GPU_DEVICE, PLUMB_GPU_HOST, PLUMB_GPU_MEMORIES };

/* What a process has besides. */
struct plumb_gpu_process {
	__u64 last_ns;
	__u64 allocated[PLUMB_GPU_MEMORIES]; /* bytes that it has now, of what it took since plumb watches it */
	__u64 peak[PLUMB_GPU_MEMORIES];
	__u64 strange_frees;  /* of what plumb has not seen it take */
	__u64 suppressed;     /* calls that failed or were slow and are in no record of their own, as they were too many */
	__u64 other, other_ns;     /* launches of kernels whose names found no room, and what these calls took */
	__u64 unnamed, unnamed_ns; /* of kernels whose name could not be told */
	__u64 allocations;    /* that are remembered */
	__u64 window_ns;      /* since when `told` counts */
	__u32 told;
	__u32 kernels;        /* names that are counted */
	__u32 since;          /* the driver and since when its calls were seen: when `allocated` began to count (gpu_since()) */
	__u32 pad;
};

/* Launches of one kernel by one process. */
struct plumb_gpu_launches {
	__u64 last_ns;
	__u64 count;
	__u64 sum_ns; /* what the calls took, not the kernel */
};

/* Keys of the tables that the probe reads. */
struct plumb_gpu_call_key {
	__u32 pid;
	__u32 call; /* enum plumb_gpu_call */
};
struct plumb_gpu_kernel_key {
	__u32 pid;
	char name[PLUMB_GPU_NAME_BYTES]; /* zero behind its end */
};
struct plumb_gpu_allocation_key {
	__u64 address;
	__u32 pid;
	__u32 pad;
};

#endif
