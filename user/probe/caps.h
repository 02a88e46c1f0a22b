/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel and these privileges allow, found by trial, never by version: for each need an ordered ladder of ways. `plumb doctor` prints it.
 */
#ifndef PLUMB_PROBE_CAPS_H
#define PLUMB_PROBE_CAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/rights.h"

enum { CAPS_RUNGS_MAX = 4, CAPS_FEATURES_MAX = 12, CAPS_PREREQUISITES_MAX = 12 };

enum caps_state { CAPS_UNTRIED, CAPS_WORKS, CAPS_FAILS };

struct caps_rung {
	const char *name;     /* "sock_length" */
	const char *how;      /* "tp_btf sock_send_length, sock_recv_length" */
	const char *since;    /* kernel and commit that brought it; information, never a check */
	enum caps_state state;
	char why[160];        /* of a failure */
};

struct caps_feature {
	const char *name;     /* "socket data" */
	const char *limits;   /* what is missing even when it works, "" nothing */
	size_t nrungs;
	int serves;           /* index of the rung in use, -1 none */
	struct caps_rung rungs[CAPS_RUNGS_MAX];
};

struct caps_prerequisite {
	const char *name;     /* "privileges", "kernel BTF" */
	bool ok;
	char detail[288];     /* what it is, or how to get it */
};

struct caps {
	size_t nfeatures, nprerequisites;
	struct caps_feature features[CAPS_FEATURES_MAX];
	struct caps_prerequisite prerequisites[CAPS_PREREQUISITES_MAX];
	struct rights rights;
};

/* The ladders, untried, and the prerequisites, checked. */
void caps_init(struct caps *c);
struct caps_feature *caps_feature(struct caps *c, const char *name);
/* The first prerequisite that is not met, or NULL. */
const struct caps_prerequisite *caps_missing(const struct caps *c);
/*
 * RLIMIT_MEMLOCK in bytes if this kernel counts BPF memory against it (expected before 5.11, where the memory cgroup took over), else 0. To be asked when a map was refused: the
 * answer is found by making one that is too large.
 */
uint64_t caps_memory_limit(void);

#endif
