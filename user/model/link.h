/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the probe hands to the engine before the engine drops its privileges: mapped rings, one end of the
 * socketpair, and a page that both see.
 */
#ifndef PLUMB_MODEL_LINK_H
#define PLUMB_MODEL_LINK_H

#include <stdint.h>

#include "../../bpf/abi/ring.h"

/* One ring of bpf/abi/ring.h as it is mapped here; the reader writes `tail` and `idle`, nothing else. */
struct link_ring {
	struct plumb_ring_ends *ends;
	const uint8_t *data; /* `size` bytes and slack: no record wraps */
	uint64_t size;       /* a power of two */
};

/* A BPF ring buffer of which only its call counts: the descriptor is readable until both positions are the same. */
struct link_doorbell {
	int fd;
	uint64_t *consumer_pos;
	const uint64_t *producer_pos;
};

enum { LINK_RINGS_MAX = PLUMB_RINGS_MAX * PLUMB_RING_LEVELS };

/* Spans that sinks have taken, and those of them that were delivered, put on disk or dropped (and counted so): the rest is in the engine's memory alone. */
struct link_spans {
	uint64_t taken;   /* written by the engine's thread */
	uint64_t settled; /* added to by any */
};

/*
 * Shared memory that outlives the engine. What was taken but not processed is lost, and so is what it held; and a record that was
 * being looked at when the engine died is not looked at again by the next one.
 */
struct link_progress {
	uint64_t taken;
	uint64_t processed;
	struct link_spans spans;
	uint64_t begun, ended; /* requests that the engine follows, and those of them that became spans: the rest is in its memory alone */
	uint64_t at[LINK_RINGS_MAX]; /* by ring: behind the last record taken */
};

struct link {
	struct link_ring *rings;
	uint32_t nrings;
	struct link_doorbell doorbell;
	int control_fd;             /* SOCK_SEQPACKET: records come, struct plumb_ctl goes */
	struct plumb_policy_slot *policies; /* PLUMB_POLICY_SLOTS; read by the kernel side */
	struct link_progress *progress; /* shared memory */
	uint32_t restarts;          /* engines that died before this one */
};

#endif
