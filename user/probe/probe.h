/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged process: loads the kernel side, starts the engine without privileges, describes processes to it, does what it asks through the socketpair, counts what
 * was lost, and restarts it when it dies. It never looks at a captured byte.
 */
#ifndef PLUMB_PROBE_PROBE_H
#define PLUMB_PROBE_PROBE_H

#include "probe/load.h"
#include "probe/sandbox.h"

struct probe_options {
	struct load_options load;
	struct sandbox_options sandbox;
	char *const *command;             /* started once all is attached, watched; its end ends the run, the run's end leaves it alone; NULL none */
	uint64_t duration_ns;             /* 0 = until a signal */
	bool ends_with_targets;           /* where processes are named by number alone, their end, and that of their children, ends the run */
	double max_overhead;              /* share of the machine that plumb may take before it gives something up (governor.h); 0 = without limit */
	uint64_t stat_interval_ns;        /* resource use of watched processes; 0 = 10 s */
	bool restart;                     /* start the engine again when it dies */
	bool writes;                      /* engine_prepare makes files that only the operator may make */
	/* In the engine's process while it still has its privileges: opens what needs them. Returns 0 or an exit status that ends the run. NULL none. */
	int (*engine_prepare)(const struct link *link, void *ctx);
	/*
	 * The engine, in a process of its own without privileges. Returns its exit status; 0 ends the run. It ends by itself when link->control_fd says that the
	 * probe is gone, or on SIGTERM.
	 */
	int (*engine)(const struct link *link, const struct sandbox_report *sandbox, void *ctx);
	void *engine_ctx;
	const int *keep_fds;              /* the engine keeps these besides 0 to 2; -1-terminated, NULL none */
};

/* Blocks until the end. Returns the exit status, or a negative errno with ret_error. Caps say what serves; valid in either case. */
int probe_run(const struct probe_options *o, struct caps *ret_caps, char *ret_error, size_t error_len);

#endif
