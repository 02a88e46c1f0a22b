/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the probe hands to the engine before the engine drops its privileges: mapped rings, one end of the socketpair, and a page that both see.
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

/* Written by the engine, read by the probe after the engine's death: what was taken from the rings but not processed is lost. */
struct link_progress {
	uint64_t taken;
	uint64_t processed;
};

enum { LINK_RINGS_MAX = 1024 };

struct link {
	struct link_ring *rings;
	uint32_t nrings;
	int control_fd;             /* SOCK_SEQPACKET: records come, struct plumb_ctl goes */
	uint32_t *reader_idle;      /* set to 1: the next record wakes the reader */
	struct link_progress *progress; /* shared memory */
	uint32_t restarts;          /* engines that died before this one */
};

#endif
