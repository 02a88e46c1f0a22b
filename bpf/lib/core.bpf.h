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

#include "abi/ring.h"

/* One element of each CPU; made by the loader, which knows how many there are and how large a ring is. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 4096);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set to CPUs * levels */
	__type(key, __u32);
	__type(value, struct plumb_ring_ends);
} ring_ends SEC(".maps");

/* Calls the reader: a byte in it wakes whoever polls it. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* set to a page */
} doorbell SEC(".maps");

/* Copies of exec, exit and fork records for the probe, which describes processes: an exec wakes it, the rest waits for its next tick. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} process_ring SEC(".maps");

/* Where the bytes are: one buffer, or an array of them. It lies on the stack, of which there is no more to have. */
struct plumb_gather {
	const void *base;          /* buffer, or NULL with iov */
	const struct iovec *iov;   /* user pointer, or the kernel's own list */
	__u64 len;                 /* of base */
	const void *name;          /* datagrams: user pointer to the destination */
	__u32 behind;              /* bytes that the same call moved after these */
	__u32 first;               /* of iov: so many bytes into it they begin */
	__u16 segments;            /* of iov */
	__u8 path;                 /* enum plumb_path */
	bool readable;             /* false: length only */
	bool kernel;               /* iov is the kernel's */
	bool covered;              /* nothing of it is wanted, and nothing is lost */
};

/* What does not fit on the stack. Loop variables live here too: the verifier then knows nothing of them and need not follow each value. */
struct plumb_scratch {
	__u32 copied, to_skip;
	struct plumb_gather gather;
	union {
		struct plumb_rec_data head; /* of an I/O that makes several records */
		struct plumb_rec_exec exec;
		struct plumb_gpu_kernel_key kernel;
	};
};

/* Indexed by cpu * PLUMB_RING_LEVELS + level. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set to CPUs * levels */
	__type(key, __u32);
	__type(value, struct plumb_scratch);
} scratches SEC(".maps");

struct plumb_percpu {
	__u64 loss[PLUMB_LOSS_REASONS];
	__u32 busy[PLUMB_RING_LEVELS]; /* its ring and scratch are in use */
	struct {
		__u64 sk;
		__u32 event;
		__u32 pad;
	} told[2]; /* life.bpf.h */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plumb_percpu);
} percpu SEC(".maps");

const volatile __u32 ring_bytes = 4096; /* of the first level, a power of two; set by the loader to what `rings` was made for */
/* A ring that holds this much more than when the reader was last called calls it before its timer does. */
const volatile __u32 wake_bytes = 256 * 1024;

/*
 * Order of memory between CPUs. x86 keeps loads in order, and stores; arm64 keeps neither. There a load comes after another if its address is made from what that
 * one read, even if it is the same whatever was read: 0 of a value, in a way that no compiler sees through.
 */
static __always_inline __u64 plumb_zero_of(__u64 value)
{
#if defined(__TARGET_ARCH_x86)
	return 0;
#else
	asm volatile("%0 &= 0" : "+r"(value) : : "memory");
	return value;
#endif
}

/* `pointer`, through which nothing is read before `value` was. Not for a value that was compared before: the compiler may take the other side's for it. */
#define plumb_after(pointer, value) ((typeof(pointer))((__u64)(pointer) + plumb_zero_of(value)))

/* One more, seen by nobody who does not see all that was stored before. */
static __always_inline void plumb_publish(__u32 *counter)
{
#if defined(__TARGET_ARCH_x86)
	__sync_fetch_and_add(counter, 1);
#else
	__u32 before = __sync_fetch_and_add(counter, 1);

	asm volatile("" : : "r"(before)); /* without a use of it the addition would be one without order */
#endif
}

static __always_inline struct plumb_percpu *plumb_percpu_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&percpu, &zero);
}

static __always_inline void plumb_lost(struct plumb_percpu *pc, enum plumb_loss reason, __u64 count)
{
	__sync_fetch_and_add(&pc->loss[reason], count); /* a soft interrupt may come in between */
}

static __always_inline __u32 plumb_level_at(__u32 level)
{
	return bpf_get_smp_processor_id() * PLUMB_RING_LEVELS + level;
}

/*
 * Takes a level of this CPU, with its ring and scratch; false if none is free (counted). What interrupts a program here ends before it goes on: these
 * tracepoints run without preemption, so a look and a store need no lock.
 */
