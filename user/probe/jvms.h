/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Java's TLS (JSSE) is no library that probes could sit on. Where the operator allows it (capture.java), each JVM that is watched is had to load an agent, once, that tells of it (user/java): the file that this
 * maps is a library like any other from then on.
 */
#ifndef PLUMB_PROBE_JVMS_H
#define PLUMB_PROBE_JVMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/mappings.h"

struct jvms;

struct jvms_counts {
	uint32_t loaded, had_it, refused; /* JVMs */
};

/* Where the agent lies: beside this program, or where it is installed. -ENOENT: nowhere. */
int jvms_agent(char *ret_path, size_t len);

/* agent: as above. -errno. */
int jvms_new(const char *agent, struct jvms **ret_jvms);
void jvms_free(struct jvms *j);

/* Is this what a process maps that is one? */
bool jvms_is_jvm(const struct mapping *m);
/* A process that is watched has mapped it. */
void jvms_add(struct jvms *j, uint32_t pid);
/* It has ended, or runs another program. */
void jvms_leave(struct jvms *j, uint32_t pid);
/* Some times a second. */
void jvms_tick(struct jvms *j);

struct jvms_counts jvms_counts(const struct jvms *j);

#endif
