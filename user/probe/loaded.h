/* SPDX-License-Identifier: Apache-2.0 */
/* What load.c made, for the files that work on it; for probe/load*.c only. */
#ifndef PLUMB_PROBE_LOADED_H
#define PLUMB_PROBE_LOADED_H

#include "probe/load.h"

enum { LOADED_OBJECTS = 2 };

struct loaded {
	struct socket_bpf *socket;   /* one of these three: the rung that serves socket data and socket life */
	struct message_bpf *message;
	struct syscall_bpf *syscall;
	struct bpf_object *base;     /* the object of that one; owns the maps that all share */
	struct process_bpf *process;
	struct ring_buffer *process_ring;
	struct link_ring *rings; /* by CPU and level, mapped */
	uint32_t ncpus;
	uint32_t ring_bytes;
	uint64_t pair_secret;
	bool only_targets, by_place;
	struct plumb_generation *generation; /* mapped */
	int rings_fd; /* made before the objects that use it */
	int stats_fd;                   /* kept open: programs are timed all the time */
	int timing_fd;                  /* for a moment */
	uint64_t timing_ns, timing_run_ns;
	void (*process_fn)(void *ctx, const struct plumb_rec_header *h);
	void *process_ctx;
	size_t percpu_bytes;
};

/* The descriptor of a map that all objects share. */
int loaded_map_fd(const struct loaded *l, const char *name);
/* i < LOADED_OBJECTS. The first owns the shared maps. */
struct bpf_object *loaded_object(const struct loaded *l, int i);

#endif
