/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files are mapped to be executed, by whom: as it happens (exec, ld.so, dlopen), by the kernel's records of mappings (perf_event_open(2), PERF_RECORD_MMAP2), and of
 * what runs already by /proc/PID/maps. Nothing is polled.
 */
#ifndef PLUMB_PROBE_MAPPINGS_H
#define PLUMB_PROBE_MAPPINGS_H

#include <stdint.h>

/* A mapping of a file. */
struct mapping {
	uint32_t pid;
	uint32_t major, minor; /* of the file's device */
	uint64_t inode;
	uint64_t generation;   /* of its number; 0 unknown */
	uint64_t from, to;     /* addresses */
	uint64_t time_ns;      /* CLOCK_MONOTONIC; 0: it was there already */
	const char *path;      /* as the process sees it; valid until the callback returns */
};

typedef void (*mapping_fn)(void *ctx, const struct mapping *m);

struct mappings;

/* -errno where the kernel does not tell (CAP_PERFMON, or perf_event_paranoid). */
int mappings_new(mapping_fn fn, void *ctx, struct mappings **ret_mappings);
void mappings_free(struct mappings *m);
/* Readable when there are some. */
int mappings_fd(const struct mappings *m);
/* Calls fn for each. */
void mappings_read(struct mappings *m);
/* Looks which CPUs are online, and is told by those as well from then on. To be called once in a while; -errno: of some it is not told. */
int mappings_renew(struct mappings *m);
/* Those that the kernel could not tell of, as too many came at once; and 1 for each time that some may have been missed, as a CPU had come online or a record made no sense. */
uint64_t mappings_lost(const struct mappings *m);

/* Calls fn for what a process has mapped now. -errno: it is gone, or may not be looked at; -EFBIG: it has more than is read. */
int mappings_of(uint32_t pid, mapping_fn fn, void *ctx);

#endif
