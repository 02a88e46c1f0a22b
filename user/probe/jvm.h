/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JVM that runs (HotSpot) is had to load a library, by the mechanism that the JDK's own tools use (jcmd, jstack): a file .attach_pidN in /tmp and SIGQUIT have it listen at /tmp/.java_pidN, where it takes commands
 * (src/hotspot/os/posix/attachListener_posix.cpp of OpenJDK).
 *
 * All of this is done by a child that lives no longer than it takes, with the rights of the process alone: its user, group and groups, no capabilities; names are looked up in its root directory, and links do not lead out
 * of it. What the other side answers is anybody's.
 */
#ifndef PLUMB_PROBE_JVM_H
#define PLUMB_PROBE_JVM_H

#include <stdint.h>
#include <sys/types.h>

enum { JVM_LIMIT_S = 10 };

struct jvm_process {
	uint32_t pid;
	int proc;    /* its directory in /proc: of no other process, whatever becomes of the number */
	int pidfd;
};

enum jvm_outcome {
	JVM_LOADED,
	JVM_HAD_IT,
	JVM_NOT_YET, /* it is starting: later */
	JVM_REFUSED, /* `why` says so */
};

/* What the child tells, in one piece. */
struct jvm_told {
	uint32_t outcome;
	char why[160]; /* NUL-terminated; what the JVM said may be in it: printable */
};

/* library: the file, which is opened for reading, and where it lies. ret_fd: told there, or it is closed without a word. The child is the caller's to wait for, and to end if it outlives JVM_LIMIT_S. -errno. */
int jvm_load(const struct jvm_process *p, int library, const char *path, pid_t *ret_child, int *ret_fd);

#endif
