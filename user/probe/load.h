/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side, loaded and attached: which programs serve is found by trial (caps.h), maps are shared between objects by name, and what user
 * space does with them is behind these functions. Only probe/ includes libbpf.
 */
#ifndef PLUMB_PROBE_LOAD_H
#define PLUMB_PROBE_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "model/link.h"
#include "model/record.h"
#include "probe/caps.h"
#include "probe/filter.h"
#include "probe/uprobe.h"

#include "../../bpf/abi/sites.h"

struct load_options {
	uint32_t ring_bytes;     /* per CPU, rounded down to a power of two; 0 = 4 MiB, less where many CPUs share 32 MiB */
	struct filters filters;
	bool only_targets;       /* nothing is watched but what is included */
	bool count_cost;         /* BPF_ENABLE_STATS: run time per program; itself costs about 80 ns a run */
	bool libraries;          /* programs on functions of libraries are loaded too, where there is a way for it */
	uint64_t library_pause_ns; /* how long calls that take too much are let go, the first time */
	bool gpu;                /* drivers of GPUs are among these libraries; */
	uint64_t gpu_slow_ns;    /* a call of one that takes so long is told of by itself */
	const char *library_rung; /* for them use this way and no other; NULL = the best that works */
	const char *java_agent;  /* JVMs are had to load this file (jvms.h); NULL: they are left alone */
	const char *rung;        /* use this way for socket data and no other; NULL = the best that works */
};

enum { LOAD_PROGRAMS_MAX = 64 }; /* of all objects together, on any rung */

struct program_cost {
	char name[24];
	uint64_t run_ns, run_count;
};

struct loaded;

/* On failure ret_error has one line that says what is missing and how to get it. ret_caps is filled in either case. */
int loaded_new(const struct load_options *o, struct loaded **ret_loaded, struct caps *ret_caps, char *ret_error, size_t error_len);
void loaded_free(struct loaded *l);

/* Attaches to fork, exec and exit: from here on they are judged, and their records come. */
int loaded_attach_life(struct loaded *l, struct caps *caps, char *ret_error, size_t error_len);
/* Attaches to sockets. */
int loaded_attach(struct loaded *l, struct caps *caps, char *ret_error, size_t error_len);

/* In an engine's process: maps the rings and the policy table. The arrays stay l's. */
int loaded_link(struct loaded *l, struct link *ret_link);

/* A new engine begins: sockets in use are announced to it again. */
int loaded_new_session(struct loaded *l);
/* What is given up from now on: most bytes captured of each I/O (UINT32_MAX: no limit); one connection of 2^sample_shift is looked at. */
int loaded_shed(struct loaded *l, uint32_t capture_bytes, uint32_t sample_shift);

/* Who is watched. A verdict that changes is looked up anew wherever it was remembered. */
bool loaded_target(const struct loaded *l, uint32_t pid, struct plumb_target *ret_target); /* false: nothing is said of it, ret_target is untouched */
int loaded_set_target(struct loaded *l, uint32_t pid, const struct plumb_target *t);
int loaded_set_tree(struct loaded *l, uint32_t pid, uint8_t bits); /* PLUMB_TREE_*: pid and its children to be, and nothing else counts */
/* The first process behind pid (0: of all) of which something is said, in no order; false: there is none. */
bool loaded_target_next(const struct loaded *l, uint32_t pid, uint32_t *ret_pid, struct plumb_target *ret_target);
bool loaded_place(const struct loaded *l, uint32_t pid, struct plumb_place *ret_place);
int loaded_set_place(struct loaded *l, uint32_t pid, const struct plumb_place *p);
void loaded_drop_place(struct loaded *l, uint32_t pid);
bool loaded_wanted(const struct loaded *l, uint32_t pid, bool *ret_included); /* included: by a filter, not for want of one */

/* Cumulative, summed over CPUs. */
void loaded_losses(struct loaded *l, uint64_t ret_losses[PLUMB_LOSS_REASONS]);
/* Fills at most max entries; returns how many programs are loaded. */
size_t loaded_costs(struct loaded *l, struct program_cost *ret_costs, size_t max);
/*
 * Lets the kernel time the programs from now on until loaded_timing_end(), which says what share of one CPU they took meanwhile. -errno where the kernel does
 * not tell; the timing itself costs about 50 ns a run, so it is for a moment only.
 */
int loaded_timing_begin(struct loaded *l);
int loaded_timing_end(struct loaded *l, uint64_t *ret_ppm);
uint64_t loaded_map_bytes(struct loaded *l);

/* Whether there is a way here to sit on functions. */
bool loaded_has_functions(const struct loaded *l);
/* Attaches the program for entries, or for returns, to functions of a file; see uprobe_attach(). Cookies: bpf/abi/sites.h. */
int loaded_attach_functions(struct loaded *l, const struct uprobe_place *place, bool returns, struct uprobe *ret_uprobe);
/*
 * Of the probes of this file (its place in the cookies) returns may have been missed. missed: what tells of handles may be too, so none that was made before is known any more. To be called when they are taken away, as
 * nothing is kept of calls then, again when they are certainly gone, and before they are attached anew.
 */
void loaded_detached(struct loaded *l, uint32_t file, bool missed);
/* All of its functions have probes, since now. */
void loaded_attached(struct loaded *l, uint32_t file);
/* The descriptor of a map that only these programs have; -ENOENT: there is none. */
int loaded_function_map(const struct loaded *l, const char *name);
/* Of a file with functions that were found by their code: how many calls did what such functions do not do. It begins with none, and with what is known of the file's rustls. */
void loaded_trial_begin(const struct loaded *l, uint32_t file, const struct plumb_rust *rust);
uint32_t loaded_trial_fails(const struct loaded *l, uint32_t file);
/* How often such programs ran on functions of the file in this place, and what that took of who called, by what was measured at the start. */
struct function_hits {
	uint64_t count, took_ns;
};
struct function_hits loaded_function_hits(struct loaded *l, uint32_t file);
/* The same by process that lives: 0 if there was no room to count them. */
struct plumb_call_price loaded_call_price(const struct loaded *l, uint32_t pid);

/* Exec, fork and exit records as they happen. The descriptor is readable when there are some. */
int loaded_process_fd(const struct loaded *l);
int loaded_process_read(struct loaded *l, void (*fn)(void *ctx, const struct plumb_rec_header *h), void *ctx);

#endif
