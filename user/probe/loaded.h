/* SPDX-License-Identifier: Apache-2.0 */
/* What load.c made, for the files that work on it; for probe/load*.c only. */
#ifndef PLUMB_PROBE_LOADED_H
#define PLUMB_PROBE_LOADED_H

#include "probe/load.h"

#include "../../bpf/abi/sites.h"

struct loaded {
	struct socket_bpf *socket;   /* one of these three: the rung that serves socket data and socket life */
	struct message_bpf *message;
	struct syscall_bpf *syscall;
	struct bpf_object *base;     /* the object of that one; owns the maps that all share */
	struct process_bpf *process;
	struct library_bpf *library;  /* NULL: not wanted, or no way for it */
	enum uprobe_way uprobe_way;
	struct plumb_call_epoch epochs[PLUMB_SITE_FILES];
	struct function_hits hits[PLUMB_SITE_FILES]; /* of such probes, when they were last counted */
	struct uprobe_cost trap;     /* what a probe on a function costs who calls it; 0: there are none */
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
/* How many objects are loaded; the first owns the shared maps. */
int loaded_objects(const struct loaded *l);
struct bpf_object *loaded_object(const struct loaded *l, int i);

/* For each object that is loaded behind the first: maps by CPU get their size, and those that it shares are the first's. */
int load_size_maps(struct loaded *l, struct bpf_object *object);
int load_share_maps(struct bpf_object *to, struct bpf_object *from);
/* The first complaint of libbpf since it was cleared; "" = none. */
const char *load_said(void);
void load_said_clear(void);

/* Finds a way to sit on functions and loads the programs for it; without one, l->trap is 0 and caps say why. */
void loaded_load_functions(struct loaded *l, const struct load_options *o, struct caps *caps);
void loaded_free_functions(struct loaded *l);
struct bpf_object *loaded_functions_object(const struct loaded *l); /* NULL: none */

#endif
