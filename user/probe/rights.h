/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capabilities that plumb uses: what each serves, what is lost without it, how long the probe keeps it. One table for the start, `plumb doctor` and
 * docs/privileges.md. capabilities(7).
 */
#ifndef PLUMB_PROBE_RIGHTS_H
#define PLUMB_PROBE_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

enum { RIGHTS_COUNT = 14 };

enum rights_state {
	RIGHTS_HELD,
	RIGHTS_MISSING,
	RIGHTS_UNNEEDED, /* not held, and of no use here */
};

struct right {
	const char *name;    /* "CAP_BPF" */
	const char *serves;
	const char *without; /* what is lost */
	bool required;       /* plumb does not start without it */
	bool starts;         /* it serves the start alone: once plumb has started, nothing is lost */
	bool attaches;       /* where calls of libraries are not watched, nothing is lost either */
	enum rights_state state;
};

struct rights {
	struct right rows[RIGHTS_COUNT];
};

/* Of this process, as it is now. */
void rights_read(struct rights *ret_rights);
/* The state of one of them; CAP_* of linux/capability.h. */
enum rights_state rights_state(const struct rights *r, int capability);

/* What the probe still does once everything is attached. */
struct rights_needs {
	bool restarts; /* it starts the engine again, which gives up rights of its own then */
	bool writes;   /* … and opens a recording where only the operator may write */
	bool attaches; /* it sits on functions of programs that start later */
	bool becomes;  /* children of it take on the rights of processes that are watched */
};

/*
 * Gives up, for good, every capability but those that the probe needs from here on, new privileges, and system calls that nothing in it makes. Children that exist keep
 * what they have. Negative errno; what could be given up by then stays given up.
 */
int rights_settle(const struct rights_needs *needs);

#endif
