/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rings between the kernel side and the reader: plain memory that programs write and user space maps. Each has one writer, the CPU (and nesting level) that
 * it belongs to, so writing takes no lock and no helper; records are built in place.
 *
 * Positions grow for ever. The record at position p begins at data[p & (size - 1)] and lies in one piece: what runs beyond `size` lies in slack behind the ring,
 * so a record never wraps, and the next one still begins at (p + its size) & (size - 1). What a record's `size` says is how far the next one is.
 */
#ifndef PLUMB_RING_H
#define PLUMB_RING_H

#include "records.h"

/* Nesting levels on one CPU: a program may be interrupted by a soft interrupt that runs another. Each has a ring of its own. */
#define PLUMB_RING_LEVELS 2
/* The second one is so many times smaller, as a shift. */
#define PLUMB_RING_LEVEL_SHIFT 2
/* Behind each ring: a record begins before `size`, and a bounded offset plus a bounded length must stay inside for the verifier. */
#define PLUMB_RING_SLACK (2 * PLUMB_PAYLOAD_MAX + 4096)
#define PLUMB_RINGS_MAX 1024 /* CPUs */

/* One of each CPU and level, at cpu * PLUMB_RING_LEVELS + level. The writer's and the reader's part lie in cache lines of their own. */
struct plumb_ring_ends {
	__u64 head; /* written by the program: behind the last finished record */
	__u64 rung; /* where head was when the reader was last called */
	__u64 writer_pad[6];
	__u64 tail; /* written by the reader: everything before may be overwritten */
	__u32 idle; /* set by the reader: it sleeps long, and the next record shall call it */
	__u32 reader_pad[13];
};

/* Bytes of the memory of one CPU's rings of which the first has `bytes`; a multiple of 4096. */
#define PLUMB_RINGS_SPAN(bytes) ((bytes) + PLUMB_RING_SLACK + ((bytes) >> PLUMB_RING_LEVEL_SHIFT) + PLUMB_RING_SLACK)
/* Where the ring of a level begins in it. */
#define PLUMB_RING_BASE(bytes, level) ((level) * ((bytes) + PLUMB_RING_SLACK))

#endif
