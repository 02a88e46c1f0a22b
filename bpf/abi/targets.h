/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which processes are watched: the values of the maps by which the probe and the kernel side tell each other. Exclusion wins over inclusion, whichever of them
 * comes from where.
 */
#ifndef PLUMB_TARGETS_H
#define PLUMB_TARGETS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif
#include "limits.h"

/* What filters say of a process: bits. Those of a tree hold for its children too, whatever they execute. */
#define PLUMB_IN 1u
#define PLUMB_OUT 2u
#define PLUMB_TREE_IN 4u
#define PLUMB_TREE_OUT 8u
#define PLUMB_TREE (PLUMB_TREE_IN | PLUMB_TREE_OUT)
#define PLUMB_NAME_OF_PATH 16u /* of a name only: a filter's path ends with it */

/* By thread group id; no entry = all zero. Written by the kernel side as processes fork and execute programs, and by the probe for those that run before. */
struct plumb_target {
	__u8 program;   /* by its command name and executable; decided anew at each exec */
	__u8 leaf;      /* by the name of its cgroup; likewise */
	__u8 inherited; /* as a descendant of another process, or named by number: stays to its end */
	__u8 pad[5];
};

/* By thread group id, written by the probe alone: what only a walk through /proc tells of where a process runs (container, part of the cgroup's path). */
struct plumb_place {
	__u64 cgroup_id; /* v2 id of the cgroup that was judged; 0 unknown */
	__u32 bits;      /* PLUMB_IN, PLUMB_OUT */
	__u32 pad;
};

/* Names that filters look for, and the bits that each gives. Text is filled up with zeros. */
enum plumb_name_kind {
	PLUMB_NAME_COMM = 1,
	PLUMB_NAME_EXE,    /* last part of an executable's path */
	PLUMB_NAME_PATH,   /* the whole of it, last part first, each part followed by a slash: "curl/bin/usr/" */
	PLUMB_NAME_CGROUP, /* last part of a cgroup's path */
};
struct plumb_name {
	__u32 kind;
	char text[PLUMB_PATH_LEN];
};

/*
 * Grows whenever verdicts change, so that those cached in sockets are looked up anew. The session's high bits count engines: when they change, sockets are
 * announced anew. One writer each: the probe the first word, the kernel side the second.
 */
struct plumb_generation {
	__u32 session; /* engines << PLUMB_SESSION_SHIFT | changes by the probe; never 0 */
	__u32 execs;   /* changes as programs were executed */
};
#define PLUMB_SESSION_SHIFT 24

#endif
