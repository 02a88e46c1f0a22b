/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc says of a process, as a PROCESS record. service.name is, in this order: OTEL_SERVICE_NAME in its environment; service.name in its
 * OTEL_RESOURCE_ATTRIBUTES; the Kubernetes workload (pod name without its generated suffixes); the systemd unit; the script that an interpreter runs; the executable.
 */
#ifndef PLUMB_PROBE_DESCRIBE_H
#define PLUMB_PROBE_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/record.h"

enum { DESCRIBE_MAX = sizeof(struct plumb_rec_process) + 3072 };

/*
 * Builds the record in buf (DESCRIBE_MAX bytes, 8-byte aligned). exec (may be NULL) is used for what /proc no longer has. Returns the record's size, -ESRCH if the
 * process is gone and there was no exec record, -ENOENT for a kernel thread.
 */
int describe_process(uint32_t pid, const struct plumb_rec_exec *exec, void *buf);
/* Resource use now; -ESRCH when gone. */
int describe_stat(uint32_t pid, struct plumb_rec_proc_stat *ret);
/* The kernel's name for the process, at most 15 bytes; "" when it is gone. */
void describe_comm(uint32_t pid, char *ret_name, size_t len);
/* Its executable as the kernel names it; the length, or a negative errno. */
ssize_t describe_exe(uint32_t pid, char *ret_path, size_t len);
/* The text of /proc/PID/cgroup, lines of ID:CONTROLLERS:PATH; the length, or a negative errno. */
ssize_t describe_cgroups(uint32_t pid, char *ret_text, size_t len);
int describe_parent(uint32_t pid, uint32_t *ret_ppid); /* -ESRCH */

/* Parts, for tests. */
/* Container id (64 hex digits, or what the runtime uses) in a cgroup path; returns its length or 0. */
size_t describe_container_id(const char *cgroup_path, char *ret_id, size_t len);
size_t describe_pod_uid(const char *cgroup_path, char *ret_uid, size_t len);
size_t describe_unit(const char *cgroup_path, char *ret_unit, size_t len);
/* Deployment, StatefulSet … of a pod's name: without the suffixes that controllers append. */
size_t describe_workload(const char *pod_name, char *ret_name, size_t len);
/* Whether it is a program that Go's linker made, as far as a few bounded reads tell. */
bool describe_is_go(int fd);
/*
 * The same of a path, without waiting for whoever can have it wait (leases, FIFOs). One that may not be read may be of Go: to take its threads for its tasks would make wrong
 * joins, which are worse than none.
 */
bool describe_may_be_go(const char *path);

#endif
