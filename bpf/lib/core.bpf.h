/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every program needs: rings, scratch, loss counters, and plumb_emit(). Each object file defines the same maps; the loader makes
 * objects share them by name.
 */
#ifndef PLUMB_CORE_BPF_H
#define PLUMB_CORE_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "abi/records.h"

/* Nesting levels on one CPU: a program may be interrupted by a soft interrupt that runs another. */
#define PLUMB_SCRATCH_LEVELS 2
#define PLUMB_RINGS_MAX 1024

/* One ring per CPU: writers never share a lock, and the reader merges by time. Inner maps are made by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PLUMB_RINGS_MAX); /* set to the number of CPUs */
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 4096);
	});
} rings SEC(".maps");

/* Copies of exec, exit and fork records for the probe, which describes processes: an exec wakes it, the rest waits for its next tick. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} process_ring SEC(".maps");

/* Where the bytes are: one buffer, or an array of them. */
struct plumb_gather {
	const void *base;          /* buffer, or NULL with iov */
	const struct iovec *iov;   /* user pointer */
	__u64 len;                 /* of base */
	__u32 segments;            /* of iov */
	__u32 path;                /* enum plumb_path */
	const void *name;          /* datagrams: user pointer to the destination */
	__u32 behind;              /* bytes that the same call moved after these */
	bool readable;             /* false: length only */
};

/*
 * A record under construction. Twice the payload, so that a bounded offset plus a bounded length stays inside for the verifier. Loop
 * variables live here too: the verifier then knows nothing of them and need not follow each value.
 */
struct plumb_scratch {
	__u32 copied, to_skip;
	struct plumb_gather gather;
	union {
		struct plumb_rec_dgram dgram;
		struct plumb_rec_data data;
		struct plumb_rec_sock sock;
		struct plumb_rec_sock_stats stats;
		struct plumb_rec_exec exec;
	} rec;
	__u8 room[2 * PLUMB_PAYLOAD_MAX]; /* payload goes behind the record, whichever it is, and ends in here */
};

/* Indexed by cpu * PLUMB_SCRATCH_LEVELS + level. Not a per-CPU array: those are limited to 32 KiB a value. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set to CPUs * levels */
	__type(key, __u32);
	__type(value, struct plumb_scratch);
} scratches SEC(".maps");

struct plumb_percpu {
	__u64 loss[PLUMB_LOSS_REASONS];
	__u64 unread_bytes; /* put into the ring since the reader was last woken */
	__u8 busy[8];       /* by level: the scratch buffer is in use */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plumb_percpu);
} percpu SEC(".maps");

/* Written by the reader: it sleeps long and wants to be woken by the next record. Shared memory, so no call is needed. */
struct plumb_shared {
	__u32 reader_idle;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct plumb_shared);
} shared SEC(".maps");

/* A ring that holds this much wakes its reader before the timer does. */
const volatile __u32 wake_bytes = 256 * 1024;

static __always_inline struct plumb_percpu *plumb_percpu_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&percpu, &zero);
}

static __always_inline void plumb_lost(struct plumb_percpu *pc, enum plumb_loss reason, __u64 count)
{
	pc->loss[reason] += count;
}

/*
 * Takes a scratch buffer of this CPU and its level, or NULL (counted). Flags by level rather than a depth: where tracepoints run
 * preemptibly, buffers are not given back in the order in which they were taken.
 */
static __always_inline __u32 plumb_scratch_at(__u32 level)
{
	return bpf_get_smp_processor_id() * PLUMB_SCRATCH_LEVELS + level;
}

static __always_inline struct plumb_scratch *plumb_scratch_get(struct plumb_percpu *pc, __u32 *ret_level)
{
	__u32 level = pc->busy[0] ? 1 : 0;
	__u32 at = plumb_scratch_at(level);

	if (pc->busy[level]) {
		plumb_lost(pc, PLUMB_LOSS_NESTED, 1);
		return NULL;
	}
	struct plumb_scratch *s = bpf_map_lookup_elem(&scratches, &at);
	if (s) {
		pc->busy[level] = 1;
		*ret_level = level;
	}
	return s;
}

static __always_inline void plumb_scratch_put(struct plumb_percpu *pc, __u32 level)
{
	pc->busy[level & (PLUMB_SCRATCH_LEVELS - 1)] = 0;
}

static __always_inline void plumb_header(struct plumb_rec_header *h, __u16 type, __u32 size)
{
	h->size = (size + 7) & ~7u;
	h->type = type;
	h->cpu = (__u16)bpf_get_smp_processor_id();
	h->time_ns = bpf_ktime_get_boot_ns();
}

/*
 * Copies a finished record into this CPU's ring: one helper call, exactly as long as the record, which beats reserve and submit for records
 * of some hundred bytes. Returns 0 or a negative errno (ring full); counting is the caller's, who knows what was lost.
 */
static __always_inline long plumb_emit(struct plumb_percpu *pc, const void *record, __u32 size)
{
	__u32 cpu = bpf_get_smp_processor_id(), zero = 0;
	void *ring = bpf_map_lookup_elem(&rings, &cpu);
	struct plumb_shared *sh = bpf_map_lookup_elem(&shared, &zero);
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (!ring || !sh)
		return -2; /* ENOENT */
	pc->unread_bytes += size;
	if (pc->unread_bytes >= wake_bytes || sh->reader_idle) {
		pc->unread_bytes = 0;
		sh->reader_idle = 0;
		flags = BPF_RB_FORCE_WAKEUP;
	}
	return bpf_ringbuf_output(ring, (void *)record, size, flags);
}

#endif
