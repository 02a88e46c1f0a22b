/* SPDX-License-Identifier: Apache-2.0 */
/* The command that the operator has plumb run: it waits at a gate until it is among the watched, so that it is watched from its first instruction on. */
#ifndef PLUMB_PROBE_COMMAND_H
#define PLUMB_PROBE_COMMAND_H

#include <sys/types.h>

#include "probe/load.h"

/* With its operator's signals and standard error for its standard output, which carries spans. Negative errno if it was not started. */
int command_start(char *const *argv, struct loaded *loaded, pid_t *ret_pid);

/* What waitpid(2) told of it as a shell's exit status: of one that a signal ended, 128 and the signal. */
int command_status(int wait_status);

#endif