static __always_inline bool plumb_enter(struct plumb_percpu *pc, __u32 *ret_level)
{
#ifdef PLUMB_PREEMPTIBLE
	/* In one instruction: another task's program may run in between. */
	__u32 level = __sync_lock_test_and_set(&pc->busy[0], 1) & (PLUMB_RING_LEVELS - 1);
	bool taken = level && __sync_lock_test_and_set(&pc->busy[1], 1);
#else
	__u32 level = pc->busy[0] & (PLUMB_RING_LEVELS - 1);
	bool taken = pc->busy[level];
#endif

	if (taken) {
		plumb_lost(pc, PLUMB_LOSS_NESTED, 1);
		return false;
	}
	pc->busy[level] = 1;
	*ret_level = level;
	return true;
}

static __always_inline void plumb_leave(struct plumb_percpu *pc, __u32 level)
{
	pc->busy[level & (PLUMB_RING_LEVELS - 1)] = 0;
}

static __always_inline struct plumb_scratch *plumb_scratch_get(__u32 level)
{
	__u32 at = plumb_level_at(level);

	return bpf_map_lookup_elem(&scratches, &at);
}

/*
 * Room for a record of up to `max` bytes in the ring of a level that was entered, or NULL when it is full; counting is the caller's, who knows what is lost.
 * Nothing is taken until plumb_commit().
 */
static __always_inline void *plumb_reserve_above(__u32 level, __u32 max, __u32 spare_shift, struct plumb_ring_ends **ret_ends)
{
	__u32 cpu = bpf_get_smp_processor_id(), at = plumb_level_at(level);
	struct plumb_ring_ends *ends = bpf_map_lookup_elem(&ring_ends, &at);
	__u8 *data = bpf_map_lookup_elem(&rings, &cpu);

	if (!ends || !data)
		return NULL;
	__u32 mask = (ring_bytes - 1) >> (level * PLUMB_RING_LEVEL_SHIFT);
	__u64 head = ends->head;
	__u64 spare = spare_shift ? ((__u64)mask + 1) >> spare_shift : 0;
	if (head - ends->tail + max + spare > (__u64)mask + 1)
		return NULL;
	__u32 offset = PLUMB_RING_BASE(ring_bytes, level) + ((__u32)head & mask);
	/* What the arithmetic says already, in words that every verifier understands. */
	if (offset >= PLUMB_RINGS_SPAN(ring_bytes) - PLUMB_RING_SLACK)
		return NULL;
	*ret_ends = ends;
	return data + offset;
}

static __always_inline void *plumb_reserve(__u32 level, __u32 max, struct plumb_ring_ends **ret_ends)
{
	return plumb_reserve_above(level, max, 0, ret_ends);
}

/* For payload, which is most of what there is: a sixteenth of the ring is left for events, of which each that is missed stays wrong. */
static __always_inline void *plumb_reserve_data(__u32 level, __u32 max, struct plumb_ring_ends **ret_ends)
{
	return plumb_reserve_above(level, max, 4, ret_ends);
}

/* The record that was built there is `size` bytes long, a multiple of 8: from now on it is the reader's. */
static __always_inline void plumb_commit(struct plumb_ring_ends *ends, __u32 size)
{
	__u64 head = ends->head + size;

#if defined(__TARGET_ARCH_x86)
	barrier(); /* stores stay in order */
	*(volatile __u64 *)&ends->head = head;
#else
	__sync_lock_test_and_set(&ends->head, head);
#endif
	/* `idle` may be read before `head` is seen: the reader then sleeps its long sleep once, which is bounded; a fence for each record would cost more. */
	if (head - ends->rung >= wake_bytes || *(volatile __u32 *)&ends->idle) {
		__u64 call = 0;
		ends->rung = head;
		ends->idle = 0;
		bpf_ringbuf_output(&doorbell, &call, sizeof(call), BPF_RB_FORCE_WAKEUP);
	}
}

static __always_inline void plumb_header(struct plumb_rec_header *h, __u16 type, __u32 size)
{
	h->size = (size + 7) & ~7u;
	h->type = type;
	h->cpu = (__u16)bpf_get_smp_processor_id();
	h->time_ns = bpf_ktime_get_boot_ns();
}

/* Copies a record of an event that was built elsewhere; counts it if it cannot go out. Returns whether it did. */
static __always_inline bool plumb_emit(struct plumb_percpu *pc, __u32 level, const void *record, __u32 size)
{
	struct plumb_ring_ends *ends;
	void *to = plumb_reserve(level, size, &ends);

	if (!to || bpf_probe_read_kernel(to, size, record)) {
		plumb_lost(pc, PLUMB_LOSS_RING_FULL_EVENT, 1);
		return false;
	}
	plumb_commit(ends, size);
	return true;
}

#endif
