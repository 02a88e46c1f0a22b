/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator names, to be watched or not to be: processes by number, command name, executable, container and cgroup, connections by port. Here is what
 * these names say of a process; exclusion wins. The kernel side judges executed programs by the same names (bpf/lib/judge.bpf.h).
 */
#ifndef PLUMB_PROBE_FILTER_H
#define PLUMB_PROBE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/record.h"

#include "../../bpf/abi/targets.h"

enum { FILTER_PIDS_MAX = 64, FILTER_PORTS_MAX = 16 };

/* One side. Lists end with NULL, or are NULL; they are the caller's. */
struct filter {
	uint32_t pids[FILTER_PIDS_MAX];   /* with their children; 0-terminated */
	const char *const *comms;         /* /proc/PID/comm, with their children */
	const char *const *exes;          /* base names of executables, or whole paths as /proc/PID/exe has them */
	const char *const *containers;    /* beginnings of ids */
	const char *const *cgroups;       /* parts of paths */
	uint16_t ports[FILTER_PORTS_MAX + 1]; /* 0-terminated */
};

struct filters {
	struct filter include, exclude;
};

/* Is any process named, but by its number? */
bool filter_names_programs(const struct filter *f); /* by command name or executable */
bool filter_names_places(const struct filter *f);   /* by container or cgroup */

/* Is every process watched, whatever it is? */
bool filters_take_all(const struct filters *f);

/* PLUMB_IN … bits of a process. */
uint8_t filters_of_pid(const struct filters *f, uint32_t pid);
uint8_t filters_of_program(const struct filters *f, const char *comm, const char *exe);
uint8_t filters_of_place(const struct filters *f, const char *cgroups); /* text of /proc/PID/cgroup */

/* All names that the kernel side looks for, each once. The array is the caller's to free. -ENOMEM. */
struct filter_name {
	struct plumb_name name;
	uint32_t bits;
};
int filters_names(const struct filters *f, struct filter_name **ret_names, size_t *ret_count);

#endif
