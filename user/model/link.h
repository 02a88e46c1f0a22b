/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the probe hands to the engine before the engine drops its privileges: mapped rings, one end of the
 * socketpair, and a page that both see.
 */
#ifndef PLUMB_MODEL_LINK_H
#define PLUMB_MODEL_LINK_H

#include <stdint.h>

/* A BPF ring buffer as the kernel lays it out (kernel/bpf/ringbuf.c); positions grow for ever. */
struct link_ring {
	int fd;                     /* for epoll: readable when the kernel side asks for attention */
	uint64_t *consumer_pos;     /* written by the reader */
	const uint64_t *producer_pos;
	const uint8_t *data;        /* mapped twice in a row, so that no record wraps */
	uint64_t size;              /* a power of two */
};

enum { LINK_RINGS_MAX = 1024 };

/*
 * Shared memory that outlives the engine. What was taken but not processed is lost; and a record that was being looked at when
 * the engine died is not looked at again by the next one.
 */
struct link_progress {
	uint64_t taken;
	uint64_t processed;
	uint64_t at[LINK_RINGS_MAX]; /* by ring: behind the last record taken */
};

struct link {
	struct link_ring *rings;
	uint32_t nrings;
	int control_fd;             /* SOCK_SEQPACKET: records come, struct plumb_ctl goes */
	uint32_t *reader_idle;      /* set to 1: the next record wakes the reader */
	struct link_progress *progress; /* shared memory */
	uint32_t restarts;          /* engines that died before this one */
};

#endif
