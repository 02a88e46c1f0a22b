/* SPDX-License-Identifier: Apache-2.0 */
/* A process as the engine knows it from records. */
#ifndef PLUMB_MODEL_PROCESS_H
#define PLUMB_MODEL_PROCESS_H

#include "lib/slice.h"

enum { PROCESS_ATTRS_MAX = 40, PROCESS_TEXT_MAX = 3072 };

struct process_attr {
	struct slice key; /* OpenTelemetry resource attribute name; "plumb." = not exported as a resource */
	struct slice value;
};

struct process {
	uint32_t pid;
	uint32_t ppid;
	uint64_t start_ns;   /* CLOCK_BOOTTIME, 0 unknown */
	uint64_t exit_ns;    /* 0 = alive */
	uint64_t generation; /* changes whenever the description does, so that sinks can cache an encoded resource; never reused */
	uint32_t refs;       /* exchanges and connections that point here */
	uint32_t flags;      /* PLUMB_PROCESS_* */
	bool tasks_move;     /* requests were seen to change threads: which one makes a call says nothing. correlate/ only */
	/* correlate/ only */
	uint32_t serving;    /* requests */
	uint32_t own_calls;  /* made while it served none, in idle_ns of such time; what is long past counts less */
	uint64_t idle_ns, idle_since_ns;
	struct slice service; /* service.name; never empty: falls back to the executable's name, then "unknown_service" */
	struct process_attr attrs[PROCESS_ATTRS_MAX]; /* service.name among them */
	uint32_t nattrs;
	/* Latest plumb_rec_proc_stat, zero until one came. */
	uint64_t cpu_user_ns, cpu_system_ns, rss_bytes, vms_bytes, read_bytes, write_bytes;
	uint64_t traps, trap_ns; /* and what plumb_rec_exit adds */
	uint32_t threads, fds;
	uint32_t text_used;
	char text[PROCESS_TEXT_MAX]; /* what the slices point to */
};

/* service.name of what is known of no process, too. */
static inline struct slice process_service(const struct process *p)
{
	return p && p->service.len ? p->service : SLICE_LIT("unknown_service");
}

#endif
