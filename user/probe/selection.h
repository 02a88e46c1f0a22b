/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out the filters where the kernel side does not by itself: for the processes that run before it is attached, and for what only /proc tells (container and
 * cgroup path). What forks or executes a program later is judged in the kernel.
 */
#ifndef PLUMB_PROBE_SELECTION_H
#define PLUMB_PROBE_SELECTION_H

#include "probe/filter.h"
#include "probe/load.h"

/*
 * Judges every process there is. Call it when the programs of process life are attached, so that no fork or exec is missed meanwhile. *ret_named: how many of them
 * the filters include by command name, executable, container or cgroup. -ENOMEM, or what the maps say.
 */
int selection_judge_all(struct loaded *l, const struct filters *f, size_t *ret_named);
/* Whether a process that was included by its number lives, or a descendant of one. */
bool selection_tree_lives(const struct loaded *l);
/* Judges by place a process that was forked or has executed a program; cgroup_id 0 = unknown. Whether it is included by that. */
bool selection_judge_place(struct loaded *l, const struct filters *f, uint32_t pid, uint64_t cgroup_id);

#endif
